"""Media time across reconnections, and while nothing comes."""

from collections.abc import Iterable

import pytest

from streammonitor_worker.facts import Packet, Seam, Track, Waiting
from streammonitor_worker.frames import (
    Discontinuity,
    FormatChange,
    FrameView,
    MediaItem,
    TransportView,
)
from streammonitor_worker.rhythm import Rhythm
from tests.unit.worker.flowing import RATE, STEP_S, Flow


@pytest.fixture
def stream() -> Flow:
    return Flow()


def _times(items: Iterable[MediaItem]) -> list[float]:
    return [item.time_s for item in items if isinstance(item, FrameView)]


def _waits(views: Iterable[TransportView]) -> list[Waiting]:
    return [view.fact for view in views if isinstance(view.fact, Waiting)]


def test_media_time_goes_on_across_a_reconnection(stream: Flow) -> None:
    known = FormatChange(video=None, audio=None)
    first = stream.place(known, stream.frame(0.0), stream.frame(0.04))
    stream.splice.lost()
    stream.now_s += 3.0
    stream.splice.connected()
    second = stream.place(known, stream.frame(0.0), stream.frame(0.04))

    assert [type(item) for item in first] == [FormatChange, FrameView, FrameView]
    jump, seam, *_ = second
    assert isinstance(jump, Discontinuity)
    assert (jump.time_s, jump.gap_s) == pytest.approx((3.08, 3.0))
    assert isinstance(seam, TransportView)
    assert isinstance(seam.fact, Seam)
    assert _times(second) == pytest.approx([3.08, 3.12])


def test_media_time_passes_while_media_is_overdue_and_goes_on_from_there(stream: Flow) -> None:
    stream.flow(0.0, 10.0)
    told = stream.wait(6.0)
    _, jump, *resumed = stream.flow(10.0, 1.0)

    times = [view.time_s for view in told]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(16.0, abs=0.1)
    assert _waits(told)[-1].overdue_s == pytest.approx(6.0, abs=0.1)
    assert isinstance(jump, Discontinuity)
    assert jump.time_s == times[-1]
    assert jump.gap_s == pytest.approx(6.0, abs=0.1)
    assert _times(resumed) == pytest.approx([times[-1] + index * STEP_S for index in range(25)])


def test_what_was_overdue_and_is_missing_from_the_source_is_missing_once(stream: Flow) -> None:
    stream.flow(0.0, 10.0)
    stream.wait(6.0)
    resumed = stream.flow(16.0, 1.0)

    assert _times(resumed)[0] == pytest.approx(16.0, abs=0.1)


def test_overdue_media_and_a_reconnection_are_one_jump(stream: Flow) -> None:
    stream.flow(0.0, 10.0)
    stream.wait(2.0)
    stream.splice.lost()
    told = stream.wait(4.0)
    stream.splice.connected()
    resumed = stream.flow(0.0, 1.0)

    jumps = [item for item in resumed if isinstance(item, Discontinuity)]
    assert [jump.time_s for jump in jumps] == [pytest.approx(16.0, abs=0.1)]
    assert jumps[0].time_s >= told[-1].time_s
    assert _times(resumed) == sorted(_times(resumed))


def test_a_pause_between_segments_is_not_overdue(stream: Flow) -> None:
    """Three segments at once, then one every six seconds, as a player reads a playlist."""
    told, media_s = [], 0.0
    for segments in (3, *[1] * 12):
        for _ in range(round(6 * RATE) * segments):
            stream.place(stream.frame(media_s))
            media_s += STEP_S
        told += stream.wait(6.0)

    assert told
    assert not any(one.overdue_s for one in _waits(told))
    late = stream.wait(9.0)
    assert _waits(late)[-1].overdue_s == pytest.approx(9.0, abs=0.1)
    assert late[-1].time_s == pytest.approx(media_s + 9.0, abs=0.1)


def test_one_long_pause_is_not_the_rhythm_and_two_are() -> None:
    rhythm, now_s = Rhythm(), 0.0
    overdue = []
    for _ in range(3):
        for _ in range(20 * RATE):
            rhythm.took(now_s, STEP_S)
            now_s += STEP_S
        now_s += 4.0
        overdue.append(rhythm.waiting(now_s).overdue_s)

    assert overdue[:2] == pytest.approx([4.0, 4.0], abs=0.1)
    assert overdue[2] == 0.0


def test_what_a_lost_connection_takes_is_not_the_rhythm() -> None:
    rhythm, now_s = Rhythm(), 0.0
    for _ in range(5):
        for _ in range(5 * RATE):
            rhythm.took(now_s, STEP_S)
            now_s += STEP_S
        now_s += 4.0
        assert rhythm.waiting(now_s).overdue_s == pytest.approx(4.0, abs=0.1)
        rhythm.resume()


def test_nothing_is_told_of_waiting_before_anything_came(stream: Flow) -> None:
    assert stream.wait(10.0) == []


def test_packets_are_told_where_media_time_stands(stream: Flow) -> None:
    packet = Packet(Track.VIDEO, 0.0, 0.0, STEP_S, 100)
    stream.flow(0.0, 1.0)
    (flowing,) = stream.place(TransportView(0.5, stream.now_s, packet))
    late = stream.wait(3.0)[-1]
    (waiting,) = stream.place(TransportView(0.5, stream.now_s, packet))

    assert isinstance(flowing, TransportView)
    assert flowing.time_s == pytest.approx(1.0)
    assert isinstance(waiting, TransportView)
    assert waiting.time_s == late.time_s == pytest.approx(4.0, abs=0.1)


def test_what_was_held_up_for_a_moment_adjoins(stream: Flow) -> None:
    before = stream.flow(0.0, 10.0)
    waited = stream.wait(4.0)
    after = stream.flow(10.0, 10.0)

    assert waited[-1].time_s == pytest.approx(14.0, abs=0.1)
    assert not any(isinstance(item, Discontinuity) for item in after)
    assert _times([*before, *after]) == pytest.approx([index * STEP_S for index in range(500)])
    told = [item.time_s for item in (*waited, *after) if isinstance(item, TransportView)]
    assert told == sorted(told)
    assert told[-1] == pytest.approx(20.0, abs=0.1)


def test_what_could_not_be_reached_at_first_begins_at_zero(stream: Flow) -> None:
    stream.splice.lost()
    stream.now_s += 60.0
    stream.splice.connected()

    assert _times(stream.flow(0.0, 1.0))[0] == 0.0


def test_packets_that_cannot_be_decoded_are_something_that_comes(stream: Flow) -> None:
    stream.flow(0.0, 5.0)
    packet = Packet(Track.VIDEO, 0.0, 0.0, STEP_S, 100)
    told = []
    for _ in range(40):
        told += stream.wait(0.25)
        stream.place(TransportView(5.0, stream.now_s, packet))

    assert told
    assert not any(one.overdue_s for one in _waits(told))


def test_segments_that_are_decoded_slowly_pause_for_as_long_as_they_came_ahead() -> None:
    """Of eighteen seconds of media that take nine, the next ones may be nine seconds away."""
    rhythm, now_s = Rhythm(), 0.0
    for _ in range(18 * RATE):
        rhythm.took(now_s, STEP_S)
        now_s += STEP_S / 2

    assert rhythm.waiting(now_s + 9.0).overdue_s == 0.0
    assert rhythm.waiting(now_s + 9.0).due_s == pytest.approx(9.0, abs=0.1)
    assert rhythm.waiting(now_s + 20.0).overdue_s == pytest.approx(11.0, abs=0.1)
