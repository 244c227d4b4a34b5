"""Counts the streams that a plan gives to another worker than the plan before."""

from collections.abc import Mapping

from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.metrics import MOVES
from streammonitor_operator.plan import Plan

Placed = Mapping[tuple[str, str], str]
"""By group and stream, the worker that the last plan gave it to."""


def placed(plan: Plan) -> Placed:
    """Who monitors what, as planned."""
    return {
        (worker.group, stream): worker.name for worker in plan.workers for stream in worker.streams
    }


def count_moves(before: Placed, plan: Plan, views: Mapping[str, WorkerView]) -> Placed:
    """Count what moved since the last plan, by why; returns where everything is now."""
    after = placed(plan)
    leaving = {worker.name for worker in plan.leaving}
    for place, name in after.items():
        source = before.get(place, name)
        if source != name:
            MOVES.labels(_why(views.get(source), leaves=source in leaving)).inc()
    return after


def _why(source: WorkerView | None, *, leaves: bool) -> str:
    if source is None or source.lost:
        return "lost"
    if source.evicted:
        return "evicted"
    return "replaced" if leaves else "packed"
