"""Roll-outs: the canary, the pause, the reversion."""

import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streammonitor_api.assignment import Assignment
from streammonitor_api.rollout import Rollout
from streammonitor_api.spec import Stream
from streammonitor_api.status import RolloutPhase, RolloutStatus
from streammonitor_api.worker_status import StreamState, StreamStatus, WorkerStatus
from streammonitor_operator.canary import Fault, Pair, worse
from streammonitor_operator.children import AssignmentMap, WorkerDeployment, WorkerPod
from streammonitor_operator.fleet import PodView, WorkerView
from streammonitor_operator.kube import DEPLOYMENTS, PODS, Rejected, Resource
from streammonitor_operator.observe import Observation
from streammonitor_operator.rollout import advance
from tests.unit.operator.fake_kube import rejected
from tests.unit.operator.fleet import SETTINGS, Cluster, FakeWorker, spec_of
from tests.unit.operator.test_handover import group, lists, monitoring

looped = pytest.mark.looptime(start=time.monotonic)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
NEW_IMAGE = "registry.example/worker:2"
PULLING = {"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}}
WATCHED = {"rollout": {"canary": "10s"}}


def said(name: str = "a", *, warm: bool = True, **more: Any) -> StreamStatus:
    return StreamStatus(name=name, state=StreamState.RECEIVING, since=NOW, warm=warm, **more)


def view(
    name: str, revision: str, *streams: StreamStatus, warms: bool = False, **pod: Any
) -> WorkerView:
    """A worker of a revision that answers."""
    uid = f"uid-{name}"
    manifest = {"metadata": {"annotations": {"streammonitor.io/revision": revision}}, "spec": {}}
    text = json.dumps(manifest).encode()
    deployment = WorkerDeployment("n", name, uid, 1, "m", "o", revision, text)
    listed = [Stream(name=one.name, url="http://x.test/") for one in streams]
    warming = [one.name for one in listed] if warms else []
    assignment = Assignment(epoch=1, group="g", streams=listed, warming=warming)
    mapped = AssignmentMap("n", name, uid, 1, "m", "o", {}, assignment)
    known = {"running": True, "terminating": False, "reason": "", "message": "", **pod}
    seen = WorkerPod("n", name, uid, 1, "m", name, "10.0.0.1", **known)
    status = WorkerStatus(
        version="1", worker=name, process="p", started_at=NOW, revision=1, epoch=1,
        streams=list(streams),
    )  # fmt: skip
    pods = (PodView(seen, Observation(status) if known["running"] else None, 0.0),)
    return WorkerView(name, "g", assignment, mapped, deployment, pods)


class Play:
    """A roll-out from revision A, and its clock."""

    def __init__(self, **terms: Any) -> None:
        self.terms = Rollout.model_validate(terms)
        self.record: RolloutStatus | None = None
        self.now = NOW

    def look(self, *views: WorkerView, wanted: str = "B", after_s: float = 1.0) -> str:
        """How far it is after a while: the phase, and what paused it or ended it."""
        self.now += timedelta(seconds=after_s)
        self.record = advance(self.record, wanted, views, self.terms, self.now)
        if self.record is None:
            return ""
        paused = "paused" if self.record.paused_since else ""
        return " ".join(filter(None, [self.record.phase, paused, self.record.reason]))


OLD = view("w", "A", said())
CLONE = view("x", "B", said(), warms=True)
PULLS = view("x", "B", running=False, reason="ImagePullBackOff", message="no such image. Really")
HOLDS = view("x", "B", said())


def test_workers_as_they_should_be_need_no_roll_out() -> None:
    assert Play().look(OLD, wanted="A") == ""


def test_a_clone_that_does_as_well_for_a_while_takes_over() -> None:
    play = Play(canary="1m")
    assert play.look(OLD) == "Canary"
    assert play.look(OLD, CLONE, after_s=50) == "Canary"
    assert play.look(OLD, CLONE, after_s=59) == "Canary", "the minute began when it was warm"
    assert play.look(OLD, CLONE) == "Rolling"
    assert play.look(OLD, HOLDS) == "Rolling"
    assert play.look(HOLDS) == "Complete"
    assert play.record is not None
    assert (play.record.from_revision, play.record.to_revision) == ("A", "B")
    assert play.look(HOLDS, after_s=86400) == "Complete"


def test_without_a_canary_workers_are_replaced_at_once() -> None:
    assert Play(canary="0s").look(OLD) == "Rolling"


def test_a_clone_that_cannot_run_pauses_and_then_reverts() -> None:
    play = Play()
    assert play.look(OLD) == "Canary"
    assert play.look(OLD, PULLS) == "Canary paused ImagePullBackOff"
    assert play.look(OLD, PULLS, after_s=29) == "Canary paused ImagePullBackOff"
    assert play.look(OLD, PULLS) == "Reverted ImagePullBackOff"
    assert play.record is not None
    assert play.record.message.startswith("reverted to A: worker x: no such image; ")


def test_what_was_reverted_is_not_tried_again_until_something_else_is_asked_for() -> None:
    play = Play()
    play.look(OLD)
    play.look(OLD, PULLS)
    play.look(OLD, PULLS, after_s=40)
    assert play.look(OLD, after_s=86400) == "Reverted ImagePullBackOff"
    assert play.look(OLD, wanted="C") == "Canary"
    other = view("y", "C", said(), warms=True)
    assert play.look(OLD, other, wanted="A") == "Rolling", "what was before needs no canary"
    assert play.look(OLD, wanted="A") == "Complete"


def test_a_pause_that_passes_is_no_more() -> None:
    play = Play()
    play.look(OLD)
    play.look(OLD, PULLS)
    assert play.look(OLD, CLONE) == "Canary"
    assert play.look(OLD, CLONE, after_s=60) == "Rolling"


def test_a_process_that_ends_again_and_again_is_no_accident() -> None:
    play = Play()
    play.look(OLD)
    crashed = view("x", "B", said(), warms=True, restarts=2)
    assert play.look(OLD, crashed) == "Canary paused CrashLoopBackOff"
    assert play.look(OLD, crashed, after_s=30) == "Reverted CrashLoopBackOff"


def test_a_clone_that_waits_for_a_node_has_until_the_deadline() -> None:
    play = Play(deadline="5m")
    play.look(OLD)
    waits = view("x", "B", running=False, reason="Unschedulable", message="no node")
    assert play.look(OLD, waits) == "Canary paused Unschedulable"
    assert play.look(OLD, waits, after_s=299) == "Canary paused Unschedulable"
    assert play.look(OLD, waits) == "Reverted Unschedulable"


def test_a_clone_that_never_gets_warm_is_given_up() -> None:
    play = Play(deadline="5m")
    play.look(OLD)
    cold = view("x", "B", said(warm=False), warms=True)
    assert play.look(OLD, cold, after_s=298) == "Canary"
    assert play.look(OLD, cold, after_s=300) == "Reverted NotWarm"


def test_a_clone_that_is_slower_with_the_same_streams_is_given_up() -> None:
    play = Play(canary="1m", maxSlowdown=0.5)
    old = view("w", "A", said(load_m=100))
    play.look(old)
    slow = view("x", "B", said(load_m=160), warms=True)
    assert play.look(old, slow) == "Canary paused Slower"
    assert play.look(old, slow, after_s=30) == "Reverted Slower"


def test_what_is_worse_once_the_others_roll_is_reverted_too() -> None:
    play = Play(canary="0s")
    second = view("v", "A", said("b"))
    play.look(OLD, second)
    assert play.look(HOLDS, second) == "Rolling"
    assert play.look(HOLDS, second, PULLS) == "Rolling paused ImagePullBackOff"
    assert play.look(HOLDS, second, PULLS, after_s=30) == "Reverted ImagePullBackOff"


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ({"load_m": 100}, {"load_m": 150}, ""),
        ({"load_m": 100}, {"load_m": 151}, "Slower"),
        ({"load_m": 10}, {"load_m": 29}, ""),
        ({"load_m": None}, {"load_m": 500}, ""),
        ({"load_m": 100}, {"load_m": None}, ""),
        ({"pace_m": 1000}, {"pace_m": 670}, ""),
        ({"pace_m": 1000}, {"pace_m": 660}, "Slower"),
        ({"pace_m": 500}, {"pace_m": 400}, ""),
        ({"damaged_per_min": 0}, {"damaged_per_min": 4}, ""),
        ({"damaged_per_min": 0}, {"damaged_per_min": 5}, "DecodeErrors"),
        ({"damaged_per_min": 100}, {"damaged_per_min": 150}, ""),
        ({"damaged_per_min": 100}, {"damaged_per_min": 151}, "DecodeErrors"),
    ],
)
def test_what_is_worse(old: dict[str, Any], new: dict[str, Any], reason: str) -> None:
    fault = worse([Pair(said(**old), said(**new))], 0.5)
    assert (fault.reason if fault else "") == reason


def test_all_streams_are_compared_together() -> None:
    steady = Pair(said(load_m=1000), said(load_m=1000))
    assert worse([steady, Pair(said(load_m=100), said(load_m=200))], 0.5) is None
    fault = worse([Pair(said(load_m=100), said(load_m=300))] * 2, 0.5)
    assert fault == Fault("Slower", "2 streams cost 600m of CPU on the clone and 200m before")


def record_of(cluster: Cluster) -> dict[str, Any]:
    found: dict[str, Any] = cluster.status["groups"][0]["rollout"]
    return found


def images(cluster: Cluster) -> list[str]:
    return [
        one["spec"]["template"]["spec"]["containers"][0]["image"]
        for one in cluster.kube.all(DEPLOYMENTS)
    ]


def clone_of(cluster: Cluster, old: FakeWorker) -> FakeWorker:
    [clone] = [one for one in cluster.workers.values() if one.name != old.name]
    return clone


@looped
async def test_a_clone_is_watched_beside_its_worker_before_it_takes_over(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b", **WATCHED)
    old = cluster.worker_of("a")
    await cluster.restart_operator(NEW_IMAGE)
    await cluster.settle(5)
    clone = clone_of(cluster, old)
    assert lists(cluster, "a") == {old.name: "holds", clone.name: "warms"}
    assert record_of(cluster)["phase"] == "Canary"
    assert cluster.condition("Ready")["status"] == "True"
    assert cluster.condition("Degraded")["status"] == "False"
    await cluster.settle(15)
    assert lists(cluster, "a") == {clone.name: "holds"}
    assert images(cluster) == [NEW_IMAGE]
    assert record_of(cluster)["phase"] == "Complete"
    assert cluster.turns() == ["RolloutCanaryPassed", "RolloutComplete", "RolloutStarted"]


@looped
async def test_an_image_that_cannot_be_pulled_is_reverted_and_nothing_is_missed(
    cluster: Cluster,
) -> None:
    await monitoring(cluster, "a", **WATCHED)
    old = cluster.worker_of("a")
    cluster.broken[NEW_IMAGE] = PULLING
    await cluster.restart_operator(NEW_IMAGE)
    await cluster.settle(5)
    assert cluster.condition("Degraded")["reason"] == "RolloutPaused"
    await cluster.settle(35)
    assert lists(cluster, "a") == {old.name: "holds"}
    assert images(cluster) == [SETTINGS.image]
    assert cluster.condition("Degraded")["reason"] == "RolloutReverted"
    assert "no such image" in cluster.condition("Degraded")["message"]
    assert cluster.condition("Ready")["status"] == "True"
    assert cluster.turns() == ["RolloutPaused", "RolloutReverted", "RolloutStarted"]
    group_status = cluster.status["groups"][0]
    assert group_status["revision"] == record_of(cluster)["fromRevision"]


@looped
async def test_after_a_reversion_workers_are_made_as_before_whoever_operates(
    cluster: Cluster,
) -> None:
    one_each: dict[str, Any] = {"scaling": {"maxStreamsPerWorker": 1}, **WATCHED}
    await monitoring(cluster, "a", **one_each)
    cluster.broken[NEW_IMAGE] = PULLING
    await cluster.restart_operator(NEW_IMAGE)
    await cluster.settle(40)
    writes = len(cluster.kube.writes)
    await cluster.restart_operator(NEW_IMAGE)
    await cluster.settle(10)
    assert len(cluster.kube.writes) == writes, "it is not tried again"
    cluster.apply(spec_of("a", "b", workers=[group(**one_each)]))
    await cluster.settle(10)
    assert images(cluster) == [SETTINGS.image] * 2
    assert list(lists(cluster, "b").values()) == ["holds"]


@looped
async def test_a_worker_that_waits_for_its_turn_is_left_alone(cluster: Cluster) -> None:
    one_each: dict[str, Any] = {"scaling": {"maxStreamsPerWorker": 1}, **WATCHED}
    await monitoring(cluster, "a", "b", "c", **one_each)
    before = {one["metadata"]["name"]: one for one in cluster.kube.all(DEPLOYMENTS)}
    await cluster.restart_operator(NEW_IMAGE)
    await cluster.settle(5)
    after = {one["metadata"]["name"]: one for one in cluster.kube.all(DEPLOYMENTS)}
    assert len(after) == 4, "one canary"
    for name, deployment in before.items():
        assert after[name] == deployment


@looped
async def test_a_stream_that_comes_during_the_canary_gets_a_pod_that_is_known_to_work(
    cluster: Cluster,
) -> None:
    one_each: dict[str, Any] = {"scaling": {"maxStreamsPerWorker": 1}, **WATCHED}
    await monitoring(cluster, "a", **one_each)
    cluster.broken[NEW_IMAGE] = PULLING
    await cluster.restart_operator(NEW_IMAGE)
    await cluster.settle(5)
    cluster.apply(spec_of("a", "b", workers=[group(**one_each)]))
    await cluster.settle(5)
    assert sorted(images(cluster)) == [SETTINGS.image, SETTINGS.image, NEW_IMAGE]
    assert list(lists(cluster, "b").values()) == ["holds"]


@looped
@pytest.mark.parametrize("seconds", [2.0, 31.5])
async def test_another_operator_goes_on_with_a_reversion(cluster: Cluster, seconds: float) -> None:
    await monitoring(cluster, "a", **WATCHED)
    old = cluster.worker_of("a")
    cluster.broken[NEW_IMAGE] = PULLING
    await cluster.restart_operator(NEW_IMAGE)
    await cluster.settle(seconds)
    await cluster.restart_operator(NEW_IMAGE)
    await cluster.settle(40)
    assert images(cluster) == [SETTINGS.image]
    assert lists(cluster, "a") == {old.name: "holds"}
    assert record_of(cluster)["phase"] == RolloutPhase.REVERTED


@looped
async def test_clones_that_took_over_and_then_die_give_their_streams_back(
    cluster: Cluster,
) -> None:
    one_each: dict[str, Any] = {"scaling": {"maxStreamsPerWorker": 1}, "rollout": {"canary": "0s"}}
    names = [f"s{number}" for number in range(6)]
    await monitoring(cluster, *names, **one_each)
    cluster.cold.add("s5")  # so that one old worker stays
    await cluster.restart_operator(NEW_IMAGE)
    await cluster.settle(20)
    updated = [
        one["metadata"]["name"]
        for one in cluster.kube.all(DEPLOYMENTS)
        if one["spec"]["template"]["spec"]["containers"][0]["image"] == NEW_IMAGE
    ]
    holding = [one for one in cluster.workers.values() if one.name in updated]
    crashing = next(one for one in holding if not one.assignment.warming).pod["metadata"]["name"]
    pod = cluster.kube.objects[PODS.plural, "video", crashing]
    status = {**pod["status"], "containerStatuses": [{"restartCount": 2}]}
    cluster.kube.put(PODS, {"metadata": pod["metadata"], "status": status})
    await cluster.settle(35)
    cluster.cold.clear()
    await cluster.settle(15)
    assert images(cluster) == [SETTINGS.image] * 6
    assert record_of(cluster)["reason"] == "CrashLoopBackOff"
    for name in names:
        assert list(lists(cluster, name).values()) == ["holds"]


@looped
async def test_pods_that_the_api_refuses_are_reverted(cluster: Cluster) -> None:
    await monitoring(cluster, "a", **WATCHED)
    [old] = [one["metadata"]["name"] for one in cluster.kube.all(DEPLOYMENTS)]

    def refuse(verb: str, kind: Resource, name: str) -> Rejected | None:
        return rejected(422) if kind == DEPLOYMENTS and verb == "create" and name != old else None

    cluster.kube.fail = refuse
    await cluster.restart_operator(NEW_IMAGE)
    await cluster.settle(5)
    assert cluster.condition("Degraded")["reason"] == "Refused"
    await cluster.settle(45)
    assert record_of(cluster)["reason"] == "Refused"
    assert lists(cluster, "a") == {old: "holds"}
    assert cluster.condition("Degraded")["reason"] == "RolloutReverted"
    assert cluster.condition("Ready")["status"] == "True"


@looped
async def test_a_slow_clone_is_reverted(cluster: Cluster) -> None:
    await monitoring(cluster, "a", **WATCHED)
    old = cluster.worker_of("a")
    old.load_m = old.pace_m = 1000
    await cluster.restart_operator(NEW_IMAGE)
    await cluster.settle(5)
    clone = clone_of(cluster, old)
    clone.load_m, clone.pace_m = 1000, 400
    cluster.say()
    await cluster.settle(40)
    assert record_of(cluster)["reason"] == "Slower"
    assert lists(cluster, "a") == {old.name: "holds"}


@looped
async def test_what_was_on_its_way_to_a_worker_of_the_same_revision_goes_on(
    cluster: Cluster,
) -> None:
    await monitoring(cluster, "a", "b", **WATCHED)
    cluster.cold.update("ab")
    one_each: dict[str, Any] = {"scaling": {"maxStreamsPerWorker": 1}, **WATCHED}
    cluster.apply(spec_of("a", "b", workers=[group(**one_each)]))
    await cluster.settle(5)
    cluster.apply(spec_of("a", "b", workers=[group("2", **one_each)]))
    await cluster.settle(5)
    cluster.cold.clear()
    cluster.say()
    await cluster.settle(120)
    sizes = [
        one["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"]
        for one in cluster.kube.all(DEPLOYMENTS)
    ]
    assert sizes == ["2", "2"]
