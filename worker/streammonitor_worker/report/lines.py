"""Values over time in bounded memory, however long an input is."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

MAX_BINS = 4096
"""More than a page is wide, so that one can look closer: 20 ms each for 80 s, 2.6 s for 3 h."""
FIRST_BIN_S = 0.02
MAX_SPANS = 400
JOIN_S = 0.1
"""Spans that lie this close are one: the next measurement's rounding."""

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Curve:
    """The least and the greatest value within each of equal stretches of time.

    Attributes:
        bin_s: Length of a stretch, in seconds.
        low: Shape (n,); NaN where nothing was measured.
        high: The same of the greatest values.
    """

    bin_s: float
    low: Values
    high: Values


class Line:
    """One value over time. What is too much to keep becomes the least and greatest of a stretch."""

    def __init__(self) -> None:
        self._bin_s = FIRST_BIN_S
        self._low = np.full(MAX_BINS, np.nan, np.float32)
        self._high = self._low.copy()
        self._count = 0

    def take(self, start_s: float, end_s: float, value: float) -> None:
        """Between two points of time, the value was this."""
        while end_s > MAX_BINS * self._bin_s:
            self._halve()
        first = max(0, min(MAX_BINS - 1, int(start_s / self._bin_s + 0.01)))
        end = max(first + 1, min(MAX_BINS, int(np.ceil(end_s / self._bin_s - 0.01))))
        low, high = self._low[first:end], self._high[first:end]
        np.fmin(low, value, out=low)
        np.fmax(high, value, out=high)
        self._count = max(self._count, end)

    def curve(self) -> Curve:
        """What is known of it."""
        return Curve(self._bin_s, self._low[: self._count], self._high[: self._count])

    def _halve(self) -> None:
        half = MAX_BINS // 2
        self._low[:half] = np.fmin(self._low[::2], self._low[1::2])
        self._high[:half] = np.fmax(self._high[::2], self._high[1::2])
        self._low[half:] = self._high[half:] = np.nan
        self._count = (self._count + 1) // 2
        self._bin_s *= 2


class Spans:
    """Stretches of time, in order and apart. The shortest gaps are filled when they are many."""

    def __init__(self) -> None:
        self._spans: list[tuple[float, float]] = []

    def add(self, start_s: float, end_s: float) -> None:
        """Add a stretch that ends no earlier than any before it."""
        spans = self._spans
        while spans and start_s <= spans[-1][1] + JOIN_S:
            before = spans.pop()
            start_s, end_s = min(start_s, before[0]), max(end_s, before[1])
        spans.append((start_s, end_s))
        if len(spans) > MAX_SPANS:
            gaps = [after[0] - before[1] for before, after in pairwise(spans)]
            least = gaps.index(min(gaps))
            spans[least : least + 2] = [(spans[least][0], spans[least + 1][1])]

    def rest(self, duration_s: float) -> list[tuple[float, float]]:
        """What they leave out of a duration; slivers are not worth telling."""
        edges = [0.0, *(edge for span in self._spans for edge in span), duration_s]
        pairs = zip(edges[::2], edges[1::2], strict=True)
        return [(start_s, end_s) for start_s, end_s in pairs if end_s - start_s > JOIN_S]
