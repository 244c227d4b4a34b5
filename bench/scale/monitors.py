"""The StreamMonitors of the bench, and all that follows from one of them."""

import json
from dataclasses import dataclass
from typing import Any

from streammonitor_api import names
from streammonitor_api.assignment import Assignment
from streammonitor_api.spec import StreamMonitorSpec
from streammonitor_operator.naming import worker_name
from streammonitor_operator.settings import WorkerSettings
from streammonitor_operator.specs.configmap import build_configmap
from streammonitor_operator.specs.deployment import build_deployment
from streammonitor_operator.specs.identity import Owner
from streammonitor_operator.specs.recipe import recipe_of

NAMESPACE = "bench"
STREAMS = 4
IMAGE = "registry.example/streammonitor/worker:1"
MONITORS_PATH = f"/apis/{names.API_VERSION}/namespaces/{NAMESPACE}/{names.PLURAL}"
MAPS_PATH = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
DEPLOYMENTS_PATH = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"
PODS_PATH = f"/api/v1/namespaces/{NAMESPACE}/pods"


def stream(number: int) -> dict[str, str]:
    """One stream."""
    return {"name": f"s{number}", "url": f"https://origin.example/{number}/channel.m3u8"}


def monitor(name: str) -> dict[str, Any]:
    """A StreamMonitor as a user writes it."""
    return {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "streams": [stream(number) for number in range(STREAMS)],
            "detectors": {"black": {}, "freeze": {"minDuration": "2s"}, "silence": {}},
        },
    }


@dataclass(frozen=True)
class Objects:
    """What is written for one StreamMonitor, as text."""

    map_text: str
    deployment_name: str
    deployment_text: str
    status_text: str


def objects(name: str, uid: str, status: dict[str, Any]) -> Objects:
    """The objects that the operator writes for a StreamMonitor.

    Args:
        name: its name.
        uid: its uid.
        status: what the operator wrote first as status of one like it.
    """
    spec = StreamMonitorSpec.model_validate(monitor(name)["spec"])
    owner, group = Owner(NAMESPACE, name, uid), spec.groups[0]
    recipe = recipe_of(group, (), WorkerSettings(IMAGE))
    worker = worker_name(name, uid, group.name, 0)
    assignment = Assignment(
        epoch=1,
        monitor_uid=uid,
        monitor=f"{NAMESPACE}/{name}",
        worker=worker,
        group=group.name,
        streams=spec.streams,
        detectors=spec.detectors,
    )
    written = {
        "apiVersion": names.API_VERSION,
        "kind": names.KIND,
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": uid},
        "status": status,
    }
    return Objects(
        json.dumps(build_configmap(owner, assignment)),
        worker,
        json.dumps(build_deployment(owner, group.name, worker, recipe)),
        json.dumps(written),
    )
