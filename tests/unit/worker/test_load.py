"""How a stream's cost is measured."""

from streammonitor_worker.load import WINDOW_S, LoadMeter, Tally


def after(
    meter: LoadMeter, share: float, windows: int = 1, start_s: float = 0.0, pace: float = 1.0
) -> int | None:
    """What a meter says after a thread took a share of a core for so long, a step a second."""
    seconds = round(WINDOW_S * windows)
    for second in range(seconds + 1):
        meter.measure(Tally(share * second, pace * second), start_s + second)
    return meter.load_m


def test_nothing_is_said_before_the_first_measurement() -> None:
    meter = LoadMeter()
    meter.measure(Tally(5.0, 0.0), 100.0)
    meter.measure(Tally(6.0, 10.0), 100.0 + WINDOW_S / 2)
    assert meter.load_m is None


def test_the_share_of_a_core_since_the_measurement_before() -> None:
    assert after(LoadMeter(), 0.25) == 250


def test_small_changes_are_no_news() -> None:
    meter = LoadMeter()
    after(meter, 0.20)
    meter.restart()
    assert after(meter, 0.24, start_s=1000) == 200
    meter.restart()
    assert after(meter, 0.26, start_s=2000) == 260


def test_a_stream_that_costs_next_to_nothing_is_not_news_all_the_time() -> None:
    meter = LoadMeter()
    after(meter, 0.004)
    meter.restart()
    assert after(meter, 0.012, start_s=1000) == 4


def test_time_away_is_not_counted() -> None:
    meter = LoadMeter()
    meter.measure(Tally(1.0, 0.0), 0.0)
    meter.restart()
    assert after(meter, 0.5, start_s=10_000) == 500


def test_a_stream_that_cannot_keep_up_costs_what_it_would_need() -> None:
    assert after(LoadMeter(), 0.25, windows=3, pace=0.5) == 500


def test_a_segment_that_comes_late_is_no_sign_of_that() -> None:
    assert after(LoadMeter(), 0.25, pace=0.5) == 250


def test_pace_and_damage_are_told_with_it() -> None:
    meter = LoadMeter()
    meter.measure(Tally(0.0, 0.0, 3), 0.0)
    meter.measure(Tally(1.0, 10.0, 8), WINDOW_S)
    assert (meter.load_m, meter.pace_m, meter.damaged_per_min) == (50, 500, 15)


def test_who_looks_closely_is_told_every_measurement() -> None:
    meter = LoadMeter()
    meter.measure(Tally(0.0, 0.0), 0.0)
    meter.measure(Tally(4.0, 20.0), WINDOW_S)
    meter.measure(Tally(8.2, 40.0), 2 * WINDOW_S, closely=True)
    assert meter.load_m == 210
    meter.measure(Tally(12.2, 60.0), 3 * WINDOW_S)
    assert meter.load_m == 210
