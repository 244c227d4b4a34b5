"""Streams from a list, through the reconciler, against an API in memory, in virtual time."""

import json
import time
from typing import Any

import pytest

from streammonitor_operator import discovery
from streammonitor_operator.kube import CONFIG_MAPS, KubeError, Resource
from tests.unit.operator.fake_kube import rejected
from tests.unit.operator.fleet import KEY, Cluster, stream

pytestmark = pytest.mark.looptime(start=time.monotonic)

LIST = "channels"
POLLED_S = 3.0
"""After so long the list was read, and what follows from it was done."""


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """ConfigMaps are read every second: virtual time costs real time, too."""
    monkeypatch.setattr(discovery, "CONFIG_MAP_INTERVAL_S", 1.0)


def spec(*declared: str, key: str = "list", **policy: Any) -> dict[str, Any]:
    source: dict[str, Any] = {"configMap": {"name": LIST, "key": key}, **policy}
    own = {"streams": [stream(name) for name in declared]} if declared else {}
    return {"streamsFrom": source, "detectors": {"freeze": {}}, **own}


def write(cluster: Cluster, *entries: Any) -> None:
    write_text(
        cluster, json.dumps([stream(one) if isinstance(one, str) else one for one in entries])
    )


def write_text(cluster: Cluster, text: str) -> None:
    metadata = {"namespace": KEY[0], "name": LIST}
    cluster.kube.put(CONFIG_MAPS, {"metadata": metadata, "data": {"list": text}})


def watched(cluster: Cluster) -> set[str]:
    return {one.name for worker in cluster.workers.values() for one in worker.assignment.streams}


async def monitoring(cluster: Cluster, *entries: Any, **policy: Any) -> None:
    write(cluster, *entries)
    cluster.apply(spec(**policy))
    await cluster.settle()
    assert cluster.condition("Ready")["status"] == "True", cluster.status


async def test_the_streams_of_a_list_are_monitored_with_those_of_the_specification(
    cluster: Cluster,
) -> None:
    write(cluster, "b", "a")
    cluster.apply(spec("own"))
    await cluster.settle()
    assert watched(cluster) == {"a", "b", "own"}
    assert cluster.status["streams"] == {"total": 3, "receiving": 3, "defective": 0}
    assert cluster.condition("Degraded")["status"] == "False"


async def test_a_changed_list_is_followed_without_touching_the_others(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b")
    worker = cluster.worker_of("a")
    write(cluster, "a", "b", "c")
    await cluster.settle(POLLED_S)
    assert watched(cluster) == {"a", "b", "c"}
    assert cluster.worker_of("a") is worker
    assert worker.assignment.epoch == 2
    write(cluster, "a", "b", "c", stream("d", url="http://origin.example/other.m3u8"))
    await cluster.settle(POLLED_S)
    assert cluster.status["streams"]["receiving"] == 4


async def test_a_list_that_says_the_same_causes_no_writes(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b")
    before = len(cluster.kube.writes)
    write(cluster, "b", "a")
    await cluster.settle(10)
    assert cluster.kube.writes[before:] == []


async def test_a_great_loss_is_held_back_and_reported_until_it_lasts(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b", "c", lossHold="20s")
    write(cluster, "a")
    await cluster.settle(POLLED_S)
    assert watched(cluster) == {"a", "b", "c"}
    degraded = cluster.condition("Degraded")
    assert (degraded["status"], degraded["reason"]) == ("True", "DiscoveryHeld")
    assert "takes away 2 of 3 streams (b, c), more than maxLossRatio 0.3" in degraded["message"]
    assert cluster.condition("Ready")["status"] == "True"
    before = len(cluster.kube.writes)
    await cluster.settle(10)
    assert watched(cluster) == {"a", "b", "c"}
    assert cluster.kube.writes[before:] == []
    await cluster.settle(10 + POLLED_S)
    assert watched(cluster) == {"a"}
    assert cluster.condition("Degraded")["status"] == "False"


async def test_another_list_is_held_back_anew(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b", "c", lossHold="10s")
    write(cluster, "a")
    await cluster.settle(7)
    write(cluster, "b")
    await cluster.settle(7)
    assert watched(cluster) == {"a", "b", "c"}
    write(cluster, "a", "b", "c")
    await cluster.settle(POLLED_S)
    assert cluster.condition("Degraded")["status"] == "False"


async def test_a_higher_tolerated_share_lets_it_pass_at_once(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b", "c")
    write(cluster, "a")
    await cluster.settle(POLLED_S)
    assert watched(cluster) == {"a", "b", "c"}
    cluster.apply(spec(maxLossRatio=1))
    await cluster.settle()
    assert watched(cluster) == {"a"}


async def test_what_is_held_back_waits_for_a_source_that_fails(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b", "c", lossHold="10s")
    write(cluster, "a")
    await cluster.settle(POLLED_S)
    write_text(cluster, "- [")
    await cluster.settle(20)
    assert watched(cluster) == {"a", "b", "c"}
    assert cluster.condition("Degraded")["reason"] == "DiscoveryFailed"


async def test_a_small_loss_is_obeyed(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b", "c", "d")
    write(cluster, "a", "b", "c")
    await cluster.settle(POLLED_S)
    assert watched(cluster) == {"a", "b", "c"}


@pytest.mark.parametrize("damage", ["gone", "unreadable", "forbidden"])
async def test_the_last_good_list_goes_on_while_the_source_fails(
    cluster: Cluster, damage: str
) -> None:
    await monitoring(cluster, "a", "b")

    def forbid(verb: str, _: Resource, name: str) -> KubeError | None:
        return rejected(403, "Forbidden") if (verb, name) == ("get", LIST) else None

    if damage == "gone":
        cluster.kube.remove(CONFIG_MAPS, KEY[0], LIST)
    elif damage == "unreadable":
        write_text(cluster, "- [")
    else:
        cluster.kube.fail = forbid
    await cluster.settle(POLLED_S)
    degraded = cluster.condition("Degraded")
    assert (degraded["status"], degraded["reason"]) == ("True", "DiscoveryFailed")
    assert degraded["message"].startswith("Since 20")
    assert f"ConfigMap {LIST}" in degraded["message"]
    assert degraded["message"].endswith("the 2 streams of the last good list go on.")
    before = len(cluster.kube.writes)
    await cluster.settle(10)
    assert watched(cluster) == {"a", "b"}
    assert cluster.kube.writes[before:] == []
    cluster.kube.fail = lambda *_: None
    write(cluster, "a", "b")
    await cluster.settle(POLLED_S)
    assert cluster.condition("Degraded")["status"] == "False"


async def test_without_any_list_yet_it_is_not_ready_and_says_why(cluster: Cluster) -> None:
    cluster.apply(spec())
    await cluster.settle()
    ready = cluster.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "DiscoveryFailed")
    assert cluster.condition("Assigned")["status"] == "False"
    assert f"ConfigMap {LIST} does not exist: create it; no list was read yet." in ready["message"]
    write(cluster, "a")
    await cluster.settle(POLLED_S)
    assert cluster.condition("Ready")["status"] == "True"


async def test_an_empty_list_is_said_to_be_one(cluster: Cluster) -> None:
    write(cluster)
    cluster.apply(spec())
    await cluster.settle()
    for kind in ("Assigned", "Receiving", "Ready"):
        found = cluster.condition(kind)
        assert (found["status"], found["reason"]) == ("False", "NoStreams")
    assert cluster.condition("Degraded")["status"] == "False"


async def test_a_bad_entry_is_named_and_the_others_go_on(cluster: Cluster) -> None:
    write(cluster, "a", {"name": "typo", "url": "htp://origin.example/"})
    cluster.apply(spec())
    await cluster.settle()
    assert watched(cluster) == {"a"}
    [problem] = cluster.status["streams"]["problems"]
    assert (problem["name"], problem["reason"]) == ("typo", "EntryRefused")
    assert problem["message"].startswith("entry 2 of the list: url begins with htp, which cannot")
    assert cluster.status["streams"]["total"] == 2
    assert cluster.status["streams"]["receiving"] == 1
    assert cluster.condition("Degraded")["reason"] == "StreamProblems"


async def test_an_entry_that_turned_bad_leaves_its_stream_as_it_was(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b")
    write(cluster, "a", {"name": "b", "url": "htp://origin.example/"})
    await cluster.settle(POLLED_S)
    assert watched(cluster) == {"a", "b"}
    assert cluster.status["streams"]["receiving"] == cluster.status["streams"]["total"] == 2
    [problem] = cluster.status["streams"]["problems"]
    assert (problem["name"], problem["reason"]) == ("b", "EntryRefused")


async def test_a_permission_that_is_taken_back_ends_its_use_at_once(cluster: Cluster) -> None:
    header = {"name": "Authorization", "secretKeyRef": {"name": "origin", "key": "token"}}
    await monitoring(cluster, "a", stream("b", headersFrom=[header]), secrets=["origin"])
    cluster.kube.remove(CONFIG_MAPS, KEY[0], LIST)
    await cluster.settle(POLLED_S)
    assert watched(cluster) == {"a", "b"}
    cluster.apply(spec())
    await cluster.settle(10)
    assert watched(cluster) == {"a"}


async def test_while_suspended_nothing_is_said_of_the_list(cluster: Cluster) -> None:
    write(cluster, "a", {"name": "typo"})
    cluster.apply({**spec(), "suspend": True})
    await cluster.settle()
    assert watched(cluster) == set()
    assert "problems" not in cluster.status["streams"]
    for kind in ("Degraded", "Ready", "Assigned"):
        assert cluster.condition(kind)["reason"] == "Suspended"


async def test_a_correction_of_the_specification_is_noticed_at_once(cluster: Cluster) -> None:
    write(cluster, stream("a", detectors={"black": {}}))
    cluster.apply(spec())
    await cluster.settle()
    assert watched(cluster) == set()
    cluster.apply({**spec(), "detectors": {"black": {}, "freeze": {}}})
    await cluster.settle()
    assert watched(cluster) == {"a"}


async def test_an_operator_restart_takes_nothing_away_and_writes_nothing(cluster: Cluster) -> None:
    groups = [{"name": one, "detectors": [one]} for one in ("black", "freeze")]
    detectors: dict[str, Any] = {"black": {}, "freeze": {}}
    own = {"black": {"minDuration": "3s"}, "freeze": {"minDuration": "4s"}}
    write(cluster, "b", stream("a", detectors=own), "c")
    cluster.apply({**spec("z"), "detectors": detectors, "workers": groups})
    await cluster.settle()
    assert cluster.condition("Ready")["status"] == "True", cluster.status
    before = len(cluster.kube.writes)
    await cluster.restart_operator()
    await cluster.settle(8)
    assert cluster.kube.writes[before:] == []


async def test_a_restart_while_the_source_fails_goes_on_with_what_was_assigned(
    cluster: Cluster,
) -> None:
    await monitoring(cluster, "a", "b", "c")
    cluster.kube.remove(CONFIG_MAPS, KEY[0], LIST)
    await cluster.restart_operator()
    await cluster.settle(8)
    assert watched(cluster) == {"a", "b", "c"}
    assert cluster.condition("Degraded")["reason"] == "DiscoveryFailed"
    write(cluster, "a")
    await cluster.settle(POLLED_S)
    assert watched(cluster) == {"a", "b", "c"}
    assert cluster.condition("Degraded")["reason"] == "DiscoveryHeld"


async def test_streams_move_from_the_specification_to_a_list_undisturbed(cluster: Cluster) -> None:
    cluster.apply({"streams": [stream("a"), stream("b")], "detectors": {"freeze": {}}})
    await cluster.settle()
    worker = cluster.worker_of("a")
    write(cluster, "a", "b")
    cluster.apply(spec())
    await cluster.settle(POLLED_S)
    assert watched(cluster) == {"a", "b"}
    assert worker.assignment.epoch == 1


async def test_another_source_is_asked_at_once_and_loses_nothing(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b")
    cluster.apply(spec(key="other"))
    await cluster.settle()
    assert "has no key other in its data" in cluster.condition("Degraded")["message"]
    assert watched(cluster) == {"a", "b"}


async def test_nobody_asks_for_a_monitor_that_is_gone_or_has_no_list_any_more(
    cluster: Cluster,
) -> None:
    await monitoring(cluster, "a", "b")
    asked = []

    def count(verb: str, _: Resource, name: str) -> None:
        asked.extend([name] if (verb, name) == ("get", LIST) else [])

    cluster.apply({"streams": [stream("a")], "detectors": {"freeze": {}}})
    await cluster.settle(1)  # a poll may fall due just before this is noticed
    cluster.kube.fail = count
    await cluster.settle(POLLED_S)
    assert watched(cluster) == {"a"}
    assert asked == []
