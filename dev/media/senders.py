"""The ffmpeg command as the other end of a transport, on loopback: in real time, for ever.

Each is a context manager that yields the URL a worker reads, and is gone afterwards.
"""

import contextlib
import itertools
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from dev.media.servers import free_port, http_server, relaying, sending, wait_until

GROUP = "239.255.71.9"
"""A multicast group of the administratively scoped block (RFC 2365)."""
_PASSPHRASE = "correct-horse-battery"  # noqa: S105 - of a sender that exists for one test


class Encoder:
    """Sends a programme on, and connects again, at once and for ever, whenever that ends.

    Args:
        container: The format to send it in.
        to: The URL to send it to; of several, each in turns.

    Attributes:
        connections: How often it has begun to send.
    """

    def __init__(self, container: str, *to: str) -> None:
        self._container = container
        self._to = itertools.cycle(to)
        self.connections = 0

    def run(self, source: str, over: threading.Event) -> None:
        """Send what arrives at a URL of this host, until it is over."""
        while not over.is_set():
            self.connections += 1
            with relaying(source, next(self._to), self._container) as process:
                while process.poll() is None and not over.wait(0.05):
                    pass


@contextlib.contextmanager
def udp_unicast(clip: Path) -> Iterator[str]:
    """Datagrams to a port of this host."""
    port = free_port()
    with sending(clip, f"udp://127.0.0.1:{port}?pkt_size=1316"):
        yield f"udp://@127.0.0.1:{port}"


@contextlib.contextmanager
def udp_multicast(clip: Path) -> Iterator[str]:
    """Datagrams to a group, through the loopback interface."""
    port = free_port()
    with sending(clip, f"udp://{GROUP}:{port}?pkt_size=1316&localaddr=127.0.0.1&ttl=0"):
        yield f"udp://@{GROUP}:{port}?localaddr=127.0.0.1"


@contextlib.contextmanager
def rtp_unicast(clip: Path) -> Iterator[str]:
    """MPEG-TS in RTP."""
    port = free_port()
    with sending(clip, f"rtp://127.0.0.1:{port}", container="rtp_mpegts"):
        yield f"udp://@127.0.0.1:{port}"


@contextlib.contextmanager
def tcp_server(clip: Path) -> Iterator[str]:
    """A server that sends to whoever connects first."""
    port = free_port()
    with sending(clip, f"tcp://127.0.0.1:{port}?listen=1"):
        yield f"tcp://127.0.0.1:{port}"


@contextlib.contextmanager
def srt_listener(clip: Path) -> Iterator[str]:
    """An encrypted sender that waits for a caller."""
    port, query = free_port(), f"passphrase={_PASSPHRASE}&pbkeylen=32"
    with sending(clip, f"srt://127.0.0.1:{port}?mode=listener&{query}"):
        yield f"srt://127.0.0.1:{port}?passphrase={_PASSPHRASE}"


@contextlib.contextmanager
def srt_caller(clip: Path) -> Iterator[str]:
    """An encrypted sender that calls, as a contribution encoder does."""
    port, query = free_port(), f"passphrase={_PASSPHRASE}&pbkeylen=32"
    with sending(clip, f"srt://127.0.0.1:{port}?mode=caller&connect_timeout=10000&{query}"):
        yield f"srt://127.0.0.1:{port}?mode=listener&latency=200&passphrase={_PASSPHRASE}"


@contextlib.contextmanager
def rtmp_publisher(clip: Path) -> Iterator[str]:
    """An encoder that publishes, and is started again for as long as nobody takes it."""
    port, over = free_port(), threading.Event()

    def publish() -> None:
        url = f"rtmp://127.0.0.1:{port}/live/a-key"
        while not over.wait(0.1):
            with sending(clip.with_suffix(".mp4"), url, container="flv") as sender:
                while sender.poll() is None and not over.wait(0.1):
                    pass

    encoder = threading.Thread(target=publish)
    encoder.start()
    try:
        yield f"rtmp://:{port}/live/a-key"
    finally:
        over.set()
        encoder.join()


@contextlib.contextmanager
def contribution(clip: Path, *encoders: Encoder) -> Iterator[None]:
    """Encoders of one programme whose clock runs on, as those that never stop do.

    A picture has the same timestamps whenever and by whichever of them it is sent.

    Args:
        clip: H.264 and AAC.
        encoders: Each sends it to one address at a time.
    """
    inside = [f"udp://127.0.0.1:{free_port()}?pkt_size=1316" for _ in encoders]
    over = threading.Event()
    threads = [
        threading.Thread(target=encoder.run, args=(source, over))
        for encoder, source in zip(encoders, inside, strict=True)
    ]
    outputs = "|".join(f"[f=mpegts]{one}" for one in inside)
    with sending(clip, outputs, container="tee", streams=("-map", "0")):
        for one in threads:
            one.start()
        try:
            yield
        finally:
            over.set()
            for one in threads:
                one.join()


@contextlib.contextmanager
def live_dash(clip: Path) -> Iterator[str]:
    """A live MPEG-DASH presentation on a file server."""
    options = {"seg_duration": "1", "window_size": "6", "streaming": "0", "use_timeline": "1"}
    # The player begins three segments before the last.
    with _packaging(clip, "live.mpd", "<S ", 2, **options) as url:
        yield f"{url}/live.mpd"


@contextlib.contextmanager
def live_hls(clip: Path) -> Iterator[str]:
    """A live HLS playlist of MPEG-TS on a file server, in a window that moves on."""
    options = {"hls_time": "1", "hls_list_size": "6", "hls_flags": "delete_segments"}
    with _packaging(clip, "live.m3u8", "#EXTINF", 4, **options) as url:
        yield f"{url}/live.m3u8"


@contextlib.contextmanager
def hls_event(clip: Path) -> Iterator[str]:
    """A master playlist, and one of fMP4 from which nothing is removed."""
    options = {"hls_time": "1", "hls_segment_type": "fmp4", "hls_playlist_type": "event"}
    options["master_pl_name"] = "master.m3u8"
    with _packaging(clip, "event.m3u8", "#EXTINF", 4, **options) as url:
        yield f"{url}/master.m3u8"


@contextlib.contextmanager
def _packaging(clip: Path, name: str, mark: str, marks: int, **options: str) -> Iterator[str]:
    """The address of a folder with a manifest, once that holds so many of the marks."""
    container = "dash" if name.endswith(".mpd") else "hls"
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder, name)
        with (
            sending(clip, str(manifest), container=container, **options) as sender,
            http_server(Path(folder)) as url,
        ):
            wait_until(lambda: manifest.read_text().count(mark) >= marks, sender, "the packager")
            yield url
