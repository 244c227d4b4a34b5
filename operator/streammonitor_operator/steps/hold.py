"""Holds evictions of workers until their streams are elsewhere.

Whoever drains a node evicts pods at once, and an evicted worker can be told nothing any more. With
a budget the eviction is refused, and tried again, until clones have taken the streams over and the
worker is gone by itself. It is no hold for ever: where nothing will move it is not there.
"""

import logging
from typing import Any

from streammonitor_operator.kube import BUDGETS, Rejected
from streammonitor_operator.specs.budget import budget_name, build_budget
from streammonitor_operator.steps.concurrently import each
from streammonitor_operator.steps.deploy import covers
from streammonitor_operator.work import Work

log = logging.getLogger(__name__)

HELD_S = 600.0
"""Workers that could not move off their node for so long may be evicted."""


async def hold(work: Work) -> float | None:
    """Have the budget, or not."""
    nodes = [pod.node for view in work.workers.values() for pod in view.staying if pod.pod.node]
    if not nodes:
        return None  # whatever is there holds nothing
    left_s = _left_s(work)
    # Without the right to read nodes nobody would move the workers, and so it is with those that
    # tolerate what is wrong with their node.
    moving = any(work.world.nodes.all()) and all(
        view.unsettled or not any(pod.node and pod.node.taints for pod in view.staying)
        for view in work.workers.values()
    )
    wanted = work.world.hold_evictions and moving and (left_s is None or left_s > 0)
    await each(work, [wanted], lambda _: "", lambda one: _bring_in_line(work, wanted=one))
    return left_s if left_s is not None and left_s > 0 else None


def _left_s(work: Work) -> float | None:
    """How much longer workers have to move off their nodes; None if none has to."""
    memory = work.memory
    if not any(view.unsettled for view in work.workers.values()):
        memory.unsettled_at = None
        return None
    if memory.unsettled_at is None:
        memory.unsettled_at = work.now
    return memory.unsettled_at + HELD_S - work.now


async def _bring_in_line(work: Work, *, wanted: bool) -> None:
    owner, budgets = work.monitor.owner, work.world.budgets
    known = budgets.find(owner.namespace, budget_name(owner.name))
    if known is not None and known.owner_uid != owner.uid:
        return  # of a predecessor; the garbage collector takes it, and that will be heard of
    try:
        if not wanted and known is not None:
            await work.world.kube.delete(BUDGETS, known.namespace, known.name, known.uid)
            budgets.drop(known.namespace, known.name, known.version)
        elif wanted and not _is_right(known.manifest if known else {}, build_budget(owner)):
            budgets.put(await work.world.kube.apply(BUDGETS, build_budget(owner)), quiet=True)
    except Rejected as error:
        if error.forbidden and not error.ending:
            if work.world.hold_evictions:
                log.warning("Evictions of workers are not held: %s", error)
            work.world.hold_evictions = False
        elif not error.missing and not error.conflict:
            raise


def _is_right(live: Any, wanted: Any) -> bool:
    kept = {"metadata": {"labels": wanted["metadata"]["labels"]}, "spec": wanted["spec"]}
    return covers(live, kept)
