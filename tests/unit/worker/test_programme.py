"""The clock that workers share."""

from streammonitor_worker.programme import PLAUSIBLE_S, RESUMED_S, WRAP_S, ProgrammeClock

WALL_S = 1_700_000_000.0


def following(*frames: tuple[float, float], given_s: float | None = None) -> ProgrammeClock:
    """A clock that took frames of a media time and a timestamp."""
    clock = ProgrammeClock()
    clock.use(given_s)
    for time_s, source_s in frames:
        clock.place(time_s, source_s, WALL_S + time_s)
    return clock


def test_the_first_worker_chooses_about_utc_and_the_next_agrees() -> None:
    first = following((0.0, 100.0), (1.0, 101.0))
    assert first.programme_s(1.0) == WALL_S + 1.0
    late = following((0.0, 104.0), given_s=first.clock_s)
    assert late.programme_s(0.0) == WALL_S + 4.0
    assert late.media_s(WALL_S + 5.0) == 1.0


def test_what_another_source_s_worker_added_is_not_taken_over() -> None:
    strange = WALL_S - 100.0 + 2 * PLAUSIBLE_S
    assert following((0.0, 100.0), given_s=strange).programme_s(0.0) == WALL_S


def test_an_encoder_that_starts_anew_moves_the_clocks_of_all_workers_alike() -> None:
    first = following((0.0, 100.0), (10.0, 110.0), (10.04, 3.0))
    second = following((0.0, 105.0), (5.0, 110.0), (5.04, 3.0), given_s=WALL_S - 100.0)
    assert first.clock_s == second.clock_s
    assert first.programme_s(10.04) == second.programme_s(5.04) == WALL_S + 10.04


def test_timestamps_that_wrap_go_on() -> None:
    raw = following((0.0, WRAP_S - 1.0), (2.0, 1.0))
    unwrapped = following((0.0, WRAP_S - 1.0), (2.0, WRAP_S + 1.0))
    assert raw.programme_s(2.0) == unwrapped.programme_s(2.0) == WALL_S + 2.0
    assert raw.clock_s == unwrapped.clock_s


def test_after_a_reconnection_timestamps_say_how_much_was_missed() -> None:
    clock = following((0.0, 100.0), (10.0, 110.0))
    clock.rejoined()
    clock.place(15.0, 113.0, WALL_S + 15.0)
    assert clock.programme_s(15.0) == WALL_S + 13.0


def test_without_timestamps_there_is_no_common_time() -> None:
    clock = ProgrammeClock()
    clock.place(1.0, None, WALL_S)
    assert clock.programme_s(1.0) is clock.media_s(1.0) is clock.clock_s is None


def test_a_sender_that_connects_again_with_other_timestamps_is_not_believed() -> None:
    clock = ProgrammeClock()
    clock.plausible_s = RESUMED_S
    clock.place(0.0, 0.0, WALL_S)
    clock.place(30.0, 30.0, WALL_S + 30.0)
    clock.rejoined()
    clock.place(32.0, 0.0, WALL_S + 32.0)
    assert clock.programme_s(32.0) == WALL_S + 32.0, "by the wall clock"
