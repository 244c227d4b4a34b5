"""Media time: starts at 0, never goes back, tells of jumps once."""

import pytest

from streammonitor_worker.frames import Discontinuity
from streammonitor_worker.ingest.timeline import Timeline

STEP_S = 0.04


def _play(timeline: Timeline, track: str, *starts: float, frames: int = 5) -> list[float]:
    times = []
    for start in starts:
        for index in range(frames):
            time_s, _ = timeline.place(track, start + index * STEP_S, STEP_S)
            times.append(time_s)
    return times


def test_time_begins_at_the_origin() -> None:
    timeline = Timeline(origin_s=1000.0)

    time_s, jump = timeline.place("video", 1000.02, STEP_S)
    assert time_s == pytest.approx(0.02)
    assert jump is None
    assert timeline.place("audio", 1000.0, STEP_S) == (0.0, None)


def test_a_track_that_begins_before_the_origin_begins_at_zero() -> None:
    timeline = Timeline(origin_s=10.0)

    assert timeline.place("audio", 9.8, STEP_S)[0] == 0.0


def test_a_missing_timestamp_follows_from_the_duration() -> None:
    timeline = Timeline(origin_s=0.0)
    timeline.place("video", 0.0, STEP_S)

    assert timeline.place("video", None, STEP_S)[0] == pytest.approx(0.04)
    assert timeline.place("video", 0.08, STEP_S)[0] == pytest.approx(0.08)


def test_jitter_neither_jumps_nor_goes_back() -> None:
    timeline = Timeline(origin_s=0.0)
    times = [timeline.place("video", at, STEP_S) for at in (0.0, 0.2, 0.1, 0.24)]

    assert [jump for _, jump in times] == [None] * 4
    assert [time_s for time_s, _ in times] == [0.0, 0.2, 0.2, 0.24]


def test_lost_media_moves_time_on_and_is_told_once() -> None:
    timeline = Timeline(origin_s=0.0)
    _play(timeline, "video", 0.0)
    _play(timeline, "audio", 0.0)

    time_s, jump = timeline.place("video", 5.2, STEP_S)
    _, echo = timeline.place("audio", 5.2, STEP_S)

    assert time_s == pytest.approx(5.2)
    assert jump is not None
    assert (jump.time_s, jump.gap_s) == pytest.approx((5.2, 5.0))
    assert echo is None


def test_a_later_gap_of_the_other_track_is_told() -> None:
    timeline = Timeline(origin_s=0.0)
    _play(timeline, "video", 0.0, 5.2)
    _play(timeline, "audio", 0.0, 5.2)

    assert timeline.place("audio", 9.0, STEP_S)[1] is not None


@pytest.mark.parametrize("jump_s", [-(2**33) / 90000, -3.0, 500.0, 1e6])
def test_a_new_timeline_goes_on_where_the_old_one_ended(jump_s: float) -> None:
    timeline = Timeline(origin_s=0.0)
    _play(timeline, "video", 0.0)
    _play(timeline, "audio", 0.0)

    video_s, jump = timeline.place("video", 0.2 + jump_s, STEP_S)
    audio_s, echo = timeline.place("audio", 0.22 + jump_s, STEP_S)

    assert video_s == pytest.approx(0.2, abs=1e-4)
    assert jump == Discontinuity(time_s=video_s, gap_s=0.0)
    assert audio_s == pytest.approx(0.22, abs=1e-4), "picture and sound stay together"
    assert echo is None


def test_time_never_goes_back_over_many_wraps() -> None:
    timeline = Timeline(origin_s=95000.0)
    times = _play(timeline, "video", 95000.0, 0.0, 95443.0, 3.0, 2.0, 200.0, frames=50)

    assert times == sorted(times)
    assert times[-1] == pytest.approx(300 * STEP_S, abs=1.0)
