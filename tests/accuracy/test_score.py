"""The matcher, the interval and the percentile, by hand-made examples."""

import math

import pytest

from tests.accuracy.score import Alarm, Event, match, percentile, wilson

EVENT = Event(10.0, 14.0)


@pytest.mark.parametrize("start_s", [9.5, 10.0, 10.5])
def test_an_alarm_that_begins_within_half_a_second_finds_the_event(start_s: float) -> None:
    assert match([EVENT], [Alarm(start_s, 14.0)]).pairs == ((0, 0),)


@pytest.mark.parametrize(
    "alarm",
    [Alarm(9.4, 14.0), Alarm(10.6, 14.0), Alarm(9.6, 9.9), Alarm(14.0, 15.0)],
    ids=["early", "late", "over before", "after"],
)
def test_any_other_alarm_is_false_and_the_event_missed(alarm: Alarm) -> None:
    found = match([EVENT], [alarm])
    assert (found.pairs, found.missed, found.false) == ((), (0,), (0,))


def test_the_second_alarm_for_one_event_is_false() -> None:
    found = match([EVENT], [Alarm(10.3, 11.0), Alarm(10.1, 14.0)])
    assert (found.pairs, found.missed, found.false) == (((0, 1),), (), (0,))


def test_one_alarm_finds_one_event_only() -> None:
    found = match([Event(10.0, 10.4), Event(10.45, 14.0)], [Alarm(10.0, 14.0)])
    assert (found.pairs, found.missed) == (((0, 0),), (1,))


def test_an_alarm_in_a_neutral_span_alone_is_left_out() -> None:
    neutral = [Event(14.0, 20.0), Event(5.0, 8.0)]
    alarms = [Alarm(10.0, 14.5), Alarm(16.0, 21.0), Alarm(12.0, 15.0), Alarm(22.0, 23.0)]
    found = match([EVENT], alarms, neutral)
    # The third overlaps the event as well, the fourth overlaps nothing: both are false.
    assert (found.pairs, found.missed, found.false) == (((0, 0),), (), (2, 3))


@pytest.mark.parametrize(("neutral_end_s", "pairs"), [(10.0, ((0, 0),)), (9.0, ())])
def test_an_alarm_may_begin_in_the_neutral_span_that_leads_into_the_event(
    neutral_end_s: float, pairs: tuple[tuple[int, int], ...]
) -> None:
    neutral = [Event(8.0, neutral_end_s)]
    assert match([EVENT], [Alarm(8.2, 14.0)], neutral).pairs == pairs


def test_nothing_compared_with_nothing_is_nothing() -> None:
    assert match([], []).pairs == ()


@pytest.mark.parametrize(
    ("hits", "trials", "low", "high"),
    # Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_agrees_with_what_is_published(
    hits: int, trials: int, low: float, high: float
) -> None:
    assert wilson(hits, trials) == pytest.approx((low, high), abs=5e-5)


def test_without_trials_nothing_is_known() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert math.isnan(percentile([], 0.5))


def test_the_95th_percentile_is_a_value_that_occurred() -> None:
    assert percentile(range(1, 101), 0.95) == 95
    assert percentile([7.0], 0.95) == 7.0
