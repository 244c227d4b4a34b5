"""What sinks are told: an event of an incident, as it lies in the spool."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from streammonitor_api.alerts import Sink
from streammonitor_api.incident import EndReason, Incident, Severity
from streammonitor_worker.incidents import EventKind


@dataclass(frozen=True, slots=True)
class AlertEvent:
    """Something that happened to an incident, and what was known of it before.

    Attributes:
        kind: What happened.
        incident: The incident as it is then.
        at: When it was told (UTC).
        before: The severity that was told last; None if nobody was told of the incident yet.
    """

    kind: EventKind
    incident: Incident
    at: datetime
    before: Severity | None = None

    @property
    def id(self) -> str:
        """The same for the same event, however often it is told and by whichever worker."""
        name = f"{self.incident.id}.{self.kind}"
        if self.kind is not EventKind.UPDATED:
            return name
        return f"{name}.{round(self.at.timestamp() * 1000)}"

    @property
    def interrupted(self) -> bool:
        """Whether the worker stopped, and another may go on with the incident."""
        incident = self.incident
        return incident.end_reason is EndReason.INTERRUPTED and incident.expires_at is not None

    @property
    def expendable(self) -> bool:
        """Whether a later event says all of it: nothing but the measurements changed."""
        same = self.kind is EventKind.UPDATED and self.before is self.incident.severity
        return same and not self.interrupted

    def to_line(self) -> bytes:
        """One line of JSON."""
        document: dict[str, Any] = {
            "kind": self.kind.value,
            "at": self.at.isoformat(),
            "incident": self.incident.to_json_object(),
        }
        if self.before is not None:
            document["before"] = self.before.value
        return json.dumps(document, separators=(",", ":")).encode()

    @classmethod
    def from_line(cls, line: bytes) -> "AlertEvent":
        """Read what `to_line` wrote.

        Raises:
            ValueError: It is something else.
        """
        document = json.loads(line)
        try:
            return cls(
                kind=EventKind(document["kind"]),
                incident=Incident.model_validate(document["incident"]),
                at=datetime.fromisoformat(document["at"]),
                before=Severity(document["before"]) if "before" in document else None,
            )
        except (KeyError, TypeError) as error:
            raise ValueError(f"no event: {error!r}") from None


def now() -> datetime:
    """The wall clock, UTC."""
    return datetime.now(UTC)


def concerns(
    stream: str, defect: str, streams: Iterable[str] | None, defects: Iterable[str] | None
) -> bool:
    """Whether a filter lets an incident of this stream and this detector through.

    >>> concerns("arena-1", "black", ["arena-*"], None)
    True
    """
    if streams is not None and not any(fnmatchcase(stream, one) for one in streams):
        return False
    return defects is None or defect in defects


def as_seen_by(sink: Sink, event: AlertEvent) -> AlertEvent | None:
    """The event as a sink is told of it; None if it is not.

    Severities only get worse, so a sink hears everything from the moment on at which the incident
    is bad enough for it; and what it hears first is the start.
    """
    incident = event.incident
    if not concerns(incident.stream, incident.defect, sink.streams, sink.defects):
        return None
    least = (sink.min_severity or Severity.WARNING).rank
    if incident.severity.rank < least:
        return None
    before = event.before if event.before is not None and event.before.rank >= least else None
    kind = event.kind
    if kind is EventKind.UPDATED and before is None:
        kind = EventKind.STARTED
    elif event.interrupted:
        kind = EventKind.UPDATED  # it may go on elsewhere: its expiry says until when to wait
    return AlertEvent(kind, incident, event.at, before)
