"""How bad an incident is: how long it lasts, how much of the picture it covers, what was worst.

An incident is critical once its *exposure* reaches `criticalAfter`: the seconds for which it has
lasted, each weighted with the defective area as a multiple of `criticalArea`. So a defect that
covers five times that area is critical after a fifth of the time, and a small one stays a warning
for longer. Where no area is measured, or damage is reported that cannot be seen, exposure is plain
duration. A detector whose values have a critical threshold of their own, as the error of sync has,
is critical at once beyond it.
"""

from dataclasses import dataclass, field

from streammonitor_api.incident import Severity
from streammonitor_worker.detectors.base import AreaParams, DetectorParams, Measurement, Trace

LEAST_WEIGHT = 0.1
"""However small the area, a second counts this much: a defect that does not go away is critical in
the end."""
TOLERANCE_S = 0.001
"""Time stamps in milliseconds make 60 pictures a fraction shorter than the 2 s that they last."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What a detector measures that tells how bad it is.

    Attributes:
        traces: The values by which it judges.
        area: Which of its values is the defective share of the picture; None without one.
    """

    traces: tuple[Trace, ...] = ()
    area: str | None = None

    def badness(self, values: dict[str, float], params: DetectorParams) -> float | None:
        """How far what was measured lies beyond the raise threshold; None if nothing tells.

        In units of the hysteresis; where a detector judges by several values, the worst counts.
        """
        found = [trace.excess(values, params) for trace in self.traces]
        return max((excess for excess in found if excess is not None), default=None)

    def critical(self, values: dict[str, float], params: DetectorParams) -> bool:
        """Whether what was measured is critical however short it lasts."""
        return any(trace.critical(values, params) for trace in self.traces)

    def weight(self, values: dict[str, float], params: DetectorParams, before: float) -> float:
        """How much a second of this counts; `before` is what the second before it did."""
        if self.area is None or not isinstance(params, AreaParams):
            return 1.0
        if not values.get(self.area):
            return before
        return max(LEAST_WEIGHT, values[self.area] / params.critical_area)


@dataclass(slots=True)
class Course:
    """How a defect went since it began.

    Attributes:
        start_s: Its first defective picture or sound, media time in seconds.
        until_s: Up to where it was followed.
        exposure_s: Seconds between the two, weighted with the area.
        weight: Of the latest second.
        badness: Of the worst so far; None if nothing tells, and then the latest counts as worst.
        worst: The worst measurement; of equal ones, the first. None for what was seen elsewhere.
        critical: Something was measured that is critical however short it lasts.
        consequences: Detectors that saw their own defect because of it.
    """

    start_s: float
    until_s: float
    exposure_s: float = 0.0
    weight: float = 1.0
    badness: float | None = None
    worst: Measurement | None = None
    critical: bool = False
    consequences: dict[str, None] = field(default_factory=dict)

    def follow(self, measurement: Measurement, scale: Scale, params: DetectorParams) -> None:
        """Take the next measurement, whatever it says."""
        self.weight = scale.weight(measurement.values, params, self.weight)
        if measurement.end_s > self.until_s:
            self.exposure_s += self.weight * (measurement.end_s - self.until_s)
            self.until_s = measurement.end_s

    def reach_back(self, start_s: float) -> None:
        """It turned out to have begun earlier."""
        self.exposure_s += self.weight * (self.start_s - start_s)
        self.start_s = start_s

    def compare(self, measurement: Measurement, scale: Scale, params: DetectorParams) -> None:
        """Take a defective measurement: it may be the worst."""
        self.critical = self.critical or scale.critical(measurement.values, params)
        badness = scale.badness(measurement.values, params)
        if badness is None or self.badness is None or badness > self.badness:
            self.worst, self.badness = measurement, badness

    def severity(self, params: DetectorParams) -> Severity:
        """How bad it is by now."""
        critical = self.critical or self.exposure_s >= params.critical_after - TOLERANCE_S
        return Severity.CRITICAL if critical else Severity.WARNING
