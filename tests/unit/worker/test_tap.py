"""What the readers of a source notice of how it is delivered."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from dev.media.clips import write_clip
from dev.media.made_ts import transport_stream
from streammonitor_worker.deliveries import Begun, Codecs, Container, Delivered, Listed, Missed
from streammonitor_worker.facts import Fact
from streammonitor_worker.frames import TransportView
from streammonitor_worker.ingest import Freshness, SourceError, open_source
from streammonitor_worker.ingest.notes import Notes
from streammonitor_worker.ingest.readers.file import FileReader, holds_transport_stream
from streammonitor_worker.ingest.readers.memory import BytesReader
from streammonitor_worker.ingest.readers.tapped import PIECE_BYTES, TappedReader
from streammonitor_worker.ingest.tap import Tap
from streammonitor_worker.mpegts.scte35 import Cue
from tests.unit.worker.web import Answer, Answers, serving

HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{}\n"
LINE = "/live.m3u8"
URL = f"http://h{LINE}"


class Ear:
    """Hears everything, up to a size."""

    def __init__(self, most: int = 1 << 30) -> None:
        self.data = b""
        self.most = most
        self.errors: list[str] = []

    def heard(self, data: bytes) -> bool:
        self.data += data
        return len(self.data) < self.most

    def failed(self, error: SourceError) -> None:
        self.errors.append(error.reason)


def tapped(data: bytes, ear: Ear) -> TappedReader:
    ticks = count(0.0, 0.01)
    return TappedReader(BytesReader(data), ear, clock=lambda: next(ticks))


DATA = bytes(range(256)) * 1024


@pytest.mark.parametrize("size", [1, 1316, 100_000])
def test_everything_that_is_read_is_heard_once_and_in_its_order(size: int) -> None:
    ear = Ear()
    reader = tapped(DATA[:5000] if size == 1 else DATA, ear)
    while reader.read(size):
        pass
    assert ear.data == (DATA[:5000] if size == 1 else DATA)


def test_a_look_at_the_end_is_not_heard_and_a_return_goes_on() -> None:
    ear = Ear()
    reader = tapped(DATA, ear)
    reader.read(100_000)
    reader.seek(len(DATA) - 1000)
    reader.read(1000)
    reader.seek(0)
    while reader.read(32_768):
        pass
    assert ear.data == DATA


def test_small_messages_are_put_together() -> None:
    pieces: list[int] = []

    class Counting(Ear):
        def heard(self, data: bytes) -> bool:
            pieces.append(len(data))
            return True

    reader = TappedReader(BytesReader(DATA), Counting(), clock=lambda: 0.0)
    while reader.read(1316):
        pass
    assert sum(pieces) == len(DATA)
    assert len(pieces) <= len(DATA) / PIECE_BYTES + 1


def test_who_has_heard_enough_hears_no_more() -> None:
    ear = Ear(most=10)
    reader = tapped(DATA, ear)
    while reader.read(65_536):
        pass
    assert len(ear.data) == 65_536


def test_a_file_that_is_no_transport_stream_is_not_read_here(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    assert not holds_transport_stream(str(path))
    path.write_bytes(DATA)
    assert not holds_transport_stream(str(path))
    path.write_bytes(transport_stream(1.0))
    assert holds_transport_stream(str(path))
    reader = FileReader(str(path))
    assert reader.length == path.stat().st_size
    reader.close()
    with pytest.raises(SourceError) as caught:
        FileReader(str(tmp_path / "none"))
    assert caught.value.reason == "NotFound"


def playlist(first: int, *names: str, end: bool = False) -> str:
    entries = "".join(f"#EXTINF:2,\nhttp://h/{name}.ts\n" for name in names)
    return HEAD.format(first) + entries + ("#EXT-X-ENDLIST\n" if end else "")


@pytest.fixture
def notes() -> Notes:
    return Notes()


@pytest.fixture
def tap(notes: Notes) -> Tap:
    return Tap(notes, watch=True)


def facts(notes: Notes) -> list[Fact | Cue]:
    return [fact for fact, _ in notes.take()]


def read(tap: Tap, name: str, data: bytes = b"G") -> None:
    reader = tap.segment(f"http://h/{name}.ts", 0, BytesReader(data))
    while reader.read(65_536):
        pass


def begun(notes: Notes) -> Iterator[bool]:
    return (fact.continues for fact in facts(notes) if isinstance(fact, Begun))


def test_a_segment_continues_the_one_before_it(tap: Tap, notes: Notes) -> None:
    tap.playlist(URL, playlist(7, "a", "b", "c"))
    for name in "abc":
        read(tap, name)
    assert list(begun(notes)) == [False, True, True]


def test_after_a_segment_that_was_left_out_nothing_continues(tap: Tap, notes: Notes) -> None:
    tap.playlist(URL, playlist(7, "a", "b", "c"))
    read(tap, "a")
    read(tap, "c")
    assert list(begun(notes)) == [False, False]


def test_an_announced_discontinuity_continues_nothing(tap: Tap, notes: Notes) -> None:
    text = playlist(7, "a", "b").replace("\n#EXTINF:2,\nhttp://h/b", "\n#EXT-X-DISCONTINUITY\n"
                                         "#EXTINF:2,\nhttp://h/b")  # fmt: skip
    tap.playlist(URL, text)
    read(tap, "a")
    read(tap, "b")
    assert list(begun(notes)) == [False, False]


def test_the_bytes_of_transport_streams_are_told(tap: Tap, notes: Notes) -> None:
    data = transport_stream(2.0)
    tap.playlist(URL, playlist(7, "a", "b"))
    read(tap, "a", data)
    read(tap, "b", b"neither this nor that" * 100)
    told = [fact for fact in facts(notes) if isinstance(fact, Delivered)]
    assert {(one.line, one.container) for one in told} == {(LINE, Container.TS)}
    assert b"".join(one.data for one in told) == data


def missing(notes: Notes) -> list[str]:
    return [fact.reason for fact in facts(notes) if isinstance(fact, Missed)]


GONE = SourceError("NotFound", "gone")


def test_a_segment_that_is_gone_but_still_listed_is_missing(tap: Tap, notes: Notes) -> None:
    tap.playlist(URL, playlist(7, "a", "b"))
    tap.missed("http://h/a.ts", 0, GONE)
    assert missing(notes) == []
    tap.playlist(URL, playlist(7, "a", "b", "c"))
    assert missing(notes) == ["NotFound"]


def test_a_segment_that_left_the_playlist_is_not_missing(tap: Tap, notes: Notes) -> None:
    tap.playlist(URL, playlist(7, "a", "b"))
    tap.missed("http://h/a.ts", 0, GONE)
    tap.playlist(URL, playlist(8, "b", "c"))
    assert missing(notes) == []


def test_of_a_recording_nothing_leaves(tap: Tap, notes: Notes) -> None:
    tap.playlist(URL, playlist(7, "a", "b", end=True))
    tap.missed("http://h/a.ts", 0, GONE)
    assert missing(notes) == ["NotFound"]


def test_a_segment_that_breaks_or_that_the_packager_has_not_is_missing(
    tap: Tap, notes: Notes
) -> None:
    text = playlist(7, "a", "b").replace("#EXTINF:2,\nhttp://h/b", "#EXT-X-GAP\n"
                                         "#EXTINF:2,\nhttp://h/b")  # fmt: skip
    tap.playlist(URL, text)
    tap.missed("http://h/a.ts", 0, SourceError("ServerError", "500"))
    assert sorted(missing(notes)) == ["Gap", "ServerError"]


def test_segments_beyond_the_target_duration_are_counted_once(tap: Tap, notes: Notes) -> None:
    long = playlist(7, "a", "b").replace("#EXTINF:2,\nhttp://h/b", "#EXTINF:2.6,\nhttp://h/b")
    tap.playlist(URL, long)
    tap.playlist(URL, long)
    listed = [fact for fact in facts(notes) if isinstance(fact, Listed)]
    assert [one.too_long for one in listed] == [1, 0]


def test_a_manifest_that_names_another_codec_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    write_clip(path, duration_s=1, size=(64, 36), gop_s=1, audio=False)
    master = '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1,CODECS="hvc1.1.6.L93.B0"\na.m3u8\n'
    answers = {
        "/m.m3u8": Answer(master.encode()),
        "/a.m3u8": Answer((HEAD.format(0) + "#EXTINF:1,\na.ts\n#EXT-X-ENDLIST\n").encode()),
        "/a.ts": Answer(path.read_bytes()),
    }
    with serving(answers) as web, open_source(f"{web.url}/m.m3u8", live=False) as source:
        told = [item.fact for item in source if isinstance(item, TransportView)]
    assert Codecs(("hvc1.1.6.L93.B0",), ("h264",)) in told


def test_a_live_playlist_that_no_longer_changes_is_not_played_again(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    write_clip(path, duration_s=1, size=(64, 36), gop_s=1, audio=False)
    text = {"now": HEAD.format(0) + "#EXTINF:1,\na.ts\n"}
    answers: Answers = {
        "/a.m3u8": lambda: Answer(text["now"].encode()),
        "/a.ts": Answer(path.read_bytes()),
        "/b.ts": Answer(path.read_bytes()),
    }
    now_s = [0.0]
    freshness = Freshness(clock=lambda: now_s[0])
    with serving(answers) as web:

        def opens() -> None:
            with open_source(f"{web.url}/a.m3u8", freshness=freshness):
                pass

        opens()
        now_s[0] = 6.0
        opens()
        now_s[0] = 7.0
        with pytest.raises(SourceError) as caught:
            opens()
        assert caught.value.reason == "ManifestStale"
        assert "has not changed for 7 s" in caught.value.message
        text["now"] += "#EXTINF:1,\nb.ts\n"
        opens()
