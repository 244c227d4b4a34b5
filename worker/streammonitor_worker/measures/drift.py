"""How much faster or slower timestamps advance than what they are the timestamps of."""

from collections import deque
from typing import NamedTuple

import numpy as np

PPM = 1_000_000
POINT_S = 0.5
"""Errors are averaged over so much media."""
STRETCH = 20
"""The slope is taken over so many averages: ten seconds."""
STRETCHES = 12
"""The drift is that of so many stretches: two minutes."""
FEWEST = 6
"""It is told from so many on: one minute."""


class Slope(NamedTuple):
    """How much faster timestamps run.

    Both in parts per million.
    """

    ppm: float
    error_ppm: float
    """Its standard error."""


class Drift:
    """The slope of the difference between timestamps and the durations that they add up to.

    It is the median of the slopes of short stretches: a step that the sender makes, and what it
    makes up for at once, is in one of them. Timestamps that are rounded to a millisecond (FLV,
    Matroska) or jitter average out; how well, the stretches tell by how they differ.
    """

    def __init__(self) -> None:
        self._lasted_s = 0.0
        self._error_s = 0.0
        self._sum_s = 0.0
        self._count = 0
        self._began_s = 0.0
        self._points: list[float] = []
        self._slopes: deque[float] = deque(maxlen=STRETCHES)

    def take(self, error_s: float, duration_s: float) -> bool:
        """Take a packet; tell whether more is known of the drift.

        Args:
            error_s: By how much its timestamp exceeds the end of the packet before, in seconds.
            duration_s: How long it lasts by what is in it, in seconds.
        """
        self._error_s += error_s
        self._sum_s += self._error_s
        self._count += 1
        self._lasted_s += duration_s
        if self._lasted_s - self._began_s < POINT_S:
            return False
        self._points.append(self._sum_s / self._count)
        self._began_s, self._sum_s, self._count = self._lasted_s, 0.0, 0
        if len(self._points) < STRETCH:
            return False
        times = (np.arange(STRETCH) - (STRETCH - 1) / 2) * POINT_S
        self._slopes.append(float(times @ self._points / (times @ times)) * PPM)
        self._points.clear()
        return len(self._slopes) >= FEWEST

    def slope(self) -> Slope | None:
        """The drift; None while it cannot be told."""
        if len(self._slopes) < FEWEST:
            return None
        slopes = np.array(self._slopes)
        error = float(slopes.std(ddof=1) / np.sqrt(len(slopes)))
        return Slope(float(np.median(slopes)), error)
