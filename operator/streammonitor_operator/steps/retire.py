"""Removes workers: first they let go and end what is open, then their objects are deleted."""

from streammonitor_api.incident import EndReason
from streammonitor_operator.drafts import draft_release, same_content
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.kube import CONFIG_MAPS, DEPLOYMENTS, Rejected
from streammonitor_operator.steps.assign import write_assignment
from streammonitor_operator.steps.concurrently import each, soonest
from streammonitor_operator.work import Work

PATIENCE_S = 20.0
"""A worker that does not acknowledge its release for so long is removed all the same."""


async def release(work: Work) -> float | None:
    """Tell every worker that goes to let go. Comes before the nudge."""
    if work.monitor.spec is None:
        return None
    memory = work.memory.released_at
    leaving = _leaving(work)
    for name in memory.keys() - leaving:
        del memory[name]
    views = [work.view(name) for name in sorted(leaving)]
    await each(work, views, lambda view: view.name, lambda view: _release(work, view))
    return None


async def retire(work: Work) -> float | None:
    """Delete the workers that have let go, or had time enough."""
    if work.monitor.spec is None:
        return None
    views = [work.view(name) for name in sorted(_leaving(work))]
    done = [view for view in views if _has_let_go(work, view)]
    await each(work, done, lambda view: view.name, lambda view: _delete(work, view))
    waiting = [view.name for view in views if view not in done]
    return soonest(
        max(0.05, work.memory.released_at.get(name, work.now) + PATIENCE_S - work.now)
        for name in waiting
    )


def _leaving(work: Work) -> set[str]:
    """The workers that go and have nothing to hand over any more."""
    names = (worker.name for worker in work.plan.leaving)
    return {name for name in names if not work.share(name).streams}


async def _release(work: Work, view: WorkerView) -> None:
    if view.assignment is not None and view.map is not None:
        elsewhere = work.plan.holders(view.group)
        reason = EndReason.SUSPENDED if work.suspended else EndReason.REMOVED
        draft = draft_release(view, elsewhere, reason)
        if not same_content(draft, view.assignment) or view.map.assignment is None:
            await write_assignment(work, view, draft)
    work.memory.released_at.setdefault(view.name, work.now)


def _has_let_go(work: Work, view: WorkerView) -> bool:
    since = work.memory.released_at.get(view.name)
    if since is None:
        return False  # the release could not be written yet
    if work.now - since >= PATIENCE_S or view.map is None:
        return True
    return all(pod.acknowledges(view.epoch) for pod in view.pods if pod.pod.running)


async def _delete(work: Work, view: WorkerView) -> None:
    kube, world = work.world.kube, work.world
    for resource, child, store in (
        (DEPLOYMENTS, view.deployment, world.deployments),
        (CONFIG_MAPS, view.map, world.maps),
    ):
        if child is None:
            continue
        try:
            await kube.delete(resource, child.namespace, child.name, child.uid)
        except Rejected as error:
            if not error.missing and not error.conflict:
                raise
        store.drop(child.namespace, child.name, child.version)
    work.memory.assignments.pop(view.name, None)
    work.memory.released_at.pop(view.name, None)
    work.memory.accepted.pop(view.name, None)
    work.memory.settled.pop(view.name, None)
