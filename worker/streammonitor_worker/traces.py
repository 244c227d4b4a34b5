"""What the detectors of a live stream measured lately, for who looks at it."""

import math

import numpy as np
import numpy.typing as npt

from streammonitor_worker.detectors import registry
from streammonitor_worker.detectors.base import Measurement

BIN_S = 1
BINS = 600
"""Ten minutes, in 5 kB for each value that a detector judges by."""

Values = npt.NDArray[np.float32]


class Ring:
    """The least and the greatest of one value in each of the last seconds."""

    def __init__(self) -> None:
        self._low: Values = np.full(BINS, np.nan, np.float32)
        self._high = self._low.copy()
        self._bin = 0
        self._least = math.inf
        self._most = -math.inf

    def take(self, at_s: float, value: float) -> None:
        """At this time (Unix, in seconds) it was so much; time that goes back stands still."""
        number = int(at_s) // BIN_S
        if number > self._bin:
            self._close()
            first = max(self._bin + 1, number - BINS + 1)
            self._low[np.arange(first, number + 1) % BINS] = np.nan
            self._high[np.arange(first, number + 1) % BINS] = np.nan
            self._bin = number
            self._least = self._most = value
        elif value < self._least:
            self._least = value
        elif value > self._most:
            self._most = value

    def course(self, now_s: float) -> tuple[list[float | None], list[float | None]]:
        """Least and greatest value of each second up to now, oldest first; None where unknown."""
        self._close()
        numbers = np.arange(-BINS + 1, 1) + int(now_s) // BIN_S
        known = (numbers > self._bin - BINS) & (numbers <= self._bin)
        return _written(self._low, numbers, known), _written(self._high, numbers, known)

    def _close(self) -> None:
        if self._bin:
            self._low[self._bin % BINS] = self._least
            self._high[self._bin % BINS] = self._most


def _written(
    values: Values, numbers: npt.NDArray[np.int_], known: npt.NDArray[np.bool_]
) -> list[float | None]:
    taken = np.where(known, values[numbers % BINS], np.nan)
    return [float(f"{one:.4g}") if math.isfinite(one) else None for one in taken]


class Traces:
    """Every value by which the detectors of one stream judge, over the last minutes."""

    def __init__(self) -> None:
        self._rings: dict[str, dict[tuple[str, ...], Ring]] = {}

    def heard(self, name: str, measurement: Measurement) -> None:
        """A detector measured something."""
        rings = self._rings.get(name)
        if rings is None:
            rings = {trace.values: Ring() for trace in registry[name].traces}
            self._rings[name] = rings
        found = measurement.values
        if not found:
            return
        for names, ring in rings.items():
            try:
                value = found[names[0]] if len(names) == 1 else sum(found[one] for one in names)
            except KeyError:
                continue
            ring.take(measurement.arrived_at, value)

    def of(self, name: str) -> dict[tuple[str, ...], Ring]:
        """Those of one detector, by the names of the values that are added up."""
        return self._rings.get(name, {})
