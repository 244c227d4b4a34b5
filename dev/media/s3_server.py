"""A real S3 server over a folder: versitygw."""

import contextlib
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from dev.cluster.binaries import VERSITYGW, build_alone
from dev.media.servers import free_port, process, wait_until

ACCESS_KEY, SECRET_KEY = "test-access", "test-secret"


@contextlib.contextmanager
def s3_server(folder: Path, port: int | None = None, host: str = "127.0.0.1") -> Iterator[str]:
    """Yield the endpoint, at a free port by default; the folders in `folder` are buckets.

    Beside it, what is known of objects is kept: without it no request would be conditional.
    """
    known = folder.with_name(f"known-{folder.name}")
    known.mkdir(exist_ok=True)
    program, port = build_alone(VERSITYGW), port or free_port()
    command = [str(program), "--access", ACCESS_KEY, "--secret", SECRET_KEY]
    command += ["--port", f"{host}:{port}", "posix", "--sidecar", str(known), str(folder)]
    url = f"http://{host}:{port}"
    with process(command) as server:
        wait_until(lambda: _answers(url), server, "versitygw")
        yield url


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 - it is ours
    except urllib.error.HTTPError:
        # It wants credentials: it is there.
        return True
    return True
