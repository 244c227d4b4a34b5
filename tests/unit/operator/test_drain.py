"""Nodes that are cordoned or drained, and pods that are told to end."""

import time
from typing import Any

import pytest

from streammonitor_api import names
from streammonitor_api.worker_status import StreamState
from streammonitor_operator.children import Key
from streammonitor_operator.kube import BUDGETS, DEPLOYMENTS, MONITORS, NODES, PODS, Manifest
from streammonitor_operator.nodes import read_node
from streammonitor_operator.steps.hold import HELD_S
from tests.unit.operator.fake_kube import rejected
from tests.unit.operator.fleet import KEY, Cluster, spec_of
from tests.unit.operator.test_handover import group, lists, monitoring

looped = pytest.mark.looptime(start=time.monotonic)
CORDONED = {"unschedulable": True}


def speakers(cluster: Cluster, stream: str) -> list[str]:
    """The processes that speak for a stream, by the names of their pods."""
    return [
        str(worker.pod["metadata"]["name"])
        for worker in cluster.workers.values()
        if stream in {one.name for one in worker.assignment.streams}
        and stream not in worker.assignment.warming
    ]


async def watch(cluster: Cluster, seconds: float, *streams: str) -> None:
    """Nobody may stop speaking for a stream, and no two may speak for it."""
    for _ in range(round(seconds / 0.1)):
        await cluster.settle(0.1)
        for stream in streams:
            assert len(speakers(cluster, stream)) <= 1
            analysing = [
                said
                for worker in cluster.workers.values()
                for said in worker.status().streams
                if said.name == stream and said.state is StreamState.RECEIVING
            ]
            assert analysing
        assert cluster.condition("Ready")["status"] == "True", cluster.status


def node_of(cluster: Cluster, stream: str) -> str:
    return str(cluster.worker_of(stream).pod["spec"].get("nodeName"))


@looped
@pytest.mark.parametrize(
    "leaving", [CORDONED, {"taints": [{"key": "evict", "effect": "NoExecute"}], **CORDONED}]
)
async def test_streams_leave_a_node_that_is_cordoned(
    cluster: Cluster, leaving: dict[str, Any]
) -> None:
    cluster.node("one")
    cluster.node("two")
    await monitoring(cluster, "a")
    old = cluster.worker_of("a")
    cluster.cold.add("a")
    cluster.node("one", **leaving)
    await watch(cluster, 20, "a")
    [clone] = set(lists(cluster, "a")) - {old.name}
    assert lists(cluster, "a") == {old.name: "holds", clone: "warms"}, "it is not warm yet"
    cluster.cold.clear()
    cluster.say()
    await watch(cluster, 5, "a")
    assert lists(cluster, "a") == {clone: "holds"}
    assert node_of(cluster, "a") == "two"
    assert len(cluster.kube.all(DEPLOYMENTS)) == 1


@looped
async def test_a_cordoned_fleet_moves_a_quarter_at_a_time(cluster: Cluster) -> None:
    names = [f"s{number}" for number in range(8)]
    cluster.node("one")
    cluster.node("two")
    await monitoring(cluster, *names, scaling={"maxStreamsPerWorker": 1})
    cluster.node("one", **CORDONED)
    most = 0
    for _ in range(200):
        await cluster.settle(0.2)
        most = max(most, len(cluster.kube.all(DEPLOYMENTS)))
    assert 8 < most <= 10
    assert {one["spec"]["nodeName"] for one in cluster.kube.all(PODS)} == {"two"}


@looped
async def test_without_another_node_streams_stay_where_they_are(cluster: Cluster) -> None:
    cluster.node("one")
    await monitoring(cluster, "a")
    old = cluster.worker_of("a")
    cluster.node("one", **CORDONED)
    await watch(cluster, 15, "a")
    assert lists(cluster, "a")[old.name] == "holds"
    assert len(cluster.kube.all(DEPLOYMENTS)) == 2, "one clone waits for a node"
    cluster.node("one")
    await watch(cluster, 15, "a")


@looped
async def test_a_worker_that_tolerates_the_cordon_stays(cluster: Cluster) -> None:
    cluster.node("one")
    toleration = {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}
    asked = group() | {"template": {"tolerations": [toleration]}}
    cluster.apply(spec_of("a", workers=[asked]))
    await cluster.settle()
    old = cluster.worker_of("a")
    cluster.node("one", **CORDONED)
    await cluster.settle(10)
    assert lists(cluster, "a") == {old.name: "holds"}


@looped
async def test_without_the_right_to_read_nodes_all_else_works(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.kube.fail = lambda _, kind, __: rejected(403) if kind == NODES else None
    await cluster.restart_operator()
    caplog.clear()
    await monitoring(cluster, "a")
    await cluster.settle(130)
    assert cluster.condition("Ready")["status"] == "True"
    assert caplog.text.count("No nodes.") == 0, "it was said once, at the start"
    cluster.kube.fail = lambda *_: None
    cluster.node("one", **CORDONED)
    await cluster.settle(100)
    assert cluster.reconciler.world.nodes.find("", "one"), "the right was given"


@looped
async def test_an_evicted_pod_speaks_until_the_one_in_its_place_takes_over(
    cluster: Cluster,
) -> None:
    await monitoring(cluster, "a")
    old = cluster.worker_of("a")
    cluster.evict(old)
    await watch(cluster, 2, "a")
    incident = old.start("a")
    cluster.say()
    await watch(cluster, 20, "a")
    [new] = cluster.workers.values()
    assert new is not old
    assert new.name == old.name, "its Deployment made it"
    assert new.incidents[incident.id].active, "it goes on with the same incident"
    assert lists(cluster, "a") == {old.name: "holds"}
    assert cluster.events() == ["FreezeStarted"]


@looped
async def test_what_streams_cost_is_not_forgotten_with_the_pod_that_said_it(
    cluster: Cluster,
) -> None:
    names = [f"s{number}" for number in range(9)]
    await monitoring(cluster, *names[:3])
    old = cluster.worker_of("s0")
    old.load_m = 50
    cluster.say()
    await cluster.settle()
    await monitoring(cluster, *names)
    cluster.evict(old)
    await watch(cluster, 20, *names)
    assert len(cluster.kube.all(DEPLOYMENTS)) == 1, "as unmeasured they would need three"


@looped
async def test_streams_of_an_evicted_pod_go_where_there_is_room(cluster: Cluster) -> None:
    for most in (1, 2):
        await monitoring(cluster, "a", "b", scaling={"maxStreamsPerWorker": most})
    evicted, spare = cluster.worker_of("a"), cluster.worker_of("b")
    cluster.evict(evicted)
    await watch(cluster, 30, "a", "b")
    assert lists(cluster, "a") == {spare.name: "holds"}
    assert len(cluster.kube.all(DEPLOYMENTS)) == 1


@looped
async def test_a_drained_node_loses_nothing(cluster: Cluster) -> None:
    cluster.node("one")
    cluster.node("two")
    await monitoring(cluster, "a", "b", scaling={"maxStreamsPerWorker": 1})
    drained = list(cluster.workers.values())
    cluster.node("one", **CORDONED)
    for worker in drained:
        cluster.evict(worker)
    await watch(cluster, 30, "a", "b")
    assert node_of(cluster, "a") == node_of(cluster, "b") == "two"
    assert len(cluster.kube.all(PODS)) == len(cluster.kube.all(DEPLOYMENTS)) == 2


@looped
@pytest.mark.parametrize("seconds", [0.1, 0.3, 1.0, 14.9, 15.3])
async def test_another_operator_goes_on_with_an_eviction(cluster: Cluster, seconds: float) -> None:
    await monitoring(cluster, "a")
    incident = cluster.worker_of("a").start("a")
    cluster.say()
    await cluster.settle()
    cluster.evict(cluster.worker_of("a"))
    await cluster.settle(seconds)
    await cluster.restart_operator()
    await watch(cluster, 20, "a")
    assert len(speakers(cluster, "a")) == 1
    assert cluster.worker_of("a").incidents[incident.id].active
    assert cluster.events() == ["FreezeStarted"]


@looped
async def test_an_evicted_pod_that_does_not_answer_holds_nothing_up(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    old = cluster.worker_of("a")
    cluster.evict(old)
    cluster.silence(old)
    await cluster.settle(5)
    assert lists(cluster, "a") == {old.name: "holds"}


def node(**spec: Any) -> Manifest:
    metadata = {"name": "one", "resourceVersion": "1"}
    return {"metadata": metadata, "spec": spec, "status": {"images": []}}


def taint(key: str, effect: str, value: str = "") -> dict[str, Any]:
    return {"taints": [{"key": key, "effect": effect, "value": value}]}


@pytest.mark.parametrize(
    ("spec", "tolerations", "leaves"),
    [
        ({}, [], False),
        (CORDONED, [], True),
        (CORDONED, [{"operator": "Exists"}], False),
        (taint("gpu", "NoSchedule"), [], False),
        (taint("gpu", "NoExecute", "yes"), [], True),
        (taint("gpu", "NoExecute", "yes"), [{"key": "gpu", "value": "yes"}], False),
        (taint("gpu", "NoExecute", "yes"), [{"key": "gpu", "value": "no"}], True),
        (taint("gpu", "NoExecute"), [{"key": "gpu", "effect": "NoSchedule"}], True),
        (taint("node.kubernetes.io/unreachable", "NoExecute"), [], False),
        (taint("ToBeDeletedByClusterAutoscaler", "NoSchedule", "1700000000"), [], True),
        (CORDONED | taint("gpu", "NoExecute"), [{"key": "gpu", "operator": "Exists"}], True),
    ],
)
def test_what_drives_pods_away(
    spec: dict[str, Any], tolerations: list[dict[str, Any]], *, leaves: bool
) -> None:
    assert read_node(node(**spec)).repels(tolerations) is leaves


@looped
async def test_a_heartbeat_of_a_node_wakes_nobody(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.node("one")
    await monitoring(cluster, "a")
    woken: list[Key] = []
    monkeypatch.setattr(cluster.reconciler, "wake", woken.append)
    cluster.kube.put(NODES, node() | {"metadata": {"namespace": "", "name": "one"}})
    await cluster.settle(0.05)
    assert woken == []
    cluster.node("one", **CORDONED)
    await cluster.settle(0.05)
    assert KEY in woken


@looped
async def test_a_worker_that_a_person_drains_hands_its_streams_over_and_goes(
    cluster: Cluster,
) -> None:
    await monitoring(cluster, "a")
    old = cluster.worker_of("a")
    annotations = {names.ANNOTATION_DRAIN: "requested"}
    asked = {"metadata": {"annotations": annotations}}
    await cluster.kube.patch(DEPLOYMENTS, KEY[0], old.name, asked)
    await watch(cluster, 12, "a")
    assert lists(cluster, "a").keys().isdisjoint({old.name})
    assert old.name not in {one["metadata"]["name"] for one in cluster.kube.all(DEPLOYMENTS)}


def budgets(cluster: Cluster) -> list[Manifest]:
    return cluster.kube.all(BUDGETS)


@looped
async def test_evictions_of_all_workers_are_held_by_one_budget(cluster: Cluster) -> None:
    cluster.node("one")
    await monitoring(cluster, "a", "b", scaling={"maxStreamsPerWorker": 1})
    [budget] = budgets(cluster)
    assert budget["spec"]["maxUnavailable"] == 0
    wanted = budget["spec"]["selector"]["matchLabels"].items()
    pods = cluster.kube.all(PODS)
    assert len(pods) == 2
    assert all(wanted <= pod["metadata"]["labels"].items() for pod in pods)
    cluster.kube.writes.clear()
    await cluster.settle(30)
    assert cluster.kube.writes == []
    cluster.kube.remove(BUDGETS, KEY[0], budget["metadata"]["name"])
    await cluster.settle(5)
    assert len(budgets(cluster)) == 1
    cluster.kube.remove(MONITORS, *KEY)
    await cluster.settle(5)
    assert budgets(cluster) == []


@looped
async def test_an_eviction_is_held_until_the_clone_has_taken_over(cluster: Cluster) -> None:
    cluster.node("one")
    cluster.node("two")
    await monitoring(cluster, "a")
    cluster.cold.add("a")
    cluster.node("one", **CORDONED)
    await watch(cluster, 60, "a")
    assert len(budgets(cluster)) == 1, "it is not warm yet"
    cluster.cold.clear()
    cluster.say()
    await watch(cluster, 10, "a")
    assert node_of(cluster, "a") == "two"
    assert len(cluster.kube.all(PODS)) == 1


@looped
async def test_a_worker_that_cannot_move_is_not_held_for_ever(cluster: Cluster) -> None:
    cluster.node("one")
    await monitoring(cluster, "a")
    cluster.node("one", **CORDONED)
    await cluster.settle(HELD_S - 10)
    assert len(budgets(cluster)) == 1
    await cluster.settle(20)
    assert budgets(cluster) == []
    cluster.node("one")
    await cluster.settle(10)
    assert len(budgets(cluster)) == 1


@looped
async def test_a_worker_that_will_not_move_is_not_held(cluster: Cluster) -> None:
    cluster.node("one")
    toleration = {"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}
    asked = group() | {"template": {"tolerations": [toleration]}}
    cluster.apply(spec_of("a", workers=[asked]))
    await cluster.settle()
    assert len(budgets(cluster)) == 1
    cluster.node("one", **CORDONED)
    await cluster.settle(5)
    assert budgets(cluster) == []


@looped
async def test_without_the_right_to_hold_evictions_all_else_works(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.kube.fail = lambda verb, kind, _: (
        rejected(403, "Forbidden") if kind == BUDGETS and verb == "apply" else None
    )
    cluster.node("one")
    await monitoring(cluster, "a")
    await cluster.settle(30)
    assert cluster.condition("Ready")["status"] == "True"
    assert caplog.text.count("Evictions of workers are not held") == 1
