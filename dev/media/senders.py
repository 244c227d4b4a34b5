"""The ffmpeg command as the other end of a transport, on loopback: in real time, for ever.

Each is a context manager that yields the URL a worker reads, and is gone afterwards.
"""

import contextlib
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

from dev.media.servers import free_port, http_server, sending, wait_until

GROUP = "239.255.71.9"
"""A multicast group of the administratively scoped block (RFC 2365)."""
_PASSPHRASE = "correct-horse-battery"  # noqa: S105 - of a sender that exists for one test


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
    """A sender that calls, as a contribution encoder does."""
    port = free_port()
    with sending(clip, f"srt://127.0.0.1:{port}?mode=caller&connect_timeout=10000"):
        yield f"srt://127.0.0.1:{port}?mode=listener"


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
def live_dash(clip: Path) -> Iterator[str]:
    """A live MPEG-DASH presentation on a file server."""
    with tempfile.TemporaryDirectory() as folder:
        manifest = Path(folder, "live.mpd")
        options = {"seg_duration": "1", "window_size": "6", "streaming": "0", "use_timeline": "1"}
        with (
            sending(clip, str(manifest), container="dash", **options) as sender,
            http_server(Path(folder)) as url,
        ):
            # The player begins three segments before the last.
            wait_until(lambda: manifest.read_text().count("<S ") >= 2, sender, "the DASH packager")
            yield f"{url}/live.mpd"
