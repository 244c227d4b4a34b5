"""Other people's servers on loopback, so that ingest is proved against foreign protocols.

Each is a context manager that yields a URL, and is gone afterwards. Nothing is installed here:
`DEBIAN_PACKAGES` says what is needed.
"""

import contextlib
import functools
import http.server
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

RTMP_PACKAGES = ("nginx", "libnginx-mod-rtmp", "ffmpeg")
RTSP_PACKAGES = (
    "python3-gi",
    "gir1.2-gst-rtsp-server-1.0",
    "gstreamer1.0-plugins-base",
    "gstreamer1.0-plugins-good",
    "gstreamer1.0-plugins-bad",
)
DEBIAN_PACKAGES = (*RTMP_PACKAGES, *RTSP_PACKAGES)

SYSTEM_PYTHON = "/usr/bin/python3"  # the one that sees Debian's python3-gi
_RTMP_MODULE = "/usr/lib/nginx/modules/ngx_rtmp_module.so"
_NGINX = """
load_module {module};
daemon off; master_process off; pid {folder}/pid; error_log stderr warn;
events {{ worker_connections 64; }}
rtmp {{ server {{ listen 127.0.0.1:{rtmp}; application live {{ live on; }} }} }}
http {{
  access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{stat}; location / {{ rtmp_stat all; }} }}
}}
"""


class ServerUnavailable(RuntimeError):
    """A server's program is not installed, or it did not come up."""


def free_port() -> int:
    """Return a loopback TCP port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def require(condition: bool, what: str, packages: tuple[str, ...]) -> None:
    """Raise `ServerUnavailable`, naming the Debian packages, unless the condition holds."""
    if not condition:
        raise ServerUnavailable(f"{what} is missing: apt-get install {' '.join(packages)}")


@contextlib.contextmanager
def process(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program, and end it by its id afterwards; its standard error goes to a file."""
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield child
        except ServerUnavailable as error:
            log.seek(0)
            error.add_note(log.read()[-2000:].decode(errors="replace"))
            raise
        finally:
            child.terminate()
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def wait_until(
    answers: Callable[[], bool], child: subprocess.Popen[bytes], what: str, deadline_s: float = 15.0
) -> None:
    """Wait until `answers` does so with True, the program ends, or the deadline passes."""
    end_s = time.monotonic() + deadline_s
    while time.monotonic() < end_s:
        if child.poll() is not None:
            raise ServerUnavailable(f"{what} ended with code {child.returncode}")
        with contextlib.suppress(OSError):
            if answers():
                return
        time.sleep(0.05)
    raise ServerUnavailable(f"{what} did not answer within {deadline_s} s")


def _publishing(port: int) -> bool:
    """Tell whether nginx reports a publisher that it has identified the codecs of."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2) as reply:
        page = bytes(reply.read())
    return b"<publishing/>" in page and b"<codec>" in page


@contextlib.contextmanager
def sending(
    clip: Path, to: str, *, container: str = "mpegts", streams: Sequence[str] = (), **options: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Send `clip` to a URL, over and over.

    Args:
        clip: The file.
        to: The URL.
        container: Its format there.
        streams: The command's options that choose streams and programs.
        options: Those of the container.
    """
    ffmpeg = shutil.which("ffmpeg")
    require(ffmpeg is not None, "the ffmpeg command", RTMP_PACKAGES)
    command = [str(ffmpeg), "-nostdin", "-v", "error", "-re", "-stream_loop", "-1"]
    given = [word for name, value in options.items() for word in (f"-{name}", value)]
    command += ["-i", str(clip), "-c", "copy", *streams, "-f", container]
    with process([*command, *given, to]) as sender:
        yield sender


@contextlib.contextmanager
def relaying(source: str, to: str, container: str) -> Iterator[subprocess.Popen[bytes]]:
    """Send on what arrives at a URL of this host, with the timestamps that it has."""
    ffmpeg = shutil.which("ffmpeg")
    require(ffmpeg is not None, "the ffmpeg command", RTMP_PACKAGES)
    command = [str(ffmpeg), "-nostdin", "-v", "error", "-copyts", "-fflags", "nobuffer"]
    command += ["-analyzeduration", "300000", "-i", source, "-c", "copy", "-f", container]
    with process([*command, to]) as encoder:
        yield encoder


@contextlib.contextmanager
def rtmp_server(clip: Path) -> Iterator[str]:
    """Yield the URL of a live RTMP stream: nginx serves it, the ffmpeg command pushes `clip`.

    The clip (H.264, AAC) is pushed in real time and over and over.
    """
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    require(nginx is not None and Path(_RTMP_MODULE).exists(), "nginx with RTMP", RTMP_PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        rtmp, stat = free_port(), free_port()
        config = Path(folder, "nginx.conf")
        config.write_text(_NGINX.format(module=_RTMP_MODULE, folder=folder, rtmp=rtmp, stat=stat))
        url = f"rtmp://127.0.0.1:{rtmp}/live/stream"
        with process([str(nginx), "-p", folder, "-c", str(config)]) as server:
            wait_until(lambda: _connects(rtmp), server, "nginx")
            with sending(clip, url, container="flv") as pusher:
                wait_until(lambda: _publishing(stat), pusher, "the RTMP push")
                yield url


def _connects(port: int) -> bool:
    """Tell whether something listens; raises OSError if not."""
    with socket.create_connection(("127.0.0.1", port), timeout=2):
        return True


def _rtsp_answers(port: int) -> bool:
    """Tell whether an RTSP server answers OPTIONS."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as link:
        link.sendall(f"OPTIONS rtsp://127.0.0.1:{port}/live RTSP/1.0\r\nCSeq: 1\r\n\r\n".encode())
        return link.recv(64).startswith(b"RTSP/1.0 200")


@contextlib.contextmanager
def rtsp_server(clip: Path, *, udp: bool = False) -> Iterator[str]:
    """Yield an RTSP URL from GStreamer's server; each client plays `clip` (MP4) once, paced.

    With `udp`, the server refuses to send media in the connection.
    """
    find = "import gi; gi.require_version('GstRtspServer', '1.0')"
    known = os.access(SYSTEM_PYTHON, os.X_OK) and not subprocess.call(
        [SYSTEM_PYTHON, "-c", find], stderr=subprocess.DEVNULL
    )
    require(known, "GStreamer's RTSP server", RTSP_PACKAGES)
    port = free_port()
    script = Path(__file__).with_name("gst_rtsp.py")
    command = [SYSTEM_PYTHON, str(script), str(port), str(Path(clip).resolve())]
    with process([*command, *(["udp"] if udp else [])]) as server:
        wait_until(lambda: _rtsp_answers(port), server, "GStreamer's RTSP server")
        yield f"rtsp://127.0.0.1:{port}/live"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def http_server(folder: Path) -> Iterator[str]:
    """Yield the address of a plain file server (standard library, no ranges), without a slash."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(5)
