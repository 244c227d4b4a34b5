"""Streams that move while they are monitored: warm, let go, hold."""

import time
from typing import Any

import pytest

from streammonitor_api.incident import EndReason
from streammonitor_operator.kube import CONFIG_MAPS, DEPLOYMENTS
from tests.unit.operator.fake_kube import assignment_of
from tests.unit.operator.fleet import KEY, Cluster, FakeWorker, spec_of

pytestmark = pytest.mark.looptime(start=time.monotonic)


def group(cpu: str = "1", **more: Any) -> dict[str, Any]:
    template = {"resources": {"requests": {"cpu": cpu}}}
    rollout = {"canary": "0s"}
    return {
        "name": "g", "detectors": ["freeze"], "template": template, "rollout": rollout, **more
    }  # fmt: skip


async def monitoring(cluster: Cluster, *streams: str, **more: Any) -> None:
    cluster.apply(spec_of(*streams, workers=[group(**more)]))
    await cluster.settle()
    assert cluster.condition("Ready")["status"] == "True", cluster.status


def turns(assignment: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = assignment.get("turns", [])
    return found


def lists(cluster: Cluster, stream: str) -> dict[str, str]:
    """Which workers list a stream, and as what."""
    found = {}
    for config in cluster.kube.all(CONFIG_MAPS):
        assignment = assignment_of(config)
        if any(one["name"] == stream for one in assignment.get("streams", [])):
            role = "warms" if stream in assignment.get("warming", []) else "holds"
            if any(one.get("untilS") and one["stream"] == stream for one in turns(assignment)):
                role = "hands over"
            found[config["metadata"]["name"]] = role
    return found


def other(cluster: Cluster, than: FakeWorker) -> FakeWorker:
    [one] = [worker for worker in cluster.workers.values() if worker.name != than.name]
    return one


async def change_template(cluster: Cluster, *streams: str) -> tuple[FakeWorker, FakeWorker]:
    """Ask for other pods; the clone is not warm yet."""
    old = cluster.worker_of(streams[0])
    cluster.cold.update(streams)
    cluster.apply(spec_of(*streams, workers=[group("2")]))
    await cluster.settle()
    return old, other(cluster, old)


async def test_a_changed_template_makes_a_clone_that_warms_before_the_old_lets_go(
    cluster: Cluster,
) -> None:
    await monitoring(cluster, "a", "b")
    old, clone = await change_template(cluster, "a", "b")
    assert lists(cluster, "a") == {old.name: "holds", clone.name: "warms"}
    assert cluster.condition("Ready")["status"] == "True", "nothing is missing meanwhile"
    assert cluster.status["streams"]["receiving"] == 2
    await cluster.settle(120)
    assert lists(cluster, "a") == {old.name: "holds", clone.name: "warms"}, "it waits"
    cluster.cold.discard("a")
    cluster.say()
    await cluster.settle()
    assert lists(cluster, "a") == {clone.name: "holds"}
    assert lists(cluster, "b") == {old.name: "holds", clone.name: "warms"}
    cluster.cold.clear()
    cluster.say()
    await cluster.settle(5)
    assert lists(cluster, "b") == {clone.name: "holds"}
    [left] = cluster.kube.all(DEPLOYMENTS)
    assert left["metadata"]["name"] == clone.name
    assert cluster.condition("Ready")["status"] == "True"


async def test_at_no_time_do_two_workers_hold_a_stream(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    old, clone = await change_template(cluster, "a")
    old.deaf = True
    cluster.cold.clear()
    cluster.say()
    await cluster.settle(10)
    assert lists(cluster, "a") == {clone.name: "warms"}, "the old one has not read that it lets go"
    assert cluster.status["streams"]["receiving"] == 1, "it goes on monitoring meanwhile"
    old.deaf = False
    await cluster.settle(60)
    assert lists(cluster, "a") == {clone.name: "holds"}


async def test_an_open_incident_keeps_its_id_across_a_hand_over(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    incident = cluster.worker_of("a").start("a")
    cluster.say()
    await cluster.settle()
    old, clone = await change_template(cluster, "a")
    assert clone.incidents == {}, "what warms adopts nothing"
    cluster.cold.clear()
    cluster.say()
    await cluster.settle(5)
    assert clone.incidents[incident.id].active
    assert cluster.status["incidents"] == {"active": 1}
    clone.end(incident.id)
    cluster.say()
    await cluster.settle()
    assert cluster.events() == ["FreezeEnded", "FreezeStarted"]
    assert cluster.status["lastIncident"]["endReason"] == EndReason.CLEARED
    assert old.name != clone.name


async def test_a_worker_that_dies_while_its_clone_warms_is_replaced_at_once(
    cluster: Cluster,
) -> None:
    await monitoring(cluster, "a")
    old, clone = await change_template(cluster, "a")
    cluster.silence(old)
    await cluster.settle(10)
    assert lists(cluster, "a")[clone.name] == "holds"


async def test_what_nobody_receives_is_not_warmed_first(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    old = cluster.worker_of("a")
    old.lose("a")
    cluster.say()
    await cluster.settle()
    _, clone = await change_template(cluster, "a")
    assert lists(cluster, "a") == {clone.name: "holds"}


@pytest.mark.parametrize("seconds", [0.2, 0.6, 1.0, 1.4, 1.8, 2.2])
async def test_another_operator_goes_on_in_the_middle(cluster: Cluster, seconds: float) -> None:
    await monitoring(cluster, "a")
    incident = cluster.worker_of("a").start("a")
    cluster.say()
    await cluster.settle()
    cluster.apply(spec_of("a", workers=[group("2")]))
    await cluster.settle(seconds)
    await cluster.restart_operator()
    await cluster.settle(20)
    [left] = cluster.kube.all(DEPLOYMENTS)
    assert lists(cluster, "a") == {left["metadata"]["name"]: "holds"}
    assert cluster.worker_of("a").incidents[incident.id].active
    assert cluster.events() == ["FreezeStarted"]


async def test_a_fleet_is_replaced_a_quarter_at_a_time(cluster: Cluster) -> None:
    names = [f"s{number}" for number in range(8)]
    one_each = {"scaling": {"maxStreamsPerWorker": 1}}
    await monitoring(cluster, *names, **one_each)
    most = 0
    cluster.apply(spec_of(*names, workers=[group("2", **one_each)]))
    for _ in range(200):
        await cluster.settle(0.2)
        most = max(most, len(cluster.kube.all(DEPLOYMENTS)))
    assert 8 < most <= 10
    sizes = [
        one["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"]
        for one in cluster.kube.all(DEPLOYMENTS)
    ]
    assert sizes == ["2"] * 8


async def test_a_stream_that_is_taken_out_while_it_moves_is_gone_everywhere(
    cluster: Cluster,
) -> None:
    await monitoring(cluster, "a", "b")
    cluster.worker_of("b").start("b")
    cluster.say()
    await cluster.settle()
    await change_template(cluster, "a", "b")
    cluster.apply(spec_of("a", workers=[group("2")]))
    await cluster.settle(5)
    assert lists(cluster, "b") == {}
    assert cluster.events() == ["FreezeEnded", "FreezeStarted"]
    assert cluster.status["lastIncident"]["endReason"] == "removed"


async def test_another_version_of_the_operator_restarts_no_worker(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await monitoring(cluster, "a")
    [before] = cluster.kube.all(DEPLOYMENTS)
    monkeypatch.setattr("streammonitor_operator.specs.deployment.TERMINATION_S", 33)
    await cluster.restart_operator()
    await cluster.settle(5)
    [after] = cluster.kube.all(DEPLOYMENTS)
    assert after == before
    cluster.apply(spec_of("a", workers=[group("2")]))
    await cluster.settle(10)
    [clone] = cluster.kube.all(DEPLOYMENTS)
    assert clone["metadata"]["name"] != before["metadata"]["name"]
    assert clone["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 33
    revision = cluster.status["groups"][0]["revision"]
    assert revision == clone["metadata"]["annotations"]["streammonitor.io/revision"]


async def sharing_a_clock(cluster: Cluster) -> tuple[FakeWorker, FakeWorker]:
    """A stream with timestamps, and a clone that is not warm yet."""
    cluster.clock_s = 7.0
    await monitoring(cluster, "a")
    return await change_template(cluster, "a")


async def test_both_agree_on_the_moment_when_a_stream_changes_hands(cluster: Cluster) -> None:
    old, clone = await sharing_a_clock(cluster)
    assert turns(clone.assignment.to_json_object()) == [{"stream": "a", "clockS": 7.0}]
    old.position_s, clone.position_s = 120.0, 130.0
    cluster.cold.clear()
    cluster.say()
    await cluster.settle(5)
    assert lists(cluster, "a") == {old.name: "hands over", clone.name: "warms"}
    assert old.assignment.turns[0].until_s == 130.0, "not before the clone was warm"
    old.position_s = 131.5
    cluster.say()
    await cluster.settle(5)
    assert lists(cluster, "a") == {clone.name: "holds"}
    [turn] = clone.assignment.turns
    assert (turn.clock_s, turn.from_s, turn.until_s) == (7.0, 131.5, None)
    before = len(cluster.kube.writes)
    cluster.reconciler.wake(KEY)
    await cluster.settle(5)
    assert cluster.kube.writes[before:] == [], "what was agreed stays"


async def test_a_worker_hands_over_only_what_it_is_still_to_hand_over(cluster: Cluster) -> None:
    old, clone = await sharing_a_clock(cluster)
    clone.position_s = 130.0
    cluster.cold.clear()
    cluster.say()
    await cluster.settle(5)
    cluster.cold.add("a")
    cluster.say()
    await cluster.settle(5)
    assert lists(cluster, "a") == {old.name: "holds", clone.name: "warms"}
    assert old.assignment.turns == []


async def test_workers_whose_clocks_differ_change_hands_when_told(cluster: Cluster) -> None:
    old, clone = await sharing_a_clock(cluster)
    clone.clock_s = 8.0
    cluster.cold.clear()
    cluster.say()
    await cluster.settle(5)
    assert lists(cluster, "a") == {clone.name: "holds"}
    assert old.assignment.turns == []


async def test_who_takes_over_from_the_dead_goes_on_where_they_fell_silent(
    cluster: Cluster,
) -> None:
    cluster.clock_s = 7.0
    for most in (1, 2):
        await monitoring(cluster, "a", "b", scaling={"maxStreamsPerWorker": most})
    dead = cluster.worker_of("b")
    dead.position_s = 150.0
    cluster.say()
    await cluster.settle()
    cluster.silence(dead)
    await cluster.settle(10)
    [turn] = cluster.worker_of("a").assignment.turns
    assert (turn.stream, turn.clock_s, turn.from_s) == ("b", 7.0, 150.0)


@pytest.mark.parametrize("seconds", [0.2, 0.5, 0.8, 1.1, 1.4, 1.7, 2.0, 2.3, 2.6])
async def test_another_operator_finishes_what_was_agreed(cluster: Cluster, seconds: float) -> None:
    cluster.clock_s = 7.0
    await monitoring(cluster, "a")
    cluster.apply(spec_of("a", workers=[group("2")]))
    await cluster.settle(seconds)
    await cluster.restart_operator()
    await cluster.settle(20)
    [left] = cluster.kube.all(DEPLOYMENTS)
    assert lists(cluster, "a") == {left["metadata"]["name"]: "holds"}
    assert cluster.worker_of("a").assignment.turns[0].from_s == 100.0
