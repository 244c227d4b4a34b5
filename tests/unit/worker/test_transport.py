"""Transport: what is told of a delivery, and for how long; the indicators are in test_mpegts."""

from collections.abc import Iterable, Iterator
from itertools import pairwise

import pytest

from dev.media.made_ts import transport_stream
from streammonitor_worker.deliveries import (
    Begun,
    Codecs,
    Connected,
    Container,
    Delivered,
    Listed,
    Missed,
    Presented,
)
from streammonitor_worker.detectors.base import Measurement, Verdict
from streammonitor_worker.detectors.transport import TransportDetector, TransportParams
from streammonitor_worker.facts import Fact, Waiting
from streammonitor_worker.fmp4 import FragmentTimes
from streammonitor_worker.frames import TransportView
from streammonitor_worker.lines import belies

Event = tuple[float, Fact]


def measured(events: Iterable[Event], **params: object) -> list[Measurement]:
    detector = TransportDetector(TransportParams.model_validate(params))
    found: list[Measurement] = []
    for at_s, fact in events:
        found += detector.observe(TransportView(at_s, 1000 + at_s, fact))
    return found + list(detector.flush())


def bad(found: list[Measurement]) -> list[tuple[float, float, set[str]]]:
    return [
        (one.start_s, one.end_s, set(one.values) - {"errors"})
        for one in found
        if one.verdict is Verdict.BAD
    ]


def stream(
    duration_s: float, *, ahead_s: float = 0.0, lost_s: tuple[float, float] = (0, 0)
) -> Iterator[Event]:
    """A stream whose bytes come somewhat before it is presented."""
    data = transport_stream(duration_s, start_s=5.0, lost_s=lost_s)
    steps = round(duration_s * 10)
    yield 0.0, Connected()
    for step in range(steps):
        piece = data[step * len(data) // steps : (step + 1) * len(data) // steps]
        at_s = max(0.0, step / 10 - ahead_s)
        yield at_s, Delivered("", Container.TS, piece)
        yield at_s, Presented(5.0 + at_s)


@pytest.mark.parametrize("ahead_s", [0.0, 0.7, 2.5])
def test_a_fault_is_where_it_is_presented_however_early_its_bytes_came(ahead_s: float) -> None:
    first, *rest = bad(measured(stream(8, ahead_s=ahead_s, lost_s=(4.4, 4.6))))
    assert first[0] == pytest.approx(4.4, abs=0.1)
    assert first[2] == {"Continuity_count_error"}
    assert rest == []


def test_the_whole_time_is_covered_without_a_gap() -> None:
    found = measured(stream(8, lost_s=(4.4, 4.6)))
    assert {one.verdict for one in found} == {Verdict.GOOD, Verdict.BAD}
    assert all(one.end_s == after.start_s for one, after in pairwise(found))


def test_an_indicator_that_is_ignored_is_not_counted() -> None:
    events = list(stream(8, lost_s=(4, 5)))
    assert bad(measured(events, ignore=["Continuity_count_error"])) == []
    assert bad(measured(events, threshold=100)) == []


def test_lost_synchronisation_lasts_until_it_is_found_again() -> None:
    data = transport_stream(10)
    bits = len(data) // 100
    events: list[Event] = [(0.0, Connected())]
    for step in range(100):
        piece = data[step * bits : (step + 1) * bits]
        if 40 <= step < 70:
            piece = bytes(len(piece))
        events += [
            (step / 10, Delivered("", Container.TS, piece)),
            (step / 10, Presented(step / 10)),
        ]
    found = bad(measured(events))
    assert found[0][0] == pytest.approx(4.0, abs=0.3)
    assert found[-1][1] == pytest.approx(7.0, abs=1.0)
    assert all("TS_sync_loss" in names for _, end_s, names in found if end_s < 7.0)


def test_where_nothing_comes_it_cannot_tell() -> None:
    events = [*stream(3), *((at, Waiting(at - 3, 0.1, at - 3)) for at in (4.0, 5.0, 6.0))]
    assert [one.verdict for one in measured(events)][-2:] == [Verdict.UNKNOWN] * 2


def test_what_has_neither_bytes_nor_playlists_is_unknown() -> None:
    detector = TransportDetector(TransportParams())
    views = [TransportView(float(at), 1000.0 + at, Presented(at)) for at in range(5)]
    found = [one for view in views for one in detector.observe(view)]
    assert {one.verdict for one in found} == {Verdict.UNKNOWN}
    trouble = detector.trouble()
    assert trouble is not None
    assert trouble.reason == "NoTransport"
    list(detector.observe(TransportView(5.0, 1005.0, Begun(LINE, 2.0, continues=False))))
    assert detector.trouble() is None


def test_what_was_found_before_timestamps_start_anew_is_not_held_back() -> None:
    events = [event for event in stream(4, lost_s=(3.9, 4.0))][:-1]
    events += [(4.0, Presented(50_000.0)), (5.0, Presented(50_001.0)), (6.0, Waiting(1, 2, 0))]
    assert bad(measured(events))[0][1] <= 5.0


LINE = "/a.m3u8"


def fetched(*newest: str, target_s: float = 2.0, live: bool = True) -> Iterator[Event]:
    """A playlist that is fetched every second, with its last segment each time."""
    yield 0.0, Connected()
    yield 0.0, Begun(LINE, 2.0, continues=False)
    for at_s, name in enumerate(newest):
        yield float(at_s), Listed(LINE, name, target_s, live)


@pytest.mark.parametrize(
    ("target_s", "first_s"),
    [(1.0, 7), (2.0, 7), (4.0, 13)],
)
def test_a_live_playlist_that_does_not_change_is_stale(target_s: float, first_s: float) -> None:
    found = bad(measured(fetched(*["a"] * 20, target_s=target_s)))
    assert found[0][1] == first_s
    assert {name for _, _, names in found for name in names} == {"Manifest_stale_error"}


def test_it_is_stale_across_connections_and_until_it_changes() -> None:
    events = [*fetched(*["a"] * 10), (9.5, Connected()), (9.6, Begun(LINE, 2.0, continues=False))]
    events += [(at, Listed(LINE, "a" if at < 13 else "b", 2.0, True)) for at in (11.0, 12.0, 13.0)]
    events += [(15.0, Waiting(1, 2, 0))]
    found = bad(measured(events))
    assert found[-1][1] == 12.0


def test_what_changes_or_is_complete_is_not_stale() -> None:
    assert bad(measured(fetched(*"aaabbbcccdddeee"))) == []
    assert bad(measured(fetched(*["a"] * 30, live=False))) == []


def test_missing_segments_and_ones_that_are_too_long_are_found() -> None:
    events = [*fetched(*"abcdef"), (6.1, Missed(LINE, "NotFound"))]
    events += [(7.5, Listed(LINE, "h", 2.0, True, too_long=2)), (9.0, Waiting(1, 2, 0))]
    found = measured(events)
    assert {name for _, _, names in bad(found) for name in names} == {
        "Segment_missing_error",
        "Target_duration_error",
    }


def segments(*lengths_s: float, claimed_s: float = 2.0) -> Iterator[Event]:
    """Segments of a transport stream that all claim the same."""
    yield 0.0, Connected()
    at_s = 0.0
    for number, length_s in enumerate(lengths_s):
        yield at_s, Begun(LINE, claimed_s, continues=number > 0)
        yield at_s, Delivered(LINE, Container.TS, transport_stream(length_s, start_s=5 + at_s))
        yield at_s, Presented(5 + at_s)
        at_s += length_s


def test_a_segment_that_is_shorter_or_longer_than_it_claims_is_found() -> None:
    assert bad(measured(segments(2.0, 2.0, 2.2, 1.8, 2.0))) == []
    for wrong_s in (1.2, 2.8):
        (found,) = bad(measured(segments(2.0, wrong_s, 2.0, 2.0)))
        assert found[2] == {"Segment_duration_error"}
        assert found[0] == pytest.approx(2.0 + wrong_s, abs=0.2)


@pytest.mark.parametrize(
    ("claimed", "actual", "wrong"),
    [
        (["avc1.64001f", "mp4a.40.2"], ["h264", "aac"], False),
        (["avc1.64001f", "mp4a.40.2"], ["hevc", "aac"], True),
        (["avc1.64001f", "mp4a.40.2"], ["h264", "ac3"], True),
        (["hvc1.1.6.L93.B0"], ["hevc", "aac"], False),
        (["MP4A.40.34"], ["mp3"], False),
        (["avc1.64001f", "stpp.ttml.im1t"], ["h264", "ttml"], False),
        (["avc1.64001f", "stpp.ttml.im1t"], ["hevc"], True),
        (["unheard-of"], ["h264"], False),
    ],
)
def test_codecs_against_the_manifest(claimed: list[str], actual: list[str], wrong: bool) -> None:
    assert belies(Codecs(tuple(claimed), tuple(actual))) is wrong


def box(kind: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return (len(body) + 8).to_bytes(4) + kind + body


def number(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size)


def initialization(track: int, scale: int) -> bytes:
    tkhd = box(b"tkhd", bytes(12), number(track), bytes(68))
    mdhd = box(b"mdhd", bytes(12), number(scale), bytes(8))
    return box(b"ftyp", b"iso5") + box(b"moov", box(b"trak", tkhd, box(b"mdia", mdhd)))


def fragment(track: int, time: int, version: int) -> bytes:
    tfhd = box(b"tfhd", bytes(4), number(track))
    tfdt = box(b"tfdt", bytes([version, 0, 0, 0]), number(time, 8 if version else 4))
    return box(b"styp", b"msdh") + box(b"moof", box(b"traf", tfhd, tfdt)) + box(b"mdat", bytes(99))


@pytest.mark.parametrize("version", [0, 1])
@pytest.mark.parametrize("piece", [1, 40, 4096])
def test_fragments_say_when_they_are_decoded(version: int, piece: int) -> None:
    times = FragmentTimes()
    for data in (initialization(3, 90_000), fragment(3, 180_000, version)):
        times.begin()
        for at in range(0, len(data), piece):
            times.feed(data[at : at + piece])
    assert times.time_s == 2.0


def test_fragments_of_unknown_tracks_or_without_a_time_say_nothing() -> None:
    times = FragmentTimes()
    for data in (fragment(3, 180_000, 1), bytes(100), b"\xff" * 100):
        times.begin()
        times.feed(data)
        assert times.time_s is None
