"""Values from mounted Secrets. They are read when a source is opened, and never logged."""

from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, urlsplit

from streammonitor_api.source import SecretKeyRef
from streammonitor_api.spec import Stream
from streammonitor_worker.ingest import SourceError

MAX_VALUE_BYTES = 16_384


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a stream is opened with. Two are equal if nothing was rotated between them.

    Attributes:
        url: The URL, with what of it comes from Secrets.
        headers: HTTP request headers.
    """

    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)


def read_credentials(folder: Path, stream: Stream) -> Credentials:
    """Read what a stream is opened with.

    Args:
        folder: Secret S, key K is the file S/K in it.
        stream: The stream.

    Raises:
        SourceError: A Secret, or a key of it, is not mounted (yet), or is no text.
    """
    headers = {
        one.name: read_secret(folder, one.secret_key_ref, f"header {one.name}")
        for one in stream.headers_from
    }
    split = urlsplit(stream.url)
    query = [split.query] if split.query else []
    for one in stream.query_from or ():
        value = read_secret(folder, one.secret_key_ref, f"query parameter {one.name}")
        query.append(f"{one.name}={quote(value, safe='')}")
    where = split.netloc
    if stream.user_info_from is not None:
        user = read_secret(folder, stream.user_info_from.username, "user name")
        password = read_secret(folder, stream.user_info_from.password, "password")
        host = where.rpartition("@")[2]
        where = f"{quote(user, safe='')}:{quote(password, safe='')}@{host}"
    if not stream.query_from and stream.user_info_from is None:
        return Credentials(stream.url, headers)
    return Credentials(split._replace(netloc=where, query="&".join(query)).geturl(), headers)


def read_secret(folder: Path, reference: SecretKeyRef, use: str) -> str:
    """Read a key of a Secret.

    Args:
        folder: Secret S, key K is the file S/K in it.
        reference: Which key of which Secret.
        use: What it is for, as messages say it.

    Raises:
        SourceError: It is not mounted (yet), or is no text.
    """
    where = f"key {reference.key!r} of Secret {reference.name!r} ({use})"
    path = folder / reference.name / reference.key
    if reference.name in (".", "..") or "/" in reference.name or reference.key in (".", ".."):
        raise SourceError("SecretMissing", f"{where} is no name of a Secret: correct it")
    try:
        raw = path.read_bytes()[:MAX_VALUE_BYTES]
    except OSError:
        raise SourceError(
            "SecretMissing",
            f"{where} is not there: create the Secret in the StreamMonitor's namespace",
        ) from None
    try:
        # A trailing line break is what `echo secret | base64` leaves behind.
        return raw.decode().strip()
    except UnicodeDecodeError:
        raise SourceError("SecretInvalid", f"{where} is no UTF-8 text: store text") from None
