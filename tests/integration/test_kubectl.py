"""`kubectl streammonitor` on a real API server, over a real worker."""

import json
import os
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bench.scale.monitors import NAMESPACE, monitor
from dev.cluster.loopback import Loopback
from dev.media.servers import http_server
from streammonitor_api import names
from streammonitor_kubectl import cli, watching
from tests.integration.rig import WorkerRig
from tests.terminal import Terminal

pytestmark = pytest.mark.timeout(600)
WORKER = {
    names.LABEL_NAME: "streammonitor-worker", names.LABEL_MONITOR: "sports",
    names.LABEL_GROUP: "default", names.LABEL_WORKER: "w-1",
}  # fmt: skip


def _outside() -> str:
    """An address of this machine that is not loopback: the API server does not lead there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        one.connect(("192.0.2.1", 9))
        return str(one.getsockname()[0])


def _objects() -> list[dict[str, Any]]:
    """A StreamMonitor, and a worker's pod and Deployment that nobody starts."""
    labelled = {
        "namespace": NAMESPACE, "labels": WORKER,
        "annotations": {names.ANNOTATION_MONITOR: "sports"},
    }  # fmt: skip
    spec = {"containers": [{"name": "worker", "image": "registry.example/worker:1"}]}
    return [
        monitor("sports"),
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "w-1-x", **labelled},
         "spec": {"automountServiceAccountToken": False, **spec}},
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "w-1", **labelled},
         "spec": {"selector": {"matchLabels": WORKER},
                  "template": {"metadata": {"labels": WORKER}, "spec": spec}}},
    ]  # fmt: skip


@pytest.fixture
def resources(plane: Loopback) -> Iterator[None]:
    """What the API server knows of them; the pod's address is the machine's."""
    plane.kubectl("-n", NAMESPACE, "create", "serviceaccount", "default")
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": _objects()})
    plane.kubectl("apply", "-f", "-", stdin=items)
    ip = json.dumps({"status": {"podIP": _outside(), "podIPs": [{"ip": _outside()}]}})
    place = ("-n", NAMESPACE, "patch", "pod", "w-1-x", "--subresource=status")
    plane.kubectl(*place, "--type=merge", "-p", ip)
    yield
    plane.kubectl("delete", "--now", "--wait=false", "-f", "-", stdin=items)
    plane.kubectl("-n", NAMESPACE, "delete", "serviceaccount", "default")


@pytest.fixture
def worker(rig: WorkerRig, media: Path) -> Iterator[WorkerRig]:
    """One with an incident that lasts, and a stream that is not there."""
    with http_server(media) as web:
        rig.assign(
            {"arena-1": f"{web}/dark.ts", "arena-2": f"{web}/none.ts"},
            detectors={"black": {"minDuration": "1s"}}, monitor=f"{NAMESPACE}/sports",
        )  # fmt: skip
        rig.start()
        rig.wait_incident(lambda one: one.active)
        rig.wait_state("arena-2", "retrying", "NotFound")
        yield rig


@pytest.fixture
def terminal(
    plane: Loopback, worker: WorkerRig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    monkeypatch.setattr(names, "WORKER_PORT", worker.port)
    return Terminal(NAMESPACE, plane.kubeconfig, tmp_path, monkeypatch)


@pytest.mark.usefixtures("resources")
def test_it_tells_how_streams_are_and_does_what_it_is_asked(
    terminal: Terminal, worker: WorkerRig, plane: Loopback, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    (one,) = terminal.json("status")
    assert (one["namespace"], one["monitor"], one["ready"]) == (NAMESPACE, "sports", "Unknown")
    about = terminal.json("status", "sports")
    assert [row["state"] for row in about["workerProcesses"]] == ["answers"]
    assert [row["defect"] for row in about["activeIncidents"]] == ["black"]
    assert "Incidents that last" in terminal("status", "sports")

    missing, dark = terminal.json("streams", "sports")
    assert (missing["stream"], missing["state"]) == ("arena-2", "retrying")
    assert missing["why"].startswith("NotFound: ")
    assert (dark["state"], dark["worker"]) == ("receiving", "w-1")
    assert "arena-2" in terminal("streams")

    (incident,) = terminal.json("incidents", "--stream", "arena-1")
    assert incident["id"] == worker.status().incidents[0].id
    assert terminal.json("incidents", "--stream", "arena-2") == []
    _watches_until_interrupted(terminal, monkeypatch, incident["id"])

    terminal("report", "sports", "arena-1", "--since", "10m")
    page = (tmp_path / "arena-1.html").read_text()
    assert "<b>black</b>" in page
    assert "data:image/jpeg;base64," in page
    assert "no worker of sports monitors" in terminal.refused("report", "sports", "nobody")
    assert "write numbers with" in terminal.refused("report", "sports", "arena-1", "--since", "1")

    became: list[list[str]] = []
    monkeypatch.setattr(os, "execvp", lambda _, command: became.append(command))
    terminal("logs", "sports", "--tail", "5", "--follow")
    assert "streammonitor.io/worker in (w-1)" in became[0]
    assert became[0][-2:] == ["-n", NAMESPACE]
    assert "has no worker 'w-9'" in terminal.refused("logs", "sports", "--worker", "w-9")

    _mutes(terminal, plane)

    terminal("drain", "w-1")
    place = ("-n", NAMESPACE, "get", "deployment", "w-1", "-o", "json")
    drained = json.loads(plane.kubectl(*place))["metadata"]["annotations"]
    assert names.ANNOTATION_DRAIN in drained
    terminal("drain", "w-1", "--undo")
    kept = json.loads(plane.kubectl(*place))["metadata"]["annotations"]
    assert names.ANNOTATION_DRAIN not in kept
    assert "not found" in terminal.refused("drain", "w-9")


def _watches_until_interrupted(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, incident: str
) -> None:
    looks = []

    def pause(_: float) -> None:
        looks.append(1)
        if len(looks) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(cli, "watch", partial(watching.watch, pause=pause))
    said = terminal("incidents", "--watch", "-o", "json").splitlines()
    assert [json.loads(line)["id"] for line in said] == [incident], "it is told once"


def _mutes(terminal: Terminal, plane: Loopback) -> None:
    said = terminal("mute", "sports", "--for", "2h", "--name", "derby", "-s", "arena-*")
    assert said.startswith("sports: mute derby until ")
    place = ("-n", NAMESPACE, "get", "smon", "sports", "-o", "json")
    (mute,) = json.loads(plane.kubectl(*place))["spec"]["alerts"]["mutes"]
    assert (mute["name"], mute["streams"]) == ("derby", ["arena-*"])
    end = datetime.fromisoformat(mute["once"]["end"].replace("Z", "+00:00"))
    assert 7100 < (end - datetime.now(UTC)).total_seconds() <= 7200
    assert "this is no mute" in terminal.refused("mute", "sports", "--for", "2", "--name", "x")
    assert "Unsupported value" in terminal.refused(
        "mute", "sports", "--for", "2h", "--defect", "blak"
    )
    assert "there is no mute 'x': there are derby" in terminal.refused("unmute", "sports", "x")
    terminal("unmute", "sports", "derby")
    assert "mutes" not in (json.loads(plane.kubectl(*place))["spec"].get("alerts") or {})
