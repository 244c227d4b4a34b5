"""Sources of every protocol from the ffmpeg command, nginx and GStreamer, each behind a line.

A server can be stopped and started again; it then listens elsewhere, and its line leads there.
"""

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from bench.ingest.lines import LOOPBACK, Fault, TcpLine, UdpLine
from bench.ingest.named_worker import SUFFIX
from dev.media.servers import (
    free_port,
    http_server,
    rtmp_server,
    rtsp_server,
    sending,
    wait_until,
)

Serve = Callable[[], AbstractContextManager[int]]
LONG_S = 3600
"""GStreamer's server plays a file once; this long."""

_LOST = (Fault.RESET, Fault.ENDED, Fault.STALLED, Fault.REFUSED, Fault.RESTARTED)
_OF_HTTP = (*_LOST, Fault.UNAVAILABLE)
_OF_CONTROL = (Fault.RESET, Fault.ENDED, Fault.REFUSED, Fault.RESTARTED)
"""Of a connection beside which the media comes."""
_OF_DATAGRAMS = (Fault.STALLED, Fault.RESTARTED)
_DATAGRAM_BYTES = 65_536


class Peer:
    """A source, its line and its name. A context manager.

    Attributes:
        name: Protocol, as a stream is called.
        url: What the worker opens.
        faults: Which there can be.
    """

    def __init__(
        self,
        name: str,
        url: str,
        line: TcpLine | UdpLine,
        *,
        serve: Serve,
        faults: tuple[Fault, ...],
        hosts: Path,
    ) -> None:
        self.name = name
        self.line = line
        self.url = url.format(host=f"{name}{SUFFIX}", port=line.port)
        self.faults = (*faults, Fault.NAMELESS) if "{host}" in url else faults
        self._serve = serve
        self._hosts = hosts
        self._server = ExitStack()

    def __enter__(self) -> "Peer":
        self._start()
        self._resolve(True)
        return self

    def __exit__(self, *_: object) -> None:
        self.line.close()
        self._server.close()

    def fail(self, fault: Fault) -> None:
        """Let it happen."""
        if fault is Fault.NAMELESS:
            self._resolve(False)
        self.line.fail(fault)
        if fault is Fault.RESTARTED:
            self._server.close()

    def heal(self, fault: Fault) -> None:
        """Let it be over; returns when the source is there again."""
        if fault is Fault.STALLED and self.name == "srt":
            # The ffmpeg command serves the caller that it had, for 5 s, before it ends.
            self._server.close()
            self._start()
        if fault is Fault.RESTARTED:
            self._start()
        if fault is Fault.NAMELESS:
            self._resolve(True)
        self.line.heal()

    def _start(self) -> None:
        self.line.target = self._server.enter_context(self._serve())

    def _resolve(self, known: bool) -> None:
        with _HOSTS_LOCK:
            names = set(self._hosts.read_text().split()) if self._hosts.exists() else set()
            host = f"{self.name}{SUFFIX}"
            names = names | {host} if known else names - {host}
            fresh = self._hosts.with_suffix(".new")
            fresh.write_text("\n".join(names))
            fresh.rename(self._hosts)


_HOSTS_LOCK = threading.Lock()


def peers(folder: Path, clip: Path, movie: Path, hosts: Path) -> list[Peer]:
    """Every protocol.

    Args:
        folder: What servers write.
        clip: MPEG-TS, played over and over.
        movie: MP4 with the same.
        hosts: Names that are known.
    """
    long = _repeated(movie, folder / "long.mp4")
    listening = free_port()
    udp = UdpLine(0, away=listening)
    rtsp = "rtsp://{host}:{port}/live"
    web, here = "http://{host}:{port}", f"{LOOPBACK}:{{port}}"
    kinds: list[tuple[str, str, TcpLine | UdpLine, Serve, tuple[Fault, ...]]] = [
        ("hls", f"{web}/live.m3u8", TcpLine(0), lambda: _hls(clip, folder / "hls"), _OF_HTTP),
        ("http", f"{web}/a.ts", TcpLine(0), lambda: _hub(clip, True), _OF_HTTP),
        ("tcp", "tcp://{host}:{port}", TcpLine(0), lambda: _hub(clip, False), _LOST),
        ("rtmp", "rtmp://{host}:{port}/live/stream", TcpLine(0), lambda: _rtmp(clip), _LOST),
        ("rtsp", rtsp, TcpLine(0), lambda: _rtsp(long), _LOST),
        ("rtsp-udp", rtsp, TcpLine(0), lambda: _rtsp(long, udp=True), _OF_CONTROL),
        ("srt", f"srt://{here}", UdpLine(0), lambda: _srt(clip), _OF_DATAGRAMS),
        ("udp", f"udp://@{LOOPBACK}:{listening}", udp, lambda: _udp(clip, udp.port), _OF_DATAGRAMS),
    ]
    return [
        Peer(name, url, line, serve=serve, faults=faults, hosts=hosts)
        for name, url, line, serve, faults in kinds
    ]


def _repeated(movie: Path, to: Path) -> Path:
    loop = ["-stream_loop", str(LONG_S // 20), "-i", str(movie), "-c", "copy", str(to)]
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-y", *loop], check=True)
    return to


@contextlib.contextmanager
def _hls(clip: Path, folder: Path) -> Iterator[int]:
    folder.mkdir(exist_ok=True)
    playlist = folder / "live.m3u8"
    options = {
        "hls_time": "1",
        "hls_list_size": "6",
        "hls_flags": "delete_segments+append_list+omit_endlist+discont_start",
    }
    before = playlist.read_text() if playlist.exists() else ""
    with sending(clip, str(playlist), container="hls", **options) as sender:
        wait_until(lambda: _grew(playlist, before), sender, "the HLS packager")
        with http_server(folder) as url:
            yield urlsplit(url).port or 0


def _grew(playlist: Path, before: str) -> bool:
    now = playlist.read_text()
    return now != before and now.count("#EXTINF") >= 3


@contextlib.contextmanager
def _udp(clip: Path, port: int) -> Iterator[int]:
    with sending(clip, f"udp://{LOOPBACK}:{port}?pkt_size=1316"):
        yield port


@contextlib.contextmanager
def _rtmp(clip: Path) -> Iterator[int]:
    with rtmp_server(clip) as url:
        yield urlsplit(url).port or 0


@contextlib.contextmanager
def _rtsp(movie: Path, *, udp: bool = False) -> Iterator[int]:
    with rtsp_server(movie, udp=udp) as url:
        yield urlsplit(url).port or 0


@contextlib.contextmanager
def _srt(clip: Path) -> Iterator[int]:
    """The ffmpeg command as a listener; it ends with its caller, and is started again."""
    port, over = free_port(), threading.Event()

    def keep() -> None:
        while not over.is_set():
            with sending(clip, f"srt://{LOOPBACK}:{port}?mode=listener") as sender:
                while sender.poll() is None and not over.wait(0.02):
                    pass

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    try:
        while not _taken(port):
            time.sleep(0.01)
        yield port
    finally:
        over.set()
        thread.join()


def _taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return True
    return False


@contextlib.contextmanager
def _hub(clip: Path, speaks_http: bool) -> Iterator[int]:
    """What the ffmpeg command sends once, to everybody who connects."""
    hub = _Hub(speaks_http)
    try:
        with sending(clip, f"udp://{LOOPBACK}:{hub.fed_at}?pkt_size=1316"):
            hub.fed.wait()
            yield hub.port
    finally:
        hub.close()


class _Hub:
    """Datagrams in, connections out.

    Attributes:
        fed: Set once something has come.
    """

    def __init__(self, speaks_http: bool) -> None:
        self.fed = threading.Event()
        self._speaks_http = speaks_http
        self._feed = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._feed.bind((LOOPBACK, 0))
        self.fed_at = int(self._feed.getsockname()[1])
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port = int(self._listener.getsockname()[1])
        self._links: list[socket.socket] = []
        self._threads = [
            threading.Thread(target=work, daemon=True) for work in (self._spread, self._accept)
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End every connection."""
        self._listener.shutdown(socket.SHUT_RDWR)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (LOOPBACK, self.fed_at))
        for thread in self._threads:
            thread.join()
        for link in (self._listener, self._feed, *self._links):
            link.close()

    def _accept(self) -> None:
        while True:
            try:
                link, _ = self._listener.accept()
            except OSError:
                return
            link.settimeout(5)
            with contextlib.suppress(OSError):
                if self._speaks_http and link.recv(4096):
                    link.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
            link.setblocking(False)
            self._links.append(link)

    def _spread(self) -> None:
        while data := self._feed.recv(_DATAGRAM_BYTES):
            self.fed.set()
            for link in list(self._links):
                try:
                    link.sendall(data)
                except OSError:
                    self._links.remove(link)
                    link.close()
