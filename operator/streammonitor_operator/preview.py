"""What the planner would do about a specification: workers made and removed, streams moved. Pure.

It is where things end, not how they get there: `rollouts` replaces workers some at a time, and
`handover` moves streams by warming them first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from streammonitor_api.spec import StreamMonitorSpec
from streammonitor_operator.demand import Loads, demands
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.naming import worker_name
from streammonitor_operator.plan import Demand, Plan, Worker, plan
from streammonitor_operator.rollout import revision
from streammonitor_operator.specs.recipe import Recipe, read_recipe


class Action(StrEnum):
    """What would become of a worker."""

    CREATE = "create"
    KEEP = "keep"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class PlannedWorker:
    """One worker.

    Attributes:
        name: Its name.
        group: Its group.
        action: What would become of it.
        streams: What it would monitor; of one that is removed, what it monitors now.
        load_m: What these take, in thousandths of a core: measured, or estimated.
        why: A phrase.
    """

    name: str
    group: str
    action: Action
    streams: tuple[str, ...]
    load_m: int
    why: str


@dataclass(frozen=True, slots=True)
class Move:
    """One stream that another worker would monitor, or that none monitors now or then.

    Attributes:
        stream: Its name.
        group: The worker group.
        source: The worker now; empty for a stream that is new.
        target: The worker then; empty for one that is taken out or has no place.
        why: A phrase.
    """

    stream: str
    group: str
    source: str
    target: str
    why: str


@dataclass(frozen=True, slots=True)
class Present:
    """What there is.

    Attributes:
        views: The workers; none without a cluster.
        loads: What streams were measured to cost.
        recipes: What each group's pods would be asked to be; empty if that is not known.
        locked: Streams in quarantine.
        uid: Of the StreamMonitor; empty if there is none yet.
    """

    views: Sequence[WorkerView] = ()
    loads: Loads = field(default_factory=dict)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be done."""

    workers: tuple[PlannedWorker, ...]
    moves: tuple[Move, ...]
    unplaced: Mapping[str, tuple[str, ...]]
    """By group, streams that no worker may take."""


def preview(name: str, spec: StreamMonitorSpec, present: Present) -> Preview:
    """What would be done about a specification.

    Args:
        name: Of the StreamMonitor.
        spec: What is asked for.
        present: What there is.
    """
    wanted = demands(spec, present.loads, present.locked)
    reasons = _reasons_to_go(present)
    existing = [
        Worker(
            view.name,
            view.group,
            tuple(sorted(view.held)),
            takes=view.name not in reasons,
            warming=tuple(sorted(view.warming)),
        )
        for view in present.views
    ]
    # A monitor that is not there yet has no uid, of which the names of its workers are made.
    found = plan(wanted, existing, lambda group, n: worker_name(name, present.uid, group, n))
    return Preview(
        tuple(_workers(spec, present, wanted, found, reasons)),
        tuple(_moves(spec, present, found, reasons)),
        found.unplaced,
    )


def _reasons_to_go(present: Present) -> dict[str, str]:
    """The workers that hand over to clones, and why."""
    reasons = {}
    for view in present.views:
        recipe = present.recipes.get(view.group)
        if view.unsettled:
            reasons[view.name] = "its node is cordoned or drained"
        elif view.gone:
            reasons[view.name] = "its machine does not answer"
        elif recipe is not None and revision(view) not in ("", recipe.revision):
            reasons[view.name] = _difference(view, recipe)
    return reasons


def _difference(view: WorkerView, recipe: Recipe) -> str:
    """What about a worker's pods is not what is asked for."""
    made_of = read_recipe(view.deployment.manifest) if view.deployment is not None else None
    if made_of is None:
        return "its pods are to be others"
    parts = {"template": "template", "secrets": "Secrets", "settings": "image or settings"}
    before, after = made_of.document, recipe.document
    changed = [text for key, text in parts.items() if before[key] != after[key]]
    return f"another {' and '.join(changed)}: a canary first, then clones"


def _workers(
    spec: StreamMonitorSpec,
    present: Present,
    wanted: Sequence[Demand],
    found: Plan,
    reasons: Mapping[str, str],
) -> Iterator[PlannedWorker]:
    costs = {demand.group: demand.streams for demand in wanted}
    known = {view.name for view in present.views}
    replaced = {view.group for view in present.views if view.name in reasons}
    for worker in found.workers:
        load_m = sum(costs[worker.group][stream] for stream in worker.streams)
        action = Action.KEEP if worker.name in known else Action.CREATE
        why = "" if action is Action.KEEP else _why_created(worker, present, replaced)
        yield PlannedWorker(worker.name, worker.group, action, worker.streams, load_m, why)
    groups = set() if spec.suspend else set(costs)
    for worker in found.leaving:
        measured = present.loads.get(worker.group, {})
        load_m = sum(measured.get(stream, 0) for stream in worker.streams)
        why = reasons.get(worker.name) or _why_removed(spec, worker, groups)
        yield PlannedWorker(worker.name, worker.group, Action.REMOVE, worker.streams, load_m, why)


def _why_created(worker: Worker, present: Present, replaced: set[str]) -> str:
    if not worker.streams:
        return "spare: scaling.min"
    if worker.group in replaced:
        return "clone of what is replaced"
    if not any(view.group == worker.group for view in present.views):
        return "first streams of the group"
    return "no other worker has room"


def _why_removed(spec: StreamMonitorSpec, worker: Worker, groups: set[str]) -> str:
    if spec.suspend:
        return "spec.suspend"
    if worker.group not in groups:
        return "its group is taken out"
    return "scaling.max" if worker.streams and _monitored(spec, worker) else "nothing to monitor"


def _monitored(spec: StreamMonitorSpec, worker: Worker) -> bool:
    return bool({stream.name for stream in spec.streams} & set(worker.streams))


def _moves(
    spec: StreamMonitorSpec, present: Present, found: Plan, reasons: Mapping[str, str]
) -> Iterator[Move]:
    groups = {worker.group for worker in found.workers} | {view.group for view in present.views}
    groups |= set(found.unplaced)
    staying = {worker.name for worker in found.workers}
    for group in sorted(groups):
        before = {
            stream: view.name
            for view in present.views
            if view.group == group
            for stream in view.held
        }
        after = found.holders(group)
        left_out = set(found.unplaced.get(group, ()))
        for stream in sorted(before.keys() | after.keys() | left_out):
            source, target = before.get(stream, ""), after.get(stream, "")
            if source == target != "":
                continue
            if stream in left_out:
                why = "scaling.max is reached: no worker may take it"
            elif not target:
                why = _why_stopped(spec, present, stream)
            elif not source:
                why = "new"
            else:
                gone = "its worker goes" if source not in staying else "its worker is too full"
                why = reasons.get(source, gone)
            yield Move(stream, group, source, target, why)


def _why_stopped(spec: StreamMonitorSpec, present: Present, stream: str) -> str:
    if stream in present.locked:
        return "quarantined: worker processes died on it"
    return "spec.suspend" if spec.suspend else "taken out"
