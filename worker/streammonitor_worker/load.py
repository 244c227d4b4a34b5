"""What monitoring a stream costs, as the operator is told: measured, smoothed, and seldom news."""

WINDOW_S = 20.0
"""A measurement takes as long: a few segments of any stream."""
NEWS_RATIO = 0.25
"""A change of less is none."""
NEWS_M = 10
"""A change of fewer thousandths of a core is none either."""


class LoadMeter:
    """Turns a thread's CPU time into thousandths of a core.

    Attributes:
        load_m: What was measured last that was worth telling; None before the first measurement.
    """

    def __init__(self) -> None:
        self.load_m: int | None = None
        self._cpu_s = self._since_s = 0.0
        self._running = False

    def restart(self) -> None:
        """The stream was away: what it took meanwhile says nothing."""
        self._running = False

    def measure(self, cpu_s: float, now_s: float) -> None:
        """Take the CPU time so far, at a moment of a monotonic clock."""
        if not self._running:
            self._cpu_s, self._since_s, self._running = cpu_s, now_s, True
            return
        passed_s = now_s - self._since_s
        if passed_s < WINDOW_S:
            return
        load_m = round(1000 * (cpu_s - self._cpu_s) / passed_s)
        self._cpu_s, self._since_s = cpu_s, now_s
        if self.load_m is None or _is_news(self.load_m, load_m):
            self.load_m = load_m


def _is_news(old_m: int, new_m: int) -> bool:
    return abs(new_m - old_m) > max(NEWS_M, NEWS_RATIO * old_m)
