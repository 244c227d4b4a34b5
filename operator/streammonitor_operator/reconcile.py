"""The level-triggered reconciler: one task per StreamMonitor, woken by anything that changed.

A pass looks at everything as it is and does what is missing. It does not matter what woke it, how
often, or what an earlier pass (of this process or of another) left half done.
"""

import asyncio
import contextvars
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from streammonitor_api.push import Push
from streammonitor_api.spec import StreamMonitorSpec
from streammonitor_api.worker_status import WorkerStatus
from streammonitor_operator.cache import Store
from streammonitor_operator.children import (
    Key,
    WorkerPod,
    read_assignment_map,
    read_budget,
    read_deployment,
    read_pod,
    read_service,
)
from streammonitor_operator.consolidation import Consolidation, busy
from streammonitor_operator.demand import demands, measured, remembered
from streammonitor_operator.discovery import Discovery
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.handover import hand_over, listen
from streammonitor_operator.health import QUARANTINED
from streammonitor_operator.kube import Kube, NotLeader, Rejected
from streammonitor_operator.ledger import Ledger
from streammonitor_operator.metrics import PASS_SECONDS, PASSES
from streammonitor_operator.monitors import Monitor, Monitors
from streammonitor_operator.moves import count_moves
from streammonitor_operator.naming import worker_name
from streammonitor_operator.nodes import Node, read_node
from streammonitor_operator.observe import Observation
from streammonitor_operator.plan import Demand, Plan, Worker
from streammonitor_operator.plan import plan as make_plan
from streammonitor_operator.quarantine import Quarantine
from streammonitor_operator.rollouts import Turns
from streammonitor_operator.settings import WorkerSettings
from streammonitor_operator.sources import Sources
from streammonitor_operator.steps.announce import announce
from streammonitor_operator.steps.assign import assign
from streammonitor_operator.steps.concurrently import Gone, soonest
from streammonitor_operator.steps.deploy import deploy
from streammonitor_operator.steps.expose import expose
from streammonitor_operator.steps.hold import hold
from streammonitor_operator.steps.nudge import nudge
from streammonitor_operator.steps.report import report
from streammonitor_operator.steps.retire import release, retire
from streammonitor_operator.steps.settle import settle
from streammonitor_operator.work import Memory, Work, World, find_workers

log = logging.getLogger(__name__)

Step = Callable[[Work], Awaitable[float | None]]
STEPS: tuple[Step, ...] = (
    settle, announce, expose, assign, deploy, hold, release, nudge, retire, report,
)  # fmt: skip

_COALESCE_S = 0.05
"""After a pass, so long to let changes gather: our own writes come back as several."""
_STARTING_S = 1.0
"""A pod passes through several states until its process answers, which is what is waited for."""
_BACKOFF_S = (0.5, 60.0)
_REST_S = 60.0
"""How long what is in a namespace that is being deleted is left alone, whatever happens there."""
_CONFLICT_S = 0.1
"""After a conflict the newest version is only a watch event away."""


def _utc() -> datetime:
    return datetime.now(UTC)


class Reconciler:
    """Every StreamMonitor's reconciler, and the world that they share."""

    def __init__(
        self,
        kube: Kube,
        settings: WorkerSettings,
        sources: Sources | None = None,
        clock: Callable[[], datetime] = _utc,
        *,
        hold_evictions: bool = True,
    ) -> None:
        self._clock = clock
        self.world = World(
            kube=kube,
            monitors=Monitors(self.wake),
            maps=Store(read_assignment_map, self.wake),
            deployments=Store(read_deployment, self.wake),
            pods=Store(read_pod, lambda _: None),
            services=Store(read_service, self.wake),
            nodes=Store(read_node, lambda _: None),
            settings=settings,
            budgets=Store(read_budget, self.wake),
            hold_evictions=hold_evictions,
        )
        self.world.nodes.listeners.append(self._node_changed)
        self.world.pods.listeners.append(self._pod_changed)
        self._discovery = Discovery(sources or Sources(kube), self.world.monitors, self.wake)
        self._events: dict[Key, asyncio.Event] = {}
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._later: dict[Key, asyncio.TimerHandle] = {}
        self._observe: Callable[[str], Observation | None] = lambda _: None
        self._departed: Callable[[Key], list[WorkerStatus]] = lambda _: []
        self._doubtful: Callable[[], bool] = lambda: False
        self._context = contextvars.copy_context()
        self._started = False

    def start(
        self,
        observe: Callable[[str], Observation | None],
        departed: Callable[[Key], list[WorkerStatus]],
        doubtful: Callable[[], bool],
    ) -> None:
        """Begin to reconcile; call it once the caches are filled.

        Args:
            observe: what is known of a pod, by uid.
            departed: the last words of a StreamMonitor's pods that are gone.
            doubtful: whether silence is likelier to be our own fault than the workers'.
        """
        self._observe, self._departed, self._doubtful = observe, departed, doubtful
        self._context = contextvars.copy_context()
        self._started = True
        for key in self.world.monitors:
            self.wake(key)

    async def stop(self) -> None:
        """Stop in the middle of whatever is going on: the next leader goes on from there."""
        self._started = False
        for timer in self._later.values():
            timer.cancel()
        self._later.clear()
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._discovery.stop()

    def wake(self, key: Key) -> None:
        """Something about a StreamMonitor may have changed."""
        if not self._started:
            return
        if (timer := self._later.pop(key, None)) is not None:
            timer.cancel()
        event = self._events.get(key)
        if event is None:
            if self.world.monitors.get(key) is None:
                return  # the remains of one that is gone; the garbage collector takes them
            event = self._events[key] = asyncio.Event()
            # Whoever wakes it first is often Kopf, whose context holds the whole event.
            self._tasks[key] = asyncio.create_task(
                self._keep(key, event), name="/".join(key), context=self._context.copy()
            )
        event.set()

    def _pod_changed(self, old: WorkerPod | None, new: WorkerPod | None) -> None:
        """Wake whose pod it is; that it gets on with its start can wait for what it will say."""
        if new is not None and new.starts(old):
            key = (new.namespace, new.monitor)
            if self._started and key not in self._later:
                loop = asyncio.get_running_loop()
                self._later[key] = loop.call_later(_STARTING_S, self.wake, key)
            return
        for key in {(pod.namespace, pod.monitor) for pod in (old, new) if pod is not None}:
            self.wake(key)

    def _node_changed(self, old: Node | None, new: Node | None) -> None:
        """Wake whoever has a pod there."""
        names = {node.name for node in (old, new) if node is not None}
        for pod in self.world.pods.all():
            if pod.node in names:
                self.wake((pod.namespace, pod.monitor))

    async def _keep(self, key: Key, event: asyncio.Event) -> None:
        """Reconcile one StreamMonitor until it is gone."""
        memory: Memory | None = None
        failed = 0
        while (monitor := self.world.monitors.get(key)) is not None:
            event.clear()
            if memory is None or memory.uid != monitor.owner.uid:
                memory, failed = self._remember(monitor), 0
            delay_s, failed = await self._attempt(monitor, memory, failed)
            del monitor  # by now there may be a newer one
            await asyncio.sleep(_COALESCE_S)
            await _wait(event, delay_s)
        self._departed(key)
        self._discovery.forget(key)
        self._events.pop(key, None)
        self._tasks.pop(key, None)

    async def _attempt(
        self, monitor: Monitor, memory: Memory, failed: int
    ) -> tuple[float | None, int]:
        """One pass, and when the next is due; nothing that goes wrong in it ends the task."""
        rest_s = memory.rests_until - asyncio.get_running_loop().time()
        if monitor.deleting or rest_s > 0:
            return None if monitor.deleting else rest_s, 0
        try:
            with PASS_SECONDS.time():
                work = self._look(monitor, memory)
                delays = [await step(work) for step in STEPS]
        except Gone:
            self.world.monitors.drop(monitor.key, monitor.owner.uid)
            return None, 0
        except NotLeader:
            return _BACKOFF_S[0], failed  # the process is about to end
        except Exception:
            # The boundary: a bug that one resource meets must not stop the others.
            log.exception("Reconciling %s/%s failed.", *monitor.key)
            PASSES.labels("bug").inc()
            return _backoff(failed), failed + 1
        again = [
            memory.quarantine.again_s(work.now, work.time),
            memory.rollouts.again_s(work.time),
            memory.consolidation.again_s(work.now),
        ]
        if not work.failures:
            PASSES.labels("done").inc()
            return soonest([*delays, *again]), 0
        PASSES.labels("retry").inc()
        return soonest([*delays, *again, _retry(monitor, work, failed)]), failed + 1

    def _remember(self, monitor: Monitor) -> Memory:
        """Begin with what an earlier operator left in the cluster."""
        now = asyncio.get_running_loop().time()
        memory = Memory(monitor.owner.uid, now, Ledger(monitor.owner.uid))
        workers = find_workers(self.world, monitor, memory, self._observe)
        carried = [
            incident
            for view in workers.values()
            if view.assignment is not None
            for incident in view.assignment.open_incidents
        ]
        status = monitor.last_status
        memory.ledger.seed(status.active_incidents, carried, status.last_incident)
        problems = status.streams.problems if status.streams else []
        locked = {one.name: one.since for one in problems if one.reason == QUARANTINED}
        memory.quarantine.seed(locked)
        memory.rollouts.seed(status.groups)
        return memory

    def _look(self, monitor: Monitor, memory: Memory) -> Work:
        """See how everything is, and plan how it should be."""
        now, time = asyncio.get_running_loop().time(), self._clock()
        workers = find_workers(self.world, monitor, memory, self._observe)
        monitor, found = self._discovery.resolve(monitor, memory.assignments.values())
        pods = [pod for view in workers.values() for pod in view.pods]
        memory.ledger.absorb(
            [pod.status for pod in pods if pod.status is not None],
            [
                *self._departed(monitor.key),
                *(pod.said for pod in pods if pod.silent and pod.said is not None),
            ],
            time,
        )
        doubtful = self._doubtful()
        if monitor.spec is not None:
            urls = _urls(monitor)
            memory.quarantine.absorb(workers.values(), urls, now, time)
            memory.rollouts.absorb(monitor.spec, workers.values(), self.world.settings, time)
            memory.loads = remembered(memory.loads, measured(workers.values()), urls)
            memory.told = listen(memory.told, workers.values(), urls)
        pushed = _pushed(monitor)
        plan = _plan(monitor, list(workers.values()), memory, doubtful=doubtful)
        memory.placed = count_moves(memory.placed, plan, workers)
        return Work(
            world=self.world,
            monitor=monitor,
            found=found,
            memory=memory,
            workers=workers,
            plan=plan,
            handover=hand_over(plan, workers, memory.rollouts.turns.beside, memory.told, pushed),
            pushed=pushed,
            doubtful=doubtful,
            now=now,
            time=time,
        )


def _existing(
    views: Sequence[WorkerView], going: Turns, quarantine: Quarantine, *, doubtful: bool
) -> list[Worker]:
    """The workers as the planner takes them."""
    taken = {(view.group, stream) for view in views for stream in view.held - view.handing_over}
    return [
        Worker(
            view.name,
            view.group,
            tuple(
                sorted(
                    stream
                    for stream in view.held
                    if stream not in view.handing_over or (view.group, stream) not in taken
                )
            ),
            takes=view.name not in going.now and (doubtful or not view.gone),
            warming=tuple(sorted(view.warming)),
            lost=(view.lost and not doubtful and not quarantine.crashed(view)) or view.evicted,
            closed=view.name in going.later or quarantine.crashed(view),
        )
        for view in views
    ]


def _urls(monitor: Monitor) -> dict[str, str]:
    return {one.name: one.url for one in monitor.spec.streams} if monitor.spec else {}


def _pushed(monitor: Monitor) -> dict[str, Push]:
    streams = monitor.spec.streams if monitor.spec else []
    return {one.name: push for one in streams if (push := one.push) is not None}


def _plan(
    monitor: Monitor,
    views: Sequence[WorkerView],
    memory: Memory,
    *,
    doubtful: bool,
) -> Plan:
    owner, quarantine = monitor.owner, memory.quarantine
    turns = memory.rollouts.turns
    going = Turns(turns.now | quarantine.folding, turns.later)
    existing = _existing(views, going, quarantine, doubtful=doubtful)
    if monitor.spec is None:
        return Plan(tuple(sorted(existing, key=lambda one: (one.group, one.name))))

    def planned(wanted: Sequence[Demand]) -> Plan:
        return make_plan(
            wanted, existing, lambda group, slot: worker_name(owner.name, owner.uid, group, slot)
        )

    wanted = demands(monitor.spec, memory.loads, quarantine.locked, quarantine.alone)
    plan = planned(wanted)
    if doubtful:
        return plan
    fewer = memory.consolidation.candidates(wanted, plan, views)
    return _consolidated(monitor.spec, memory.consolidation, plan, fewer, planned)


def _consolidated(
    spec: StreamMonitorSpec,
    consolidation: Consolidation,
    plan: Plan,
    fewer: Sequence[Demand],
    planned: Callable[[Sequence[Demand]], Plan],
) -> Plan:
    """The same plan, or one with fewer workers in groups that have needed no more for long."""
    spare = {}
    if groups := [one.group for one in fewer if one.moves]:
        smaller = planned(fewer)
        spare = {group: busy(plan, group) - busy(smaller, group) for group in groups}
    due = consolidation.due(spec, spare, asyncio.get_running_loop().time())
    if not due:
        return plan
    return planned([one if one.group in due else replace(one, moves=0) for one in fewer])


def _retry(monitor: Monitor, work: Work, failed: int) -> float:
    """When to try again what the API refused."""
    errors = [error for _, error in work.failures]
    rejected = [error for error in errors if isinstance(error, Rejected)]
    if any(error.ending for error in rejected):
        log.info("%s/%s: its namespace is being deleted: it is left alone.", *monitor.key)
        work.memory.rests_until = work.now + _REST_S
        return _REST_S
    if len(rejected) == len(errors) and all(error.conflict for error in rejected) and failed < 5:
        return _CONFLICT_S
    log.warning("%s/%s: %s", *monitor.key, "; ".join(str(error) for error in errors[:3]))
    asked_s = max((error.retry_after_s for error in rejected), default=0.0)
    return max(asked_s, _backoff(failed))


def _backoff(failed: int) -> float:
    shortest_s, longest_s = _BACKOFF_S
    return float(min(longest_s, shortest_s * 2 ** min(failed, 10)) * random.uniform(0.7, 1.3))


async def _wait(event: asyncio.Event, delay_s: float | None) -> None:
    try:
        async with asyncio.timeout(delay_s):
            await event.wait()
    except TimeoutError:
        pass
