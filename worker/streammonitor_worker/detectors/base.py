"""What a detector is: parameters, a name, and a function from views to measurements.

A detector measures; it never decides about incidents. `incidents.py` alone owns thresholds in
time: how long before an incident is raised, how long before it is cleared.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_api.model import Model


class Kind(StrEnum):
    """What a detector looks at."""

    VIDEO = "video"
    AUDIO = "audio"


class Verdict(StrEnum):
    """What one measurement says, before any duration is considered."""

    UNKNOWN = "unknown"
    """It cannot be told."""
    GOOD = "good"
    """Below the clear threshold."""
    BETWEEN = "between"
    """Between the clear and the raise threshold: keeps whatever state there is."""
    BAD = "bad"
    """Above the raise threshold."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a detector found over a span of media time.

    Attributes:
        start_s: Start of the span, media time in seconds.
        end_s: End of the span (exclusive), media time in seconds.
        verdict: What it says.
        confidence: How sure, 0..1.
        values: What was measured; units in the names.
    """

    start_s: float
    end_s: float
    verdict: Verdict
    confidence: float = 1.0
    values: dict[str, float] = field(default_factory=dict)


class DetectorParams(Model):
    """Parameters that every detector has. Subclasses give the defaults and add their own.

    Every field states default and unit in its description, and has bounds.
    """

    min_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long the defect must last before an incident is raised, 100ms..1h."""
    clear_duration: Duration = Field(default=1.0, ge=0.1, le=3600)
    """How long the defect must be gone before its incident ends, 100ms..1h."""
    critical_after: Duration = Field(default=10.0, ge=0.1, le=86400)
    """How long the defect must last for the incident to become critical, 100ms..24h."""


P = TypeVar("P", bound=DetectorParams)


class Detector(Generic[P]):
    """One defect test on one stream. Subclasses live in a file of their own named after it."""

    name: ClassVar[str]
    """Canonical name, identical in CRD, CLI, metrics, events and docs."""
    kind: ClassVar[Kind]
    summary: ClassVar[str]
    """One sentence for people: what it finds."""
    params_type: ClassVar[type[DetectorParams]]

    def __init__(self, params: P) -> None:
        self.params = params

    def reset(self) -> None:
        """Forget what was learnt of the signal: its format changed or its time jumped."""
        raise NotImplementedError

    def observe(self, view: Any) -> Iterator[Measurement]:
        """Take one view (with its shared measures) and yield what is now known, in time order."""
        raise NotImplementedError

    def flush(self) -> Iterator[Measurement]:
        """Yield what is still held back at the end of the source."""
        yield from ()
