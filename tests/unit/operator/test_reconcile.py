"""The reconciler against an API in memory, in virtual time."""

import json
import time
from datetime import UTC, datetime

import pytest

from streammonitor_api import names
from streammonitor_api.worker_status import StreamState, StreamStatus
from streammonitor_operator.kube import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    EVENTS,
    MONITORS,
    NAMESPACE_ENDING,
    PODS,
)
from streammonitor_operator.metrics import REGISTRY
from tests.unit.operator.fake_kube import assignment_of, rejected
from tests.unit.operator.fleet import KEY, Cluster, spec_of, stream

pytestmark = pytest.mark.looptime(start=time.monotonic)


async def monitoring(cluster: Cluster, *streams: str, **more: object) -> None:
    cluster.apply(spec_of(*streams, **more))
    await cluster.settle()
    assert cluster.condition("Ready")["status"] == "True", cluster.status


def passes() -> float:
    """How many passes there were without an error, in this process."""
    name = "streammonitor_operator_reconcile_passes_total"
    return REGISTRY.get_sample_value(name, {"result": "done"}) or 0.0


async def test_a_new_monitor_gets_a_worker_and_becomes_ready(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b")
    [config] = cluster.kube.all(CONFIG_MAPS)
    assert [one["name"] for one in assignment_of(config)["streams"]] == ["a", "b"]
    assert len(cluster.kube.all(DEPLOYMENTS)) == 1
    assert cluster.status["streams"] == {"total": 2, "receiving": 2, "defective": 0}
    assert cluster.status["workers"] == {"desired": 1, "ready": 1}


async def test_streams_beyond_the_most_workers_are_reported(cluster: Cluster) -> None:
    scaling = {"max": 1, "maxStreamsPerWorker": 2}
    group = {"name": "g", "detectors": ["freeze"], "scaling": scaling}
    cluster.apply(spec_of("a", "b", "c", workers=[group]))
    await cluster.settle()
    assert cluster.condition("Assigned")["reason"] == "CapacityExhausted"
    assert [one["name"] for one in cluster.status["streams"]["problems"]] == ["c"]
    cluster.apply(spec_of("a", "b", "c", workers=[{**group, "scaling": {**scaling, "max": 2}}]))
    await cluster.settle()
    assert cluster.condition("Ready")["status"] == "True", cluster.status


async def test_a_stream_that_turns_out_heavy_gets_room_elsewhere(cluster: Cluster) -> None:
    size = {"resources": {"requests": {"cpu": "1"}}}
    group = {"name": "g", "detectors": ["freeze"], "template": size}
    await monitoring(cluster, "a", "b", workers=[group])
    worker = cluster.worker_of("a")
    assert cluster.worker_of("b") is worker
    for name, load_m in (("a", 100), ("b", 750)):
        worker.states[name] = StreamStatus(
            name=name, state=StreamState.RECEIVING, since=datetime.now(UTC), load_m=load_m
        )
    cluster.say()
    await cluster.settle()
    assert cluster.worker_of("a") is worker
    assert cluster.worker_of("b") is not worker


async def test_a_healthy_idle_monitor_causes_no_writes(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b")
    before = len(cluster.kube.writes)
    for _ in range(3):
        cluster.reconciler.wake(KEY)
        await cluster.settle(20)
    assert cluster.kube.writes[before:] == []


async def test_an_operator_restart_causes_no_writes(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b")
    cluster.worker_of("a").start("a")
    cluster.say()
    await cluster.settle()
    before = len(cluster.kube.writes)
    await cluster.restart_operator()
    await cluster.settle(30)
    # It cannot know whether the Event was written, so it tries, and finds it.
    assert [write for write in cluster.kube.writes[before:] if write[1] != "events"] == []
    assert len(cluster.kube.all(EVENTS)) == 1


async def test_a_new_stream_reaches_the_worker_with_a_nudge(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    epoch = cluster.worker_of("a").assignment.epoch
    cluster.apply(spec_of("a", "b"))
    await cluster.settle()
    assert cluster.worker_of("b").assignment.epoch == epoch + 1
    [pod] = cluster.kube.all(PODS)
    assert pod["metadata"]["annotations"][names.ANNOTATION_NUDGE] == str(epoch + 1)
    assert cluster.status["streams"]["receiving"] == 2


async def test_a_stream_that_is_added_takes_three_writes(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    before = len(cluster.kube.writes)
    cluster.apply(spec_of("a", "b"))
    await cluster.settle()
    assert [write[:2] for write in cluster.kube.writes[before:]] == [
        ("apply", "configmaps"), ("patch", "pods"), ("apply", "streammonitors"),
    ]  # fmt: skip
    assert cluster.status["streams"]["receiving"] == 2


async def test_a_status_waits_for_a_worker_that_reads_for_a_second_at_most(
    cluster: Cluster,
) -> None:
    await monitoring(cluster, "a")
    cluster.worker_of("a").deaf = True
    for added in ("b", "c"):
        generation = cluster.apply(spec_of("a", added))["metadata"]["generation"]
        await cluster.settle(0.8)
        assert cluster.status["observedGeneration"] == generation - 1
        await cluster.settle(0.5)
        assert cluster.status["observedGeneration"] == generation


async def test_how_a_pod_gets_on_with_its_start_is_looked_at_once(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    [pod] = cluster.kube.all(PODS)
    before = passes()
    for number in range(5):
        cluster.kube.put(PODS, {"metadata": pod["metadata"], "spec": {"nodeName": f"n{number}"}})
        await cluster.settle(0.1)
    assert passes() == before
    await cluster.settle()
    assert passes() == before + 1


async def test_that_a_pod_cannot_start_is_looked_at_at_once(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    [pod] = cluster.kube.all(PODS)
    before = passes()
    waiting = {"state": {"waiting": {"reason": "ImagePullBackOff"}}}
    cluster.kube.put(PODS, {**pod, "status": {**pod["status"], "containerStatuses": [waiting]}})
    await cluster.settle(0.3)
    assert passes() == before + 1


async def test_a_worker_that_does_not_acknowledge_is_nudged_again(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    worker = cluster.worker_of("a")
    worker.deaf = True
    cluster.apply(spec_of("a", "b"))
    await cluster.settle(10)
    nudges = [write for write in cluster.kube.writes if write[:2] == ("patch", "pods")]
    assert 5 <= len(nudges) <= 6
    assert cluster.condition("Assigned")["status"] == "False"


async def test_a_stream_taken_out_is_released_for_good(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b")
    worker = cluster.worker_of("b")
    worker.start("b")
    cluster.say()
    await cluster.settle()
    cluster.apply(spec_of("a"))
    await cluster.settle()
    assert cluster.events() == ["FreezeEnded", "FreezeStarted"]
    assert cluster.status["incidents"]["active"] == 0
    assert cluster.status["lastIncident"]["endReason"] == "removed"
    epoch = worker.assignment.epoch
    cluster.reconciler.wake(KEY)
    await cluster.settle(30)
    assert worker.assignment.epoch == epoch, "an acknowledged release is dropped lazily"
    cluster.apply(spec_of("a", "c"))
    await cluster.settle()
    assert worker.assignment.released == []


async def test_more_streams_than_one_worker_takes(cluster: Cluster) -> None:
    group = {"name": "g", "detectors": ["freeze"], "scaling": {"maxStreamsPerWorker": 2}}
    await monitoring(cluster, "a", "b", "c", workers=[group])
    assert cluster.status["workers"] == {"desired": 2, "ready": 2}
    [found] = cluster.status["groups"]
    assert found.pop("revision")
    assert found == {"name": "g", "streams": 3, "workers": 2, "ready": 2}


async def test_a_worker_with_nothing_left_goes(cluster: Cluster) -> None:
    group = {"name": "g", "detectors": ["freeze"], "scaling": {"maxStreamsPerWorker": 1}}
    await monitoring(cluster, "a", "b", workers=[group])
    cluster.apply(spec_of("a", workers=[group]))
    await cluster.settle()
    assert len(cluster.kube.all(DEPLOYMENTS)) == len(cluster.kube.all(CONFIG_MAPS)) == 1
    assert cluster.status["workers"] == {"desired": 1, "ready": 1}


async def test_suspend_ends_incidents_and_removes_workers_and_resume_brings_them_back(
    cluster: Cluster,
) -> None:
    await monitoring(cluster, "a")
    cluster.worker_of("a").start("a")
    cluster.say()
    await cluster.settle()
    cluster.apply(spec_of("a", suspend=True))
    await cluster.settle()
    assert cluster.kube.all(DEPLOYMENTS) == cluster.kube.all(CONFIG_MAPS) == []
    assert cluster.condition("Suspended")["status"] == "True"
    assert cluster.condition("Suspended")["reason"] == "Suspended"
    assert cluster.status["lastIncident"]["endReason"] == "suspended"
    assert cluster.events() == ["FreezeEnded", "FreezeStarted"]
    await monitoring(cluster, "a")


async def test_suspending_a_worker_that_does_not_answer_waits_twenty_seconds(
    cluster: Cluster,
) -> None:
    await monitoring(cluster, "a")
    cluster.worker_of("a").deaf = True
    cluster.apply(spec_of("a", suspend=True))
    await cluster.settle(19)
    assert len(cluster.kube.all(DEPLOYMENTS)) == 1
    await cluster.settle(3)
    assert cluster.kube.all(DEPLOYMENTS) == []


async def test_an_invalid_specification_leaves_the_workers_alone(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    before = len(cluster.kube.writes)
    cluster.apply({"streams": [stream("a"), stream("a")], "detectors": {"freeze": {}}})
    await cluster.settle(10)
    accepted = cluster.condition("Accepted")
    assert accepted["status"] == "False"
    assert "two streams are named 'a'" in accepted["message"]
    assert accepted["observedGeneration"] == 2
    assert {write[1] for write in cluster.kube.writes[before:]} == {"streammonitors"}
    assert cluster.status["streams"]["receiving"] == 1


@pytest.mark.parametrize("resource", [CONFIG_MAPS, DEPLOYMENTS], ids=lambda one: one.plural)
async def test_what_is_removed_by_hand_comes_back(cluster: Cluster, resource: object) -> None:
    await monitoring(cluster, "a", "b")
    worker = cluster.worker_of("a")
    epoch = worker.assignment.epoch
    for kind in (CONFIG_MAPS, DEPLOYMENTS):
        if kind is resource:
            [gone] = cluster.kube.all(kind)
            cluster.kube.remove(kind, KEY[0], gone["metadata"]["name"])
    await cluster.settle()
    [config] = cluster.kube.all(CONFIG_MAPS)
    assert config["metadata"]["name"] == worker.name
    assert assignment_of(config)["epoch"] >= epoch
    assert cluster.condition("Ready")["status"] == "True"


async def test_what_is_edited_by_hand_comes_back(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    [deployment] = cluster.kube.all(DEPLOYMENTS)
    metadata = {"namespace": KEY[0], "name": deployment["metadata"]["name"]}
    cluster.kube.put(DEPLOYMENTS, {"metadata": metadata, "spec": {"replicas": 0}})
    cluster.kube.put(CONFIG_MAPS, {"metadata": metadata, "data": {"assignment.json": "{]"}})
    await cluster.settle()
    [deployment] = cluster.kube.all(DEPLOYMENTS)
    [config] = cluster.kube.all(CONFIG_MAPS)
    assert deployment["spec"]["replicas"] == 1
    assert assignment_of(config)["epoch"] == 2
    assert cluster.worker_of("a").assignment.epoch == 2


async def test_a_deposed_leader_cannot_overwrite_an_assignment(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    [config] = cluster.kube.all(CONFIG_MAPS)
    newer = assignment_of(config) | {"epoch": 7}
    world = cluster.reconciler.world
    cluster.kube.drop_watches()
    cluster.kube.fail = lambda verb, *_: rejected(503) if verb in ("watch", "list") else None
    cluster.kube.put(CONFIG_MAPS, {**config, "data": {names.ASSIGNMENT_KEY: json.dumps(newer)}})
    cluster.apply(spec_of("a", "b"))
    await cluster.settle()
    [config] = cluster.kube.all(CONFIG_MAPS)
    assert assignment_of(config)["epoch"] == 7
    assert world.maps.of(KEY), "it still acts on what it believes"


async def test_events_tell_start_and_end_once(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    worker = cluster.worker_of("a")
    incident = worker.start("a")
    cluster.say()
    await cluster.settle(1)
    [event] = cluster.kube.all(EVENTS)
    assert event["type"] == "Warning"
    assert event["message"].startswith("a: freeze since ")
    assert event["message"].endswith(" UTC (critical)")
    assert cluster.status["activeIncidents"][0]["id"] == incident.id
    worker.end(incident.id)
    cluster.say()
    await cluster.settle(2)
    await cluster.restart_operator()
    await cluster.settle(2)
    assert cluster.events() == ["FreezeEnded", "FreezeStarted"]
    assert cluster.status["incidents"] == {"active": 0}
    assert cluster.status["lastIncident"]["endReason"] == "cleared"


async def test_an_open_incident_travels_to_the_pod_that_replaces_another(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    first = cluster.worker_of("a")
    incident = first.start("a")
    cluster.say()
    await cluster.settle()
    cluster.kill_pod(first)
    await cluster.settle()
    second = cluster.worker_of("a")
    assert second is not first
    assert second.incidents[incident.id].active
    assert cluster.events() == ["FreezeStarted"]
    second.end(incident.id)
    cluster.say()
    await cluster.settle()
    assert cluster.events() == ["FreezeEnded", "FreezeStarted"]
    assert second.assignment.open_incidents == [], "a later process must not adopt it again"


async def test_an_open_incident_travels_although_the_operator_was_restarted(
    cluster: Cluster,
) -> None:
    await monitoring(cluster, "a")
    first = cluster.worker_of("a")
    incident = first.start("a")
    cluster.say()
    await cluster.settle()
    await cluster.stop()
    cluster.kill_pod(first)
    cluster._departed.clear()
    await cluster.restart_operator()
    await cluster.settle()
    second = cluster.worker_of("a")
    assert second is not first
    assert second.incidents[incident.id].active
    assert second.incidents[incident.id].episode == "1"


async def test_an_incident_that_nobody_can_end_any_more_is_ended(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b")
    worker = cluster.worker_of("b")
    worker.start("b")
    cluster.say()
    await cluster.settle()
    cluster.schedulable = False
    cluster.kill_pod(worker)
    await cluster.settle()
    cluster.apply(spec_of("a"))
    await cluster.settle()
    assert cluster.status["incidents"] == {"active": 0}
    assert cluster.events() == ["FreezeEnded", "FreezeStarted"]


async def test_a_problem_names_stream_and_cause(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b")
    worker = cluster.worker_of("a")
    since = worker.status().started_at
    worker.states["a"] = StreamStatus(
        name="a", state=StreamState.RETRYING, reason="ConnectionRefused", message="m", since=since
    )
    worker.revision += 1
    cluster.say()
    await cluster.settle()
    [problem] = cluster.status["streams"]["problems"]
    assert (problem["name"], problem["reason"]) == ("a", "ConnectionRefused")
    assert cluster.status["streams"]["receiving"] == 1
    assert cluster.condition("Ready")["reason"] == "NotReceiving"
    assert cluster.condition("Degraded")["status"] == "True"


async def test_a_worker_that_falls_silent_is_noted_after_the_grace(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    cluster.silence(cluster.worker_of("a"))
    await cluster.settle(3)
    assert cluster.condition("Ready")["status"] == "True"
    await cluster.settle(5)
    [problem] = cluster.status["streams"]["problems"]
    assert problem["reason"] == "WorkerUnreachable"
    assert cluster.status["workers"]["ready"] == 0


async def test_a_worker_that_never_starts_is_a_problem_after_the_grace(cluster: Cluster) -> None:
    cluster.schedulable = False
    cluster.apply(spec_of("a"))
    await cluster.settle(20)
    assert "problems" not in cluster.status["streams"]
    assert cluster.condition("Degraded")["status"] == "False"
    assert "is starting" in cluster.condition("Assigned")["message"]


async def test_api_errors_are_tried_again(cluster: Cluster) -> None:
    left = [503, 429, 500]
    cluster.kube.fail = lambda verb, kind, _: (
        rejected(left.pop()) if left and kind == DEPLOYMENTS and verb == "apply" else None
    )
    cluster.apply(spec_of("a"))
    await cluster.settle(10)
    assert cluster.condition("Ready")["status"] == "True"


async def test_what_the_api_will_never_accept_is_said_in_the_status(cluster: Cluster) -> None:
    cluster.kube.fail = lambda verb, kind, _: (
        rejected(403, "Forbidden") if kind == DEPLOYMENTS and verb == "apply" else None
    )
    cluster.apply(spec_of("a"))
    await cluster.settle(60)
    assert cluster.condition("Assigned")["reason"] == "Refused"
    assert "403 Forbidden" in cluster.condition("Assigned")["message"]
    refused = [write for write in cluster.kube.writes if write[:2] == ("apply", "deployments")]
    assert len(refused) < 20, "with back-off"


async def test_a_namespace_that_is_being_deleted_is_left_alone(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b")
    cluster.kube.fail = lambda verb, *_: (
        rejected(403, NAMESPACE_ENDING) if verb in ("create", "apply") else None
    )
    cluster.kube.writes.clear()
    for resource in (CONFIG_MAPS, DEPLOYMENTS):
        for manifest in cluster.kube.all(resource):
            cluster.kube.remove(resource, KEY[0], manifest["metadata"]["name"])
            await cluster.settle(10)
    assert len(cluster.kube.writes) <= 2, "one pass has noticed"
    await cluster.settle(300)
    assert len(cluster.kube.writes) <= 12, "and looks again once a minute"


async def test_lost_and_expired_watches_are_survived(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    once = [410]
    cluster.kube.fail = lambda verb, *_: (
        rejected(once.pop(), "Expired") if once and verb == "watch" else None
    )
    cluster.kube.drop_watches()
    await cluster.settle(5)
    [deployment] = cluster.kube.all(DEPLOYMENTS)
    cluster.kube.remove(DEPLOYMENTS, KEY[0], deployment["metadata"]["name"])
    await cluster.settle()
    assert len(cluster.kube.all(DEPLOYMENTS)) == 1


async def test_deletion_leaves_nothing_and_recreates_nothing(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    await cluster.settle(5)
    cluster.kube.remove(MONITORS, *KEY)
    await cluster.settle(10)
    assert [place for place in cluster.kube.objects if place[0] != "events"] == []


async def test_a_deletion_that_was_missed_recreates_nothing(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    await cluster.settle(30)
    cluster.kube.fail = lambda *_: None
    ghost = cluster.reconciler.world.monitors
    put, drop = ghost.put, ghost.drop
    ghost.drop = lambda *_: None  # type: ignore[method-assign]
    cluster.kube.remove(MONITORS, *KEY)
    await cluster.settle(1)
    ghost.put, ghost.drop = put, drop  # type: ignore[method-assign]
    cluster.reconciler.wake(KEY)
    await cluster.settle(10)
    assert [place for place in cluster.kube.objects if place[0] != "events"] == []
    assert ghost.get(KEY) is None
