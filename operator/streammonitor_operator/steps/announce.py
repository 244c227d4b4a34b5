"""Writes the Kubernetes Events about incidents and roll-outs."""

from datetime import UTC, datetime

from streammonitor_api.incident import Incident
from streammonitor_api.status import RolloutStatus
from streammonitor_operator.kube import EVENTS, Manifest, Rejected
from streammonitor_operator.ledger import Announcement
from streammonitor_operator.metrics import EVENTS as EVENTS_WRITTEN
from streammonitor_operator.specs.event import build_event, build_rollout_event
from streammonitor_operator.steps.concurrently import each
from streammonitor_operator.work import Work

_PER_PASS = 40
"""What is left waits for the next pass, a second later: a flood is slowed, not obeyed."""


async def announce(work: Work) -> float | None:
    """Write what is pending; what exists already was written before us."""
    turns = list(work.memory.rollouts.pending.items())
    await each(work, turns, lambda _: "", lambda one: _announce_turn(work, *one))
    pending = work.memory.ledger.pending
    batch = list(pending.items())[:_PER_PASS]
    await each(work, batch, lambda one: one[1].worker, lambda one: _announce(work, *one))
    return 1.0 if pending else None


async def _announce(work: Work, announcement: Announcement, incident: Incident) -> None:
    phase = announcement[1]
    event = build_event(work.monitor.owner, incident, phase, datetime.now(UTC))
    EVENTS_WRITTEN.labels(phase, await _write(work, event)).inc()
    work.memory.ledger.announced(announcement)


async def _announce_turn(work: Work, turn: tuple[str, str], record: RolloutStatus) -> None:
    group, reason = turn
    event = build_rollout_event(work.monitor.owner, group, reason, record, datetime.now(UTC))
    EVENTS_WRITTEN.labels("rollout", await _write(work, event)).inc()
    work.memory.rollouts.pending.pop(turn, None)


async def _write(work: Work, event: Manifest) -> str:
    """Write an Event; what became of it."""
    try:
        await work.world.kube.create(EVENTS, event)
    except Rejected as error:
        if error.conflict:
            return "known"
        if error.status in (400, 404, 422):
            # It never will be accepted (an odd value, a namespace that is gone).
            return "refused"
        raise
    return "written"
