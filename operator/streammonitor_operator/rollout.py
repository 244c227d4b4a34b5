"""How far a group's roll-out is, and what comes next. Pure and level-triggered.

The pods of a group are to be others: another template, worker image, or set of Secrets. First the
**canary**: clones follow the streams of one worker beside it, silently, until they have done all
that it does for a while. Nothing is lost if they cannot. Then the others **roll**. Whatever is
worse about the new revision **pauses** that, and after a moment **reverts** it: the new pods go,
and what they had taken over goes back to pods of the old revision. It is not tried again until
something else is asked for.

All that has to be remembered is in the status of the group.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from streammonitor_api.durations import format_duration
from streammonitor_api.rollout import Rollout
from streammonitor_api.status import RolloutPhase, RolloutStatus
from streammonitor_operator.canary import Fault, follows, pairs, unready, worse
from streammonitor_operator.fleet import WorkerView

PAUSE_S = 30.0
"""What does not pass within this is no accident."""
_MOVING = (RolloutPhase.CANARY, RolloutPhase.ROLLING)


def revision(view: WorkerView) -> str:
    """The revision of a worker; empty while it has no Deployment."""
    return view.deployment.revision if view.deployment is not None else ""


def outdated(views: Sequence[WorkerView], target: str) -> list[WorkerView]:
    """The workers that are of another revision, in the order of their names."""
    # One whose revision somebody took off is put right where it is.
    others = (view for view in views if revision(view) not in ("", target))
    return sorted(others, key=lambda view: view.name)


def target(record: RolloutStatus | None, wanted: str) -> str:
    """The revision that a group's pods should have."""
    if record is not None and record.phase is RolloutPhase.REVERTED:
        return record.from_revision
    return wanted


def observed_beside(
    record: RolloutStatus | None, old: Sequence[WorkerView], clones: Sequence[WorkerView]
) -> WorkerView | None:
    """The worker beside which clones are watched: the one with most streams tells most.

    It stays the same once a clone follows it.
    """
    if record is None or record.phase is not RolloutPhase.CANARY:
        return None
    followed = frozenset[str]().union(*(clone.warming for clone in clones))
    return min(
        old,
        key=lambda view: (not view.held & followed, -len(view.held), view.name),
        default=None,
    )


def advance(
    before: RolloutStatus | None,
    wanted: str,
    views: Sequence[WorkerView],
    terms: Rollout,
    now: datetime,
    *,
    refused: str = "",
) -> RolloutStatus | None:
    """How far a group's roll-out is now.

    Args:
        before: As of the last time; None if there was never one.
        wanted: The revision that is asked for.
        views: The group's workers.
        terms: How it is to be done.
        now: UTC.
        refused: What the API says of clones that it does not accept.
    """
    now = now.replace(microsecond=0)
    old = outdated(views, wanted)
    record = _begun(before, wanted, old, terms, now)
    if record is None or record.phase not in _MOVING:
        return record
    if not old:
        text = "every worker is of the new revision"
        ready = sum(view.ready for view in views)
        return _turned(record, RolloutPhase.COMPLETE, now, text, updated=ready)
    clones = [view for view in views if revision(view) == record.to_revision]
    fault = unready(clones) or (Fault("Refused", refused[:200]) if refused else None)
    if fault is not None:
        return _paused(record, fault, terms, now)
    return _moved(record, old, clones, terms, now)


def _begun(
    before: RolloutStatus | None,
    wanted: str,
    old: Sequence[WorkerView],
    terms: Rollout,
    now: datetime,
) -> RolloutStatus | None:
    """The roll-out to what is wanted: one that is known, or a new one."""
    if before is not None and before.to_revision == wanted:
        if before.phase is RolloutPhase.COMPLETE and old:
            return _new(before.from_revision, wanted, RolloutPhase.ROLLING, terms, now)
        return before
    if before is not None and before.phase is not RolloutPhase.COMPLETE:
        if wanted == before.from_revision:  # somebody took the change back: it is known to work
            return _new(before.to_revision, wanted, RolloutPhase.ROLLING, terms, now)
        return _new(before.from_revision, wanted, RolloutPhase.CANARY, terms, now)
    if not old:
        return None
    counted = Counter(revision(view) for view in old)
    most = min(counted, key=lambda one: (-counted[one], one))
    return _new(most, wanted, RolloutPhase.CANARY, terms, now)


def _new(
    source: str, wanted: str, phase: RolloutPhase, terms: Rollout, now: datetime
) -> RolloutStatus:
    if phase is RolloutPhase.CANARY and terms.canary_s > 0:
        watched = format_duration(terms.canary_s)
        text = f"the first clone is watched for {watched} beside its worker before it takes over"
    else:
        phase, text = RolloutPhase.ROLLING, "workers are being replaced"
    return RolloutStatus(
        phase=phase, from_revision=source, to_revision=wanted, since=now, message=text
    )


def _moved(
    record: RolloutStatus,
    old: Sequence[WorkerView],
    clones: Sequence[WorkerView],
    terms: Rollout,
    now: datetime,
) -> RolloutStatus:
    """The same, for one whose clones run."""
    beside = observed_beside(record, old, clones)
    if beside is not None:
        fault = worse(pairs(beside, clones), terms.tolerated_slowdown)
        if fault is not None:
            return _paused(record, fault, terms, now)
    if record.paused_since is not None:
        record = _with(record, paused_since=None, reason=None, message="it goes on after a pause")
    updated = sum(view.ready for view in clones)
    if updated > record.updated:
        record = _with(record, updated=updated, since=now)
    if beside is not None and follows(beside, clones):
        watched_since = record.watched_since or now
        if now - watched_since >= timedelta(seconds=terms.canary_s):
            return _turned(record, RolloutPhase.ROLLING, now, "workers are being replaced")
        return _with(record, watched_since=watched_since)
    if now - max(record.since, record.watched_since or record.since) >= _deadline(terms):
        return _reverted(record, Fault("NotWarm", "clones do not get ready to take over"), now)
    return record


def _paused(record: RolloutStatus, fault: Fault, terms: Rollout, now: datetime) -> RolloutStatus:
    """What is worse stops the roll-out, and ends it unless it passes."""
    since = record.paused_since or now
    patience = _deadline(terms) if fault.patient else timedelta(seconds=PAUSE_S)
    if now - since >= patience:
        return _reverted(record, fault, now)
    if record.paused_since is not None and record.reason == fault.reason:
        return record  # figures that change would be a write each
    return _with(
        record, paused_since=since, reason=fault.reason, message=f"paused: {fault.message}"
    )


def _reverted(record: RolloutStatus, fault: Fault, now: datetime) -> RolloutStatus:
    remedy = "it is tried again when something else is asked for"
    text = f"reverted to {record.from_revision}: {fault.message}; {remedy}"
    return _turned(record, RolloutPhase.REVERTED, now, text, reason=fault.reason, updated=0)


def _turned(
    record: RolloutStatus, phase: RolloutPhase, now: datetime, message: str, **more: Any
) -> RolloutStatus:
    blank = {"watched_since": None, "paused_since": None, "reason": None}
    return _with(record, phase=phase, since=now, message=message, **{**blank, **more})


def _with(record: RolloutStatus, **more: Any) -> RolloutStatus:
    return record.model_copy(update=more)


def _deadline(terms: Rollout) -> timedelta:
    return timedelta(seconds=terms.deadline_s)
