"""A StreamMonitor on the cluster, as its user sees it: by kubectl, Events, logs and metrics."""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from dev import kube
from dev.kube import Access, Object, eventually
from streammonitor_api import names
from streammonitor_api.incident import Incident
from streammonitor_api.worker_status import StreamStatus, WorkerStatus

ORIGIN_NAMESPACE = "streammonitor-e2e-origin"
SECOND_NODE = 2
CYCLE_S = 24
CLIP_BLACK_S = (8.0, 12.0)
"""When the clip without sound is black, in seconds of media time."""
DEFECTS = "black@3-6,freeze@10-14,silence@17-22"
TIMETABLE_MAX_S = 7
"""No defect on the timetable lasts longer, a segment of slack included."""
DETECTORS: dict[str, dict[str, Any]] = {
    "black": {"minDuration": "1s"},
    "freeze": {"minDuration": "2s"},
    "silence": {"minDuration": "3s"},
}


def channel(number: int, **more: Any) -> dict[str, Any]:
    """A stream of the origin."""
    url = f"http://origin.{ORIGIN_NAMESPACE}.svc:8080/ch-{number}/channel.m3u8"
    return {"name": f"channel-{number}", "url": url, **more}


@dataclass(frozen=True)
class Monitor:
    """One StreamMonitor."""

    access: Access
    namespace: str
    name: str

    def manifest(self, **spec: Any) -> Object:
        return {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {"streams": [channel(0)], "detectors": DETECTORS, **spec},
        }

    def apply(self, **spec: Any) -> None:
        self.access.apply(self.manifest(**spec))

    def patch(self, **spec: Any) -> None:
        self._kubectl("patch", "smon", self.name, "--type=merge", "-p", json.dumps({"spec": spec}))

    def get(self) -> Object:
        return self.access.get("smon", self.name, "-n", self.namespace)

    def status(self) -> Object:
        found: Object = self.get().get("status", {})
        return found

    def condition(self, kind: str) -> Object:
        return kube.conditions(self.get()).get(kind, {})

    def wait(self, kind: str, status: str = "True", timeout_s: float = 120) -> Object:
        """Wait for a condition that was computed from the newest generation."""

        def current() -> Object | None:
            resource = self.get()
            condition = kube.conditions(resource).get(kind)
            if not condition or condition["status"] != status:
                return None
            fresh = condition["observedGeneration"] == resource["metadata"]["generation"]
            return condition if fresh else None

        return eventually(f"{kind}={status}", current, timeout_s=timeout_s)

    def pods(self, *, terminating: bool = False) -> list[Object]:
        return [
            pod
            for pod in self.objects("pods")
            if terminating or "deletionTimestamp" not in pod["metadata"]
        ]

    def objects(self, kind: str) -> list[Object]:
        selector = f"{names.LABEL_MONITOR}={self.name}"
        return self.access.items(kind, "-n", self.namespace, "-l", selector)

    def workers(self) -> list[WorkerStatus]:
        return [self.worker(pod["metadata"]["name"]) for pod in self.pods()]

    def worker(self, pod: str) -> WorkerStatus:
        answer = self.access.proxy(self.namespace, pod, names.WORKER_PORT, "status")
        return WorkerStatus.model_validate_json(answer)

    def stream(self, name: str = "channel-0") -> StreamStatus | None:
        """The stream as the (one) worker that monitors it sees it."""
        streams = [stream for worker in self.workers() for stream in worker.streams]
        return next((stream for stream in streams if stream.name == name), None)

    def incidents(self, stream: str = "channel-0") -> list[Incident]:
        found = [incident for worker in self.workers() for incident in worker.incidents]
        return [incident for incident in found if incident.stream == stream]

    def problem(self, stream: str) -> Object | None:
        problems = self.status().get("streams", {}).get("problems", [])
        return next((item for item in problems if item["name"] == stream), None)

    def wait_problem(self, stream: str, reason: str, timeout_s: float = 45) -> Object:
        def found() -> Object | None:
            problem = self.problem(stream)
            return problem if problem and problem["reason"] == reason else None

        return eventually(f"problem {reason} of {stream}", found, timeout_s=timeout_s)

    def wait_incident(
        self,
        what: str,
        wanted: Callable[[Incident], bool],
        stream: str = "channel-0",
        timeout_s: float = 60,
    ) -> Incident:
        def found() -> Incident | None:
            return next((item for item in self.incidents(stream) if wanted(item)), None)

        return eventually(what, found, timeout_s=timeout_s, pause_s=0.3)

    def events(self) -> list[Object]:
        selector = f"involvedObject.kind={names.KIND},involvedObject.name={self.name}"
        return self.access.items("events", "-n", self.namespace, "--field-selector", selector)

    def log_times(self, pod: str, text: str) -> list[float]:
        """When the kubelet received each log line that contains `text`, Unix seconds."""
        lines = self._kubectl("logs", pod, "--timestamps").splitlines()
        stamps = [line.split(" ", 1)[0] for line in lines if text in line]
        return [
            datetime.fromisoformat(stamp[:26].rstrip("Z") + "+00:00").timestamp()
            for stamp in stamps
        ]

    def metrics(self, pod: str) -> dict[tuple[str, str], float]:
        """Values of the worker's metrics by (sample name, stream); other labels are summed."""
        text = self.access.proxy(self.namespace, pod, names.WORKER_PORT, "metrics")
        values: dict[tuple[str, str], float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                key = (sample.name, sample.labels.get("stream", ""))
                values[key] = values.get(key, 0.0) + sample.value
        return values

    def delete(self) -> None:
        self.access.delete("smon", self.name, self.namespace)

    def wait_gone(self, timeout_s: float = 90) -> None:
        """Wait until nothing of it is left, pods that end included."""
        kinds = ("pods", "deployments", "replicasets", "configmaps", "services")

        def gone() -> bool:
            return not any(self.objects(kind) for kind in kinds)

        eventually("nothing is left", gone, timeout_s=timeout_s)

    def _kubectl(self, *arguments: str) -> str:
        return self.access.kubectl("-n", self.namespace, *arguments)


def assert_undisturbed(
    before: dict[tuple[str, str], float], after: dict[tuple[str, str], float], stream: str
) -> None:
    """The stream was neither opened again nor did it lose a frame."""
    for metric in ("streammonitor_connects_total", "streammonitor_discontinuities_total"):
        assert after[metric, stream] == before[metric, stream], metric
    frames = (
        after["streammonitor_frames_total", stream] - before["streammonitor_frames_total", stream]
    )
    media_s = (
        after["streammonitor_media_seconds", stream] - before["streammonitor_media_seconds", stream]
    )
    assert frames > 0
    assert frames == round(media_s * 25), "a frame of the 25 in each second is missing"


def inject(access: Access, number: int, defect: str, duration_s: float) -> None:
    """Have the origin play a defect on a channel from its next segment on."""
    order(access, number, "inject", defect=defect, duration=duration_s)


def order(access: Access, number: int, action: str, **more: Any) -> None:
    """Have the origin do something to a channel; see `Origin.control`."""
    wanted = json.dumps({"action": action, "channel": number, **more})
    address = access.get("pod", "origin", "-n", ORIGIN_NAMESPACE)["status"]["podIP"]
    # Straight to the pod, which this machine can reach: kubectl cannot post through the proxy.
    request = urllib.request.Request(f"http://{address}:8080/control", wanted.encode())
    urllib.request.urlopen(request, timeout=10).close()  # noqa: S310


def assert_one_start_and_one_end(monitor: Monitor, incident: Incident) -> None:
    """The Events of an incident: one key, one start, one end."""

    def reasons() -> list[str] | None:
        events = [e for e in monitor.events() if incident.id in e["metadata"]["name"]]
        found = sorted(event["reason"] for event in events)
        return found if len(found) > 1 else None

    assert eventually("its Events", reasons, timeout_s=40) == ["SilenceEnded", "SilenceStarted"]


def kill_process(pod: Object, number: signal.Signals = signal.SIGKILL) -> None:
    """A signal from outside, as the kernel kills for memory: the pods run on this machine."""
    mark = f"pod{pod['metadata']['uid']}"
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (folder / "cmdline").read_bytes()
            if mark in (folder / "cgroup").read_text() and b"bin/streammonitor" in command:
                os.kill(int(folder.name), number)
                return
    raise AssertionError(f"no process of {pod['metadata']['name']} was found")


def lasting(incident: Incident) -> bool:
    """Whether it is an injected one: it lasts longer than anything on the timetable."""
    return now() - incident.started_at.timestamp() > TIMETABLE_MAX_S


def event_time(event: Object) -> float:
    """When an Event was written, Unix seconds: to the microsecond if it says so."""
    stamp = event.get("eventTime") or event["metadata"]["creationTimestamp"]
    return datetime.fromisoformat(stamp.replace("Z", "+00:00")).timestamp()


def now() -> float:
    """The wall clock; cluster and tests share the machine's."""
    return time.time()
