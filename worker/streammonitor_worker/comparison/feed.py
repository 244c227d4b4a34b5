"""What one feed showed and played in the last minute or so, sampled at any steady rate."""

from collections import deque
from collections.abc import Iterable

import numpy as np

from streammonitor_worker.comparison.signatures import Vector

KEPT_S = 75.0
"""Feeds may be a minute apart, and are recognised by what lasts some seconds."""


class Track:
    """Signatures of one elementary stream with their times; what is older than `KEPT_S` goes.

    Args:
        size: Length of a signature.
    """

    def __init__(self, size: int) -> None:
        self._pieces: deque[tuple[Vector, Vector]] = deque()
        self._size = size
        self.until_s = float("-inf")

    def add(self, times_s: Iterable[float], signatures: Vector) -> None:
        """Append signatures, shape (n, size), at increasing times."""
        times = np.asarray(times_s, np.float64)
        if times[0] <= self.until_s:
            later = times > self.until_s
            times, signatures = times[later], signatures[later]
        if not len(times):
            return
        self._pieces.append((times, signatures))  # type: ignore[arg-type]
        self.until_s = float(times[-1])
        while self._pieces[0][0][-1] < self.until_s - KEPT_S:
            self._pieces.popleft()

    def clear(self) -> None:
        """Forget everything: what follows does not adjoin it, and may begin earlier."""
        self._pieces.clear()
        self.until_s = float("-inf")

    @property
    def since_s(self) -> float:
        """From when on something is known, in seconds; infinity while nothing is."""
        return float(self._pieces[0][0][0]) if self._pieces else float("inf")

    def covers(self, start_s: float) -> bool:
        """Whether all is known from a moment on."""
        return bool(self._pieces) and start_s >= self.since_s

    def sampled(self, start_s: float, count: int, step_s: float) -> Vector:
        """Signatures at `count` steady times, interpolated, shape (count, size)."""
        times = np.concatenate([piece[0] for piece in self._pieces])
        values = np.concatenate([piece[1] for piece in self._pieces])
        wanted = start_s + step_s * np.arange(count)
        after = np.clip(np.searchsorted(times, wanted), 1, max(1, len(times) - 1))
        before = after - 1
        after = np.minimum(after, len(times) - 1)
        span = np.maximum(times[after] - times[before], 1e-9)
        share = np.clip((wanted - times[before]) / span, 0.0, 1.0)[:, None].astype(np.float32)
        sampled: Vector = values[before] * (1 - share) + values[after] * share
        return sampled
