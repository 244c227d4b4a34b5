"""What one reconcile pass works on: the world as it is, and what the reconciler remembers of it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

from streammonitor_api import names
from streammonitor_api.assignment import Assignment
from streammonitor_api.push import Push
from streammonitor_operator.cache import Store
from streammonitor_operator.children import (
    AssignmentMap,
    EvictionBudget,
    StreamService,
    WorkerDeployment,
    WorkerPod,
    read_budget,
)
from streammonitor_operator.consolidation import Consolidation
from streammonitor_operator.demand import Loads
from streammonitor_operator.discovery import Found
from streammonitor_operator.fleet import PodView, WorkerView
from streammonitor_operator.handover import Handover, Share, Told
from streammonitor_operator.kube import Kube, KubeError
from streammonitor_operator.ledger import Ledger
from streammonitor_operator.monitors import Monitor, Monitors
from streammonitor_operator.moves import Placed
from streammonitor_operator.nodes import Node
from streammonitor_operator.observe import Observation
from streammonitor_operator.plan import Plan, Worker
from streammonitor_operator.quarantine import Quarantine
from streammonitor_operator.rollouts import Rollouts
from streammonitor_operator.settings import WorkerSettings
from streammonitor_operator.specs.recipe import Recipe

C = TypeVar("C", AssignmentMap, WorkerDeployment, StreamService)


@dataclass(slots=True)
class Nudge:
    """How often a pod was told that its assignment changed."""

    epoch: int
    attempts: int = 0
    due: float = 0.0


@dataclass(slots=True)
class Memory:
    """What one StreamMonitor's reconciler remembers; everything can be found out again."""

    uid: str
    born: float
    ledger: Ledger
    assignments: dict[str, Assignment] = field(default_factory=dict)
    """The last readable one of each worker, so that an epoch never goes back."""
    updated: set[str] = field(default_factory=set)
    """Workers whose assignment was changed, not created, by this process."""
    nudges: dict[str, Nudge] = field(default_factory=dict)
    """By pod uid."""
    released_at: dict[str, float] = field(default_factory=dict)
    """When a worker that goes was told so."""
    accepted: dict[str, bytes] = field(default_factory=dict)
    """Digest of what the API made of the last Deployment that was applied."""
    settled: dict[str, tuple[Recipe, WorkerDeployment | None]] = field(default_factory=dict)
    """For which recipe each worker's Deployment, as it was then, was found right."""
    unready_since: dict[str, datetime] = field(default_factory=dict)
    """Workers that are not ready."""
    unready_at: dict[str, float] = field(default_factory=dict)
    """The same by loop time."""
    loads: Loads = field(default_factory=dict)
    """What streams were measured to cost."""
    consolidation: Consolidation = field(default_factory=Consolidation)
    told: Told = field(default_factory=dict)
    """How far streams were told of."""
    severed: set[str] = field(default_factory=set)
    """Pods on their way out that Services do not lead to any more, by uid."""
    placed: Placed = field(default_factory=dict)
    """Where the last plan put each stream."""
    quarantine: Quarantine = field(default_factory=Quarantine)
    rollouts: Rollouts = field(default_factory=Rollouts)
    unsettled_at: float | None = None
    """Since when workers are where no pod should be, by loop time; None while none is."""
    rests_until: float = float("-inf")
    """Until when nothing is tried, by loop time: its namespace is being deleted."""
    status_sent: bytes = b""
    """Digest of the status that was written last."""
    status_returned: bytes = b""
    """Digest of what the API made of that."""
    status_at: float = float("-inf")
    """When that was, by loop time."""
    status_due: float = 0.0
    """When one that is kept back is written at the latest, by loop time; 0 without one."""


@dataclass(slots=True)
class World:
    """The caches and the settings that every reconciler shares."""

    kube: Kube
    monitors: Monitors
    maps: Store[AssignmentMap]
    deployments: Store[WorkerDeployment]
    pods: Store[WorkerPod]
    services: Store[StreamService]
    nodes: Store[Node]
    settings: WorkerSettings
    budgets: Store[EvictionBudget] = field(
        default_factory=lambda: Store(read_budget, lambda _: None)
    )
    hold_evictions: bool = True
    """Whether evictions of workers wait until their streams are elsewhere."""


@dataclass(slots=True)
class Work:
    """One reconcile pass: what is, what should be, and what went wrong."""

    world: World
    monitor: Monitor
    """With the streams of its `streamsFrom`."""
    found: Found | None
    """What there is to be said of that list; None without one."""
    memory: Memory
    workers: dict[str, WorkerView]
    plan: Plan
    handover: Handover
    doubtful: bool
    """Whether the workers' silence is likelier to be the operator's own fault."""
    now: float
    """Loop time."""
    time: datetime
    """UTC."""
    pushed: dict[str, Push] = field(default_factory=dict)
    """The streams that are sent to a worker, by name."""
    ports: dict[str, int] = field(default_factory=dict)
    """What workers listen on for them."""
    failures: list[tuple[str, KubeError]] = field(default_factory=list)
    """What the API refused, with the worker that it concerns ("" for none)."""

    def share(self, worker: str) -> Share:
        """What a worker's assignment should list."""
        return self.handover.shares.get(worker) or Share()

    @property
    def suspended(self) -> bool:
        """Whether spec.suspend is set."""
        return bool(self.monitor.spec and self.monitor.spec.suspend)

    def services(self) -> dict[str, StreamService]:
        """The addresses of its streams, by name of the Service."""
        return _mine(self.world.services.of(self.monitor.key), self.monitor)

    def planned(self) -> list[tuple[Worker, WorkerView]]:
        """Every worker that should be, with what there is of it."""
        return [(one, self.view(one.name, one.group)) for one in self.plan.workers]

    def view(self, name: str, group: str = "") -> WorkerView:
        """What there is of a worker, now: a step sees what the one before it wrote."""
        old = self.workers.get(name)
        key, monitor = self.monitor.key, self.monitor
        return WorkerView(
            name=name,
            group=group or (old.group if old else ""),
            assignment=self.memory.assignments.get(name),
            map=_mine(self.world.maps.of(key), monitor).get(name),
            deployment=_mine(self.world.deployments.of(key), monitor).get(name),
            pods=old.pods if old else (),
        )


def find_workers(
    world: World, monitor: Monitor, memory: Memory, observe: Callable[[str], Observation | None]
) -> dict[str, WorkerView]:
    """Every worker that there is any trace of, by name."""
    now = asyncio.get_running_loop().time()
    maps = _mine(world.maps.of(monitor.key), monitor)
    deployments = _mine(world.deployments.of(monitor.key), monitor)
    for name, child in maps.items():
        if child.assignment is not None:
            memory.assignments[name] = child.assignment
    pods: dict[str, list[PodView]] = {}
    for pod in world.pods.of(monitor.key).values():
        node = world.nodes.find("", pod.node) if pod.node else None
        pods.setdefault(pod.worker, []).append(PodView(pod, observe(pod.uid), now, node))
    return {
        name: WorkerView(
            name=name,
            group=_group(name, memory, deployments),
            assignment=memory.assignments.get(name),
            map=maps.get(name),
            deployment=deployments.get(name),
            pods=tuple(sorted(pods.get(name, []), key=lambda view: view.pod.name)),
        )
        for name in sorted({*maps, *deployments, *memory.assignments})
    }


def _group(name: str, memory: Memory, deployments: dict[str, WorkerDeployment]) -> str:
    assignment = memory.assignments.get(name)
    if assignment is not None:
        return assignment.group
    if name in deployments:
        labels = deployments[name].manifest["metadata"].get("labels") or {}
        return str(labels.get(names.LABEL_GROUP, ""))
    return ""


def _mine(children: dict[str, C], monitor: Monitor) -> dict[str, C]:
    """Without what belongs to a StreamMonitor of the same name that was deleted before."""
    return {name: child for name, child in children.items() if child.owner_uid == monitor.owner.uid}
