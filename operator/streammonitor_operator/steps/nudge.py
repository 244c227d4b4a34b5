"""Tells pods that their assignment changed.

A mounted ConfigMap reaches a running pod after more than a minute. A change of any annotation of
the pod makes the kubelet look at once.
"""

from streammonitor_api import names
from streammonitor_operator.fleet import PodView, WorkerView
from streammonitor_operator.kube import PODS, Rejected
from streammonitor_operator.steps.concurrently import each, soonest
from streammonitor_operator.work import Nudge, Work

_EVERY_S = 2.0
_PATIENCE = 10
_SELDOM_S = 30.0
"""After so many nudges in vain something else is wrong, and the kubelet looks by itself too."""


async def nudge(work: Work) -> float | None:
    """Nudge every pod that has not acknowledged the epoch of its ConfigMap."""
    views = [work.view(name) for name in work.workers]
    late = [
        (pod, view.epoch) for view in views for pod in view.staying if _is_late(work, view, pod)
    ]
    memory = work.memory.nudges
    for uid in memory.keys() - {pod.pod.uid for pod, _ in late}:
        del memory[uid]
    due = [(pod, epoch) for pod, epoch in late if _is_due(work, pod, epoch)]
    await each(work, due, lambda one: one[0].pod.worker, lambda one: _nudge(work, *one))
    return soonest(max(0.05, entry.due - work.now) for entry in memory.values())


def _is_late(work: Work, view: WorkerView, pod: PodView) -> bool:
    if view.map is None or view.map.assignment is None or not pod.pod.running:
        return False
    if pod.said is None:
        # A pod that has just started has read the newest. One that we cannot reach may have not.
        return view.name in work.memory.updated
    return not pod.acknowledges(view.epoch)


def _is_due(work: Work, pod: PodView, epoch: int) -> bool:
    entry = work.memory.nudges.get(pod.pod.uid)
    if entry is None or entry.epoch != epoch:
        work.memory.nudges[pod.pod.uid] = Nudge(epoch)
        return True
    return work.now >= entry.due


async def _nudge(work: Work, pod: PodView, epoch: int) -> None:
    entry = work.memory.nudges[pod.pod.uid]
    entry.due = work.now + (_EVERY_S if entry.attempts < _PATIENCE else _SELDOM_S)
    # The same value again would change nothing, and the kubelet would not hear of it.
    value = f"{epoch}.{entry.attempts}" if entry.attempts else str(epoch)
    entry.attempts += 1
    patch = {"metadata": {"annotations": {names.ANNOTATION_NUDGE: value}, "uid": pod.pod.uid}}
    try:
        await work.world.kube.patch(PODS, pod.pod.namespace, pod.pod.name, patch)
    except Rejected as error:
        if not error.missing and not error.conflict:
            raise
