"""Computes what the resource's status says. Pure: everything it depends on is in `Facts`."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from streammonitor_api.incident import Incident
from streammonitor_api.spec import StreamMonitorSpec
from streammonitor_api.status import (
    MAX_ACTIVE_INCIDENTS,
    MAX_ADDRESSES,
    MAX_PROBLEMS,
    AlertsStatus,
    GroupStatus,
    HandOver,
    IncidentsStatus,
    IncidentSummary,
    RolloutStatus,
    SenderAddress,
    StreamMonitorStatus,
    StreamProblem,
    StreamsStatus,
    WorkersStatus,
)
from streammonitor_operator import health
from streammonitor_operator.conditions import Picture, conditions
from streammonitor_operator.discovery import Found
from streammonitor_operator.entries import Refusal
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.gaps import hand_overs
from streammonitor_operator.handover import Known
from streammonitor_operator.health import Health
from streammonitor_operator.ledger import summarize
from streammonitor_operator.plan import Worker
from streammonitor_operator.sinks import results_trouble, sink_troubles

MAX_BYTES = 60 * 1024
"""Below the promised 64 KiB, with room for what the API adds."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the status is computed from."""

    generation: int
    now: datetime
    before: StreamMonitorStatus
    spec: StreamMonitorSpec | None
    fault: str
    workers: tuple[tuple[Worker, WorkerView], ...]
    """Planned workers, and what there is of them."""
    watchers: Mapping[tuple[str, str], WorkerView] = field(default_factory=dict)
    """By group and stream, the worker to ask while another is getting ready to take it over."""
    revisions: Mapping[str, str] = field(default_factory=dict)
    """What each group's pods are to be."""
    rollouts: Mapping[str, RolloutStatus] = field(default_factory=dict)
    """How far each group's last roll-out is."""
    found: Found | None = None
    """What there is to be said of the list of streamsFrom."""
    doubtful: bool = False
    """Whether silence says nothing of the workers."""
    unplaced: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Streams by group that no worker may take."""
    quarantined: Mapping[str, datetime] = field(default_factory=dict)
    """Streams that no worker may have, and since when."""
    pushed: Collection[str] = ()
    """The streams that are sent to a worker."""
    addresses: tuple[SenderAddress, ...] = ()
    """Where to."""
    told: Mapping[tuple[str, str], Known] = field(default_factory=dict)
    """By group and stream, what is known of how far each was told of."""
    leaving: tuple[str, ...] = ()
    open_incidents: tuple[Incident, ...] = ()
    last: IncidentSummary | None = None
    failures: tuple[str, ...] = ()
    """Sentences about what the API refused."""
    reading: frozenset[str] = frozenset()
    """Workers that were given something new so lately that they need not have read it."""
    unready_since: Mapping[str, datetime] = field(default_factory=dict)


def compute_status(facts: Facts) -> StreamMonitorStatus:
    """The status that the resource should have."""
    known = {problem.reason for problem in _problems(facts.before)}
    troubles = {
        view.name: health.worker_trouble(view, facts.unready_since[view.name], facts.now, known)
        for _, view in facts.workers
        if not view.ready and view.name in facts.unready_since
    }
    streams = _streams(facts, troubles)
    problems = _keep_since(health.worst_first(streams.values()), facts.before)
    sinks = sink_troubles(view for _, view in facts.workers)
    results = results_trouble(view for _, view in facts.workers)
    views = (view for _, view in facts.workers)
    moved = hand_overs(_moved(facts.before), views, facts.pushed, facts.told)
    picture = Picture(
        spec=facts.spec,
        fault=facts.fault,
        streams=streams,
        problems=problems,
        unready=tuple(
            view.name for worker, view in facts.workers if _is_missed(facts, worker, view)
        ),
        workers=len(facts.workers),
        unplaced=facts.unplaced,
        doubtful=facts.doubtful and any(view.lost for _, view in facts.workers),
        leaving=facts.leaving,
        rollouts=facts.rollouts,
        failures=facts.failures,
        list_problem=facts.found.problem if facts.found else None,
        sinks=sinks,
        results=results,
        pushed=len(facts.pushed),
        moved=moved,
        troubles={name: trouble for name, trouble in troubles.items() if trouble is not None},
    )
    return _bounded(
        StreamMonitorStatus(
            observed_generation=facts.generation,
            conditions=conditions(picture, facts.before, facts.generation, facts.now),
            streams=_streams_status(facts, streams, problems, moved),
            workers=_workers_status(facts),
            groups=_groups(facts),
            alerts=AlertsStatus(problems=sinks) if sinks else None,
            results=results,
            incidents=IncidentsStatus(active=len(facts.open_incidents)),
            active_incidents=_worst(facts.open_incidents),
            last_incident=facts.last,
        )
    )


def _is_missed(facts: Facts, worker: Worker, view: WorkerView) -> bool:
    """Whether a worker is not at work that nobody else does meanwhile."""
    if view.ready or all((worker.group, one) in facts.watchers for one in worker.streams):
        return False
    # At work, and about to read what changed: a condition that flickers would tell nobody anything.
    return not (view.name in facts.reading and view.current is not None)


def _streams(facts: Facts, troubles: Mapping[str, health.Trouble | None]) -> dict[str, Health]:
    """Every stream's health, over all groups."""
    parts: dict[str, list[Health]] = {}
    for worker, view in facts.workers:
        for name in worker.streams:
            asked = facts.watchers.get((worker.group, name), view)
            one = health.stream_health(name, asked, troubles.get(asked.name))
            parts.setdefault(name, []).append(one)
    for group, names in facts.unplaced.items():
        since = facts.now.replace(microsecond=0)
        for name in names:
            parts.setdefault(name, []).append(health.unplaced_health(name, group, since))
    _add_refused(facts, parts)
    for name, since in facts.quarantined.items():
        parts.setdefault(name, []).append(health.quarantined_health(name, since))
    return {name: health.overall(some) for name, some in parts.items()}


def _add_refused(facts: Facts, parts: dict[str, list[Health]]) -> None:
    """An entry that was refused is a stream that nobody can monitor until somebody corrects it."""
    for refusal in _refused(facts):
        name = refusal.stream or refusal.name
        parts.setdefault(name, []).append(
            health.refused_health(
                name, refusal.message, facts.now.replace(microsecond=0), kept=bool(refusal.stream)
            )
        )


def _refused(facts: Facts) -> tuple[Refusal, ...]:
    watched = facts.spec is not None and not facts.spec.suspend
    return facts.found.refused if facts.found and watched else ()


def _streams_status(
    facts: Facts,
    streams: dict[str, Health],
    problems: list[StreamProblem],
    moved: list[HandOver],
) -> StreamsStatus:
    receiving = sum(one.activity is health.Activity.RECEIVING for one in streams.values())
    refused = sum(not refusal.stream for refusal in _refused(facts))
    return StreamsStatus(
        total=len(facts.spec.streams) + refused if facts.spec else len(streams),
        receiving=receiving,
        defective=len({incident.stream for incident in facts.open_incidents}),
        problems=problems[:MAX_PROBLEMS],
        addresses=list(facts.addresses[:MAX_ADDRESSES]),
        hand_overs=moved,
    )


def _workers_status(facts: Facts) -> WorkersStatus:
    ready = sum(view.ready for _, view in facts.workers)
    return WorkersStatus(desired=len(facts.workers), ready=ready)


def _groups(facts: Facts) -> list[GroupStatus]:
    names = [group.name for group in facts.spec.groups] if facts.spec else []
    names += sorted({worker.group for worker, _ in facts.workers} - set(names))
    return [_group(name, facts) for name in names]


def _group(name: str, facts: Facts) -> GroupStatus:
    mine = [(worker, view) for worker, view in facts.workers if worker.group == name]
    return GroupStatus(
        name=name,
        revision=facts.revisions.get(name, ""),
        rollout=facts.rollouts.get(name),
        streams=sum(len(worker.streams) for worker, _ in mine),
        workers=len(mine),
        ready=sum(view.ready for _, view in mine),
    )


def _worst(incidents: Iterable[Incident]) -> list[IncidentSummary]:
    ordered = sorted(incidents, key=lambda one: (-one.severity.rank, one.started_at, one.id))
    return [summarize(incident) for incident in ordered[:MAX_ACTIVE_INCIDENTS]]


def _moved(status: StreamMonitorStatus) -> list[HandOver]:
    return status.streams.hand_overs if status.streams else []


def _problems(status: StreamMonitorStatus) -> list[StreamProblem]:
    return status.streams.problems if status.streams else []


def _keep_since(problems: list[StreamProblem], before: StreamMonitorStatus) -> list[StreamProblem]:
    """A problem that goes on began when it was first reported, operator restarts or not."""
    since = {(one.name, one.reason): one.since for one in _problems(before)}
    return [
        one.model_copy(
            update={"since": min(one.since, since.get((one.name, one.reason), one.since))}
        )
        for one in problems
    ]


def _bounded(status: StreamMonitorStatus) -> StreamMonitorStatus:
    """Leave out the least of the problems for as long as the status is too long."""
    while status.streams and status.streams.problems and _size(status) > MAX_BYTES:
        fewer = status.streams.model_copy(update={"problems": status.streams.problems[:-5]})
        status = status.model_copy(update={"streams": fewer})
    return status


def _size(status: StreamMonitorStatus) -> int:
    return len(json.dumps(status.to_json_object(), ensure_ascii=False).encode())
