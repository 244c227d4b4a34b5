"""Streams that are sent to a worker: Services that follow, ports, and hand-overs with a gap."""

import asyncio
import time
from typing import Any

import pytest

from streammonitor_api import names
from streammonitor_api.worker_status import StreamState, StreamStatus, VideoFormat
from streammonitor_operator.kube import CONFIG_MAPS, PODS, SERVICES, Manifest
from tests.unit.operator.fake_kube import assignment_of, rejected
from tests.unit.operator.fleet import KEY, Cluster, FakeWorker, spec_of
from tests.unit.operator.test_handover import group, lists

pytestmark = pytest.mark.looptime(start=time.monotonic)

UDP = {"name": "a", "url": "udp://@:5000"}
SRT = {"name": "b", "url": "srt://:5000?mode=listener"}
GAP_S = 0.4
VIDEO = VideoFormat(codec="h264", width=64, height=36, frame_rate=25.0)


def spec(*streams: dict[str, str], **more: Any) -> dict[str, Any]:
    return {**spec_of(), "streams": list(streams), "workers": [group(**more)]}


def service(cluster: Cluster, stream: str) -> Manifest:
    found: Manifest = cluster.kube.objects[SERVICES.plural, KEY[0], f"{KEY[1]}-{stream}"]
    return found


def leads_to(cluster: Cluster, stream: str) -> str:
    return str(service(cluster, stream)["spec"]["selector"][names.LABEL_WORKER])


async def network(cluster: Cluster) -> None:
    """What kube-proxy does: datagrams go on to where they went while that is selected at all."""
    flows: dict[str, str] = {}
    while True:
        for one in cluster.kube.all(SERVICES):
            stream, selector = (
                one["metadata"]["labels"][names.LABEL_STREAM],
                one["spec"]["selector"],
            )
            able = {
                uid: "deletionTimestamp" in pod["metadata"]
                for uid, worker in cluster.workers.items()
                for pod in cluster.kube.all(PODS)
                if pod["metadata"]["uid"] == uid
                and selector.items() <= pod["metadata"]["labels"].items()
            }
            if flows.get(stream) not in able:
                flows[stream] = min(able, key=lambda uid: able[uid], default="")
            for uid, worker in cluster.workers.items():
                if uid in cluster.silent:
                    continue  # it has said its last word
                deliver(cluster, worker, stream, arrives=flows[stream] == uid)
        await asyncio.sleep(0.1)


def deliver(cluster: Cluster, worker: FakeWorker, stream: str, *, arrives: bool) -> None:
    turn = next((one for one in worker.assignment.turns if one.stream == stream), None)
    asked = turn is not None and turn.until_s is not None
    state = StreamState.RECEIVING if arrives or asked else StreamState.RETRYING
    said = worker.states.get(stream)
    more = worker._moments(stream)
    if not arrives and not asked and said is not None and said.state is state:
        return
    if more.get("held_from_s") is not None and turn is not None and turn.from_s is not None:
        more["held_from_s"] = turn.from_s + GAP_S
    fresh = StreamStatus(
        name=stream,
        state=state,
        since=cluster.time(),
        video=VIDEO,
        reason=None if state is StreamState.RECEIVING else "NoSender",
        **more,
    )
    if said is None or _moments(said) != _moments(fresh):
        worker.states[stream] = fresh
        cluster.say()


def _moments(said: StreamStatus) -> tuple[object, ...]:
    return said.state, said.held_from_s, said.held_until_s, said.position_s


@pytest.fixture
async def sent(cluster: Cluster) -> Any:
    """A cluster with a network that carries datagrams to who a Service leads to."""
    cluster.clock_s = 1_000_000.0
    carrying = asyncio.create_task(network(cluster))
    yield cluster
    carrying.cancel()


async def test_a_service_leads_to_the_worker_and_goes_with_the_stream(sent: Cluster) -> None:
    sent.apply(spec(UDP, SRT))
    await sent.settle(5)
    worker = sent.worker_of("a")
    udp, srt = service(sent, "a"), service(sent, "b")
    assert udp["metadata"]["ownerReferences"][0]["uid"] == sent.monitor()["metadata"]["uid"]
    assert [one["protocol"] for one in udp["spec"]["ports"]] == ["UDP"]
    ports = {one["spec"]["ports"][0]["port"] for one in (udp, srt)}
    assert ports == {5000}, "what senders are told"
    [config] = sent.kube.all(CONFIG_MAPS)
    listened = assignment_of(config)["ports"]
    assert sorted(listened.values()) == [20_000, 20_001], "in one pod they must differ"
    assert udp["spec"]["ports"][0]["targetPort"] == listened["a"]
    assert leads_to(sent, "a") == leads_to(sent, "b") == worker.name
    assert sent.condition("Ready")["status"] == "True", sent.status
    assert sent.status["streams"]["addresses"] == [
        {"name": "a", "url": "udp://sports-a.video.svc:5000", "worker": worker.name},
        {"name": "b", "url": "srt://sports-b.video.svc:5000", "worker": worker.name},
    ]

    sent.apply(spec(SRT))
    await sent.settle()
    [left] = sent.kube.all(SERVICES)
    assert left["metadata"]["labels"][names.LABEL_STREAM] == "b"
    assert left["spec"]["ports"][0]["targetPort"] == listened["b"], "it stays where it is"


@pytest.mark.parametrize("stream", [UDP, SRT], ids=["udp", "srt"])
async def test_the_old_worker_lets_go_before_the_new_one_receives(
    sent: Cluster, stream: dict[str, str]
) -> None:
    name = stream["name"]
    sent.apply(spec(stream))
    await sent.settle(5)
    old = sent.worker_of(name)
    sent.apply(spec(stream, cpu="2"))
    seen = []
    for _ in range(200):
        await sent.settle(0.1)
        roles = lists(sent, name)
        asked = any(
            one["stream"] == name and "untilS" in one
            for config in sent.kube.all(CONFIG_MAPS)
            for one in assignment_of(config).get("turns", [])
        )
        seen.append((old.name in roles, asked, leads_to(sent, name) == old.name))
    assert set(lists(sent, name).values()) == {"holds"}
    assert leads_to(sent, name) == sent.worker_of(name).name != old.name
    # Asked before it is taken away; SRT's packets are led elsewhere after the connection is closed.
    assert (True, True, name == "b") in seen
    [moved] = sent.status["streams"]["handOvers"]
    assert (moved["name"], moved["gap"], moved["frames"]) == (name, "400ms", 10)
    assert moved["measure"] == "Exact"
    assert "for 400ms (10 pictures)" in sent.condition("Assigned")["message"]
    assert sent.condition("Ready")["status"] == "True", sent.status


async def test_a_pod_on_its_way_out_is_left_as_soon_as_another_listens(sent: Cluster) -> None:
    sent.apply(spec(UDP))
    await sent.settle(5)
    old = sent.worker_of("a")
    sent.evict(old)
    await sent.settle(6)
    place = old.pod["metadata"]
    live = sent.kube.objects[PODS.plural, place["namespace"], place["name"]]
    assert names.LABEL_MANAGED_BY not in live["metadata"]["labels"]
    [new] = [one for one in sent.workers.values() if one is not old]
    assert new.states["a"].state is StreamState.RECEIVING, "long before the grace is over"
    assert lists(sent, "a") == {new.name: "holds"}
    await sent.settle(20)
    [moved] = sent.status["streams"]["handOvers"]
    assert (moved["gap"], moved["measure"]) == ("400ms", "Exact")


async def test_an_srt_connection_is_not_cut_by_leading_its_packets_elsewhere(
    sent: Cluster,
) -> None:
    sent.apply(spec(UDP, SRT))
    await sent.settle(5)
    old = sent.worker_of("b")
    sent.evict(old)
    await sent.settle(6)
    place = old.pod["metadata"]
    live = sent.kube.objects[PODS.plural, place["namespace"], place["name"]]
    assert names.LABEL_MANAGED_BY in live["metadata"]["labels"], "it ends with the pod"
    await sent.settle(30)
    assert sent.condition("Ready")["status"] == "True", sent.status


async def test_the_streams_of_a_worker_that_dies_are_sent_to_another(sent: Cluster) -> None:
    two = [UDP, {**UDP, "name": "c"}]
    sent.apply(spec(*two, scaling={"maxStreamsPerWorker": 1}))
    await sent.settle(5)
    sent.apply(spec(*two, scaling={"maxStreamsPerWorker": 2}))
    await sent.settle(5)
    lost, other = sent.worker_of("a"), sent.worker_of("c")
    assert lost is not other
    lost.position_s += 60.0
    await sent.settle(2)
    sent.silence(lost)
    await sent.settle(15)
    assert leads_to(sent, "a") == other.name
    [moved] = [one for one in sent.status["streams"]["handOvers"] if one["name"] == "a"]
    assert (moved["worker"], moved["measure"]) == (other.name, "AtMost")
    assert "for at most " in sent.condition("Assigned")["message"]


async def test_senders_outside_the_cluster_are_told_of_the_load_balancer(sent: Cluster) -> None:
    sent.apply({**spec(SRT), "service": {"type": "LoadBalancer"}})
    await sent.settle(5)
    balanced = service(sent, "b")
    assert balanced["spec"]["type"] == "LoadBalancer"
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}]}}
    sent.kube.put(SERVICES, {**balanced, "status": status})
    await sent.settle(3)
    [address] = sent.status["streams"]["addresses"]
    assert address["external"] == "srt://203.0.113.7:5000"


async def test_what_another_owns_is_left_alone(sent: Cluster) -> None:
    theirs = {"metadata": {"namespace": KEY[0], "name": "sports-a"}, "spec": {"selector": {}}}
    sent.kube.put(SERVICES, theirs)
    sent.apply(spec(UDP))
    await sent.settle(5)
    assert service(sent, "a")["spec"] == {"selector": {}}
    said = sent.condition("Assigned")
    assert said["status"] == "False"
    assert "Service sports-a exists and does not belong" in said["message"]


async def test_without_the_right_to_services_the_rest_works(sent: Cluster) -> None:
    sent.kube.fail = lambda verb, resource, _: (
        rejected(403, "Forbidden") if resource is SERVICES and verb == "create" else None
    )
    sent.apply(spec(UDP, {"name": "c", "url": "http://origin.example/c.m3u8"}))
    await sent.settle(5)
    assert sent.condition("Assigned")["reason"] == "Refused"
    assert sent.worker_of("c").assignment.epoch > 0


async def test_several_groups_cannot_share_what_one_worker_receives(sent: Cluster) -> None:
    groups = [{"name": "v", "detectors": ["freeze"]}, {"name": "s", "detectors": ["silence"]}]
    detectors: dict[str, Any] = {"freeze": {}, "silence": {}}
    sent.apply({"streams": [SRT], "detectors": detectors, "workers": groups})
    await sent.settle()
    said = sent.condition("Accepted")
    assert said["status"] == "False"
    assert "can be received by one worker only" in said["message"]
    assert sent.kube.all(SERVICES) == []
