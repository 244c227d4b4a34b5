"""Which incidents are open, which ended, and what still has to be told about them.

Fed with what workers say; asks nobody. After a restart of the operator it begins with what the
resource's status and the assignments say was open.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.status import IncidentSummary
from streammonitor_api.worker_status import WorkerStatus
from streammonitor_operator.specs.event import ENDED, STARTED

ANNOUNCE_WITHIN = timedelta(minutes=10)
"""A worker goes on listing its last ended incidents for hours. A restarted operator tells of those
that are younger than this: older Events were written, and may have expired and been removed."""

Announcement = tuple[str, str]
"""An incident's id and a phase."""


class Ledger:
    """The incidents of one StreamMonitor."""

    def __init__(self, monitor_uid: str) -> None:
        self._uid = monitor_uid
        self.open: dict[str, Incident] = {}
        """By id; also those whose worker is gone and that wait to be adopted."""
        self.last: IncidentSummary | None = None
        """The incident that changed last."""
        self.pending: dict[Announcement, Incident] = {}
        """What still has to be announced."""
        self._ended: set[str] = set()
        self._announced: set[Announcement] = set()
        self._old: set[str] = set()

    def seed(
        self,
        active: Iterable[IncidentSummary],
        carried: Iterable[Incident],
        last: IncidentSummary | None,
    ) -> None:
        """Begin with what an earlier operator left: it has announced these."""
        for summary in active:
            self.open[summary.id] = _from_summary(summary, self._uid)
        for incident in carried:
            self.open[incident.id] = incident
        self._old = set(self.open)
        self.last = last

    def absorb(
        self, live: Iterable[WorkerStatus], departed: Iterable[WorkerStatus], now: datetime
    ) -> None:
        """Take in what workers say now, and what others said last before they went."""
        speaking = list(live)
        told = [i for status in (*departed, *speaking) for i in status.incidents]
        held = {i.id for status in speaking for i in status.incidents if i.active}
        for incident in told:
            if incident.active or incident.end_reason is EndReason.INTERRUPTED:
                self._opened(incident, now)
            elif incident.id not in held:
                self._closed(incident, now)
        listed = {incident.id for incident in told}
        self._prune(listed)

    def close(self, unwanted: Callable[[Incident], bool], reason: EndReason, now: datetime) -> None:
        """End open incidents that no worker holds and none will."""
        for incident in [one for one in self.open.values() if unwanted(one)]:
            self._closed(incident.model_copy(update={"ended_at": now, "end_reason": reason}), now)

    def announced(self, announcement: Announcement) -> None:
        """Take note that an Event exists."""
        self.pending.pop(announcement, None)
        self._announced.add(announcement)

    def _opened(self, incident: Incident, now: datetime) -> None:
        if incident.id in self._ended:
            return
        if not incident.active:
            incident = _reopened(incident)
        self.open[incident.id] = incident
        self._changed(incident)
        recent = now - incident.detected_at < ANNOUNCE_WITHIN
        if recent or incident.id not in self._old:
            self._announce(incident, STARTED)

    def _closed(self, incident: Incident, now: datetime) -> None:
        if incident.id in self._ended:
            return
        was_open = self.open.pop(incident.id, None) is not None
        self._ended.add(incident.id)
        self._changed(incident)
        if not was_open and now - (incident.ended_at or now) >= ANNOUNCE_WITHIN:
            return
        if not was_open:
            self._announce(incident, STARTED)
        self._announce(incident, ENDED)

    def _announce(self, incident: Incident, phase: str) -> None:
        announcement = (incident.id, phase)
        if announcement not in self._announced and not incident.muted:
            self.pending.setdefault(announcement, incident)

    def _changed(self, incident: Incident) -> None:
        if self.last is None or self.last.id == incident.id or _moment(incident) > _when(self.last):
            self.last = summarize(incident)

    def _prune(self, listed: set[str]) -> None:
        """Remember only what can still be told again: memory stays bounded by what workers list."""
        kept = listed | self.open.keys()
        self._ended &= kept
        self._announced = {one for one in self._announced if one[0] in kept}


def summarize(incident: Incident) -> IncidentSummary:
    """An incident as the status shows it."""
    return IncidentSummary(
        id=incident.id,
        stream=incident.stream,
        defect=incident.defect,
        episode=incident.episode,
        severity=incident.severity,
        started_at=incident.started_at,
        detected_at=incident.detected_at,
        ended_at=incident.ended_at,
        end_reason=incident.end_reason,
    )


def _from_summary(summary: IncidentSummary, monitor_uid: str) -> Incident:
    """Enough of an incident to adopt it. Media time is not known: it began in another process."""
    return Incident(
        id=summary.id,
        monitor_uid=monitor_uid,
        stream=summary.stream,
        defect=summary.defect,
        episode=summary.episode,
        severity=summary.severity,
        started_at=_aware(summary.started_at),
        detected_at=_aware(summary.detected_at or summary.started_at),
        start_s=0.0,
        detected_s=0.0,
    )


def _reopened(incident: Incident) -> Incident:
    """An interrupted incident is open until someone adopts and ends it."""
    blank = {"ended_at": None, "end_reason": None, "expires_at": None, "end_s": None}
    return incident.model_copy(update=blank)


def _moment(incident: Incident) -> datetime:
    return incident.ended_at or incident.detected_at


def _when(summary: IncidentSummary) -> datetime:
    return _aware(summary.ended_at or summary.detected_at or summary.started_at)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
