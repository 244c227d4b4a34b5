"""How the bytes of a source are fetched: what is refused, what is passed over, what is kept."""

import gc
import socket
import subprocess
import threading
from itertools import count
from pathlib import Path

import pytest

from dev.media.clips import write_clip
from streammonitor_worker.frames import FrameView
from streammonitor_worker.ingest import SourceError, Stop, open_source
from streammonitor_worker.ingest.access import EVERYTHING, Access
from streammonitor_worker.ingest.opening import MAX_MISSING, MAX_PLAYLIST_BYTES, Opening
from streammonitor_worker.ingest.readers.base import Reader
from streammonitor_worker.ingest.readers.http import MAX_REDIRECTS, HttpClient
from tests.unit.worker.web import Answer, Web, serving

PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
SEGMENT = "#EXTINF:1.0,\n{}\n"


@pytest.fixture(scope="module")
def segment(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("segment") / "a.ts"
    write_clip(path, duration_s=1, size=(64, 36), gop_s=1, audio=False)
    return path.read_bytes()


def playlist(*names: str, more: str = "") -> Answer:
    text = PLAYLIST + more + "".join(SEGMENT.format(name) for name in names) + "#EXT-X-ENDLIST\n"
    return Answer(text.encode(), headers={"Content-Type": "application/vnd.apple.mpegurl"})


def pictures(url: str, access: Access = EVERYTHING, **more: dict[str, str]) -> int:
    with open_source(url, live=False, access=access, **more) as source:  # type: ignore[arg-type]
        return sum(isinstance(item, FrameView) for item in source)


def client(web: Web, headers: dict[str, str] | None = None) -> HttpClient:
    return HttpClient(EVERYTHING, Stop(), headers or {}, "127.0.0.1")


def read_all(reader: Reader) -> bytes:
    return b"".join(iter(lambda: reader.read(999), b""))


def whole(http: HttpClient, url: str) -> bytes:
    try:
        return read_all(http.get(url))
    finally:
        http.close()


def test_one_connection_serves_one_request_after_the_other() -> None:
    with serving({"/a": Answer(b"a" * 5000), "/b": Answer(b"b")}) as web:
        http = client(web)
        for name, body in (("a", b"a" * 5000), ("b", b"b")):
            assert read_all(http.get(f"{web.url}/{name}")) == body
        assert web.connections == 1
        http.close()


def test_a_body_that_ends_too_early_is_a_lost_connection() -> None:
    with serving({"/a": Answer(b"abc", says=10)}) as web, pytest.raises(SourceError) as caught:
        whole(client(web), f"{web.url}/a")
    assert caught.value.reason == "ConnectionLost"
    assert "7 bytes too early" in caught.value.message


def test_any_byte_can_be_asked_for() -> None:
    body = bytes(range(256)) * 1000
    with serving({"/a": Answer(body)}) as web:
        http = client(web)
        reader = http.get(f"{web.url}/a")
        assert reader.length == len(body)
        for offset in (200_000, 10, 70_000, 70_100, len(body) - 5):
            assert reader.seek(offset) == offset
            assert reader.read(5) == body[offset : offset + 5]
        assert reader.read(5) == b""
        http.close()


def test_a_credential_stays_with_the_host_it_is_for() -> None:
    with serving({"/b": Answer(b"b")}) as other:
        elsewhere = other.url.replace("127.0.0.1", "localhost")
        moved = Answer(status=302, headers={"Location": f"{elsewhere}/b"})
        with serving({"/a": moved}) as web:
            assert whole(client(web, {"Authorization": "Bearer t"}), f"{web.url}/a") == b"b"
            assert web.asked[0][1]["Authorization"] == "Bearer t"
        assert "Authorization" not in other.asked[0][1]


def test_a_redirect_is_judged_as_a_url_is() -> None:
    to_metadata = Answer(status=302, headers={"Location": "http://169.254.169.254/latest/"})
    with serving({"/a": to_metadata}) as web:
        access = Access(denied=(Access().denied[2],))
        with pytest.raises(SourceError) as caught:
            pictures(f"{web.url}/a", access)
    assert caught.value.reason == "AddressNotAllowed"


def test_a_chain_of_redirects_has_an_end() -> None:
    steps = count()
    again = lambda: Answer(status=302, headers={"Location": f"/a?{next(steps)}"})  # noqa: E731
    with serving({"/a": again}) as web, pytest.raises(SourceError) as caught:
        whole(client(web), f"{web.url}/a")
    assert caught.value.reason == "TooManyRedirects"
    assert len(web.paths) == MAX_REDIRECTS + 1


def test_what_a_playlist_names_is_relative_to_where_it_came_from(segment: bytes) -> None:
    answers = {
        "/a.m3u8": Answer(status=302, headers={"Location": "/deep/b.m3u8?token=1"}),
        "/deep/b.m3u8": playlist("one.ts", "/two.ts"),
        "/deep/one.ts": Answer(segment),
        "/two.ts": Answer(segment),
    }
    with serving(answers) as web:
        assert pictures(f"{web.url}/a.m3u8") == 50


@pytest.mark.parametrize(
    "named", ["file:///etc/passwd", "concat:/etc/passwd|/etc/hosts", "tcp://127.0.0.1:9/"]
)
def test_a_playlist_names_only_what_the_web_has(named: str, segment: bytes) -> None:
    answers = {"/a.m3u8": playlist("one.ts", named), "/one.ts": Answer(segment)}
    with serving(answers) as web, pytest.raises(SourceError) as caught:
        pictures(f"{web.url}/a.m3u8")
    assert caught.value.reason == "NestedNotAllowed", caught.value.message


def test_what_a_playlist_names_is_judged_as_a_url_is(segment: bytes) -> None:
    answers = {"/a.m3u8": playlist("one.ts", "http://other.example/"), "/one.ts": Answer(segment)}
    with serving(answers) as web, pytest.raises(SourceError) as caught:
        pictures(f"{web.url}/a.m3u8", Access(hosts=("127.0.0.1",), denied=()))
    assert caught.value.reason == "HostNotAllowed"


def test_a_segment_that_is_missing_is_passed_over(segment: bytes) -> None:
    answers = {"/a.m3u8": playlist("one.ts", "gone.ts", "one.ts"), "/one.ts": Answer(segment)}
    with serving(answers) as web:
        assert pictures(f"{web.url}/a.m3u8") == 50


@pytest.mark.parametrize(("gone", "seen"), [(MAX_MISSING - 1, 50), (MAX_MISSING, 25)])
def test_segments_that_were_deleted_are_passed_over_up_to_a_bound(
    segment: bytes, gone: int, seen: int
) -> None:
    names = ["one.ts", *["gone.ts"] * gone, "one.ts"]
    shown = 0
    with serving({"/a.m3u8": playlist(*names), "/one.ts": Answer(segment)}) as web:
        try:
            with open_source(f"{web.url}/a.m3u8", live=False) as source:
                for item in source:
                    shown += isinstance(item, FrameView)
        except SourceError as error:
            assert (error.reason, gone) == ("NotFound", MAX_MISSING)  # noqa: PT017
    assert shown == seen


def test_a_source_without_any_segment_says_why() -> None:
    with serving({"/a.m3u8": playlist("gone.ts")}) as web, pytest.raises(SourceError) as caught:
        pictures(f"{web.url}/a.m3u8")
    assert (caught.value.reason, "HTTP 404" in caught.value.message) == ("NotFound", True)


def test_of_many_variants_only_the_one_that_is_monitored_is_fetched(segment: bytes) -> None:
    masters = "".join(
        f"#EXT-X-STREAM-INF:BANDWIDTH={index + 1}\n{index}.m3u8\n" for index in range(500)
    )
    answers = {f"/{index}.m3u8": playlist("one.ts") for index in range(500)}
    answers |= {"/a.m3u8": Answer(("#EXTM3U\n" + masters).encode()), "/one.ts": Answer(segment)}
    with serving(answers) as web:
        assert pictures(f"{web.url}/a.m3u8") == 25
        assert set(web.paths) == {"/a.m3u8", "/499.m3u8", "/one.ts"}


@pytest.mark.parametrize(
    "named",
    [
        "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.m3u8\n#EXTINF:1,\nb.m3u8\n",
    ],
)
def test_a_playlist_that_names_playlists_for_ever_is_not_followed(named: str) -> None:
    answers = {"/a.m3u8": Answer(named.encode()), "/b.m3u8": Answer(named.encode())}
    with serving(answers) as web, pytest.raises(SourceError) as caught:
        pictures(f"{web.url}/a.m3u8")
    assert caught.value.reason in ("NestedNotAllowed", "NotMedia")
    assert len(web.paths) < 10


def test_a_playlist_without_end_is_not_read_to_it() -> None:
    endless = Answer(b"#EXTM3U\n" + b"#" * (MAX_PLAYLIST_BYTES + 1))
    with serving({"/a.m3u8": endless}) as web, pytest.raises(SourceError) as caught:
        pictures(f"{web.url}/a.m3u8")
    assert caught.value.reason == "PlaylistTooLarge"


def test_segments_that_are_encrypted_as_a_whole_are_decrypted(
    segment: bytes, tmp_path: Path
) -> None:
    (tmp_path / "a.ts").write_bytes(segment)
    key, iv = bytes(range(16)), bytes(range(16, 32))
    # OpenSSL's command is the foreign peer: it encrypts as RFC 8216 asks.
    subprocess.run(
        ["openssl", "aes-128-cbc", "-K", key.hex(), "-iv", iv.hex(), "-in", "a.ts", "-out", "b"],
        cwd=tmp_path,
        check=True,
    )
    tag = f'#EXT-X-KEY:METHOD=AES-128,URI="the.key",IV=0x{iv.hex()}\n'
    answers = {
        "/a.m3u8": playlist("one.ts", more=tag),
        "/the.key": Answer(key),
        "/one.ts": Answer((tmp_path / "b").read_bytes()),
    }
    with serving(answers) as web:
        with open_source(f"{web.url}/a.m3u8", live=False) as source:
            assert sum(isinstance(item, FrameView) for item in source) == 25
            assert source.decrypted
        answers["/the.key"] = Answer(bytes(16))
        with pytest.raises(SourceError) as caught:
            pictures(f"{web.url}/a.m3u8")
    assert caught.value.reason in ("DecryptionFailed", "NotMedia")


def test_a_source_without_what_is_wanted_leaves_nothing_open(segment: bytes) -> None:
    with serving({"/a.ts": Answer(segment)}) as web:
        with pytest.raises(SourceError) as caught:
            open_source(f"{web.url}/a.ts", video=False)
        assert caught.value.reason == "NoStreams"
        gc.collect()  # a socket that is left open is a warning here, and that an error


def test_a_connection_that_ends_at_once_is_not_taken_for_bad_media() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)

        def hang_up() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(SourceError) as caught:
            open_source(f"tcp://127.0.0.1:{listener.getsockname()[1]}")
        thread.join()
    assert caught.value.reason in ("Ended", "ConnectionLost")


def test_nothing_is_opened_after_a_stop() -> None:
    stopped = Stop()
    stopped.set()
    with serving({"/a": Answer(b"a")}) as web, pytest.raises(SourceError) as caught:
        Opening(f"{web.url}/a", {}, EVERYTHING, stopped)
    assert caught.value.reason == "Stopped"
