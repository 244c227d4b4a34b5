"""Writes the Kubernetes Events about incidents."""

from datetime import UTC, datetime

from streammonitor_api.incident import Incident
from streammonitor_operator.kube import EVENTS, Rejected
from streammonitor_operator.ledger import Announcement
from streammonitor_operator.metrics import EVENTS as EVENTS_WRITTEN
from streammonitor_operator.specs.event import build_event
from streammonitor_operator.steps.concurrently import each
from streammonitor_operator.work import Work

_PER_PASS = 40
"""What is left waits for the next pass, a second later: a flood is slowed, not obeyed."""


async def announce(work: Work) -> float | None:
    """Write what is pending; what exists already was written before us."""
    pending = work.memory.ledger.pending
    batch = list(pending.items())[:_PER_PASS]
    await each(work, batch, lambda one: one[1].worker, lambda one: _announce(work, *one))
    return 1.0 if pending else None


async def _announce(work: Work, announcement: Announcement, incident: Incident) -> None:
    phase, result = announcement[1], "written"
    try:
        event = build_event(work.monitor.owner, incident, phase, datetime.now(UTC))
        await work.world.kube.create(EVENTS, event)
    except Rejected as error:
        if error.conflict:
            result = "known"
        elif error.status in (400, 404, 422):
            # It never will be accepted (an odd value, a namespace that is gone).
            result = "refused"
        else:
            raise
    EVENTS_WRITTEN.labels(phase, result).inc()
    work.memory.ledger.announced(announcement)
