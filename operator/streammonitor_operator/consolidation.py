"""When a group gives workers up that it does not need: only after having been at rest for long.

More workers are made at once; fewer only if fewer would have been enough all the time of
`scaling.scaleDownAfter`, and then at most MOVES streams move at a time, by hand-over.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from streammonitor_api.spec import DEFAULT_SCALE_DOWN_AFTER_S, Scaling, StreamMonitorSpec
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.plan import Demand, Plan

MOVES = 20
"""How many streams of a group move at a time to empty workers."""


@dataclass(slots=True)
class Consolidation:
    """What is remembered of one StreamMonitor's groups: since when each has workers to spare."""

    _since: dict[str, float] = field(default_factory=dict)
    _due: dict[str, float] = field(default_factory=dict)

    def candidates(
        self, demands: Sequence[Demand], plan: Plan, views: Iterable[WorkerView]
    ) -> list[Demand]:
        """The same demands, and leave to move in each group that is at rest and may shrink."""
        groups: dict[str, list[WorkerView]] = {}
        for view in views:
            groups.setdefault(view.group, []).append(view)
        return [
            replace(demand, moves=MOVES)
            if _may_shrink(demand, plan, groups.get(demand.group, []))
            else demand
            for demand in demands
        ]

    def due(self, spec: StreamMonitorSpec, spare: Mapping[str, int], now: float) -> set[str]:
        """The groups that have had workers to spare for long enough.

        Args:
            spec: The specification.
            spare: How many workers each group that is at rest could do without.
            now: Loop time.
        """
        able = {group for group, number in spare.items() if number > 0}
        self._since = {group: self._since.get(group, now) for group in able}
        patience_s = {group.name: _patience_s(group.scaling) for group in spec.groups}
        self._due = {group: since + patience_s[group] for group, since in self._since.items()}
        return {group for group, at in self._due.items() if now >= at}

    def again_s(self, now: float) -> float | None:
        """When time alone may change something; None if it cannot."""
        left = [at - now for at in self._due.values() if at > now]
        return min(left, default=None)


def busy(plan: Plan, group: str) -> int:
    """How many workers of a group have streams."""
    return sum(worker.group == group and bool(worker.streams) for worker in plan.workers)


def _may_shrink(demand: Demand, plan: Plan, views: Sequence[WorkerView]) -> bool:
    if busy(plan, demand.group) <= max(1, demand.min_workers) or demand.group in plan.unplaced:
        return False
    planned = {one.name: set(one.streams) for one in plan.workers if one.group == demand.group}
    now = {view.name: set(view.held) for view in views}
    return planned == now and all(
        view.ready and not view.warming and not view.departing for view in views
    )


def _patience_s(scaling: Scaling | None) -> float:
    asked_s = scaling.scale_down_after if scaling else None
    return DEFAULT_SCALE_DOWN_AFTER_S if asked_s is None else asked_s
