"""What a page shows of one input, gathered while it is analysed."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from streammonitor_worker.detectors import AnyDetector, registry
from streammonitor_worker.detectors.base import DetectorParams, Measurement
from streammonitor_worker.evidence import Evidence
from streammonitor_worker.incidents import EventKind, IncidentEvent
from streammonitor_worker.report.lines import Curve, Line, Spans
from streammonitor_worker.thumbnails import Thumbnail, Tiles
from streammonitor_worker.waveform import Waveform

MAX_SHOWN = 100
"""Incidents of one input whose evidence is kept: about 4 MB of a page."""


@dataclass(frozen=True, slots=True)
class Shot:
    """A picture that is ready to be shown.

    Attributes:
        role: What it shows of the incident: start, worst or end.
        time_s: Media time, in seconds.
        width: In pixels.
        height: In pixels.
        jpeg: The encoded picture.
        tiles: Its defective parts, shape (rows, columns).
    """

    role: str
    time_s: float
    width: int
    height: int
    jpeg: bytes
    tiles: Tiles | None


@dataclass(frozen=True, slots=True)
class Exhibit:
    """The evidence of one incident, encoded."""

    shots: tuple[Shot, ...]
    waveform: Waveform | None


@dataclass(frozen=True, slots=True)
class Limit:
    """A threshold of a graph."""

    value: float
    raises: bool
    below: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """A value over time and the thresholds that it is judged by."""

    name: str
    unit: str
    curve: Curve
    limits: tuple[Limit, ...]


@dataclass(frozen=True, slots=True)
class Lane:
    """What one detector did: when it could not tell, and what it measured.

    Attributes:
        name: Of the detector.
        summary: What it finds, for people.
        unknown: Start and end of every stretch of which it could not tell, in seconds.
        graphs: The values by which it judges.
        params: Its parameters.
    """

    name: str
    summary: str
    unknown: list[tuple[float, float]]
    graphs: list[Graph]
    params: DetectorParams


@dataclass(frozen=True, slots=True)
class Record:
    """What a page shows of one input, beside what the contract says of it.

    Attributes:
        lanes: One for each detector.
        exhibits: The evidence by the incident's id.
        consequences: Detectors that an incident explains, by its id.
    """

    lanes: list[Lane]
    exhibits: dict[str, Exhibit]
    consequences: dict[str, list[str]] = field(default_factory=dict)


class Recorder:
    """Listens to one input's analysis."""

    def __init__(self) -> None:
        self._lines: defaultdict[tuple[str, tuple[str, ...]], Line] = defaultdict(Line)
        self._known: defaultdict[str, Spans] = defaultdict(Spans)
        self._until: dict[str, float] = {}
        self._exhibits: dict[str, Exhibit] = {}
        self._consequences: dict[str, list[str]] = {}

    def heard(self, name: str, measurement: Measurement) -> None:
        """A detector measured something."""
        start_s = max(self._until.get(name, 0.0), measurement.start_s)
        if measurement.end_s < start_s:
            return
        self._until[name] = measurement.end_s
        if measurement.verdict.tells:
            self._known[name].add(start_s, measurement.end_s)
        for trace in registry[name].traces:
            value = trace.of(measurement.values)
            if value is not None:
                self._lines[name, trace.values].take(start_s, measurement.end_s, value)

    def told(self, event: IncidentEvent) -> None:
        """Something happened to an incident; what ended is encoded, and its copies are gone."""
        incident, evidence = event.incident, event.evidence
        if event.kind is not EventKind.ENDED:
            return
        self._consequences[incident.id] = incident.consequences
        if evidence is not None and len(self._exhibits) < MAX_SHOWN:
            self._exhibits[incident.id] = encoded(evidence)

    def record(self, params: Mapping[str, DetectorParams], duration_s: float) -> Record:
        """What was gathered."""
        lanes = [self._lane(name, params[name], duration_s) for name in sorted(params)]
        return Record(lanes, self._exhibits, self._consequences)

    def _lane(self, name: str, params: DetectorParams, duration_s: float) -> Lane:
        detector = registry[name]
        unknown = self._known[name].rest(duration_s)
        return Lane(name, detector.summary, unknown, self._graphs(detector, params), params)

    def _graphs(self, detector: type[AnyDetector], params: DetectorParams) -> list[Graph]:
        found: dict[tuple[str, ...], Graph] = {}
        for trace in detector.traces:
            line = self._lines.get((detector.name, trace.values))
            if line is None:
                continue
            limits = [Limit(trace.raise_at(params), True, trace.below)]
            if trace.clear_at is not None:
                limits.append(Limit(trace.clear_at(params), False, trace.below))
            before = found[trace.values].limits if trace.values in found else ()
            name = " + ".join(trace.values)
            found[trace.values] = Graph(name, trace.unit, line.curve(), (*before, *limits))
        return list(found.values())


def encoded(evidence: Evidence) -> Exhibit:
    """Evidence that is ready to be shown."""
    roles = (("start", evidence.start), ("worst", evidence.worst), ("end", evidence.end))
    shots = tuple(_shot(role, picture) for role, picture in roles if picture is not None)
    return Exhibit(shots, evidence.waveform)


def _shot(role: str, picture: Thumbnail) -> Shot:
    width, height = picture.size
    return Shot(role, picture.time_s, width, height, picture.jpeg(), picture.tiles)
