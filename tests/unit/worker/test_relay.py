"""How RTMP and RTSP are reached: one checked address, no redirect of FFmpeg's own, no long wait."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from urllib.parse import urlsplit

import pytest

from streammonitor_worker.ingest import EVERYTHING, SourceError, Stop, open_source, relay
from streammonitor_worker.ingest.access import Access
from streammonitor_worker.ingest.readers.http import MAX_REDIRECTS
from streammonitor_worker.ingest.relay import Redirected, Relay

Talk = Callable[[socket.socket], None]


@contextmanager
def serving(talk: Talk) -> Iterator[int]:
    """A server on loopback that has one conversation per connection; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    link, _ = listener.accept()
                except OSError:
                    return
                with link:
                    talk(link)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@contextmanager
def through(url: str) -> Iterator[tuple[Relay, socket.socket]]:
    """A relay, and a connection to it as FFmpeg makes one."""
    one = Relay(url, EVERYTHING, Stop())
    split = urlsplit(one.target)
    try:
        with socket.create_connection((split.hostname or "", split.port or 0), 10) as link:
            yield one, link
    finally:
        one.close()


def everything(link: socket.socket) -> bytes:
    return b"".join(iter(lambda: link.recv(4096), b""))


def silent(link: socket.socket) -> None:
    everything(link)


def saying(*parts: bytes) -> Talk:
    def talk(link: socket.socket) -> None:
        link.recv(4096)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            link.sendall(part)

    return talk


def test_bytes_go_both_ways_and_the_end_of_the_source_is_known() -> None:
    with (
        serving(saying(b"one", b"two")) as port,
        through(f"rtmp://127.0.0.1:{port}/a/b") as (it, c),
    ):
        c.sendall(b"hello")
        assert everything(c) == b"onetwo"
        assert it.failure is not None
        assert it.failure.reason == "ConnectionLost"


def test_the_server_is_told_the_address_that_the_stream_has() -> None:
    heard: list[bytes] = []

    def talk(link: socket.socket) -> None:
        heard.append(link.recv(4096))

    with serving(talk) as port:
        with through(f"rtsp://localhost:{port}/live") as (one, link):
            link.sendall(f"DESCRIBE {one.target} RTSP/1.0\r\n\r\n".encode())
            everything(link)
        assert heard == [f"DESCRIBE rtsp://localhost:{port}/live RTSP/1.0\r\n\r\n".encode()]
        with through(f"rtmp://localhost:{port}/live/key") as (one, _):
            assert one.options == {"rtmp_tcurl": f"rtmp://localhost:{port}/live"}
        with through(f"rtsp://me:pw@localhost:{port}/live") as (one, _):
            assert one.target.startswith("rtsp://me:pw@127.0.0.1:")


@pytest.mark.parametrize("media", [False, True])
def test_a_server_that_falls_silent_is_found(media: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay, "RESPONSE_TIMEOUT_S", 60.0 if media else 0.05)
    monkeypatch.setattr(relay, "STALL_S", 0.05)
    with serving(silent) as port, through(f"rtmp://127.0.0.1:{port}/a/b") as (one, link):
        if media:
            one.playing()
        link.sendall(b"hello")
        assert everything(link) == b""
        assert one.failure is not None
        assert one.failure.reason == "Stalled"
        assert "0.05 s" in one.failure.message


FAR = b"RTSP/1.0 302 Found\r\nCSeq: 1\r\n"


@pytest.mark.parametrize(
    "parts",
    [
        [FAR + b"Location: rtsp://far.example/b\r\n\r\n"],
        [FAR + b"Loca", b"tion: rtsp://far.", b"example/b\r\n\r\n"],
        # Interleaved data, after which FFmpeg takes what follows for the beginning of a line.
        [FAR + b"$\x00\x00\x09\ncontent-", b"LOCATION:rtsp://far.example/b\n\n"],
    ],
)
def test_ffmpeg_sees_no_redirect(parts: list[bytes]) -> None:
    with serving(saying(*parts)) as port, through(f"rtsp://127.0.0.1:{port}/a") as (one, link):
        link.sendall(b"OPTIONS\r\n\r\n")
        assert b"far" not in everything(link)
        assert isinstance(one.failure, Redirected)
        assert one.failure.url == "rtsp://far.example/b"


def test_a_description_may_say_where_it_came_from() -> None:
    said = b"RTSP/1.0 200 OK\r\nContent-Location: rtsp://h/a\r\n\r\n"
    with serving(saying(said)) as port, through(f"rtsp://127.0.0.1:{port}/a") as (_, link):
        link.sendall(b"DESCRIBE\r\n\r\n")
        assert everything(link) == said


def test_a_server_that_says_too_much_before_it_plays_is_left() -> None:
    endless = b"a" * (relay.MAX_SETUP_BYTES + 1)
    with serving(saying(endless)) as port, through(f"rtsp://127.0.0.1:{port}/a") as (one, link):
        link.sendall(b"DESCRIBE\r\n\r\n")
        everything(link)
        assert one.failure is not None
        assert "262144 bytes before it plays" in one.failure.message


def test_a_redirect_is_judged_as_a_url_is() -> None:
    to = b"Location: rtsp://169.254.169.254/latest\r\n\r\n"
    access = Access(denied=(ip_network("169.254.0.0/16"),))
    with serving(saying(FAR + to)) as port, pytest.raises(SourceError) as caught:
        open_source(f"rtsp://127.0.0.1:{port}/a", access=access)
    assert caught.value.reason == "AddressNotAllowed"


def test_a_chain_of_redirects_has_an_end() -> None:
    asked: list[bytes] = []

    def again(link: socket.socket) -> None:
        asked.append(link.recv(4096))
        link.sendall(FAR + b"Location: /again\r\n\r\n")

    with serving(again) as port, pytest.raises(SourceError) as caught:
        open_source(f"rtsp://127.0.0.1:{port}/a")
    assert caught.value.reason == "TooManyRedirects"
    assert len(asked) == MAX_REDIRECTS + 1


def test_credentials_follow_a_redirect_on_the_same_host_only() -> None:
    for to, seen in (("rtsp://h/b", "rtsp://me:pw@h/b"), ("rtsp://far/b", "rtsp://far/b")):
        answer = FAR + f"Location: {to}\r\n\r\n".encode()
        with pytest.raises(Redirected) as caught:
            relay._Setup("rtsp://me:pw@h/a").examined(answer)
        assert caught.value.url == seen


@pytest.mark.parametrize("scheme", ["rtmp", "rtsp", "rtmps"])
def test_an_address_that_is_denied_is_not_connected_to(scheme: str) -> None:
    connected = threading.Event()
    with serving(lambda _: connected.set()) as port, pytest.raises(SourceError) as caught:
        open_source(f"{scheme}://127.0.0.1:{port}/live/a", access=Access())
    assert caught.value.reason == "AddressNotAllowed"
    assert not connected.is_set()


def test_a_peer_without_tls_is_refused() -> None:
    with serving(saying(b"no TLS at all\r\n")) as port, pytest.raises(SourceError) as caught:
        open_source(f"rtsps://127.0.0.1:{port}/live")
    assert caught.value.reason == "TlsFailed"


@pytest.mark.parametrize("url", ["rtsp://h:port/a", "rtsp:///live/a"])
def test_a_url_without_a_host_is_refused(url: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(url)
    assert caught.value.reason == "BadUrl"
