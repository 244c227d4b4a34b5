"""What monitoring a stream costs, as the operator is told: measured, smoothed, and seldom news."""

from typing import NamedTuple

WINDOW_S = 20.0
"""A measurement takes as long: a few segments of any stream."""
NEWS_RATIO = 0.25
"""A change of less is none."""
NEWS_M = 10
"""A change of fewer thousandths of a core is none either."""
BEHIND_RATIO = 0.7
"""Less media than this share of the time, for two windows: the worker cannot keep up."""


class Tally(NamedTuple):
    """What a stream has taken and given so far."""

    cpu_s: float
    """CPU time."""
    media_s: float
    """How much media was analysed."""
    damaged: int = 0
    """Damaged pictures and refused packets."""


class LoadMeter:
    """Turns what a stream's thread has done into rates.

    On a worker that is short of CPU a stream takes less than it needs, and falls behind. Then the
    CPU time of a second of media counts, not that of a second of the clock.

    Attributes:
        load_m: Thousandths of a core, as measured last that was worth telling; None before the
            first measurement.
        pace_m: Media time for time, in thousandths, of the same measurement.
        damaged_per_min: Damage a minute, of the same measurement.
    """

    def __init__(self) -> None:
        self.load_m: int | None = None
        self.pace_m: int | None = None
        self.damaged_per_min: int | None = None
        self._before = Tally(0.0, 0.0)
        self._since_s = 0.0
        self._running = False
        self._behind = 0

    def restart(self) -> None:
        """The stream was away: what it took meanwhile says nothing."""
        self._running = False
        self._behind = 0

    def measure(self, tally: Tally, now_s: float, *, closely: bool = False) -> None:
        """Take how far things came.

        Args:
            tally: Since the thread began.
            now_s: A moment of a monotonic clock.
            closely: Every measurement is worth telling.
        """
        if not self._running:
            self._before, self._since_s, self._running = tally, now_s, True
            return
        passed_s = now_s - self._since_s
        if passed_s < WINDOW_S:
            return
        before, self._before, self._since_s = self._before, tally, now_s
        kept_up = (tally.media_s - before.media_s) / passed_s
        self._behind = self._behind + 1 if 0 < kept_up < BEHIND_RATIO else 0
        needed = 1 / kept_up if self._behind > 1 else 1.0
        load_m = round(1000 * needed * (tally.cpu_s - before.cpu_s) / passed_s)
        pace_m = round(1000 * kept_up)
        damaged = round(60 * (tally.damaged - before.damaged) / passed_s)
        if (
            closely
            or _is_news(self.load_m, load_m)
            or _is_news(self.pace_m, pace_m)
            or _is_news(self.damaged_per_min, damaged)
        ):
            self.load_m, self.pace_m, self.damaged_per_min = load_m, pace_m, damaged


def _is_news(old: int | None, new: int) -> bool:
    return old is None or abs(new - old) > max(NEWS_M, NEWS_RATIO * old)


_LAGS_S = (0, 1, 2, 3, 5, 8, 15, 30, 60, 120, 300, 600)


def coarse_lag_s(lag_s: float, told_s: int) -> int:
    """How late a stream is, so that what hardly changes is not told anew.

    Args:
        lag_s: How late it is, in seconds.
        told_s: What was told last.

    >>> coarse_lag_s(0.9, 0), coarse_lag_s(3.4, 0), coarse_lag_s(2.5, 3), coarse_lag_s(1.2, 3)
    (0, 3, 3, 1)
    """
    step_s = max(step for step in _LAGS_S if step <= lag_s or step == 0)
    return told_s if step_s < told_s and lag_s > 0.7 * told_s else step_s
