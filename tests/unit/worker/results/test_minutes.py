"""One stream's minutes, on a clock that a test sets."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from streammonitor_api.incident import EndReason, Incident, Severity
from streammonitor_api.results import Minute, merged
from streammonitor_worker.detectors.base import Measurement, Verdict
from streammonitor_worker.figures import Figures
from streammonitor_worker.frames import FrameView
from streammonitor_worker.programme import ProgrammeClock
from streammonitor_worker.results import Minutes
from streammonitor_worker.results.minutes import LAG_S
from tests.unit.worker.alerts.incidents import incident, over, started, worse

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
NOON_S = NOON.timestamp()
LUMA = np.zeros((2, 2), np.uint8)
STEP_S = 0.25


def seconds(first: int, last: int) -> int:
    return sum(1 << one for one in range(first, last))


class Day:
    """A stream and the wall clock, from noon on."""

    def __init__(self) -> None:
        self.now_s = NOON_S
        self.figures = Figures()
        self.clock = ProgrammeClock()
        self.minutes = Minutes("a", "w-1", lambda: self.figures, lambda: self.now_s)
        self.told: list[Minute] = []

    def tick(self, until_s: float) -> None:
        """Wall time passes until so many seconds after noon."""
        while self.now_s < NOON_S + until_s:
            self.now_s += 1.0
            self.told += self.minutes.tick()

    def play(self, from_s: float, until_s: float, media_s: float | None = None) -> None:
        """Pictures arrive as they are presented; their media time may begin elsewhere."""
        shift_s = 0.0 if media_s is None else media_s - from_s
        at_s = from_s
        while at_s < until_s:
            self.view(at_s + shift_s, NOON_S + at_s)
            at_s += STEP_S
            if at_s % 1 == 0:
                self.tick(at_s)

    def view(self, time_s: float, arrived_at: float) -> None:
        view = FrameView(time_s=time_s, duration_s=STEP_S, arrived_at=arrived_at, luma=LUMA)
        self.minutes.analysed(view, self.clock)

    def minute(self, number: int) -> Minute:
        """What was told of the minute so long after noon."""
        at = NOON + timedelta(minutes=number)
        return merged(one for one in self.told if one.minute == at)


@pytest.fixture
def day() -> Day:
    return Day()


def test_a_minute_that_was_watched_and_analysed_is_told_once_it_is_over(day: Day) -> None:
    day.play(0, 60)
    day.tick(59 + LAG_S)
    assert day.told == []
    day.tick(61 + LAG_S)
    (told,) = day.told
    assert (told.stream, told.worker, told.minute) == ("a", "w-1", NOON)
    assert told.watched == told.analysed == seconds(0, 60)
    assert told.score == 100.0


def test_seconds_without_media_were_watched_and_not_analysed(day: Day) -> None:
    day.play(0, 20)
    day.tick(30)
    day.play(30, 60)
    day.tick(100)
    told = day.minute(0)
    assert told.watched == seconds(0, 60)
    assert told.analysed == seconds(0, 20) | seconds(30, 60)
    assert told.score == pytest.approx(100 * 50 / 60, abs=0.01)


def test_a_segment_that_arrives_at_once_covers_the_seconds_that_it_plays(day: Day) -> None:
    for index in range(int(6 / STEP_S)):
        day.view(index * STEP_S, NOON_S)
    day.tick(100)
    assert day.minute(0).analysed == seconds(0, 6)


def test_who_was_away_did_not_watch(day: Day) -> None:
    day.tick(10)
    day.now_s += 30  # the process was stopped
    day.tick(59)
    day.tick(100)
    assert day.minute(0).watched == seconds(1, 11) | seconds(41, 60)


def test_the_clock_that_workers_share_says_which_seconds_were_analysed(day: Day) -> None:
    day.clock.use(NOON_S - 1000)
    day.clock.place(0.0, 1003.0, NOON_S + 5)  # this one received it two seconds late
    for index in range(int(4 / STEP_S)):
        day.view(index * STEP_S, NOON_S + 5)
    day.tick(100)
    assert day.minute(0).analysed == seconds(3, 7)


def test_a_shared_clock_that_is_far_off_is_not_used(day: Day) -> None:
    day.clock.use(NOON_S + 7200)
    day.clock.place(0.0, 0.0, NOON_S + 7200)
    day.view(0.0, NOON_S + 5)
    day.tick(100)
    assert day.minute(0).analysed == seconds(5, 6)


def test_counts_are_those_of_each_minute(day: Day) -> None:
    day.figures = Figures(frames=100, connects=1)
    day.tick(30)
    day.figures = Figures(frames=1500, corrupt_frames=3, connects=1, unknown_s={"black": 1.5})
    day.tick(90)
    day.figures = replace(day.figures, frames=2000, decode_errors=4, discontinuities=1)
    day.tick(180)
    first, second = day.minute(0), day.minute(1)
    assert (first.frames, first.corrupt_frames, first.connects) == (1500, 3, 1)
    assert [(one.name, one.unknown_s) for one in first.detectors] == [("black", 1.5)]
    assert (second.frames, second.decode_errors, second.discontinuities) == (500, 4, 1)


def found(begin_s: float, **more: Any) -> Incident:
    """An incident whose defect began so many seconds after noon."""
    at = NOON + timedelta(seconds=begin_s)
    episode = round((NOON_S + begin_s) * 1000)
    return incident(
        episode=episode, started_at=at, detected_at=at, start_s=begin_s, detected_s=begin_s, **more
    )


def closed(one: Incident, after_s: float) -> Incident:
    update = {
        "ended_at": one.started_at + timedelta(seconds=after_s),
        "end_s": one.start_s + after_s,
        "end_reason": EndReason.CLEARED,
    }
    return one.model_copy(update=update)


def test_an_incident_covers_the_seconds_in_which_it_lasted(day: Day) -> None:
    one = found(10.5)
    day.play(0, 60)
    day.minutes.incident(started(one))
    day.minutes.incident(over(closed(one, 4.0)))
    day.tick(100)
    told = day.minute(0)
    assert (told.warning, told.critical) == (seconds(10, 15), 0)
    (black,) = told.detectors
    assert (black.name, black.incidents, black.defective) == ("black", 1, seconds(10, 15))
    assert told.score == pytest.approx(100 * 57.5 / 60, abs=0.01)


def test_an_incident_goes_on_over_minutes_and_counts_where_it_began(day: Day) -> None:
    one = found(50)
    day.minutes.incident(started(one))
    day.play(0, 130)
    day.minutes.incident(over(closed(worse(one), 75.0)))
    day.tick(220)
    minutes = [day.minute(number) for number in (0, 1, 2)]
    # The first was told before it became critical.
    assert [one.warning for one in minutes] == [seconds(50, 60), 0, 0]
    assert [one.critical for one in minutes] == [0, seconds(0, 60), seconds(0, 5)]
    assert [one.detectors[0].incidents for one in minutes] == [1, 0, 0]


def test_what_is_raised_late_is_told_in_another_contribution(day: Day) -> None:
    day.play(0, 180)
    before = len(day.told)
    one = found(55, severity=Severity.CRITICAL)
    day.minutes.incident(started(one))
    day.tick(182)
    late = day.told[before:]
    assert [one.minute for one in late] == [NOON, NOON + timedelta(minutes=1)]
    assert [one.watched for one in late] == [0, 0]
    assert [one.score for one in late] == [None, None]
    assert day.minute(0).critical == seconds(55, 60)
    assert day.minute(1).critical == seconds(0, 60)
    assert day.minute(0).score == pytest.approx(100 * 55 / 60, abs=0.01)


def test_what_another_worker_told_goes_on_and_is_not_counted_again(day: Day) -> None:
    day.minutes.adopt([found(-100)])
    day.play(0, 60)
    day.tick(100)
    (black,) = day.minute(0).detectors
    assert (black.incidents, black.defective) == (0, seconds(0, 60))


def test_an_incident_of_no_length_that_its_arrival_shows_lasts_as_media_say(day: Day) -> None:
    one = found(10)
    day.minutes.incident(started(one))
    # All of it came in one segment: both moments are those of its arrival.
    at_once = closed(one, 3.0).model_copy(update={"ended_at": one.started_at})
    day.minutes.incident(over(at_once))
    day.tick(100)
    assert day.minute(0).warning == seconds(10, 13)


def test_who_lets_a_stream_go_tells_all_that_is_known(day: Day) -> None:
    one = found(20)
    day.minutes.incident(started(one))
    day.play(0, 30)
    day.figures = Figures(frames=750)
    (told,) = day.minutes.finish()
    assert (told.analysed, told.watched) == (seconds(0, 30), seconds(0, 31))
    assert told.warning == seconds(20, 30)
    assert told.frames == 750


def test_what_was_played_to_its_end_is_not_watched_any_more(day: Day) -> None:
    day.play(0, 30)
    day.minutes.over = True
    day.tick(200)
    assert day.minute(0).watched == seconds(0, 31)
    assert [one.minute for one in day.told] == [NOON]


def test_the_loudness_of_a_minute_is_gated(day: Day) -> None:
    def heard(number: int, momentary_lufs: float) -> None:
        end_s = number * 0.1
        values = {
            "momentaryLufs": momentary_lufs,
            "shortTermLufs": momentary_lufs,
            "truePeakDbtp": momentary_lufs + 10,
        }
        measured = Measurement(end_s - 0.1, end_s, NOON_S + end_s, Verdict.GOOD, values=values)
        day.minutes.heard("loudness", measured)

    day.view(0.0, NOON_S)
    for number in range(1, 200):
        # Half is speech, a quarter pauses, the rest digital silence: speech alone passes the gates.
        heard(number, (-23.0, -23.0, -40.0, -200.0)[number % 4])
    day.minutes.heard("silence", Measurement(0, 1, NOON_S, Verdict.GOOD, values={"rmsDb": -3.0}))
    day.tick(100)
    told = day.minute(0)
    assert (told.loudness_lufs, told.loudness_blocks) == (-23.0, 99)
    assert (told.short_term_max_lufs, told.true_peak_max_dbtp) == (-23.0, -13.0)
