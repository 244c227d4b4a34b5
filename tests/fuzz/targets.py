"""What spoiled input is given to. Each takes bytes, and lets nothing out but a `SourceError`."""

import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache

from streammonitor_api.source import Variant
from streammonitor_worker.ingest import SourceError, Stop, open_source
from streammonitor_worker.ingest.manifests import dash, hls
from streammonitor_worker.ingest.readers import udp
from streammonitor_worker.ingest.references import references_of
from streammonitor_worker.ingest.rtp import Datagrams, Ordered
from streammonitor_worker.mpegts.monitor import TransportMonitor
from tests.fuzz import seeds
from tests.unit.worker.web import Answer, serving

Target = Callable[[bytes], None]

STOP_S = 2.0
"""What goes on for longer is asked to stop: a live source is never at its end."""
MAX_ITEMS = 500
BASE = "http://h.example/live/a"


@contextmanager
def _soon() -> Iterator[Stop]:
    stop = Stop()
    timer = threading.Timer(STOP_S, stop.set)
    timer.start()
    try:
        yield stop
    finally:
        timer.cancel()
        timer.join()


def _play(url: str) -> None:
    with _soon() as stop, open_source(url, live=False, stop=stop, watch=True) as source:
        for _ in itertools.islice(source, MAX_ITEMS):
            pass


def media(data: bytes) -> None:
    """A resource of known length, of any container."""
    with serving({"/a": Answer(data)}) as web:
        _play(f"{web.url}/a")


@cache
def _parts() -> dict[str, Answer]:
    made = dict(seeds.media())
    segment = Answer(made["mpegts libx264 aac"])
    movie = Answer(made["mp4 libx264 aac"])
    names = ("a.ts", "b.ts", "v.m3u8", "s.m3u8")
    return {f"/{name}": segment for name in names} | {
        "/i.mp4": movie,
        "/map.mp4": movie,
        "/a.key": Answer(bytes(16)),
        "/v.m3u8": Answer(seeds.PLAIN_PLAYLIST.encode()),
        "/v0/0001.m4s": movie,
        "/0.m4s": movie,
    }


def playlist(data: bytes) -> None:
    """An HLS playlist whose segments are good."""
    with serving({**_parts(), "/a.m3u8": Answer(data)}) as web:
        _play(f"{web.url}/a.m3u8")


def manifest(data: bytes) -> None:
    """A DASH manifest whose segments are good."""
    with serving({**_parts(), "/a.mpd": Answer(data)}) as web:
        _play(f"{web.url}/a.mpd")


def segments(data: bytes) -> None:
    """Segments of a playlist that is good."""
    good = Answer(seeds.PLAIN_PLAYLIST.encode())
    with serving({"/a.m3u8": good, "/a.ts": Answer(data), "/b.ts": Answer(data)}) as web:
        _play(f"{web.url}/a.m3u8")


def _served(data: bytes, url: str) -> None:
    """Whatever connects is told `data`, half of it at once and half when it has said something."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    link, _ = listener.accept()
                except OSError:
                    return
                with link:
                    try:
                        link.settimeout(STOP_S)
                        link.sendall(data[: len(data) // 2])
                        link.recv(4096)
                        link.sendall(data[len(data) // 2 :])
                    except OSError:
                        continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            _play(url.format(port=listener.getsockname()[1]))
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def rtsp(data: bytes) -> None:
    """What an RTSP server says."""
    _served(data, "rtsp://127.0.0.1:{port}/a")


def rtmp(data: bytes) -> None:
    """What an RTMP server says."""
    _served(data, "rtmp://127.0.0.1:{port}/live/a")


def tcp(data: bytes) -> None:
    """MPEG-TS over TCP."""
    _served(data, "tcp://127.0.0.1:{port}")


def http(data: bytes) -> None:
    """What an HTTP server says, its header included."""
    _served(data, "http://127.0.0.1:{port}/a")


def hls_text(data: bytes) -> None:
    """The parser of playlists alone."""
    text = data.decode("utf-8", "replace")
    hls.absolute(text, BASE)
    hls.chosen(text, BASE, Variant(height=360, audio_language="en"))


def dash_text(data: bytes) -> None:
    """The parser of manifests alone."""
    read = dash.Manifest(data.decode("utf-8", "replace"), BASE, Variant(), datetime.now(UTC))
    for url in read.master(BASE)[1]:
        kind = dash.kind_of(url)
        if kind is not None:
            read.playlist(kind, dash.Numbering())


def transport(data: bytes) -> None:
    """The transport stream monitor alone, by pieces of several sizes."""
    for size in (188, 1000, len(data) or 1):
        monitor = TransportMonitor()
        for at in range(0, len(data), size):
            monitor.feed(data[at : at + size])


def references(data: bytes) -> None:
    """The parsers of coded pictures alone, what the container says of them included."""
    for codec in ("h264", "mpeg2video"):
        for extra in (None, data[:200]):
            follower = references_of(codec, extra, 40)
            assert follower is not None
            for at in range(0, len(data), 5000):
                follower.missing(data[at : at + 5000])


def datagrams(data: bytes) -> None:
    """RTP headers alone, and what an RTSP server says that sends such."""
    udp._payload(data)
    list(Ordered().feed(data))
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as link,
    ):
        beside = Datagrams("rtsp://h/a", link)
        beside.asked(b"SETUP a RTSP/1.0\r\nCSeq: 1\r\nTransport: interleaved=0-1\r\n\r\n")
        try:
            beside.answered(b"RTSP/1.0 200 OK\r\nCSeq: 1\r\nTransport: " + data)
            beside.answered(data)
        finally:
            beside.close()


TARGETS: dict[str, Target] = {
    one.__name__: one
    for one in (
        media,
        segments,
        playlist,
        manifest,
        rtsp,
        rtmp,
        tcp,
        http,
        hls_text,
        dash_text,
        transport,
        references,
        datagrams,
    )
}


@cache
def seeds_of() -> dict[str, list[bytes]]:
    """What is spoiled for each target."""
    made = list(seeds.media())
    files = [data for _, data in made]
    streams = [data for name, data in made if name.startswith("mpegts")]
    lists = [text.encode() for text in (seeds.PLAYLIST, seeds.PLAIN_PLAYLIST, seeds.MASTER)]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp2t\r\nConnection: close\r\n\r\n"
    return {
        "media": files,
        "segments": files,
        "playlist": lists,
        "hls_text": lists,
        "manifest": [seeds.MANIFEST.encode()],
        "dash_text": [seeds.MANIFEST.encode()],
        "rtsp": [seeds.RTSP],
        "rtmp": [seeds.RTMP],
        "tcp": streams,
        "http": [head + streams[0], b"HTTP/1.1 302 Found\r\nLocation: /a\r\n\r\n"],
        "transport": streams,
        "references": streams,
        "datagrams": [seeds.RTP],
    }


def tried(name: str, data: bytes) -> str | None:
    """Give a target some input; return the reason why it was refused, if it was.

    Raises:
        Exception: Something else got out, which is what is looked for.
    """
    try:
        TARGETS[name](data)
    except SourceError as refused:
        return refused.reason
    return None
