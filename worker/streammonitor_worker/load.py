"""What monitoring a stream costs, as the operator is told: measured, smoothed, and seldom news."""

WINDOW_S = 20.0
"""A measurement takes as long: a few segments of any stream."""
NEWS_RATIO = 0.25
"""A change of less is none."""
NEWS_M = 10
"""A change of fewer thousandths of a core is none either."""
BEHIND_RATIO = 0.7
"""Less media than this share of the time, for two windows: the worker cannot keep up."""


class LoadMeter:
    """Turns a thread's CPU time into thousandths of a core.

    On a worker that is short of CPU a stream takes less than it needs, and falls behind. Then the
    CPU time of a second of media counts, not that of a second of the clock.

    Attributes:
        load_m: What was measured last that was worth telling; None before the first measurement.
    """

    def __init__(self) -> None:
        self.load_m: int | None = None
        self._cpu_s = self._since_s = self._media_s = 0.0
        self._running = False
        self._behind = 0

    def restart(self) -> None:
        """The stream was away: what it took meanwhile says nothing."""
        self._running = False
        self._behind = 0

    def measure(self, cpu_s: float, now_s: float, media_s: float) -> None:
        """Take how far things came.

        Args:
            cpu_s: CPU time so far.
            now_s: A moment of a monotonic clock.
            media_s: How much media was analysed so far.
        """
        if not self._running:
            self._cpu_s, self._since_s, self._media_s = cpu_s, now_s, media_s
            self._running = True
            return
        passed_s = now_s - self._since_s
        if passed_s < WINDOW_S:
            return
        kept_up = (media_s - self._media_s) / passed_s
        self._behind = self._behind + 1 if 0 < kept_up < BEHIND_RATIO else 0
        needed = 1 / kept_up if self._behind > 1 else 1.0
        load_m = round(1000 * needed * (cpu_s - self._cpu_s) / passed_s)
        self._cpu_s, self._since_s, self._media_s = cpu_s, now_s, media_s
        if self.load_m is None or _is_news(self.load_m, load_m):
            self.load_m = load_m


def _is_news(old_m: int, new_m: int) -> bool:
    return abs(new_m - old_m) > max(NEWS_M, NEWS_RATIO * old_m)
