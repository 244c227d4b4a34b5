"""A cluster in memory: the fake API, pods that appear for Deployments, workers that obey.

Workers are simulated at the boundary that the operator has: pods in the API, `Observation`s of
what `/status` said. The real worker is tested in its own tests and, with this operator, end to end.
"""

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from streammonitor_api import names
from streammonitor_api.assignment import Assignment, Turn
from streammonitor_api.incident import EndReason, Incident, Severity, incident_id
from streammonitor_api.worker_status import StreamState, StreamStatus, WorkerStatus
from streammonitor_operator.cache import Informer
from streammonitor_operator.children import Key
from streammonitor_operator.kube import (
    BUDGETS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    MONITORS,
    NODES,
    PODS,
    SERVICES,
    Manifest,
)
from streammonitor_operator.observe import Observation
from streammonitor_operator.reconcile import Reconciler
from streammonitor_operator.settings import WorkerSettings
from tests.unit.operator.fake_kube import FakeKube

KEY: Key = ("video", "sports")
GRACE_S = 15.0
SETTINGS = WorkerSettings(image="registry.example/worker:1")


def stream(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "url": f"http://origin.example/{name}.m3u8", **more}


def spec_of(*streams: str, **more: Any) -> dict[str, Any]:
    return {"streams": [stream(name) for name in streams], "detectors": {"freeze": {}}, **more}


@dataclass
class FakeWorker:
    """One process: what it has read, and what it says."""

    pod: Manifest
    assignment: Assignment
    process: str = "p1"
    revision: int = 1
    incidents: dict[str, Incident] = field(default_factory=dict)
    states: dict[str, StreamStatus] = field(default_factory=dict)
    cold: set[str] = field(default_factory=set)
    """Streams on which it cannot tell anything yet."""
    load_m: int | None = None
    """What each of its streams costs, once that was measured."""
    pace_m: int | None = None
    damaged_per_min: int | None = None
    deaf: bool = False
    """It does not read its assignment any more."""
    clock_s: float | None = None
    """What it adds to timestamps; None: the sources have none to share."""
    position_s: float = 100.0
    """How far it came on each stream, in programme time."""

    @property
    def name(self) -> str:
        return str(self.pod["metadata"]["labels"][names.LABEL_WORKER])

    def read(self, assignment: Assignment) -> None:
        if self.deaf or assignment.epoch < self.assignment.epoch:
            return
        self.assignment = assignment
        for incident in assignment.open_incidents:
            known = self.incidents.get(incident.id)
            if known is None or known.end_reason is EndReason.INTERRUPTED:
                self.incidents[incident.id] = incident
        for release in assignment.released:
            for incident in [i for i in self.incidents.values() if i.stream == release.stream]:
                self.end(incident.id, release.reason)
        kept = {one.name for one in assignment.streams}
        for incident in [i for i in self.incidents.values() if i.active and i.stream not in kept]:
            self.end(incident.id, EndReason.INTERRUPTED)
        self.revision += 1

    def start(self, stream: str, defect: str = "freeze", episode: str = "1") -> Incident:
        now = datetime.now(UTC)
        uid = self.assignment.monitor_uid
        incident = Incident(
            id=incident_id(uid, stream, defect, episode), monitor_uid=uid, stream=stream,
            defect=defect, episode=episode, severity=Severity.CRITICAL,
            started_at=now - timedelta(seconds=2), detected_at=now, start_s=1.0, detected_s=3.0,
            worker=self.name,
        )  # fmt: skip
        self.incidents[incident.id] = incident
        self.revision += 1
        return incident

    def lose(self, stream: str) -> None:
        """It does not receive a stream any more."""
        now = datetime.now(UTC)
        lost = StreamStatus(name=stream, state=StreamState.RETRYING, reason="Timeout", since=now)
        self.states[stream] = lost
        self.revision += 1

    def end(self, incident: str, reason: EndReason = EndReason.CLEARED) -> None:
        ended = {"ended_at": datetime.now(UTC), "end_reason": reason}
        self.incidents[incident] = self.incidents[incident].model_copy(update=ended)
        self.revision += 1

    def status(self) -> WorkerStatus:
        now = datetime.now(UTC)
        return WorkerStatus(
            version="1", worker=self.name, process=self.process, started_at=now,
            revision=self.revision, epoch=self.assignment.epoch,
            streams=[
                self.states.get(one.name)
                or StreamStatus(
                    name=one.name,
                    load_m=self.load_m,
                    pace_m=self.pace_m,
                    damaged_per_min=self.damaged_per_min,
                    state=StreamState.RECEIVING,
                    since=now,
                    warm=one.name not in self.cold,
                    **self._moments(one.name),
                )
                for one in self.assignment.streams
            ],
            incidents=list(self.incidents.values()),
        )  # fmt: skip

    def _moments(self, stream: str) -> dict[str, Any]:
        """Who speaks when, as the real worker says it: it falls silent once it is far enough."""
        if self.clock_s is None:
            return {}
        turn = next((one for one in self.assignment.turns if one.stream == stream), Turn(stream=""))
        asked_s = float("inf") if turn.until_s is None else turn.until_s
        return {
            "clock_s": self.clock_s,
            "position_s": self.position_s,
            "warm_from_s": None if stream in self.cold else self.position_s,
            "held_from_s": None if stream in self.assignment.warming else turn.from_s or 0.0,
            "held_until_s": self.position_s if self.position_s >= asked_s else None,
        }


class Cluster:
    """Everything around one operator; a second operator can take over the same API."""

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.workers: dict[str, FakeWorker] = {}
        """Processes by pod uid."""
        self._born = datetime.now(UTC) - timedelta(seconds=time.monotonic())
        self.reconciler = self._operator(SETTINGS.image)
        self.schedulable = True
        self.doubtful = False
        self.refusing = True
        """Whether silent workers' addresses refuse; else nothing at all comes back."""
        self.clock_s: float | None = None
        """What new workers add to timestamps."""
        self.position_s = 100.0
        """How far new workers are."""
        self.cold: set[str] = set()
        """Streams on which workers that are new to them cannot tell anything yet."""
        self.poison: set[str] = set()
        """Streams on which any process dies within a second."""
        self.died: list[str] = []
        """The pods whose process died, once for each time."""
        self.broken: dict[str, dict[str, Any]] = {}
        """By image, what the pod of a container says that cannot run it."""
        self._silent: dict[str, float] = {}
        self._back_at: dict[str, float] = {}
        self._ends_at: dict[str, float] = {}
        self._departed: list[WorkerStatus] = []
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def silent(self) -> Collection[str]:
        """The pods that do not answer, by uid."""
        return self._silent.keys()

    async def start(self) -> None:
        """Start an operator: informers, reconciler; and what stands for the rest of Kubernetes."""
        world = self.reconciler.world
        stores = (
            (CONFIG_MAPS, world.maps), (DEPLOYMENTS, world.deployments), (PODS, world.pods),
            (SERVICES, world.services), (BUDGETS, world.budgets),
        )  # fmt: skip
        informers: list[Any] = [Informer(self.kube, kind, "", store) for kind, store in stores]
        informers.append(
            Informer(self.kube, NODES, "", world.nodes, selector="", without="No nodes.")
        )
        loops = [informer.run() for informer in informers]
        self._tasks = [asyncio.create_task(one) for one in [*loops, self._play(), self._shell()]]
        for informer in informers:
            await informer.synced.wait()
        self.reconciler.start(self._observe, self._take_departed, lambda: self.doubtful)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.reconciler.stop()

    def _operator(self, image: str) -> Reconciler:
        return Reconciler(self.kube, WorkerSettings(image=image), clock=self.time)

    def time(self) -> datetime:
        """The wall clock, as virtual as the loop's."""
        return self._born + timedelta(seconds=asyncio.get_running_loop().time())

    async def restart_operator(self, image: str = SETTINGS.image) -> None:
        """Another operator, with nothing but what is in the cluster."""
        await self.stop()
        self.reconciler = self._operator(image)
        await self.start()

    def apply(self, spec: dict[str, Any]) -> Manifest:
        place = (MONITORS.plural, *KEY)
        old = self.kube.objects.get(place)
        manifest: Manifest = {"metadata": {"namespace": KEY[0], "name": KEY[1]}, "spec": spec}
        if old is not None:  # replaced, not merged
            old["spec"] = {}
        return self.kube.put(MONITORS, manifest)

    async def settle(self, seconds: float = 3.0) -> None:
        await asyncio.sleep(seconds)

    def monitor(self) -> Manifest:
        return self.kube.objects[MONITORS.plural, *KEY]

    @property
    def status(self) -> Manifest:
        status: Manifest = self.monitor().get("status", {})
        return status

    def condition(self, kind: str) -> Manifest:
        found: Manifest = next(one for one in self.status["conditions"] if one["type"] == kind)
        return found

    def worker_of(self, stream: str) -> FakeWorker:
        for worker in self.workers.values():
            if any(one.name == stream for one in worker.assignment.streams):
                return worker
        raise LookupError(stream)

    def events(self) -> list[str]:
        """The reasons of the Events about incidents."""
        return [one for one in self._reasons() if not one.startswith("Rollout")]

    def turns(self) -> list[str]:
        """The reasons of the Events about roll-outs."""
        return sorted(one for one in self._reasons() if one.startswith("Rollout"))

    def _reasons(self) -> list[str]:
        return [str(one["reason"]) for one in self.kube.all(EVENTS)]

    def kill_pod(self, worker: FakeWorker) -> None:
        """The pod goes without a word; its Deployment makes another."""
        metadata = worker.pod["metadata"]
        self._departed.append(worker.status())
        self.kube.remove(PODS, metadata["namespace"], metadata["name"])

    def evict(self, worker: FakeWorker) -> None:
        """The pod is told to end, and goes on with what it has read last for its grace."""
        ends_at = asyncio.get_running_loop().time() + GRACE_S
        self._ends_at[worker.pod["metadata"]["uid"]] = ends_at
        metadata = {**worker.pod["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
        self.kube.put(PODS, {"metadata": metadata})

    def node(self, name: str, **spec: Any) -> None:
        """A node as it is now; pods are put on the first by name that takes any."""
        self.kube.remove(NODES, "", name)
        self.kube.put(NODES, {"metadata": {"namespace": "", "name": name}, "spec": spec})

    def silence(self, worker: FakeWorker) -> None:
        """It does not answer any more."""
        self._silent[worker.pod["metadata"]["uid"]] = asyncio.get_running_loop().time()
        self.reconciler.wake(KEY)

    def answer(self, worker: FakeWorker) -> None:
        """It answers again."""
        del self._silent[worker.pod["metadata"]["uid"]]
        self.reconciler.wake(KEY)

    def say(self) -> None:
        """A worker's status changed."""
        self.reconciler.wake(KEY)

    def _observe(self, uid: str) -> Observation | None:
        worker = self.workers.get(uid)
        if worker is None:
            return None
        since = self._silent.get(uid)
        return Observation(worker.status(), since, "no answer", self.refusing)

    def _take_departed(self, _: Key) -> list[WorkerStatus]:
        told, self._departed = self._departed, []
        return told

    async def _shell(self) -> None:
        """Kopf's part: the StreamMonitors."""
        known: dict[Key, str] = {}
        while True:
            present = {}
            for one in self.kube.all(MONITORS):
                metadata = one["metadata"]
                present[metadata["namespace"], metadata["name"]] = metadata["uid"]
                self.reconciler.world.monitors.put(one)
            for key in known.keys() - present.keys():
                self.reconciler.world.monitors.drop(key, known[key])
            known = present
            await asyncio.sleep(0.1)

    async def _play(self) -> None:
        """The Deployment controller, the kubelet and the workers."""
        while True:
            deployments = {one["metadata"]["name"]: one for one in self.kube.all(DEPLOYMENTS)}
            pods = {
                one["metadata"]["labels"][names.LABEL_WORKER]
                for one in self.kube.all(PODS)
                if "deletionTimestamp" not in one["metadata"]
            }
            for name in deployments.keys() - pods:
                self._start_pod(deployments[name])
            self._end_evicted()
            self._die_of_poison()
            self._forget_gone()
            self._mount()
            await asyncio.sleep(0.2)

    def _end_evicted(self) -> None:
        now = asyncio.get_running_loop().time()
        for uid in [uid for uid, ends_at in self._ends_at.items() if now >= ends_at]:
            del self._ends_at[uid]
            worker = self.workers.get(uid)
            if worker is None:
                continue  # its Deployment was deleted
            for incident in [one for one in worker.incidents.values() if one.active]:
                worker.end(incident.id, EndReason.INTERRUPTED)
            self.kill_pod(worker)

    def _die_of_poison(self) -> None:
        """Whoever is given poison dies; Kubernetes starts it again after ten seconds."""
        now = asyncio.get_running_loop().time()
        for uid, worker in list(self.workers.items()):
            place = worker.pod["metadata"]
            if uid in self._back_at and now >= self._back_at[uid]:
                del self._back_at[uid]
                worker.process += "+"
                self._mount()
                self.answer(worker)
            listed = {one.name for one in worker.assignment.streams}
            if uid in self._back_at or not listed & self.poison:
                continue
            self.died.append(place["name"])
            self._back_at[uid] = now + 10
            ended = {"containerID": f"{uid}-{len(self.died)}", "exitCode": 139}
            container = {"lastState": {"terminated": ended}}
            self.silence(worker)
            live = self.kube.objects[PODS.plural, place["namespace"], place["name"]]
            status = {**live["status"], "containerStatuses": [container]}
            self.kube.put(PODS, {"metadata": live["metadata"], "status": status})

    def _start_pod(self, deployment: Manifest) -> None:
        template = deployment["spec"]["template"]
        name = deployment["metadata"]["name"]
        number = len(self.kube.writes) + len(self.workers)
        status: Manifest = {"phase": "Pending"}
        free = [n for n in self.kube.all(NODES) if not n["spec"].get("unschedulable")]
        place = {"nodeName": free[0]["metadata"]["name"]} if free and self.schedulable else {}
        image = template["spec"]["containers"][0]["image"]
        if image in self.broken:
            status = {"phase": "Pending", "containerStatuses": [self.broken[image]]}
        elif self.schedulable and (free or not self.kube.all(NODES)):
            ready = [{"type": "Ready", "status": "True"}]
            address = f"10.0.0.{number % 250}"
            status = {"phase": "Running", "podIP": address, "conditions": ready}
        self.kube.put(
            PODS,
            {
                "metadata": {
                    **template["metadata"],
                    "ownerReferences": [{"uid": deployment["metadata"]["uid"]}],
                    "namespace": KEY[0],
                    "name": f"{name}-{number}",
                },
                "spec": place,
                "status": status,
            },
        )

    def _forget_gone(self) -> None:
        uids = {one["metadata"]["uid"] for one in self.kube.all(PODS)}
        for uid in self.workers.keys() - uids:
            del self.workers[uid]

    def _mount(self) -> None:
        """A starting pod reads its ConfigMap; a running one when it was nudged."""
        for pod in self.kube.all(PODS):
            metadata = pod["metadata"]
            if pod["status"]["phase"] != "Running" or "deletionTimestamp" in metadata:
                continue
            name = metadata["labels"][names.LABEL_WORKER]
            known = self.kube.objects.get((CONFIG_MAPS.plural, KEY[0], name))
            if known is None:
                continue
            assignment = Assignment.model_validate_json(known["data"][names.ASSIGNMENT_KEY])
            worker = self.workers.get(metadata["uid"])
            nudge = metadata["annotations"].get(names.ANNOTATION_NUDGE, "")
            if worker is None:
                worker = FakeWorker(pod, Assignment(epoch=1), cold=self.cold)
                worker.clock_s, worker.position_s = self.clock_s, self.position_s
                self.workers[metadata["uid"]] = worker
                worker.read(assignment)
                self.say()
            elif nudge.split(".")[0] == str(assignment.epoch) != str(worker.assignment.epoch):
                worker.read(assignment)
                self.say()
