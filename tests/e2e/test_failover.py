"""Workers and nodes that fail while there is room elsewhere: how soon their streams go on.

`make bench-failover` runs the same with more rounds, and prints the seed with which it is repeated.
"""

import os
import random
import signal
from collections.abc import Callable, Iterator
from statistics import quantiles
from typing import Any

import pytest

from dev import cluster
from dev.host import Failure
from dev.kube import Access, Object, eventually
from dev.product import SYSTEM_NAMESPACE
from streammonitor_api.incident import EndReason
from streammonitor_api.worker_status import StreamState, StreamStatus
from tests.e2e.monitor import (
    ORIGIN_NAMESPACE,
    SECOND_NODE,
    Monitor,
    assert_one_start_and_one_end,
    channel,
    inject,
    kill_process,
    lasting,
    now,
)

ROUNDS = int(os.environ.get("FAILOVER_ROUNDS", "2"))
SEED = int(os.environ.get("FAILOVER_SEED") or random.randrange(1_000_000))
SILENCE = {"silence": {"minDuration": "1s"}}
NODE_S = 30.0
Record = Callable[[str, object], None]


def _delete(monitor: Monitor, pod: Object) -> None:
    name = pod["metadata"]["name"]
    monitor.access.kubectl(
        "-n", monitor.namespace, "delete", "pod", name, "--grace-period=0", "--force"
    )


FAULTS: dict[str, Callable[[Monitor, Object], None]] = {
    "process killed": lambda _, pod: kill_process(pod),
    "process hangs": lambda _, pod: kill_process(pod, signal.SIGSTOP),
    "pod deleted": _delete,
}


def _spec(streams: int, **group: Any) -> dict[str, Any]:
    everyone = {"name": "all", "detectors": ["silence"], **group}
    return {
        "streams": [channel(n) for n in range(streams)],
        "detectors": SILENCE,
        "workers": [everyone],
    }


def _streams(monitor: Monitor, pod: Object) -> dict[str, StreamStatus]:
    """What a pod says of its streams; nothing if it does not answer."""
    try:
        return {one.name: one for one in monitor.worker(pod["metadata"]["name"]).streams}
    except Failure:
        return {}


def _taken_over_s(monitor: Monitor, victim: Object, streams: set[str], since: float) -> float:
    """How long after `since` the last of these streams was analysed by another process."""

    def all_of_them() -> float | None:
        seen: dict[str, float] = {}
        for pod in monitor.pods():
            if pod["metadata"]["uid"] == victim["metadata"]["uid"]:
                continue
            for name, said in _streams(monitor, pod).items():
                if name in streams and said.first_frame_at is not None:
                    seen[name] = max(seen.get(name, 0.0), said.first_frame_at.timestamp())
        return max(seen.values()) if seen.keys() == streams else None

    return eventually("its streams go on", all_of_them, timeout_s=60, pause_s=0.3) - since


def _busy(monitor: Monitor) -> list[tuple[Object, set[str]]]:
    """The pods that receive streams, once every stream is received and one worker is idle."""

    def settled() -> list[tuple[Object, set[str]]] | None:
        pods = [(pod, _streams(monitor, pod)) for pod in monitor.pods()]
        states = [said.state for _, streams in pods for said in streams.values()]
        calm = states == [StreamState.RECEIVING] * 4 and sum(not s for _, s in pods) == 1
        return [(pod, set(streams)) for pod, streams in pods if streams] if calm else None

    monitor.wait("Ready", timeout_s=180)
    found = eventually("all receive, one is idle", settled, timeout_s=120)
    return sorted(found, key=lambda one: str(one[0]["metadata"]["name"]))


@pytest.mark.timeout(240 + 60 * ROUNDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_streams_of_a_worker_that_fails_go_on_where_there_is_room(
    monitor: Monitor,
    figure: Callable[[str, str, str], None],
    record_property: Record,
    fault: str,
) -> None:
    print(f"FAILOVER_SEED={SEED}")  # noqa: T201  # pytest shows it below a failure
    rng = random.Random(f"{SEED} {fault}")
    monitor.apply(**_spec(4, scaling={"min": 3, "maxStreamsPerWorker": 2}))
    took_s = []
    for _ in range(ROUNDS):
        victim, streams = rng.choice(_busy(monitor))
        failed_at = now()
        FAULTS[fault](monitor, victim)
        took_s.append(_taken_over_s(monitor, victim, streams, failed_at))
        if fault != "pod deleted":  # a pod whose process died often is restarted ever later
            _delete(monitor, victim)
    p95_s = quantiles(took_s, n=20, method="inclusive")[-1]
    record_property(fault, sorted(took_s))
    record_property("seed", SEED)
    figure(f"{fault} -> its streams analysed again, p95 of {ROUNDS}", f"{p95_s:.1f} s", "5 s")
    assert len(took_s) == ROUNDS


@pytest.fixture
def second_node(access: Access, two_nodes: None) -> Iterator[str]:
    """The name of a node that may be lost: nothing that others need runs there."""
    (name,) = [
        node["metadata"]["name"]
        for node in access.items("nodes")
        if node["metadata"]["name"].endswith(str(SECOND_NODE))
    ]
    for namespace in (SYSTEM_NAMESPACE, ORIGIN_NAMESPACE):
        for pod in access.items("pods", "-n", namespace):
            assert pod["spec"].get("nodeName") != name, "run this where the node has just joined"
    yield name
    cluster.join(SECOND_NODE)
    access.kubectl("taint", "node", name, "e2e-", check=False)


def test_streams_of_a_node_that_is_lost_go_on_elsewhere(
    monitor: Monitor,
    access: Access,
    figure: Callable[[str, str, str], None],
    record_property: Record,
    second_node: str,
) -> None:
    (first_node,) = {one["metadata"]["name"] for one in access.items("nodes")} - {second_node}
    access.kubectl("cordon", first_node)
    try:
        monitor.apply(**_spec(2))
        monitor.wait("Ready")
    finally:
        access.kubectl("uncordon", first_node)
    (lost,) = monitor.pods()
    assert lost["spec"]["nodeName"] == second_node
    access.kubectl("taint", "node", second_node, "e2e=full:NoSchedule")
    monitor.apply(**_spec(2, scaling={"min": 2}))
    eventually("room elsewhere", lambda: len(monitor.workers()) == 2, timeout_s=60)
    monitor.wait("Ready")
    inject(access, 1, "silence", 90)
    raised = monitor.wait_incident(
        "open silence", lambda item: item.active and lasting(item), "channel-1"
    )

    failed_at = now()
    cluster.stop_node(SECOND_NODE)
    took_s = _taken_over_s(monitor, lost, {"channel-0", "channel-1"}, failed_at)
    record_property("node lost", [took_s])
    figure("node lost -> its streams analysed elsewhere", f"{took_s:.1f} s", f"{NODE_S:g} s")
    cluster.join(SECOND_NODE)
    ended = monitor.wait_incident(
        "its end",
        lambda item: item.id == raised.id and item.end_reason is EndReason.CLEARED,
        "channel-1",
        120,
    )
    assert ended.started_at == raised.started_at
    assert_one_start_and_one_end(monitor, raised)
    monitor.wait("Ready", timeout_s=180)
    holders = [
        worker.worker
        for worker in monitor.workers()
        for stream in worker.streams
        if stream.name == "channel-1"
    ]
    assert len(holders) == 1, "the worker that came back has let go"
