"""A StreamMonitor is edited, suspended, deleted, and interfered with, while streams are watched."""

from collections.abc import Callable

from dev.kube import Access, eventually
from streammonitor_api import names
from streammonitor_api.incident import EndReason
from tests.e2e.monitor import DETECTORS, Monitor, assert_undisturbed, channel, inject, lasting, now

Figure = Callable[[str, str, str], None]


def test_an_edited_threshold_takes_effect_without_opening_the_stream_again(
    monitor: Monitor, figure: Figure
) -> None:
    monitor.apply(detectors={**DETECTORS, "black": {"minDuration": "30s"}})
    monitor.wait("Receiving")
    pod = monitor.pods()[0]["metadata"]["name"]
    epoch, before = monitor.worker(pod).epoch, monitor.metrics(pod)
    monitor.wait_incident("freeze", lambda item: item.defect == "freeze")
    assert not [item for item in monitor.incidents() if item.defect == "black"]

    edited_at = now()
    monitor.patch(detectors=DETECTORS)
    eventually(
        "the new epoch", lambda: monitor.worker(pod).epoch > epoch, timeout_s=30, pause_s=0.1
    )
    figure("kubectl patch -> worker acknowledges the epoch", f"{now() - edited_at:.2f} s", "2 s")

    monitor.wait_incident("black", lambda item: item.defect == "black")
    assert_undisturbed(before, monitor.metrics(pod), "channel-0")


def test_streams_come_and_go_while_their_siblings_lose_no_frame(monitor: Monitor) -> None:
    monitor.apply(streams=[channel(0), channel(1)])
    monitor.wait("Receiving")
    pod = monitor.pods()[0]["metadata"]["name"]
    before = monitor.metrics(pod)

    monitor.apply(streams=[channel(0), channel(1), channel(2)])
    monitor.wait("Receiving")
    assert monitor.stream("channel-2")
    monitor.apply(streams=[channel(0)])
    eventually("two streams gone", lambda: len(monitor.worker(pod).streams) == 1, timeout_s=30)
    monitor.wait("Receiving")

    assert monitor.status()["streams"]["total"] == 1
    assert_undisturbed(before, monitor.metrics(pod), "channel-0")


def test_removing_a_stream_ends_its_incident_as_removed(monitor: Monitor) -> None:
    monitor.apply(streams=[channel(0), channel(1)], detectors={"silence": {"minDuration": "1s"}})
    monitor.wait("Receiving")
    inject(monitor.access, 1, "silence", 30)  # long enough to be open whatever this machine does
    open_one = monitor.wait_incident(
        "open silence", lambda item: item.active and lasting(item), "channel-1"
    )
    monitor.apply(streams=[channel(0)], detectors={"silence": {"minDuration": "1s"}})
    ended = monitor.wait_incident(
        "its end", lambda item: item.id == open_one.id and not item.active, "channel-1", 30
    )
    assert ended.end_reason == EndReason.REMOVED

    def forgotten() -> bool:
        active = monitor.status().get("activeIncidents", [])
        return all(item["stream"] != "channel-1" for item in active)

    eventually("its end in the status", forgotten, timeout_s=40)


def test_suspend_and_resume(monitor: Monitor) -> None:
    monitor.apply()
    monitor.wait("Ready")
    assert monitor.condition("Suspended")["status"] == "False"

    monitor.patch(suspend=True)
    suspended = monitor.wait("Suspended")
    assert suspended["message"]
    eventually("workers gone", lambda: not monitor.pods(terminating=True), timeout_s=60)
    assert not monitor.objects("deployments")
    assert not monitor.status().get("activeIncidents")
    assert monitor.status()["workers"] == {"desired": 0, "ready": 0}

    monitor.patch(suspend=False)
    monitor.wait("Ready")
    assert monitor.condition("Suspended")["status"] == "False"


def test_what_is_removed_or_edited_by_hand_comes_back(monitor: Monitor) -> None:
    monitor.apply()
    monitor.wait("Ready")
    (deployment,) = monitor.objects("deployments")
    name = deployment["metadata"]["name"]
    (configmap,) = monitor.objects("configmaps")

    kubectl = ["-n", monitor.namespace]
    monitor.access.kubectl(*kubectl, "delete", "configmap", configmap["metadata"]["name"])
    eventually("the ConfigMap is back", lambda: monitor.objects("configmaps"), timeout_s=30)

    monitor.access.kubectl(*kubectl, "scale", "deployment", name, "--replicas=0")
    eventually(
        "the Deployment is as it was",
        lambda: monitor.objects("deployments")[0]["spec"]["replicas"] == 1,
        timeout_s=30,
    )
    monitor.access.kubectl(*kubectl, "delete", "deployment", name)
    eventually("the Deployment is back", lambda: monitor.objects("deployments"), timeout_s=30)
    monitor.wait("Ready")


def test_delete_leaves_nothing_behind(monitor: Monitor) -> None:
    monitor.apply(streams=[channel(0), channel(1)])
    monitor.wait("Ready")
    monitor.delete()
    monitor.wait_gone()


def test_worker_pods_are_restricted_and_carry_no_api_token(
    monitor: Monitor, access: Access
) -> None:
    monitor.apply()
    monitor.wait("Ready")  # in a namespace that enforces Pod Security `restricted`
    (pod,) = monitor.pods()
    assert pod["spec"]["automountServiceAccountToken"] is False
    mounts = [mount["mountPath"] for c in pod["spec"]["containers"] for mount in c["volumeMounts"]]
    assert names.ASSIGNMENT_FOLDER in mounts
    assert not [path for path in mounts if "serviceaccount" in path]
    assert not access.kubectl(
        "auth", "can-i", "--list", "--no-headers", "-n", monitor.namespace,
        f"--as=system:serviceaccount:{monitor.namespace}:{pod['spec']['serviceAccountName']}",
        check=False,
    ).count("secrets")  # fmt: skip
