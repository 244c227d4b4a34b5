"""The program clock of one PID against the bytes that it comes with (TR 101 290: 2.3 and 2.4).

Never against the time of arrival: segments and buffers come in bursts.
"""

from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise
from statistics import linear_regression, median

CONSTANT_RATE = 1e-4
"""The rate of a constant one differs by less than this from one clock value to the next."""
RATE_CLOCKS = 12
"""Clock values by which the rate is judged."""
MAX_MISFITS = 3
"""So many clock values in a row that do not fit are a new clock."""
MAX_LATE_S = 5.0
"""A step of more than this is no clock value that came late."""
WRAP_S = 2**33 / 90_000
"""The clock, and the times of pictures and sound, start anew after this: 26.5 hours."""


class Step(Enum):
    """How a clock value follows the one before."""

    FIRST = "first"
    FINE = "fine"
    LATE = "late"
    """It came too late, and says the right time."""
    BREAK = "break"
    """The clock itself stepped."""


def ahead_s(now_s: float, before_s: float) -> float:
    """By how much a time is after another, whatever wrapped in between; negative if before it."""
    return (now_s - before_s + WRAP_S / 2) % WRAP_S - WRAP_S / 2


@dataclass(slots=True)
class Clock:
    """The clock of one PID.

    Attributes:
        last: The last value in seconds, and its position in bytes.
        values: The last ones that agree on the rate.
        misfits: How many in a row did not.
    """

    last: tuple[float, int] | None = None
    values: list[tuple[float, int]] = field(default_factory=list)
    misfits: int = 0

    def step(self, now: tuple[float, int], interval_s: float) -> Step:
        """Take the next value (seconds, position); a break begins a new clock.

        Args:
            now: It, and its position.
            interval_s: How often it should come at least.
        """
        last, self.last = self.last, now
        if last is None:
            return Step.FIRST
        step_s = ahead_s(now[0], last[0])
        if 0 < step_s <= interval_s:
            return Step.FINE
        if 0 < step_s <= MAX_LATE_S and self._carried(step_s, now[1] - last[1]):
            return Step.LATE
        self.values, self.misfits = [], 0
        return Step.BREAK

    def fits(self, now: tuple[float, int], limit_s: float | None) -> bool:
        """Whether a value fits the rate of the stream (2.4); it counts as one that tells the rate.

        Args:
            now: It, and its position.
            limit_s: How exactly; None: the rate is not constant, and nothing can be said.
        """
        error_s = None if limit_s is None else self._inaccuracy_s(now)
        if error_s is None or limit_s is None or error_s <= limit_s:
            self.misfits = 0
            self.values = [*self.values, now][-RATE_CLOCKS:]
            return True
        self.misfits += 1
        if self.misfits > MAX_MISFITS:
            # Not one value is wrong: the clock, or the rate, is another from here on.
            self.values, self.misfits = [], 0
        return False

    def _carried(self, step_s: float, size: int) -> bool:
        """Whether the stream carried about as much as the time that passed: the clock came late.

        If it did not, the clock itself stepped.
        """
        values = self.values
        if len(values) < 2 or values[-1][0] <= values[0][0]:
            return True
        rate = (values[-1][1] - values[0][1]) / (values[-1][0] - values[0][0])
        return size > 0.5 * rate * step_s

    def _inaccuracy_s(self, now: tuple[float, int]) -> float | None:
        """How far a value is from where the bytes put it; None if their rate is not constant."""
        if len(self.values) < RATE_CLOCKS:
            return None
        start_s, start = self.values[0]
        times = [value - start_s for value, _ in self.values]
        positions = [position - start for _, position in self.values]
        if any(after <= before for before, after in pairwise(times)):
            return None
        rates = [
            (there - here) / (after - before)
            for (before, after), (here, there) in zip(
                pairwise(times), pairwise(positions), strict=True
            )
        ]
        middle = median(rates)
        if middle <= 0 or median(abs(rate - middle) for rate in rates) > CONSTANT_RATE * middle:
            return None
        slope, intercept = linear_regression(positions, times)
        return abs(now[0] - start_s - intercept - slope * (now[1] - start))
