"""What a detector is: parameters, a name, and a function from measures to measurements.

A detector measures; it never decides about incidents. `incidents.py` alone owns thresholds in
time: how long before an incident is raised, how long before it is cleared.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np
import numpy.typing as npt
from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_api.model import Model
from streammonitor_worker.frames import TransportView
from streammonitor_worker.measures.hops import Hop
from streammonitor_worker.measures.picture import PictureMeasures
from streammonitor_worker.measures.sound import SoundMeasures
from streammonitor_worker.onlookers import Onlooker


class Kind(StrEnum):
    """What a detector looks at."""

    VIDEO = "video"
    AUDIO = "audio"
    TRANSPORT = "transport"
    """How the stream comes, be it decoded or not."""

    @property
    def decoded(self) -> bool:
        """Whether its input has to be decoded."""
        return self is not Kind.TRANSPORT


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
    DISPUTED = "disputed"
    """Above the raise threshold, while a defect is suspected that would explain it: no detector
    says so of itself."""

    @property
    def tells(self) -> bool:
        """Whether it can be told what it is."""
        return self not in (Verdict.UNKNOWN, Verdict.DISPUTED)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a detector found over a span of media time.

    Attributes:
        start_s: Start of the span, media time in seconds.
        end_s: End of the span (exclusive), media time in seconds.
        arrived_at: Unix time at which the first picture or sound of the span had arrived.
        verdict: What it says.
        confidence: How sure, 0..1.
        values: What was measured; units in the names.
        tiles: Which parts of the picture are defective, shape (rows, columns) over the whole
            picture; None if that is not known. For evidence only.
    """

    start_s: float
    end_s: float
    arrived_at: float
    verdict: Verdict
    confidence: float = 1.0
    values: dict[str, float] = field(default_factory=dict)
    tiles: npt.NDArray[np.bool_] | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Trace:
    """A measured value by which a detector judges, and where its limits lie.

    Reports draw it over time; of an incident, it tells which measurement was the worst.

    Attributes:
        values: Names in `Measurement.values`; several are added up.
        unit: For people; empty for a ratio.
        raise_at: The raise threshold, from the parameters.
        clear_at: The clear threshold, from the parameters; None where there is no such.
        below: It is bad at or below the raise threshold rather than at or above it.
        critical_at: From where on it is critical at once; None where only time makes it so.
    """

    values: tuple[str, ...]
    unit: str
    raise_at: Callable[[Any], float]
    clear_at: Callable[[Any], float] | None = None
    below: bool = False
    critical_at: Callable[[Any], float] | None = None

    def critical(self, values: Mapping[str, float], params: "DetectorParams") -> bool:
        """Whether a measurement is critical however short it lasts."""
        value = self.of(values)
        if value is None or self.critical_at is None:
            return False
        limit = self.critical_at(params)
        return value <= limit if self.below else value >= limit

    def of(self, values: Mapping[str, float]) -> float | None:
        """What is drawn of one measurement; None where it was not measured."""
        if any(name not in values for name in self.values):
            return None
        return sum(values[name] for name in self.values)

    def excess(self, values: Mapping[str, float], params: "DetectorParams") -> float | None:
        """How far it lies beyond the raise threshold, in units of the hysteresis if there is one.

        That unit makes traces comparable whose values are not. None where it was not measured.
        """
        value = self.of(values)
        if value is None:
            return None
        limit = self.raise_at(params)
        gap = 0.0 if self.clear_at is None else abs(limit - self.clear_at(params))
        return (limit - value if self.below else value - limit) / (gap or 1.0)


Profiles = Mapping[str, Mapping[str, Any]]
"""Parameters by profile, as they are on the wire. `broadcast` is what is built in and not listed;
what a profile does not name is as built in."""
Units = Mapping[str, str]
"""Units by parameter, as they are on the wire; a duration carries its own."""


class DetectorParams(Model):
    """Parameters that every detector has. Subclasses give the defaults and add their own.

    Every field has a description, a default and bounds; what is generated from them states all
    three, so a description repeats neither.
    """

    units: ClassVar[Units] = {}
    profiles: ClassVar[Profiles] = {}

    min_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long the defect must last before an incident is raised."""
    clear_duration: Duration = Field(default=1.0, ge=0.1, le=3600)
    """How long the defect must be gone before its incident ends."""
    critical_after: Duration = Field(default=10.0, ge=0.1, le=86400)
    """How long the defect must last for its incident to become critical."""


class AreaParams(DetectorParams):
    """Parameters of detectors that measure which share of the picture is defective."""

    critical_area: float = Field(default=0.1, ge=0.001, le=1.0)
    """Share of the picture at which an incident becomes critical after `criticalAfter`; at twice
    the area after half that time, at half the area after twice, and at most ten times."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a detector cannot tell anything, whatever the stream shows.

    Attributes:
        reason: CamelCase cause, as in ModelMissing.
        message: One sentence for a person: what, where, remedy.
    """

    reason: str
    message: str


P = TypeVar("P", bound=DetectorParams)
M = TypeVar("M", PictureMeasures, SoundMeasures, TransportView)


class Detector(ABC, Generic[P, M]):
    """One defect test on one stream. A subclass lives alone in a file that is named after it.

    Life: construct, observe every measure in order, reset where the signal does not continue,
    flush at the end. Everything is media time; there is no clock, no thread and no input or output.
    """

    name: ClassVar[str]
    """Canonical name, identical in CRD, CLI, metrics, events and docs."""
    kind: ClassVar[Kind]
    summary: ClassVar[str]
    """One sentence for people: what it finds."""
    params_type: ClassVar[type[DetectorParams]]
    causes: ClassVar[tuple[str, ...]] = ()
    """Detectors whose defect implies this one: while they see theirs, this one cannot tell."""
    root: ClassVar[bool] = False
    """Whether its defect implies whatever is wrong with pictures and sound meanwhile."""
    cost: ClassVar[float]
    """A hint for planning: CPU time as a share of decoding the same 1080p video."""
    self_contained: ClassVar[bool] = True
    """Whether it needs nothing from its user; others run only where they are asked for."""
    compares: ClassVar[bool] = False
    """Whether it looks at what comparing with a reference feed brings."""
    traces: ClassVar[tuple[Trace, ...]] = ()
    """The values by which it judges."""
    area: ClassVar[str | None] = None
    """Which of its values is the share of the picture that is defective, if one is."""

    def __init__(self, params: P) -> None:
        self.params = params

    @abstractmethod
    def reset(self) -> None:
        """Forget what was learnt of the signal: its format changed or its time jumped."""

    @abstractmethod
    def observe(self, measures: M) -> Iterator[Measurement]:
        """Take the next measures and yield what is now known.

        Ends of spans never go back. A span may lag behind, because its verdict needs what follows;
        it may reach back over an earlier one, which it then corrects; and it may be empty, to say
        that a defect ended where the next began.
        """

    def flush(self) -> Iterator[Measurement]:
        """Yield what was still held back: nothing adjoins what was observed last."""
        yield from ()

    def onlooker(self) -> Onlooker | None:
        """Who is to look at pictures and sound for it; None: it needs nobody."""
        return None

    def trouble(self) -> Trouble | None:
        """Why it cannot tell anything for want of something outside the stream; None if it can."""
        return None


class HopDetector(Detector[P, SoundMeasures], Generic[P]):
    """A sound detector that looks at hops of 100 ms rather than at single blocks."""

    def __init__(self, params: P) -> None:
        super().__init__(params)
        self._forget()

    def reset(self) -> None:
        """Forget the sound before: nothing adjoins it."""
        self._forget()

    def observe(self, measures: SoundMeasures) -> Iterator[Measurement]:
        """Take the hops that became complete."""
        for hop in measures.hops:
            yield from self._take(hop)

    @abstractmethod
    def _forget(self) -> None:
        """Set what was learnt of the sound to nothing; also called at construction."""

    @abstractmethod
    def _take(self, hop: Hop) -> Iterator[Measurement]:
        """Take one hop and yield what is now known."""
