"""Input that is made to do harm, each with what must come of it."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from streammonitor_worker.ingest import SourceError, open_source
from streammonitor_worker.ingest.access import Access
from streammonitor_worker.ingest.opening import MAX_PLAYLIST_BYTES
from streammonitor_worker.ingest.readers import http, sockets
from tests.fuzz import seeds
from tests.fuzz.targets import TARGETS, seeds_of, tried
from tests.unit.worker.web import Answer, Web, serving

SEGMENT = dict(seeds.media())["mpegts libx264 aac"]
LIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n{}#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n"


def refusal(url: str, access: Access | None = None) -> SourceError:
    """Why a source is refused."""
    with (
        pytest.raises(SourceError) as caught,
        open_source(url, live=False, access=access or Access(denied=())) as source,
    ):
        for _ in source:
            pass
    return caught.value


def refused_list(text: str) -> tuple[SourceError, Web]:
    """Why a playlist is refused, and what was asked for."""
    with serving({"/a.m3u8": Answer(text.encode()), "/a.ts": Answer(SEGMENT)}) as web:
        return refusal(f"{web.url}/a.m3u8"), web


LOCAL = (
    "file:///etc/hostname",
    "FILE:/etc/hostname",
    "file:%2f%2f/etc/hostname",
    "concat:/etc/hostname|/etc/hosts",
    "concatf:/etc/hosts",
    "subfile,,start,0,end,100,,:/etc/hostname",
    "crypto+file:///etc/hostname",
    "crypto:file:///etc/hostname",
    "async:file:///etc/hostname",
    "cache:file:///etc/hostname",
    "data:text/plain;base64,R0dHRw==",
    "pipe:0",
    "unix:/run/containerd/containerd.sock",
    "gopher://127.0.0.1:9/",
    "tcp://127.0.0.1:9",
    "udp://127.0.0.1:9",
    "rtmp://127.0.0.1:9/a/b",
    "rtsp://127.0.0.1:9/a",
    "ftp://127.0.0.1:9/a",
)


@pytest.mark.parametrize("named", LOCAL)
def test_a_playlist_reads_no_file_and_opens_no_other_protocol(named: str) -> None:
    why, web = refused_list(LIST.format("", named))
    # What is no URL is a name, and asked of the origin.
    asked = ["/a.m3u8"] + [f"/{named}"] * named.startswith("subfile")
    assert why.reason == ("NotFound" if asked[1:] else "NestedNotAllowed"), why.message
    assert web.paths == asked


@pytest.mark.parametrize("named", LOCAL[:4])
@pytest.mark.parametrize("tag", ['#EXT-X-MAP:URI="{}"\n', '#EXT-X-KEY:METHOD=AES-128,URI="{}"\n'])
def test_nor_by_way_of_its_tags(tag: str, named: str) -> None:
    why, web = refused_list(LIST.format(tag.format(named), "a.ts"))
    assert why.reason in ("NestedNotAllowed", "NotMedia", "DecryptionFailed"), why.message
    assert set(web.paths) <= {"/a.m3u8", "/a.ts"}


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "[::ffff:169.254.169.254]", "[fd00:ec2::254]", "127.0.0.1:1"]
)
def test_a_segment_reaches_no_denied_address(host: str) -> None:
    with serving({"/a.m3u8": Answer(LIST.format("", f"http://{host}/latest").encode())}) as web:
        port = web.url.rpartition(":")[2]
        # The origin itself is allowed by its name; what it names is judged by its address.
        access = Access(denied=Access().denied)
        assert refusal(f"{web.url}/a.m3u8", access).reason == "AddressNotAllowed"
        assert not web.paths, port


BOMBS: dict[str, str] = {
    "names itself": LIST.format("", "a.m3u8"),
    "a master that names itself": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n",
    "endless": "#EXTM3U\n" + "#" * (MAX_PLAYLIST_BYTES + 1),
    "segments without end": "#EXTM3U\n" + "#EXTINF:1,\ngone.ts\n" * 50_000 + "#EXT-X-ENDLIST\n",
    "no segments": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-ENDLIST\n",
    "variants without end": "#EXTM3U\n" + "#EXT-X-STREAM-INF:BANDWIDTH=1\ngone.m3u8\n" * 20_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_playlist_bomb_costs_a_few_requests(name: str) -> None:
    _, web = refused_list(BOMBS[name])
    assert len(web.paths) < 20


@pytest.mark.parametrize(
    "entity", ['<!ENTITY a SYSTEM "file:///etc/passwd">', '<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">']
)
def test_a_manifest_declares_no_entities(entity: str) -> None:
    text = f"<!DOCTYPE x [{entity}]>{seeds.MANIFEST.partition('?>')[2]}".replace("v0", "&a;")
    with serving({"/a.mpd": Answer(text.encode())}) as web:
        assert refusal(f"{web.url}/a.mpd").reason == "NotMedia"
        assert web.paths == ["/a.mpd"]


def test_redirects_have_an_end() -> None:
    steps = count()
    again = lambda: Answer(status=302, headers={"Location": f"/a?{next(steps)}"})  # noqa: E731
    with serving({"/a": again}) as web:
        assert refusal(f"{web.url}/a").reason == "TooManyRedirects"


@pytest.mark.parametrize("to", ["file:///etc/hostname", "rtmp://127.0.0.1:9/a/b", "//[", "\x7f"])
def test_a_redirect_leads_to_nothing_but_the_web(to: str) -> None:
    with serving({"/a": Answer(status=302, headers={"Location": to})}) as web:
        assert isinstance(refusal(f"{web.url}/a"), SourceError)


@contextmanager
def dripping(head: bytes, drip: bytes) -> Iterator[int]:
    """A server that says something, and then a little now and then for as long as it is let."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while not over.is_set():
                try:
                    link, _ = listener.accept()
                    with link:
                        link.sendall(head)
                        while not over.wait(0.02):
                            link.sendall(drip)
                except OSError:
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


@pytest.mark.parametrize(
    ("head", "drip"),
    [
        pytest.param(b"", b"", id="says nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"", id="ends in its header"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\r\n", b"", id="has no body"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", id="header without end"),
        pytest.param(b"HTTP/1.1 200 OK\r\nA: ", b"b" * 999, id="header line without end"),
    ],
)
def test_a_slow_loris_is_left(head: bytes, drip: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (http, sockets):
        monkeypatch.setattr(module, "STALL_S", 0.1)
        monkeypatch.setattr(module, "RESPONSE_TIMEOUT_S", 0.1)
    with dripping(head, drip) as port:
        assert refusal(f"http://127.0.0.1:{port}/a").reason in ("Stalled", "ConnectionLost")


HUGE: dict[str, Callable[[bytes], bytes]] = {
    "cut in the middle": lambda data: data[: len(data) // 2],
    "cut after the header": lambda data: data[:64],
    "all numbers at their limit": lambda data: data[:32] + b"\xff" * 64 + data[96:],
    "empty": lambda _: b"",
    "noise": lambda _: bytes(range(256)) * 400,
}


@pytest.mark.parametrize("how", HUGE)
@pytest.mark.parametrize("target", TARGETS)
def test_nothing_but_a_refusal_comes_of_damage(target: str, how: str) -> None:
    tried(target, HUGE[how](seeds_of()[target][0]))


def test_what_is_good_is_played(tmp_path: Path) -> None:
    for data in seeds_of()["media"]:
        assert tried("media", data) is None
