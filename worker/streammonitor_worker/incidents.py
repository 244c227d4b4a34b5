"""The one state machine that turns measurements into incidents, for every detector alike.

A defect is raised when it was measured for its minimum duration, with a start that is backdated to
the first defective picture or sound; it ends when it was seen to be gone for its clear duration,
and then ended where it was gone first. What cannot be told neither raises nor ends anything.

How bad an incident is, `severity.py` tells.

All durations are media time. There is no clock: wall-clock times are those at which the pictures
and sound in question had arrived.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from streammonitor_api.incident import EndReason, Incident, Severity, incident_id
from streammonitor_api.worker_status import DetectorState
from streammonitor_worker.detectors.base import DetectorParams, Measurement, Verdict
from streammonitor_worker.evidence import Evidence
from streammonitor_worker.severity import TOLERANCE_S, Course, Scale

UPDATE_EVERY_S = 10.0
"""An incident that goes on is reported again at most this often, unless it gets worse."""


class EventKind(StrEnum):
    """What happened to an incident."""

    STARTED = "started"
    UPDATED = "updated"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class IncidentEvent:
    """Something that happened to an incident. Of one incident: started, updated*, ended.

    Attributes:
        kind: What happened.
        incident: The incident as it is now.
        evidence: What can be shown of it; None where no evidence is kept.
    """

    kind: EventKind
    incident: Incident
    evidence: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose incidents a machine tells of.

    Attributes:
        monitor_uid: UID of the StreamMonitor; empty outside a cluster.
        stream: Name of the stream.
        defect: Name of the detector.
        worker: Name of the worker.
        reproducible: Tell episodes apart by media time rather than by wall clock, so that the same
            file gives the same ids.
    """

    monitor_uid: str
    stream: str
    defect: str
    worker: str
    reproducible: bool = False


class _Moment(NamedTuple):
    """A point of media time, and the Unix time at which it had arrived."""

    media_s: float
    wall_s: float


@dataclass(slots=True)
class _Suspicion:
    """A defect that has not lasted long enough yet.

    Attributes:
        start: Where it began.
        course: How it went.
    """

    start: _Moment
    course: Course


@dataclass(slots=True)
class _Episode:
    """The incident that is open.

    Attributes:
        incident: As it was reported, or will be.
        course: How it went on this machine's media time; None until something was measured since
            it was adopted.
        start_s: Its start on this machine's media time; None until something was measured since it
            was adopted. Another worker's media time began elsewhere.
        announced: Somebody was told.
        told_s: Media time of the last event.
    """

    incident: Incident
    course: Course | None
    start_s: float | None
    announced: bool
    told_s: float = 0.0

    def locate(self, measurement: Measurement) -> float:
        """Its start on this machine's media time, found by the wall clock if it was adopted."""
        if self.start_s is None:
            age_s = measurement.arrived_at - self.incident.started_at.timestamp()
            self.start_s = measurement.start_s - max(0.0, age_s)
            self.told_s = measurement.start_s
        return self.start_s

    def reported_s(self, media_s: float) -> float:
        """A point of this machine's media time on the media time that the incident reports."""
        if self.start_s is None:
            return self.incident.start_s
        return self.incident.start_s + max(0.0, media_s - self.start_s)


class IncidentMachine:
    """One detector's incidents on one stream.

    Args:
        scale: What the detector measures that tells how bad it is.

    Attributes:
        subject: Whose incidents they are.
        params: How long a defect must last, and be gone; may be replaced at any time.
        muted: Follow the measurements but tell nobody: another worker holds the stream. What is
            open when the mute is lifted is announced with the next defective measurement.
    """

    def __init__(
        self, subject: Subject, params: DetectorParams, scale: Scale | None = None
    ) -> None:
        self.subject = subject
        self.params = params
        self._scale = scale or Scale()
        self.muted = False
        self._known = False
        self._suspect: _Suspicion | None = None
        self._good: _Moment | None = None
        self._episode: _Episode | None = None
        self._last: _Moment | None = None
        self._floor_s = float("-inf")
        self._last_episode_ms: int | None = None

    @property
    def state(self) -> DetectorState:
        """What is known now."""
        if self._episode is not None:
            return DetectorState.CLEARING if self._good else DetectorState.ACTIVE
        if self._suspect is not None:
            return DetectorState.SUSPECT
        return DetectorState.OK if self._known else DetectorState.UNKNOWN

    @property
    def incident(self) -> Incident | None:
        """The open incident, if somebody was told of it."""
        episode = self._episode
        return episode.incident if episode is not None and episode.announced else None

    @property
    def course(self) -> Course | None:
        """How the defect that is suspected or open went so far; None without one.

        Another course, or an earlier start of the same one, is news of where the defect began.
        """
        if self._episode is not None:
            return self._episode.course
        return None if self._suspect is None else self._suspect.course

    @property
    def gone_s(self) -> float | None:
        """While the defect that is open seems to be gone: since when, in media time."""
        return None if self._good is None else self._good.media_s

    def explain(self, defect: str) -> None:
        """Another detector sees its own defect because of this one."""
        if self.course is not None:
            self.course.consequences.setdefault(defect)

    def feed(self, measurement: Measurement, arrived_at: float) -> list[IncidentEvent]:
        """Take the next measurement.

        Args:
            measurement: What was found; its end never lies before that of the one before.
            arrived_at: Unix time at which what completed it had arrived.
        """
        if self._episode is not None:
            self._locate(self._episode, measurement)
        if self.course is not None:
            self.course.follow(measurement, self._scale, self.params)
        self._last = _Moment(measurement.end_s, arrived_at)
        if measurement.verdict is Verdict.BAD:
            return self._bad(measurement, arrived_at)
        if measurement.verdict is Verdict.GOOD:
            return self._gone(measurement)
        if measurement.verdict is Verdict.UNKNOWN:
            self._suspect = self._good = None
        self._known = measurement.verdict is not Verdict.UNKNOWN
        return []

    def adopt(self, incident: Incident) -> list[IncidentEvent]:
        """Go on with an incident that was raised elsewhere: it keeps its id, start and episode.

        Only evidence ends it. If an incident of our own is already known to others, that one goes
        on, and the other ends where ours began.
        """
        own = self._episode
        if own is not None and own.announced:
            if own.incident.id == incident.id:
                return []
            return self._supersede(incident, own.incident)
        reopened = {"ended_at": None, "end_reason": None, "expires_at": None, "end_s": None}
        self._suspect = self._good = None
        self._episode = _Episode(
            incident.model_copy(update={**reopened, "worker": self.subject.worker}),
            course=None,
            start_s=None,
            announced=True,
        )
        return []

    def finish(self, reason: EndReason) -> list[IncidentEvent]:
        """Nothing more will be measured: end what is open, where it was last seen."""
        at = self._good or self._last
        self._known = False
        self._suspect = None
        if self._episode is None:
            return []
        if at is None:
            incident = self._episode.incident
            at = _Moment(incident.detected_s, incident.detected_at.timestamp())
        return self._end(reason, at)

    def _bad(self, measurement: Measurement, arrived_at: float) -> list[IncidentEvent]:
        self._known = True
        self._good = None
        if self._episode is not None:
            return self._go_on(self._episode, measurement)
        suspect = self._suspect = self._suspicion(measurement)
        if not _reached(suspect.start.media_s, measurement.end_s, self.params.min_duration):
            return []
        self._episode = self._open(suspect, measurement, arrived_at)
        self._suspect = None
        return self._announce(self._episode, measurement)

    def _suspicion(self, measurement: Measurement) -> _Suspicion:
        """What is suspected, this measurement included."""
        start = _Moment(max(measurement.start_s, self._floor_s), measurement.arrived_at)
        suspect = self._suspect
        if suspect is None:
            suspect = _Suspicion(start, Course(start.media_s, start.media_s))
            suspect.course.follow(measurement, self._scale, self.params)
        elif start.media_s < suspect.start.media_s:
            suspect.start = start
            suspect.course.reach_back(start.media_s)
        suspect.course.compare(measurement, self._scale, self.params)
        return suspect

    def _locate(self, episode: _Episode, measurement: Measurement) -> None:
        """Find an adopted incident on this machine's media time."""
        if episode.course is None:
            start_s = episode.locate(measurement)
            # What it covered before is known of its worst moment only.
            worst = episode.incident.measurements
            weight = self._scale.weight(worst, self.params, 1.0)
            lasted_s = measurement.start_s - start_s
            episode.course = Course(start_s, measurement.start_s, weight * lasted_s, weight)
            episode.course.badness = self._scale.badness(worst, self.params)

    def _open(self, suspect: _Suspicion, measurement: Measurement, arrived_at: float) -> _Episode:
        subject, start, course = self.subject, suspect.start, suspect.course
        episode = self._episode_name(start)
        incident = Incident(
            id=incident_id(subject.monitor_uid, subject.stream, subject.defect, episode),
            monitor_uid=subject.monitor_uid,
            stream=subject.stream,
            defect=subject.defect,
            episode=episode,
            severity=course.severity(self.params),
            started_at=_utc(start.wall_s),
            detected_at=_utc(max(start.wall_s, arrived_at)),
            start_s=start.media_s,
            detected_s=measurement.end_s,
            confidence=measurement.confidence,
            measurements=(course.worst or measurement).values,
            consequences=list(course.consequences),
            worker=subject.worker,
        )
        return _Episode(incident, course, start.media_s, announced=False)

    def _episode_name(self, start: _Moment) -> str:
        name_ms = round((start.media_s if self.subject.reproducible else start.wall_s) * 1000)
        if self._last_episode_ms is not None:
            # All pictures of one segment arrive at once, and so may two short episodes.
            name_ms = max(name_ms, self._last_episode_ms + 1)
        self._last_episode_ms = name_ms
        return str(name_ms)

    def _go_on(self, episode: _Episode, measurement: Measurement) -> list[IncidentEvent]:
        before = episode.incident
        worst = self._worsen(episode, measurement)
        if self.muted or not episode.announced:
            return self._announce(episode, measurement)
        due = _reached(episode.told_s, measurement.end_s, UPDATE_EVERY_S)
        if worst is before.severity and not due:
            return []
        episode.told_s = measurement.end_s
        return [IncidentEvent(EventKind.UPDATED, episode.incident)]

    def _worsen(self, episode: _Episode, measurement: Measurement) -> Severity:
        """Bring the incident up to date with a defective measurement; return its severity."""
        before, course = episode.incident, episode.course
        update: dict[str, object] = {"confidence": max(before.confidence, measurement.confidence)}
        worst = before.severity
        if course is not None:
            course.compare(measurement, self._scale, self.params)
            worst = max(worst, course.severity(self.params), key=lambda one: one.rank)
            if course.worst is not None:
                update["measurements"] = course.worst.values
            update["consequences"] = [*dict.fromkeys([*before.consequences, *course.consequences])]
        episode.incident = before.model_copy(update={**update, "severity": worst})
        return worst

    def _announce(self, episode: _Episode, measurement: Measurement) -> list[IncidentEvent]:
        if self.muted:
            return []
        episode.announced = True
        episode.told_s = measurement.end_s
        return [IncidentEvent(EventKind.STARTED, episode.incident)]

    def _gone(self, measurement: Measurement) -> list[IncidentEvent]:
        self._known = True
        self._suspect = None
        episode = self._episode
        if episode is None:
            return []
        if self._good is None:
            start_s = max(measurement.start_s, episode.locate(measurement))
            self._good = _Moment(start_s, measurement.arrived_at)
        if not _reached(self._good.media_s, measurement.end_s, self.params.clear_duration):
            return []
        if self.muted and episode.announced:
            # Others know of it, and only the holder ends it.
            return []
        return self._end(EndReason.CLEARED, self._good)

    def _end(self, reason: EndReason, at: _Moment) -> list[IncidentEvent]:
        episode, self._episode = self._episode, None
        self._good = None
        self._floor_s = at.media_s
        if episode is None or self.muted or not episode.announced:
            return []
        incident = episode.incident.model_copy(
            update={
                "ended_at": max(episode.incident.started_at, _utc(at.wall_s)),
                "end_reason": reason,
                "end_s": episode.reported_s(at.media_s),
            }
        )
        return [IncidentEvent(EventKind.ENDED, incident)]

    def _supersede(self, other: Incident, own: Incident) -> list[IncidentEvent]:
        if self.muted:
            return []
        ended_at = max(other.started_at, own.started_at)
        lasted_s = (ended_at - other.started_at).total_seconds()
        ended = other.model_copy(
            update={
                "ended_at": ended_at,
                "end_reason": EndReason.INTERRUPTED,
                "end_s": other.start_s + lasted_s,
                "worker": self.subject.worker,
            }
        )
        return [IncidentEvent(EventKind.ENDED, ended)]


def _reached(start_s: float, end_s: float, duration_s: float) -> bool:
    return end_s - start_s >= duration_s - TOLERANCE_S


def _utc(wall_s: float) -> datetime:
    return datetime.fromtimestamp(wall_s, UTC)
