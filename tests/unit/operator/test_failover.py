"""Workers that do not answer any more."""

import time

import pytest

from streammonitor_operator.kube import DEPLOYMENTS
from tests.unit.operator.fleet import Cluster, FakeWorker, spec_of
from tests.unit.operator.test_handover import lists

pytestmark = pytest.mark.looptime(start=time.monotonic)


async def pair(cluster: Cluster) -> tuple[FakeWorker, FakeWorker]:
    """Two workers: one with a and b, one with c; each takes three."""
    for most in (2, 3):
        group = {"name": "g", "detectors": ["freeze"], "scaling": {"maxStreamsPerWorker": most}}
        cluster.apply(spec_of("a", "b", "c", workers=[group]))
        await cluster.settle()
    assert cluster.condition("Ready")["status"] == "True"
    return cluster.worker_of("a"), cluster.worker_of("c")


async def test_what_has_room_elsewhere_is_monitored_again_at_once(
    cluster: Cluster,
) -> None:
    big, small = await pair(cluster)
    incident = small.start("c")
    cluster.say()
    await cluster.settle()
    cluster.silence(small)
    await cluster.settle(2.5)
    assert lists(cluster, "c") == {big.name: "holds"}
    assert big.incidents[incident.id].active, "it goes on with the same incident"
    assert cluster.events() == ["FreezeStarted"]


async def test_one_that_comes_back_has_let_go(
    cluster: Cluster,
) -> None:
    big, small = await pair(cluster)
    cluster.silence(small)
    await cluster.settle(3)
    cluster.answer(small)
    await cluster.settle(30)
    assert lists(cluster, "c") == {big.name: "holds"}
    assert [one["metadata"]["name"] for one in cluster.kube.all(DEPLOYMENTS)] == [big.name]


@pytest.mark.parametrize("ends_first", [True, False])
async def test_what_was_told_by_a_worker_that_was_cut_off_counts_once(
    cluster: Cluster, ends_first: bool
) -> None:
    big, small = await pair(cluster)
    cluster.silence(small)
    await cluster.settle(3)
    same = [worker.start("c", episode="7").id for worker in (small, big)]
    assert same[0] == same[1], "episodes are named by the source's timeline"
    if ends_first:
        small.end(same[0])
    cluster.say()
    await cluster.settle()
    cluster.answer(small)
    await cluster.settle(30)
    assert cluster.events() == ["FreezeStarted"]
    assert cluster.status["incidents"] == {"active": 1}
    big.end(same[0])
    cluster.say()
    await cluster.settle()
    assert cluster.events() == ["FreezeEnded", "FreezeStarted"]


async def test_what_has_no_room_waits_for_kubernetes_to_restart_the_process(
    cluster: Cluster,
) -> None:
    big, small = await pair(cluster)
    cluster.silence(big)
    await cluster.settle(60)
    held = {stream: lists(cluster, stream) for stream in "abc"}
    assert list(held["c"]) == [small.name]
    assert sorted(name for one in held.values() for name in one).count(small.name) == 3
    assert len(cluster.kube.all(DEPLOYMENTS)) <= 2, "no worker is made for a process that crashes"


async def test_workers_of_a_machine_that_is_gone_are_replaced(
    cluster: Cluster,
) -> None:
    big, small = await pair(cluster)
    cluster.refusing = False
    cluster.silence(big)
    cluster.silence(small)
    await cluster.settle(40)
    for stream in "abc":
        [(name, role)] = lists(cluster, stream).items()
        assert role == "holds"
        assert name not in (big.name, small.name)


async def test_many_that_fall_silent_at_once_are_doubted(
    cluster: Cluster,
) -> None:
    big, small = await pair(cluster)
    cluster.refusing, cluster.doubtful = False, True
    cluster.silence(big)
    cluster.silence(small)
    await cluster.settle(40)
    assert lists(cluster, "a") == {big.name: "holds"}
    assert lists(cluster, "c") == {small.name: "holds"}
    assert cluster.condition("Degraded")["reason"] == "ObserverPartitioned"
    cluster.doubtful = False
    cluster.answer(big)
    cluster.answer(small)
    await cluster.settle()
    assert cluster.condition("Ready")["status"] == "True"


async def test_a_muted_incident_is_in_the_status_and_no_event(cluster: Cluster) -> None:
    worker, _ = await pair(cluster)
    incident = worker.start("a")
    worker.incidents[incident.id] = incident.model_copy(update={"muted": True})
    cluster.say()
    await cluster.settle()
    assert cluster.status["incidents"] == {"active": 1}
    assert cluster.events() == []
    worker.incidents[incident.id] = incident
    cluster.say()
    await cluster.settle()
    assert cluster.events() == ["FreezeStarted"], "it outlasted its mute"
