"""The one state machine that turns measurements into incidents, for every detector alike.

A defect is raised when it was measured for its minimum duration, with a start that is backdated to
the first defective picture or sound; it ends when it was seen to be gone for its clear duration,
and then ended where it was gone first. What cannot be told neither raises nor ends anything.

How bad an incident is, `severity.py` tells.

All durations are media time. There is no clock: wall-clock times are those at which the pictures
and sound in question had arrived.
"""

from copy import copy, deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Self

from streammonitor_api.incident import EndReason, Incident, Severity, incident_id
from streammonitor_api.worker_status import DetectorState
from streammonitor_worker.detectors.base import DetectorParams, Measurement, Verdict
from streammonitor_worker.episodes import Episode, Moment, Suspicion
from streammonitor_worker.evidence import Evidence
from streammonitor_worker.programme import ProgrammeClock
from streammonitor_worker.severity import TOLERANCE_S, Course, Scale

EXPIRY = timedelta(minutes=5)
"""After an interruption, when a consumer may take an incident as ended."""
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


class IncidentMachine:
    """One detector's incidents on one stream.

    Args:
        scale: What the detector measures that tells how bad it is.
        programme: Tells episodes apart in the same way on every worker.

    Attributes:
        subject: Whose incidents they are.
        params: How long a defect must last, and be gone; may be replaced at any time.
        muted: Follow the measurements but tell nobody: another worker holds the stream. What is
            open when the mute is lifted is announced with the next defective measurement.
    """

    def __init__(
        self,
        subject: Subject,
        params: DetectorParams,
        scale: Scale | None = None,
        programme: ProgrammeClock | None = None,
    ) -> None:
        self._programme = programme or ProgrammeClock()
        self.subject = subject
        self.params = params
        self._scale = scale or Scale()
        self.muted = False
        self._known = False
        self._suspect: Suspicion | None = None
        self._good: Moment | None = None
        self._episode: Episode | None = None
        self._last: Moment | None = None
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
    def is_open(self) -> bool:
        """Whether the defect has lasted long enough, be anybody told of it or not."""
        return self._episode is not None

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

    def undecided_since(self, time_s: float) -> bool:
        """Whether something is in the balance that began before a moment of media time.

        A worker that has followed the stream since then only cannot decide it alike.
        """
        began = self._suspect.start if self._suspect is not None else None
        if self._episode is not None:
            began = self._good
        return began is not None and began.media_s < time_s

    def twin(self) -> Self:
        """Another machine in the same state."""
        twin = copy(self)
        twin._suspect, twin._episode = deepcopy(self._suspect), deepcopy(self._episode)
        return twin

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
        self._last = Moment(measurement.end_s, arrived_at)
        if measurement.verdict is Verdict.BAD:
            return self._bad(measurement, arrived_at)
        if measurement.verdict is Verdict.GOOD:
            return self._gone(measurement)
        if measurement.verdict is not Verdict.BETWEEN:
            self._good = None
            # What is disputed is not raised, but its start is kept until the dispute is settled.
            disputed = measurement.verdict is Verdict.DISPUTED and self._episode is None
            self._suspect = self._suspicion(measurement) if disputed else None
        self._known = measurement.verdict is Verdict.BETWEEN
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
        incident = incident.model_copy(update={**reopened, "worker": self.subject.worker})
        if own is not None:
            # It was followed here, so where it seems to end stays known.
            own.incident, own.announced = incident, True
            own.start_s = self._begun(incident) or own.start_s
            return []
        begun_s = self._begun(incident)
        self._suspect = None
        if begun_s is None or (self._good is not None and self._good.media_s < begun_s):
            self._good = None
        self._episode = Episode(incident, None, begun_s, announced=True)
        return []

    def _begun(self, incident: Incident) -> float | None:
        """Where an incident of another worker began on this machine's media time, if known."""
        named = incident.episode
        return self._programme.media_s(int(named) / 1000) if named.isdecimal() else None

    def finish(self, reason: EndReason) -> list[IncidentEvent]:
        """Nothing more will be measured: end what is open, where it was last seen."""
        at = self._good or self._last
        self._known = False
        self._suspect = None
        if self._episode is None:
            return []
        if at is None:
            incident = self._episode.incident
            at = Moment(incident.detected_s, incident.detected_at.timestamp())
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

    def _suspicion(self, measurement: Measurement) -> Suspicion:
        """What is suspected, this measurement included."""
        start = Moment(max(measurement.start_s, self._floor_s), measurement.arrived_at)
        suspect = self._suspect
        if suspect is None:
            suspect = Suspicion(start, Course(start.media_s, start.media_s))
            suspect.course.follow(measurement, self._scale, self.params)
        elif start.media_s < suspect.start.media_s:
            suspect.start = start
            suspect.course.reach_back(start.media_s)
        suspect.course.compare(measurement, self._scale, self.params)
        return suspect

    def _locate(self, episode: Episode, measurement: Measurement) -> None:
        """Find an adopted incident on this machine's media time."""
        if episode.course is None:
            start_s = episode.locate(measurement)
            episode.told_s = measurement.start_s
            # What it covered before is known of its worst moment only.
            worst = episode.incident.measurements
            weight = self._scale.weight(worst, self.params, 1.0)
            lasted_s = measurement.start_s - start_s
            episode.course = Course(start_s, measurement.start_s, weight * lasted_s, weight)
            episode.course.badness = self._scale.badness(worst, self.params)

    def _open(self, suspect: Suspicion, measurement: Measurement, arrived_at: float) -> Episode:
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
        return Episode(incident, course, start.media_s, announced=False)

    def _episode_name(self, start: Moment) -> str:
        programme_s = self._programme.programme_s(start.media_s)
        at_s = start.wall_s if programme_s is None else programme_s
        name_ms = round((start.media_s if self.subject.reproducible else at_s) * 1000)
        if self._last_episode_ms is not None:
            # All pictures of one segment arrive at once, and so may two short episodes.
            name_ms = max(name_ms, self._last_episode_ms + 1)
        self._last_episode_ms = name_ms
        return str(name_ms)

    def _go_on(self, episode: Episode, measurement: Measurement) -> list[IncidentEvent]:
        before = episode.incident
        worst = self._worsen(episode, measurement)
        if self.muted or not episode.announced:
            return self._announce(episode, measurement)
        due = _reached(episode.told_s, measurement.end_s, UPDATE_EVERY_S)
        if worst is before.severity and not due:
            return []
        episode.told_s = measurement.end_s
        return [IncidentEvent(EventKind.UPDATED, episode.incident)]

    def _worsen(self, episode: Episode, measurement: Measurement) -> Severity:
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

    def _announce(self, episode: Episode, measurement: Measurement) -> list[IncidentEvent]:
        if self.muted:
            return []
        episode.announced = True
        episode.told_s = measurement.end_s
        return [IncidentEvent(EventKind.STARTED, episode.incident)]

    def _gone(self, measurement: Measurement) -> list[IncidentEvent]:
        self._known = True
        self._suspect = None
        episode = self._episode
        if self._good is None:
            began_s = measurement.start_s if episode is None else episode.locate(measurement)
            start_s = max(measurement.start_s, began_s)
            self._good = Moment(start_s, measurement.arrived_at)
        if episode is None:
            return []
        if not _reached(self._good.media_s, measurement.end_s, self.params.clear_duration):
            return []
        if self.muted and episode.announced:
            # Others know of it, and only the holder ends it.
            return []
        return self._end(EndReason.CLEARED, self._good)

    def _end(self, reason: EndReason, at: Moment) -> list[IncidentEvent]:
        episode, self._episode = self._episode, None
        self._good = None
        self._floor_s = at.media_s
        if episode is None or self.muted or not episode.announced:
            return []
        later = episode.course.consequences if episode.course is not None else ()
        incident = episode.incident.model_copy(
            update={
                "consequences": [*dict.fromkeys([*episode.incident.consequences, *later])],
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


def expiring(event: IncidentEvent) -> IncidentEvent:
    """The same interruption, with when a consumer may take the incident as ended."""
    expires_at = datetime.now(UTC) + EXPIRY
    return replace(event, incident=event.incident.model_copy(update={"expires_at": expires_at}))


def _reached(start_s: float, end_s: float, duration_s: float) -> bool:
    return end_s - start_s >= duration_s - TOLERANCE_S


def _utc(wall_s: float) -> datetime:
    return datetime.fromtimestamp(wall_s, UTC)
