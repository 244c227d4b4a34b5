"""Writes the status: by server-side apply, only when it differs, at most once a second."""

import hashlib
from typing import Any

import orjson

from streammonitor_api import names
from streammonitor_api.worker_status import StreamState
from streammonitor_operator.health import START_GRACE
from streammonitor_operator.kube import MONITORS, KubeError, Rejected
from streammonitor_operator.status import Facts, compute_status
from streammonitor_operator.steps.concurrently import Gone
from streammonitor_operator.steps.expose import sender_addresses
from streammonitor_operator.work import Memory, Work

_INTERVAL_S = 1.0
_READ_GRACE_S = 3.0
"""A worker that answers is given so long to read a new assignment before the status says so."""
_SETTLE_S = 6.0
"""After a start, workers have this long to answer before the status says that they do not."""


async def report(work: Work) -> float | None:
    """Write what the status should say, unless it says so."""
    _note_unready(work)
    again = _again(work)
    if not _settled(work):
        return 0.5
    status = _without_empty(compute_status(_facts(work)).to_json_object())
    memory = work.memory
    live = _without_empty(work.monitor.status)
    if status == live or _written(memory, status, live):
        memory.status_due = 0.0
        return again
    wait_s = _wait_s(work)
    if wait_s > 0:
        return wait_s
    await _write(work, status)
    return again


def _wait_s(work: Work) -> float:
    """For how long the status is kept back, so that what follows at once goes with it."""
    memory = work.memory
    due = memory.status_at + _INTERVAL_S
    if _is_told_more(work):
        memory.status_due = memory.status_due or work.now + _INTERVAL_S
        due = max(due, memory.status_due)
    return due - work.now


def _is_told_more(work: Work) -> bool:
    """Whether a worker that is at work is about to say what became of its newest streams."""
    reading = _reading(work)
    return any(
        view.current is not None
        and (
            view.name in reading
            or any(one.state is StreamState.CONNECTING for one in view.current.streams)
        )
        for _, view in work.planned()
    )


def _written(memory: Memory, status: dict[str, Any], live: dict[str, Any]) -> bool:
    """Whether this was written, and the API has made of it what there is."""
    return memory.status_sent == _digest(status) and memory.status_returned == _digest(live)


async def _write(work: Work, status: dict[str, object]) -> None:
    owner, memory = work.monitor.owner, work.memory
    manifest = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        # The uid keeps it from one of the same name that was made since.
        "metadata": {"namespace": owner.namespace, "name": owner.name, "uid": owner.uid},
        "status": status,
    }
    try:
        answer = await work.world.kube.apply(MONITORS, manifest, subresource="status")
    except KubeError as error:
        if isinstance(error, Rejected) and error.missing:
            raise Gone from error
        work.failures.append(("", error))
        return
    memory.status_sent = _digest(status)
    memory.status_returned = _digest(_without_empty(answer.get("status") or {}))
    memory.status_at, memory.status_due = work.now, 0.0
    work.world.monitors.put(answer, quiet=True)


def _digest(status: dict[str, Any]) -> bytes:
    return hashlib.sha256(orjson.dumps(status, option=orjson.OPT_SORT_KEYS)).digest()


def _without_empty(document: dict[str, Any]) -> dict[str, Any]:
    """Leave empty lists out: where a list had items before, server-side apply drops it whole.

    Without this, the next leader would see a difference in every status that once had an item.
    """
    return {
        key: _without_empty(value) if isinstance(value, dict) else value
        for key, value in document.items()
        if value != []
    }


def _facts(work: Work) -> Facts:
    ledger = work.memory.ledger
    return Facts(
        generation=work.monitor.generation,
        now=work.time,
        before=work.monitor.last_status,
        spec=work.monitor.spec,
        fault=work.monitor.fault,
        found=work.found,
        workers=tuple(work.planned()),
        watchers={place: work.view(name) for place, name in work.handover.watchers.items()},
        doubtful=work.doubtful,
        revisions=_revisions(work),
        rollouts=dict(work.memory.rollouts.records),
        unplaced=work.plan.unplaced,
        quarantined=work.memory.quarantine.locked,
        pushed=work.pushed.keys(),
        addresses=sender_addresses(work),
        told=work.memory.told,
        leaving=tuple(worker.name for worker in work.plan.leaving if work.view(worker.name).map),
        open_incidents=tuple(ledger.open.values()),
        last=ledger.last,
        failures=tuple(sorted(_sentence(*one) for one in work.failures if _is_final(one[1]))),
        reading=_reading(work),
        unready_since=work.memory.unready_since,
    )


def _revisions(work: Work) -> dict[str, str]:
    rollouts = work.memory.rollouts
    return {group: rollouts.revision(group) for group in rollouts.wanted}


def _sentence(worker: str, error: KubeError) -> str:
    return f"{f'worker {worker}: ' if worker else ''}{error}"[:300]


def _is_final(error: KubeError) -> bool:
    return isinstance(error, Rejected) and error.final


def _note_unready(work: Work) -> None:
    """Remember since when each planned worker is not ready."""
    since, at = work.memory.unready_since, work.memory.unready_at
    unready = {view.name for _, view in work.planned() if not view.ready}
    for name in since.keys() - unready:
        del since[name], at[name]
    for name in unready:
        at.setdefault(name, work.now)
        since.setdefault(name, work.time.replace(microsecond=0))


def _settled(work: Work) -> bool:
    """Whether what is known is enough to judge.

    A restarted operator has asked nobody yet. Until it has, the old status is nearer to the truth.
    """
    if work.monitor.status.get("observedGeneration") is None:
        return True
    undecided = any(pod.undecided for _, view in work.planned() for pod in view.staying)
    return not undecided or work.now - work.memory.born > _SETTLE_S


def _again(work: Work) -> float | None:
    """When time alone may change what the status says."""
    pods = [pod for view in work.workers.values() for pod in view.staying]
    left_s = [left for pod in pods if (left := pod.decisive_in_s) is not None]
    ends = [since + START_GRACE - work.time for since in work.memory.unready_since.values()]
    left_s += [end.total_seconds() for end in ends]
    # Only of one that is at work does it matter whether it is about to read something.
    left_s += [
        work.memory.unready_at[view.name] + _READ_GRACE_S - work.now
        for _, view in work.planned()
        if view.current is not None and view.name in work.memory.unready_at
    ]
    return min((max(0.05, left) for left in left_s if left > 0), default=None)


def _reading(work: Work) -> frozenset[str]:
    known = work.memory.unready_at.items()
    return frozenset(name for name, at in known if work.now - at < _READ_GRACE_S)
