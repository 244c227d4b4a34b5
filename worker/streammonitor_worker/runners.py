"""What surrounds a detector at work on a stream: its machine, its figures, the media clock."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Self

from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.worker_status import DetectorState
from streammonitor_worker.detectors import AnyDetector, causes_of, registry
from streammonitor_worker.detectors.base import Kind, Measurement, Verdict
from streammonitor_worker.evidence import Witness
from streammonitor_worker.frames import AudioView, FrameView
from streammonitor_worker.incidents import EventKind, IncidentEvent, IncidentMachine
from streammonitor_worker.onlookers import Onlooker
from streammonitor_worker.rehearsal import Rehearsal
from streammonitor_worker.severity import TOLERANCE_S

Listener = Callable[[str, Measurement], None]
"""Is told what a detector measured, by its name."""

STARVED_S = 5.0
"""Of video and audio, one may lag so far behind the other before it counts as missing."""

_DEFECT_STATES = (DetectorState.SUSPECT, DetectorState.ACTIVE, DetectorState.CLEARING)


@dataclass(slots=True)
class DetectorFigures:
    """What a detector did on a stream.

    Attributes:
        observed_s: Media that it could judge, in seconds.
        unknown_s: Media of which it could not tell, in seconds.
        cpu_s: CPU time, in seconds; a shared measure is charged to whoever asked first.
    """

    observed_s: float = 0.0
    unknown_s: float = 0.0
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True)
class _Cue:
    """From which moment of media time to speak, and what is open then."""

    from_s: float
    incidents: list[Incident]


@dataclass(slots=True)
class DetectorRunner:
    """A detector at work.

    Attributes:
        reported: Users asked for it; otherwise it runs only to explain away the consequences of
            its defect.
        witness: Gathers evidence; None where none is kept.
        heard: Is told of every measurement, as it counts; None if nobody listens.
        primed: It found something out at least once.
        hush_s: Media time after which what is measured is another worker's to tell.
    """

    detector: AnyDetector
    machine: IncidentMachine
    reported: bool
    witness: Witness | None = None
    heard: Listener | None = None
    figures: DetectorFigures = field(default_factory=DetectorFigures)
    primed: bool = False
    verdict: Verdict = Verdict.UNKNOWN
    until_s: float | None = None
    defect_until_s: float = float("-inf")
    """End of the last picture or sound that showed the defect, media time in seconds."""
    certain_until_s: float = float("-inf")
    """The same while an incident was open."""
    hush_s: float = float("inf")
    onlooker: Onlooker | None = field(init=False)
    """Looks at pictures and sound for the detector; None if it needs nobody."""
    _rehearsal: Rehearsal | None = None
    _cue: _Cue | None = None

    def __post_init__(self) -> None:
        self.onlooker = self.detector.onlooker()

    def change(self, detector: AnyDetector) -> None:
        """Go on with another detector of the same name."""
        self.detector = detector
        self.onlooker = detector.onlooker()

    @property
    def name(self) -> str:
        """Name of the detector."""
        return self.detector.name

    @property
    def sees_defect(self) -> bool:
        """Whether the last picture or sound shows the defect."""
        if self.verdict is Verdict.BETWEEN:
            return self.machine.state in _DEFECT_STATES
        return self.verdict is Verdict.BAD

    def saw_defect(self, since_s: float) -> bool:
        """Whether anything from this media time on shows the defect."""
        return self.sees_defect or self.defect_until_s > since_s

    def is_certain(self, since_s: float) -> bool:
        """Whether an incident is open, or one was that showed from this media time on."""
        return self.machine.is_open or self.certain_until_s > since_s

    def take(
        self, measurement: Measurement, arrived_at: float, causes: Iterable[Self] = ()
    ) -> list[IncidentEvent]:
        """Hand a measurement to the machine, and count it.

        Args:
            measurement: What was found.
            arrived_at: Unix time at which what completed it had arrived.
            causes: Those whose defect would explain this one.
        """
        self.verdict = measurement.verdict
        if measurement.verdict is Verdict.BAD:
            self.defect_until_s = measurement.end_s
        self.primed |= measurement.verdict is not Verdict.UNKNOWN
        measurement = self._explained(measurement, causes)
        start_s = measurement.start_s if self.until_s is None else self.until_s
        span_s = max(0.0, measurement.end_s - max(start_s, measurement.start_s))
        self.until_s = max(start_s, measurement.end_s)
        if measurement.verdict.tells:
            self.figures.observed_s += span_s
        else:
            self.figures.unknown_s += span_s
        if self.heard is not None:
            self.heard(self.name, measurement)
        events = self._judge(measurement, arrived_at)
        if self.machine.is_open and measurement.verdict is Verdict.BAD:
            self.certain_until_s = measurement.end_s
        return self._shown(events, measurement)

    def _explained(self, measurement: Measurement, causes: Iterable[Self]) -> Measurement:
        """What is left of it beside what would explain it.

        Of a consequence nothing can be told. While the cause is only suspected it may be one: it is
        held back, and goes on from its own start if the suspicion comes to nothing.
        """
        if measurement.verdict not in (Verdict.BAD, Verdict.BETWEEN):
            return measurement
        # What reaches back over its cause is a consequence, even if the cause has ended.
        seen = [cause for cause in causes if cause.saw_defect(measurement.start_s)]
        if seen and measurement.verdict is Verdict.BAD:
            seen[0].machine.explain(self.name)
        if any(cause.is_certain(measurement.start_s) for cause in seen):
            return replace(measurement, verdict=Verdict.UNKNOWN)
        if measurement.verdict is Verdict.BAD and any(cause.sees_defect for cause in seen):
            return replace(measurement, verdict=Verdict.DISPUTED)
        return measurement

    def mute(self, hush_s: float) -> None:
        """Follow without telling of what ends after a moment of media time: another will."""
        self.hush_s, self._cue = hush_s, None
        if hush_s == float("-inf") and self._rehearsal is None:
            self._fall_silent()

    def speak(self, from_s: float, incidents: Iterable[Incident]) -> list[IncidentEvent]:
        """Tell of what ends after a moment of media time, be it measured already or not yet.

        Args:
            from_s: The moment; infinity: now.
            incidents: What is open then.
        """
        self.hush_s = float("inf")
        if self._rehearsal is None:
            return [event for one in incidents for event in self.machine.adopt(one)]
        if self._cue is not None:
            self._cue.incidents.extend(incidents)
            return []
        if from_s == float("inf"):
            self._rehearsal = None
            self.machine.muted = False
            return [event for one in incidents for event in self.machine.adopt(one)]
        self._cue = _Cue(from_s, list(incidents))
        return self._shown(self._on_cue(), None)

    def _judge(self, measurement: Measurement, arrived_at: float) -> list[IncidentEvent]:
        if self._rehearsal is None and measurement.end_s > self.hush_s + TOLERANCE_S:
            self._fall_silent()
        events = self.machine.feed(measurement, arrived_at)
        if self._rehearsal is not None:
            self._rehearsal.take(measurement, arrived_at)
        return [*events, *self._on_cue()]

    def _fall_silent(self) -> None:
        self._rehearsal = Rehearsal(self.machine)
        self.machine.muted = True

    def _on_cue(self) -> list[IncidentEvent]:
        """Begin to speak once the moment has come."""
        cue, rehearsal = self._cue, self._rehearsal
        if cue is None or rehearsal is None or not rehearsal.beyond(cue.from_s):
            return []
        self._rehearsal = self._cue = None
        self.machine, events = rehearsal.perform(cue.from_s, cue.incidents, self.machine.params)
        return events

    def finish(self, reason: EndReason) -> list[IncidentEvent]:
        """Nothing more will be measured: end what is open."""
        return self._shown(self.machine.finish(reason), None)

    def _shown(
        self, events: list[IncidentEvent], measurement: Measurement | None
    ) -> list[IncidentEvent]:
        """Keep what can be shown, and add it to what is told."""
        witness = self.witness
        if witness is None:
            return events
        if any(event.kind is EventKind.ENDED for event in events):
            ended_s = float("inf") if measurement is None else measurement.start_s
            return [replace(event, evidence=witness.tell(ended_s)) for event in events]
        if measurement is not None:
            witness.follow(self.machine.course, self.machine.gone_s, measurement)
        return [replace(event, evidence=witness.tell()) for event in events]

    def interrupt(self, start_s: float, end_s: float, arrived_at: float) -> list[IncidentEvent]:
        """The signal does not continue: what was held back is all that will be known."""
        events: list[IncidentEvent] = []
        for measurement in self.detector.flush():
            events += self.take(measurement, arrived_at)
        self.detector.reset()
        start_s = max(start_s, self.until_s or start_s)
        unknown = Measurement(start_s, max(start_s, end_s), arrived_at, Verdict.UNKNOWN)
        return events + self.take(unknown, arrived_at)


@dataclass(slots=True)
class MediaClock:
    """How far the media came.

    Attributes:
        until_s: End of everything that was seen, media time in seconds.
        seen_s: The same for video and audio by themselves.
        arrived_at: Unix time at which the last of it had arrived.
        blind: What is missing, and a sentence about it.
    """

    until_s: float = 0.0
    seen_s: dict[Kind, float] = field(default_factory=dict)
    arrived_at: float = 0.0
    blind: dict[Kind, str] = field(default_factory=dict)

    def advance(self, kind: Kind, view: FrameView | AudioView) -> float:
        """Take a view; return by how much the media became longer."""
        before = self.until_s
        self.until_s = max(before, view.time_s + view.duration_s)
        self.seen_s[kind] = self.until_s
        self.arrived_at = view.arrived_at
        return self.until_s - before

    def starved(self, kind: Kind) -> bool:
        """Whether nothing of this kind came for too long."""
        return self.until_s - self.seen_s.setdefault(kind, 0.0) > STARVED_S


def causes_first(names: Iterable[str]) -> Iterator[str]:
    """Every name and what may cause it, each once and after its causes."""
    given: dict[str, None] = {}

    def visit(name: str) -> None:
        for cause in causes_of(registry[name]):
            visit(cause)
        given.setdefault(name)

    for name in sorted(names):
        visit(name)
    yield from given
