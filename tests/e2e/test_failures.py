"""Workers and operators that die, and streams that cannot be monitored."""

import pytest

from dev.kube import Access, eventually
from dev.product import RELEASE, SYSTEM_NAMESPACE
from streammonitor_api.incident import EndReason, Incident
from tests.e2e.monitor import (
    CLIP_BLACK_S,
    ORIGIN_NAMESPACE,
    Monitor,
    assert_one_start_and_one_end,
    channel,
    inject,
    kill_process,
    lasting,
)

OPERATOR = ("-n", SYSTEM_NAMESPACE, "-l", "app.kubernetes.io/name=streammonitor-operator")
QUICK_SILENCE = {"silence": {"minDuration": "500ms"}}


def _kill_operator(access: Access) -> None:
    access.kubectl("delete", "pod", *OPERATOR, "--grace-period=0", "--force", "--wait=false")


def _open_silence(monitor: Monitor) -> Incident:
    """A silence that stays open for a while, whatever else this machine does."""
    inject(monitor.access, 0, "silence", 30)
    return monitor.wait_incident(
        "open silence", lambda item: item.active and lasting(item), timeout_s=40
    )


def _ended(monitor: Monitor, incident: Incident) -> Incident:
    return monitor.wait_incident(
        "its end", lambda item: item.id == incident.id and not item.active, timeout_s=60
    )


def test_a_killed_process_takes_its_incident_up_again(monitor: Monitor) -> None:
    monitor.apply(detectors=QUICK_SILENCE)
    monitor.wait("Receiving")
    (pod,) = [item["metadata"]["name"] for item in monitor.pods()]
    first = monitor.worker(pod)
    incident = _open_silence(monitor)
    (killed,) = monitor.pods()
    kill_process(killed)
    eventually(
        "another process", lambda: monitor.worker(pod).process != first.process, timeout_s=60
    )
    assert _ended(monitor, incident).started_at == incident.started_at
    assert_one_start_and_one_end(monitor, incident)


def test_a_deleted_pod_hands_its_incident_to_the_next(monitor: Monitor) -> None:
    monitor.apply(detectors=QUICK_SILENCE)
    monitor.wait("Receiving")
    (pod,) = [item["metadata"]["name"] for item in monitor.pods()]
    incident = _open_silence(monitor)
    eventually(
        "the operator has seen it",
        lambda: [i for i in monitor.status().get("activeIncidents", []) if i["id"] == incident.id],
        timeout_s=5, pause_s=0.1,
    )  # fmt: skip
    monitor.access.kubectl(
        "-n", monitor.namespace, "delete", "pod", pod, "--grace-period=0", "--force"
    )
    ended = _ended(monitor, incident)
    assert ended.end_reason == EndReason.CLEARED
    assert ended.started_at == incident.started_at
    assert_one_start_and_one_end(monitor, incident)
    monitor.wait("Ready")


def test_an_operator_killed_in_the_middle_is_finished_by_the_next(
    monitor: Monitor, access: Access
) -> None:
    monitor.apply(streams=[channel(0)])
    monitor.wait("Ready")
    for number in (1, 2, 3):
        monitor.apply(
            streams=[channel(n) for n in range(number + 1)],
            workers=[
                {
                    "name": "all",
                    "detectors": ["black", "freeze", "silence"],
                    "scaling": {"maxStreamsPerWorker": 1},
                }
            ],
        )
        _kill_operator(access)
    monitor.wait("Ready", timeout_s=150)
    assert len(monitor.objects("deployments")) == len(monitor.objects("configmaps")) == 4
    watched = sorted(stream.name for worker in monitor.workers() for stream in worker.streams)
    assert watched == [f"channel-{n}" for n in range(4)], "each stream exactly once"


def test_delete_leaves_nothing_behind_without_an_operator(monitor: Monitor, access: Access) -> None:
    monitor.apply()
    monitor.wait("Ready")
    deployment = f"deployment/{RELEASE}-operator"
    access.kubectl("scale", "-n", SYSTEM_NAMESPACE, deployment, "--replicas=0")
    try:
        eventually("no operator", lambda: not access.items("pods", *OPERATOR), timeout_s=60)
        monitor.delete()
        monitor.wait_gone()
    finally:
        access.kubectl("scale", "-n", SYSTEM_NAMESPACE, deployment, "--replicas=1")
        access.kubectl(
            "rollout", "status", "-n", SYSTEM_NAMESPACE, deployment, "--timeout=90s", timeout=100
        )


def test_streams_that_cannot_be_monitored_are_named_and_disturb_nobody(
    monitor: Monitor, access: Access
) -> None:
    origin = f"http://origin.{ORIGIN_NAMESPACE}.svc:8080"
    origin_address = access.get("pod", "origin", "-n", ORIGIN_NAMESPACE)["status"]["podIP"]
    secret = {"name": "Authorization", "secretKeyRef": {"name": "absent", "key": "token"}}
    monitor.apply(streams=[
        channel(0),
        {"name": "refused", "url": f"http://{origin_address}:9/x.m3u8"},
        {"name": "nowhere", "url": "http://nowhere.invalid/x.m3u8"},
        {"name": "missing", "url": f"{origin}/ch-9/channel.m3u8"},
        {"name": "no-media", "url": f"{origin}/timetable"},
        channel(1) | {"name": "secret", "headersFrom": [secret]},
    ])  # fmt: skip
    for stream, reason in (
        ("refused", "ConnectionRefused"),
        ("nowhere", "UnknownHost"),
        ("missing", "NotFound"),
        ("no-media", "NotMedia"),
        ("secret", "SecretMissing"),
    ):
        problem = monitor.wait_problem(stream, reason)
        assert ": " in problem["message"], "what, where, and what to do"
        assert problem["since"]
    assert monitor.stream("channel-0")
    assert monitor.status()["streams"]["receiving"] == 1
    assert monitor.condition("Degraded")["status"] == "True"
    access.apply({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": "absent", "namespace": monitor.namespace},
        "stringData": {"token": "Bearer secret-word"},
    })  # fmt: skip
    for pod in monitor.pods():  # the kubelet notices a new Secret within ~80 s, a nudge at once
        access.kubectl(
            "-n", monitor.namespace, "annotate", "pod", pod["metadata"]["name"], "e2e/nudge=1"
        )
    eventually("the stream with its Secret", lambda: not monitor.problem("secret"), timeout_s=60)
    for pod in monitor.pods():
        restarts = [s["restartCount"] for s in pod["status"]["containerStatuses"]]
        assert restarts == [0]
        logs = access.kubectl("-n", monitor.namespace, "logs", pod["metadata"]["name"])
        assert "secret-word" not in logs


def test_an_audio_detector_on_a_stream_without_audio_says_so(
    monitor: Monitor, video_only_url: str
) -> None:
    mute = {"name": "mute", "url": video_only_url}
    monitor.apply(streams=[channel(0), mute], detectors={"silence": {}, "black": {}})
    problem = monitor.wait_problem("mute", "NoAudio")
    assert "silence" in problem["message"]
    monitor.wait_incident("black is still found", lambda item: item.defect == "black", "mute")
    assert not monitor.problem("channel-0")


def test_a_source_that_ends_is_completed_and_not_a_fault(
    monitor: Monitor, video_only_url: str
) -> None:
    monitor.apply(
        streams=[{"name": "mute", "url": video_only_url}],
        detectors={"black": {"minDuration": "1s"}},
    )
    monitor.wait("Completed")
    assert not monitor.problem("mute")
    (incident,) = monitor.incidents("mute")
    assert incident.start_s == pytest.approx(CLIP_BLACK_S[0], abs=1 / 25)
    assert incident.end_s == pytest.approx(CLIP_BLACK_S[1], abs=1 / 25)
