"""Writes the assignments: one ConfigMap per worker, a new epoch only for new content."""

from streammonitor_api import names
from streammonitor_api.assignment import Assignment
from streammonitor_operator.children import AssignmentMap, read_assignment_map
from streammonitor_operator.drafts import draft_assignment, same_content
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.kube import CONFIG_MAPS, MONITORS, Manifest, Rejected
from streammonitor_operator.specs.configmap import build_configmap
from streammonitor_operator.specs.identity import labels
from streammonitor_operator.steps.concurrently import Gone, each
from streammonitor_operator.work import Work

_TRUST_S = 2.0
"""A StreamMonitor that the API spoke of less than this ago is taken to exist."""


async def assign(work: Work) -> float | None:
    """Give every planned worker its assignment; those that gain streams come first."""
    spec = work.monitor.spec
    if spec is None:
        return None
    drafts = _drafts(work)
    gaining = [one for one in drafts if _gains(*one)]
    others = [one for one in drafts if not _gains(*one)]
    for batch in (gaining, others):
        await each(work, batch, lambda one: one[0].name, lambda one: _assign(work, *one))
    return None


async def write_assignment(work: Work, view: WorkerView, assignment: Assignment) -> None:
    """Write an assignment with a new epoch, on top of exactly what was read."""
    newest = max([view.epoch, *(pod.said.epoch for pod in view.pods if pod.said)])
    assignment = assignment.model_copy(update={"epoch": newest + 1})
    manifest = build_configmap(work.monitor.owner, assignment)
    first = view.map is None
    if view.map is None:
        await _check_owner(work)
        answer = await _create(work, manifest)
    else:
        manifest["metadata"]["resourceVersion"] = str(view.map.version)
        answer = await work.world.kube.apply(CONFIG_MAPS, manifest)
        work.memory.updated.add(view.name)
    work.memory.assignments[view.name] = assignment
    work.world.maps.put(answer, quiet=first)


def _drafts(work: Work) -> list[tuple[WorkerView, Assignment]]:
    spec, ledger = work.monitor.spec, work.memory.ledger
    if spec is None:
        return []
    planned = [view for _, view in work.planned()]
    # One that goes has work until others have taken it over.
    leaving = [work.view(worker.name) for worker in work.plan.leaving]
    busy = [view for view in leaving if work.share(view.name).streams]
    return [
        (
            view,
            draft_assignment(
                work.monitor.owner, spec, view, work.share(view.name), ledger.open, ports=work.ports
            ),
        )
        for view in (*planned, *busy)
    ]


def _gains(view: WorkerView, draft: Assignment) -> bool:
    had = {stream.name for stream in view.assignment.streams} if view.assignment else set()
    return any(stream.name not in had for stream in draft.streams)


async def _assign(work: Work, view: WorkerView, draft: Assignment) -> None:
    if not _is_right(work, view, draft):
        await write_assignment(work, view, draft)


def _is_right(work: Work, view: WorkerView, draft: Assignment) -> bool:
    """Whether the ConfigMap is as it should be, and not behind the worker."""
    written: AssignmentMap | None = view.map
    if written is None or written.assignment is None:
        return False
    ours = labels(work.monitor.owner, draft.group, view.name)
    return (
        same_content(draft, written.assignment)
        and ours.items() <= written.labels.items()
        and all(pod.said.epoch <= written.assignment.epoch for pod in view.pods if pod.said)
    )


async def _create(work: Work, manifest: Manifest) -> Manifest:
    """Create, never overwrite: another leader may have been here before us."""
    kube = work.world.kube
    try:
        return await kube.create(CONFIG_MAPS, manifest)
    except Rejected as error:
        if not error.conflict:
            raise
        metadata = manifest["metadata"]
        live = await kube.get(CONFIG_MAPS, metadata["namespace"], metadata["name"])
        if _is_whole(live, work):
            # It only was not in our cache yet; the next pass builds on it.
            work.world.maps.put(live)
            raise
        # Somebody took off what makes it ours. Its version keeps this from hitting a newer one.
        metadata["resourceVersion"] = live["metadata"]["resourceVersion"]
        return await kube.apply(CONFIG_MAPS, manifest)


def _is_whole(live: Manifest, work: Work) -> bool:
    known = read_assignment_map(live)
    return known.owner_uid == work.monitor.owner.uid and names.LABEL_WORKER in known.labels


async def _check_owner(work: Work) -> None:
    """Make sure that there is still something to own what is about to be created.

    A deletion can be missed while a watch is down. Without this check, what the garbage collector
    removes would be made again and again.
    """
    owner = work.monitor.owner
    if work.now - work.monitor.read_at < _TRUST_S:
        return
    try:
        live = await work.world.kube.get(MONITORS, owner.namespace, owner.name)
    except Rejected as error:
        if error.missing:
            raise Gone from error
        raise
    if live["metadata"]["uid"] != owner.uid:
        raise Gone
    work.world.monitors.put(live)
