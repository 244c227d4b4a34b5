"""Groups grow at once and shrink slowly."""

import time
from typing import Any

import pytest

from streammonitor_api.spec import StreamMonitorSpec
from streammonitor_operator.consolidation import MOVES, Consolidation
from streammonitor_operator.kube import CONFIG_MAPS, DEPLOYMENTS
from tests.unit.operator.fleet import Cluster, spec_of


def names(number: int) -> list[str]:
    return [f"s{index}" for index in range(number)]


def group(most: int = 2, **scaling: Any) -> dict[str, Any]:
    asked = {"maxStreamsPerWorker": most, "scaleDownAfter": "10s", **scaling}
    return {"name": "g", "detectors": ["freeze"], "scaling": asked}


async def grown(cluster: Cluster, streams: int, **scaling: Any) -> None:
    """As many workers as it takes for that many streams, and then every second stream goes."""
    cluster.apply(spec_of(*names(streams), workers=[group(**scaling)]))
    await cluster.settle()
    cluster.apply(spec_of(*names(streams)[::2], workers=[group(**scaling)]))
    await cluster.settle()
    assert cluster.condition("Ready")["status"] == "True", cluster.status


def workers(cluster: Cluster) -> int:
    return len(cluster.kube.all(DEPLOYMENTS))


@pytest.mark.looptime(start=time.monotonic)
async def test_a_burst_of_streams_is_packed_in_one_step(cluster: Cluster) -> None:
    cluster.apply(spec_of("s0", workers=[group()]))
    await cluster.settle()
    before = len(cluster.kube.writes)
    cluster.apply(spec_of(*names(10), workers=[group()]))
    await cluster.settle(1)
    made = [one for one in cluster.kube.writes[before:] if one[:2] == ("create", "configmaps")]
    assert len(made) == 4, "each worker's assignment was written once, and whole"
    assert workers(cluster) == 5


@pytest.mark.looptime(start=time.monotonic)
async def test_workers_are_emptied_only_after_a_while_at_rest(cluster: Cluster) -> None:
    await grown(cluster, 8)
    assert workers(cluster) == 4
    await cluster.settle(4)
    assert workers(cluster) == 4
    await cluster.settle(16)
    assert workers(cluster) == 2
    assert cluster.condition("Ready")["status"] == "True"


@pytest.mark.looptime(start=time.monotonic)
async def test_what_happens_meanwhile_starts_the_wait_again(cluster: Cluster) -> None:
    await grown(cluster, 8)
    await cluster.settle(4)
    cluster.apply(spec_of(*names(8), workers=[group()]))
    await cluster.settle()
    cluster.apply(spec_of(*names(8)[::2], workers=[group()]))
    await cluster.settle(4)
    assert workers(cluster) == 4
    await cluster.settle(16)
    assert workers(cluster) == 2


def test_the_wait_is_five_minutes_where_nothing_is_said() -> None:
    spec = StreamMonitorSpec.model_validate(spec_of("a", workers=[group(scaleDownAfter=None)]))
    consolidation = Consolidation()
    assert consolidation.due(spec, {"g": 1}, 100.0) == set()
    assert consolidation.again_s(150.0) == 250.0
    assert consolidation.due(spec, {"g": 1}, 400.0) == {"g"}
    assert consolidation.due(spec, {"g": 0}, 401.0) == set()
    assert consolidation.again_s(401.0) is None


@pytest.mark.looptime(start=time.monotonic)
async def test_no_fewer_than_min_are_kept(cluster: Cluster) -> None:
    await grown(cluster, 8, min=3)
    await cluster.settle(30)
    assert workers(cluster) == 3


@pytest.mark.looptime(start=time.monotonic)
async def test_a_stream_is_followed_all_the_time_while_its_worker_is_emptied(
    cluster: Cluster,
) -> None:
    await grown(cluster, 4)
    incident = cluster.worker_of("s0").start("s0"), cluster.worker_of("s2").start("s2")
    cluster.say()
    for _ in range(200):
        await cluster.settle(0.1)
        assert cluster.status["streams"]["receiving"] == 2
    assert workers(cluster) == 1
    assert {one.id for one in incident} == set(cluster.worker_of("s0").incidents)
    assert cluster.events() == ["FreezeStarted", "FreezeStarted"]


@pytest.mark.looptime(start=time.monotonic)
async def test_a_step_moves_a_bounded_number_of_streams(cluster: Cluster) -> None:
    await grown(cluster, 4 * MOVES, most=2 * MOVES)
    first = cluster.worker_of("s0")
    assert workers(cluster) == 2
    held = len(first.assignment.streams)
    await cluster.settle(20)
    assert workers(cluster) == 1
    assert held == MOVES


@pytest.mark.looptime(start=time.monotonic)
async def test_a_fleet_at_rest_that_cannot_shrink_causes_no_writes(cluster: Cluster) -> None:
    cluster.apply(spec_of(*names(4), workers=[group()]))
    await cluster.settle(10)
    before = len(cluster.kube.writes)
    await cluster.settle(15)
    assert cluster.kube.writes[before:] == []
    assert len(cluster.kube.all(CONFIG_MAPS)) == 2
