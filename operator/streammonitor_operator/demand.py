"""What each worker group must monitor, and what that costs: the planner's input. Pure."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import replace
from statistics import median_high

from streammonitor_api.spec import (
    DEFAULT_MAX_STREAMS_PER_WORKER,
    DEFAULT_TARGET_UTILIZATION,
    Scaling,
    StreamMonitorSpec,
    WorkerGroup,
)
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.plan import Demand
from streammonitor_operator.quantities import parse_quantity

UNMEASURED_M = 250
"""What a stream is taken to cost while none of its group was measured: 1080p at 25 pictures a
second with a handful of detectors, in thousandths of a core."""

Loads = Mapping[str, Mapping[str, int]]
"""Measured costs in thousandths of a core, by group and stream."""


def demands(
    spec: StreamMonitorSpec,
    loads: Loads,
    locked: Container[str] = (),
    alone: frozenset[str] = frozenset(),
) -> list[Demand]:
    """What each worker group of a specification must monitor.

    Args:
        spec: The specification.
        loads: What its streams were measured to cost.
        locked: Streams that no worker may have.
        alone: Streams that share a worker with no other.
    """
    if spec.suspend:
        return []
    streams = [stream.name for stream in spec.streams if stream.name not in locked]
    return [
        replace(_demand(group, _costs(streams, loads.get(group.name, {}))), alone=alone)
        for group in spec.groups
    ]


def measured(workers: Iterable[WorkerView]) -> Loads:
    """What workers say that their streams cost."""
    loads: dict[str, dict[str, int]] = {}
    for view in workers:
        for pod in view.staying:
            for stream in pod.said.streams if pod.said else ():
                if stream.load_m is not None:
                    costs = loads.setdefault(view.group, {})
                    costs[stream.name] = max(stream.load_m, costs.get(stream.name, 0))
    return loads


def remembered(before: Loads, now: Loads, streams: Container[str]) -> Loads:
    """What streams cost, by what was said last: a process that has just started says nothing yet.

    Args:
        before: What was known.
        now: What workers say now.
        streams: Those to remember.
    """
    return {
        group: {
            stream: cost
            for stream, cost in {**before.get(group, {}), **now.get(group, {})}.items()
            if stream in streams
        }
        for group in before.keys() | now.keys()
    }


def _demand(group: WorkerGroup, costs_m: Mapping[str, int]) -> Demand:
    scaling = group.scaling or Scaling()
    return Demand(
        group=group.name,
        streams=costs_m,
        # Without a size there is always room, even to give a worker up.
        capacity_m=_capacity_m(group, scaling) or max(1, 2 * sum(costs_m.values())),
        max_streams=scaling.max_streams_per_worker or DEFAULT_MAX_STREAMS_PER_WORKER,
        min_workers=scaling.min or 0,
        max_workers=scaling.max,
    )


def _costs(streams: Iterable[str], measured_m: Mapping[str, int]) -> dict[str, int]:
    """What each stream costs; one that was not measured is like the others of its group."""
    like_others = median_high(measured_m.values()) if measured_m else UNMEASURED_M
    return {stream: measured_m.get(stream, like_others) for stream in streams}


def _capacity_m(group: WorkerGroup, scaling: Scaling) -> int | None:
    """What a worker may use, in thousandths of a core; None if the group does not say its size."""
    resources = group.template.resources if group.template else None
    requests = (resources.requests if resources else None) or {}
    cores = parse_quantity(requests.get("cpu"))
    if not cores:
        return None
    share = scaling.target_utilization or DEFAULT_TARGET_UTILIZATION
    return max(1, round(float(cores) * 1000 * share))
