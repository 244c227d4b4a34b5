"""What the segments of a playlist may do, and what they may not."""

from itertools import pairwise
from pathlib import Path

import pytest

from dev.media.clips import write_clip
from dev.media.surgery import Stream, move_clock
from streammonitor_worker.mpegts.counters import FAITHFUL_SEGMENTS
from streammonitor_worker.mpegts.indicators import Indicator
from streammonitor_worker.mpegts.monitor import TransportMonitor

PAT, AUDIO = 0x0000, 0x0101


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("segments") / "clean.ts"
    write_clip(path, duration_s=8, size=(64, 36), gop_s=1)
    return path


@pytest.fixture
def segments(clean: Path) -> list[Stream]:
    """Eight, each of which begins with its tables."""
    whole = Stream.read(clean)
    tables = [at for at in whole.of(PAT) if at == 0 or at - 1 not in whole.of(PAT)]
    cuts = [*tables[:: max(1, len(tables) // 8)][:8], len(whole.packets)]
    return [
        Stream([bytearray(packet) for packet in whole.packets[first:end]])
        for first, end in pairwise(cuts)
    ]


def found(segments: list[Stream], *announced: int) -> dict[Indicator, int]:
    """What is wrong with segments; before those that are named, a discontinuity is announced."""
    monitor = TransportMonitor(segmented=True)
    for number, segment in enumerate(segments):
        monitor.segment(continues=number > 0 and number not in announced)
        monitor.feed(segment.data)
    return {name: count for name, count in monitor.counts.items() if count}


def test_segments_that_go_on_are_clean(segments: list[Stream]) -> None:
    assert len(segments) == 8
    assert found(segments) == {}


def test_a_packager_may_count_anew_in_each_segment(segments: list[Stream]) -> None:
    for segment in segments:
        segment.renumber()
    assert found(segments) == {}


def test_where_counters_have_always_gone_on_they_must(segments: list[Stream]) -> None:
    late = FAITHFUL_SEGMENTS + 1
    segments[late].drop([segments[late].of(AUDIO)[-1]])
    assert found(segments) == {Indicator.CONTINUITY: 1}


def test_before_that_nobody_knows(segments: list[Stream]) -> None:
    segments[0].drop([segments[0].of(AUDIO)[-1]])
    assert found(segments) == {}


def test_within_a_segment_they_must_in_any_case(segments: list[Stream]) -> None:
    for segment in segments:
        segment.renumber()
    segments[1].drop([segments[1].of(AUDIO)[3]])
    assert found(segments) == {Indicator.CONTINUITY: 1}


def test_an_announced_discontinuity_starts_everything_anew(segments: list[Stream]) -> None:
    def count_on(packet: bytearray) -> None:
        packet[3] = packet[3] & 0xF0 | (packet[3] + 7) & 0x0F

    for segment in segments[5:]:
        segment.change(segment.clocks(), move_clock(3600))
        segment.change(range(len(segment.packets)), count_on)
    assert found(segments, 5) == {}
    assert set(found(segments)) == {Indicator.CONTINUITY}


def test_a_clock_that_jumps_from_one_segment_to_the_next_is_found(segments: list[Stream]) -> None:
    for segment in segments[5:]:
        segment.change(segment.clocks(), move_clock(3600))
    assert found(segments) == {Indicator.PCR_DISCONTINUITY: 1}
