"""What the operator keeps in memory of the objects that belong to StreamMonitors.

Only what is used: of a pod a dozen fields, of a Deployment what a person could have edited.
"""

import logging
from dataclasses import dataclass
from typing import Protocol

import orjson
from pydantic import ValidationError

from streammonitor_api import names
from streammonitor_api.assignment import Assignment
from streammonitor_operator.kube import Manifest
from streammonitor_operator.specs.recipe import revision_of

log = logging.getLogger(__name__)

Key = tuple[str, str]
"""namespace and name of a StreamMonitor."""

SELECTOR = f"{names.LABEL_NAME}=streammonitor-worker"
"""What every object of a worker carries, so that nothing else is ever listed or watched."""


class Child(Protocol):
    """An object that belongs to a StreamMonitor."""

    @property
    def namespace(self) -> str:
        """Namespace."""
        ...

    @property
    def name(self) -> str:
        """Name."""
        ...

    @property
    def version(self) -> int:
        """metadata.resourceVersion, which Kubernetes lets clients compare."""
        ...

    @property
    def monitor(self) -> str:
        """Name of the StreamMonitor."""
        ...

    def differs(self, older: "Child") -> bool:
        """Whether a reconciler wants to hear of the change."""
        ...


@dataclass(frozen=True, slots=True)
class AssignmentMap:
    """The ConfigMap that carries a worker's assignment."""

    namespace: str
    name: str
    uid: str
    version: int
    monitor: str
    owner_uid: str
    labels: dict[str, str]
    assignment: Assignment | None
    """None when somebody made it unreadable."""

    def differs(self, older: Child) -> bool:
        """Every change is one that somebody made."""
        return self.version != older.version


@dataclass(frozen=True, slots=True)
class WorkerDeployment:
    """A worker's Deployment without its status and managed fields."""

    namespace: str
    name: str
    uid: str
    version: int
    monitor: str
    owner_uid: str
    revision: str
    """What its pods are made of; empty if it does not say."""
    text: bytes
    """The rest as JSON: there are thousands of them, and one is looked into now and then."""
    drained: bool = False
    """Whether a person wants its streams elsewhere, and it gone."""

    @property
    def manifest(self) -> Manifest:
        """What a person could have edited."""
        manifest: Manifest = orjson.loads(self.text)
        return manifest

    def differs(self, older: Child) -> bool:
        """Changes of the status are not interesting; the pods tell more, sooner."""
        return not isinstance(older, WorkerDeployment) or self.text != older.text


@dataclass(frozen=True, slots=True)
class StreamService:
    """The address of a stream that is sent to a worker."""

    namespace: str
    name: str
    uid: str
    version: int
    monitor: str
    owner_uid: str
    worker: str
    """The worker that it leads to."""
    target_port: int
    """The port that this worker listens on."""
    manifest: Manifest
    """What a person could have edited."""
    balancer: str = ""
    """Address or name of the load balancer that leads to it."""

    def differs(self, older: Child) -> bool:
        """What else a load balancer says of it is not interesting."""
        if not isinstance(older, StreamService):
            return True
        return (self.manifest, self.balancer) != (older.manifest, older.balancer)


@dataclass(frozen=True, slots=True)
class EvictionBudget:
    """The PodDisruptionBudget of a StreamMonitor's workers."""

    namespace: str
    name: str
    uid: str
    version: int
    monitor: str
    owner_uid: str
    manifest: Manifest
    """What a person could have edited."""

    def differs(self, older: Child) -> bool:
        """What the disruption controller says of it is not interesting."""
        return not isinstance(older, EvictionBudget) or self.manifest != older.manifest


@dataclass(frozen=True, slots=True)
class WorkerPod:
    """One pod of a worker."""

    namespace: str
    name: str
    uid: str
    version: int
    monitor: str
    worker: str
    ip: str
    running: bool
    """At least one container was started: the volumes are mounted."""
    terminating: bool
    reason: str
    """Why it does not run, as in ImagePullBackOff; empty when nothing is wrong."""
    message: str
    node: str = ""
    """Name of the node that it was put on; empty before that."""
    ended: str = ""
    """Identifies the process that ended last; empty if none has."""
    exit_code: int = 0
    """Of that; 128 and the signal's number if it was one."""
    restarts: int = 0
    """How often a process of it was started again."""
    ready: bool = False
    """Whether Services lead to it. Nobody is told when that changes."""

    def differs(self, older: Child) -> bool:
        """A pod's heartbeats and probes are not interesting."""
        return not isinstance(older, WorkerPod) or self._facts() != older._facts()

    def starts(self, older: "WorkerPod | None") -> bool:
        """Whether all that is new is how far its start is: its process will speak for itself."""
        if older is not None and older.uid != self.uid:
            return False
        well = (False, "", "", 0)
        return self._wrong() == well and (older is None or older._wrong() == well)

    def _wrong(self) -> tuple[object, ...]:
        return (self.terminating, self.reason, self.ended, self.restarts)

    def _facts(self) -> tuple[object, ...]:
        place = (self.uid, self.node, self.ip)
        state = (self.running, self.ended, self.restarts, self.terminating)
        return (*place, *state, self.reason, self.message)


def read_assignment_map(manifest: Manifest) -> AssignmentMap:
    """Read a ConfigMap."""
    metadata = manifest["metadata"]
    owner = _owner(metadata)
    text = (manifest.get("data") or {}).get(names.ASSIGNMENT_KEY)
    return AssignmentMap(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        version=int(metadata["resourceVersion"]),
        monitor=owner.get("name", ""),
        owner_uid=owner.get("uid", ""),
        labels=metadata.get("labels") or {},
        assignment=_parse(metadata["name"], text),
    )


_KEPT = ("labels", "annotations", "ownerReferences", "generation")
_SPEC = ("type", "ipFamilyPolicy", "ports", "selector")
_COUNTER = "deployment.kubernetes.io/revision"


def read_deployment(manifest: Manifest) -> WorkerDeployment:
    """Read a Deployment."""
    metadata = manifest["metadata"]
    owner = _owner(metadata)
    kept = {key: metadata[key] for key in _KEPT if key in metadata}
    if "annotations" in kept:
        # Written by the controller, soon after the Deployment was made: no news.
        kept["annotations"] = {k: v for k, v in kept["annotations"].items() if k != _COUNTER}
    return WorkerDeployment(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        version=int(metadata["resourceVersion"]),
        monitor=owner.get("name", ""),
        owner_uid=owner.get("uid", ""),
        revision=revision_of(manifest),
        text=orjson.dumps(
            {"metadata": kept, "spec": manifest["spec"]}, option=orjson.OPT_SORT_KEYS
        ),
        drained=names.ANNOTATION_DRAIN in (metadata.get("annotations") or {}),
    )


def read_service(manifest: Manifest) -> StreamService:
    """Read a Service."""
    metadata, spec = manifest["metadata"], manifest.get("spec") or {}
    owner = _owner(metadata)
    ports = spec.get("ports") or [{}]
    target = ports[0].get("targetPort")
    return StreamService(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        version=int(metadata["resourceVersion"]),
        monitor=owner.get("name", ""),
        owner_uid=owner.get("uid", ""),
        worker=(spec.get("selector") or {}).get(names.LABEL_WORKER, ""),
        target_port=target if isinstance(target, int) else 0,
        balancer=_balancer(manifest.get("status") or {}),
        manifest={
            "metadata": {key: metadata[key] for key in _KEPT if key in metadata},
            "spec": {key: spec[key] for key in _SPEC if key in spec},
        },
    )


def _balancer(status: Manifest) -> str:
    ingress = (status.get("loadBalancer") or {}).get("ingress") or [{}]
    return str(ingress[0].get("hostname") or ingress[0].get("ip") or "")


def read_budget(manifest: Manifest) -> EvictionBudget:
    """Read a PodDisruptionBudget."""
    metadata = manifest["metadata"]
    owner = _owner(metadata)
    return EvictionBudget(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        version=int(metadata["resourceVersion"]),
        monitor=owner.get("name", ""),
        owner_uid=owner.get("uid", ""),
        manifest={
            "metadata": {"labels": metadata.get("labels") or {}},
            "spec": manifest.get("spec") or {},
        },
    )


def read_pod(manifest: Manifest) -> WorkerPod:
    """Read a pod."""
    metadata, status = manifest["metadata"], manifest.get("status") or {}
    reason, message = _trouble(status)
    ended, exit_code = _end(status)
    phase = status.get("phase")
    return WorkerPod(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        version=int(metadata["resourceVersion"]),
        monitor=(metadata.get("annotations") or {}).get(names.ANNOTATION_MONITOR, ""),
        worker=(metadata.get("labels") or {}).get(names.LABEL_WORKER, ""),
        ip=status.get("podIP", ""),
        running=phase == "Running",
        # An evicted or finished pod stays as a record; its Deployment makes another.
        terminating="deletionTimestamp" in metadata or phase in ("Failed", "Succeeded"),
        reason=reason,
        message=message,
        node=(manifest.get("spec") or {}).get("nodeName", ""),
        ended=ended,
        exit_code=exit_code,
        ready=_holds(status, "Ready"),
        restarts=sum(one.get("restartCount", 0) for one in status.get("containerStatuses") or []),
    )


def _end(status: Manifest) -> tuple[str, int]:
    """Which process ended last, and its exit code."""
    for container in status.get("containerStatuses") or []:
        for state in (container.get("state"), container.get("lastState")):
            ended = (state or {}).get("terminated") or {}
            if ended.get("containerID"):
                return ended["containerID"], int(ended.get("exitCode", 0))
    return "", 0


def _holds(status: Manifest, kind: str) -> bool:
    conditions = status.get("conditions") or []
    return any(one["type"] == kind and one["status"] == "True" for one in conditions)


_PROGRESS = ("ContainerCreating", "PodInitializing")


def _trouble(status: Manifest) -> tuple[str, str]:
    """Why a pod does not run: the container's waiting reason, else why it has no node."""
    for container in status.get("containerStatuses") or []:
        waiting = (container.get("state") or {}).get("waiting") or {}
        if waiting.get("reason", "") and waiting["reason"] not in _PROGRESS:
            return waiting["reason"], waiting.get("message", "")
    for condition in status.get("conditions") or []:
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return condition.get("reason", "Unschedulable"), condition.get("message", "")
    return "", ""


def _owner(metadata: Manifest) -> dict[str, str]:
    for reference in metadata.get("ownerReferences") or []:
        if reference.get("controller") and reference.get("kind") == names.KIND:
            return dict(reference)
    return {}


def _parse(name: str, text: str | None) -> Assignment | None:
    try:
        return Assignment.model_validate_json(text or "")
    except ValidationError:
        log.warning("ConfigMap %s holds no readable assignment: it will be written anew.", name)
        return None
