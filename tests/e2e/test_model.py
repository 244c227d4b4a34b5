"""A classifier of the user's own, out of a ConfigMap."""

import base64
from typing import Any

from dev.kube import Access, eventually
from dev.media.classifier import brightness
from streammonitor_api.incident import Incident
from streammonitor_api.worker_status import DetectorState
from tests.e2e.monitor import Monitor, now

DARK = brightness(level=0.1, gain=-80)
"""Its class 1 is a picture that is black."""
MODEL = {"inputWidth": 16, "inputHeight": 16, "every": "200ms", "minDuration": "1s"}


def _apply(monitor: Monitor, file: str) -> None:
    volume = {"modelVolume": {"configMap": {"name": "models"}}}
    detectors: dict[str, Any] = {"black": {"minDuration": "1s"}, "model": {**MODEL, "file": file}}
    group = {"name": "all", "detectors": sorted(detectors), "template": volume}
    monitor.apply(detectors=detectors, workers=[group])


def _provide(access: Access, monitor: Monitor, files: dict[str, bytes]) -> None:
    access.apply({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "models", "namespace": monitor.namespace},
        "binaryData": {name: base64.b64encode(item).decode() for name, item in files.items()},
    })  # fmt: skip


def test_a_model_out_of_a_configmap_raises_incidents(monitor: Monitor, access: Access) -> None:
    _provide(access, monitor, {"dark.onnx": DARK})
    _apply(monitor, "dark.onnx")

    def seen_by_both() -> Incident | None:
        """The first time round, one of them may have come too late for the beginning."""
        starts = [one.started_at for one in monitor.incidents() if one.defect == "black"]
        return next(
            (
                one
                for one in monitor.incidents()
                if one.defect == "model"
                and any(abs((one.started_at - start).total_seconds()) < 1 for start in starts)
            ),
            None,
        )

    found = eventually("black pictures that both see", seen_by_both, timeout_s=90)
    assert found.measurements["score"] > 0.9
    reasons = {event["reason"] for event in monitor.events()}
    assert {"ModelStarted", "BlackStarted"} <= reasons


def test_a_bad_model_says_why_and_disturbs_nothing(monitor: Monitor, access: Access) -> None:
    _provide(access, monitor, {"dark.onnx": DARK[:-40]})
    _apply(monitor, "dark.onnx")
    problem = monitor.wait_problem("channel-0", "ModelInvalid", timeout_s=90)
    assert "detector 'model' cannot tell: dark.onnx is no ONNX model" in problem["message"]
    assert monitor.condition("Degraded")["status"] == "True"
    seen_at = now()
    monitor.wait_incident(
        "black goes on",
        lambda item: item.defect == "black" and item.detected_at.timestamp() > seen_at,
    )
    stream = monitor.stream()
    assert stream
    assert stream.detectors["model"] is DetectorState.UNKNOWN
    (pod,) = monitor.pods()
    assert [one["restartCount"] for one in pod["status"]["containerStatuses"]] == [0]

    _provide(access, monitor, {"dark.onnx": DARK})
    monitor.access.kubectl(  # the kubelet notices a new ConfigMap within ~80 s, a nudge at once
        "-n", monitor.namespace, "annotate", "pod", pod["metadata"]["name"], "e2e/nudge=1"
    )
    eventually("the mended model", lambda: not monitor.problem("channel-0"), timeout_s=60)


def test_a_configmap_that_is_missing_stops_no_worker(monitor: Monitor) -> None:
    _apply(monitor, "dark.onnx")
    problem = monitor.wait_problem("channel-0", "ModelMissing", timeout_s=90)
    assert "there is no dark.onnx in /models: put it there, or correct file" in problem["message"]
    monitor.wait_incident("black goes on", lambda item: item.defect == "black")
