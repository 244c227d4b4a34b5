"""Incidents that tests make up."""

from datetime import UTC, datetime, timedelta
from typing import Any

from streammonitor_api.incident import EndReason, Incident, Severity, incident_id
from streammonitor_worker.alerts.events import AlertEvent
from streammonitor_worker.incidents import EventKind, IncidentEvent

NOON = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def incident(
    stream: str = "a",
    defect: str = "black",
    episode: int = 1,
    severity: Severity = Severity.WARNING,
    **more: Any,
) -> Incident:
    """One that lasts."""
    given = {
        "id": incident_id("uid", stream, defect, str(episode)),
        "monitor_uid": "uid",
        "stream": stream,
        "defect": defect,
        "episode": str(episode),
        "severity": severity,
        "started_at": NOON,
        "detected_at": NOON + timedelta(seconds=2),
        "start_s": 1.0,
        "detected_s": 3.0,
        "measurements": {"darkRatio": 0.98},
        "worker": "w-1",
    }
    return Incident.model_validate(given | more)


def ended(one: Incident, **more: Any) -> Incident:
    """The same at its end."""
    update = {"ended_at": NOON + timedelta(seconds=12), "end_reason": EndReason.CLEARED}
    return one.model_copy(update=update | more)


def worse(one: Incident) -> Incident:
    """The same when it is critical."""
    return one.model_copy(update={"severity": Severity.CRITICAL})


def started(one: Incident) -> IncidentEvent:
    return IncidentEvent(EventKind.STARTED, one)


def updated(one: Incident) -> IncidentEvent:
    return IncidentEvent(EventKind.UPDATED, one)


def over(one: Incident) -> IncidentEvent:
    return IncidentEvent(EventKind.ENDED, one if one.ended_at else ended(one))


def alert(
    kind: EventKind, one: Incident, before: Severity | None = None, at: datetime = NOON
) -> AlertEvent:
    return AlertEvent(kind, one, at, before)
