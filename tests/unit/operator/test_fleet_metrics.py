"""What the operator tells Prometheus of StreamMonitors and of what it moves."""

import time

import pytest
from prometheus_client import CollectorRegistry

from streammonitor_operator.fleet_metrics import FleetCollector
from streammonitor_operator.metrics import REGISTRY
from streammonitor_operator.observe import Observer
from tests.unit.operator.fleet import Cluster, spec_of
from tests.unit.operator.test_failover import pair

pytestmark = pytest.mark.looptime(start=time.monotonic)


def registry(cluster: Cluster) -> CollectorRegistry:
    one = CollectorRegistry()
    one.register(FleetCollector(cluster.reconciler.world.monitors, Observer(lambda _: None)))
    return one


def moves(reason: str) -> float:
    name = "streammonitor_operator_stream_moves_total"
    return REGISTRY.get_sample_value(name, {"reason": reason}) or 0.0


async def test_a_monitor_is_told_as_its_status_has_it(cluster: Cluster) -> None:
    cluster.apply(spec_of("a", "b"))
    await cluster.settle()
    cluster.worker_of("a").start("a")
    cluster.worker_of("a").lose("b")
    cluster.say()
    await cluster.settle()

    exported = registry(cluster)

    def value(name: str, **labels: str) -> float | None:
        labels |= {"namespace": "video", "monitor": "sports"}
        return exported.get_sample_value(f"streammonitor_operator_{name}", labels)

    assert value("streams") == 2
    assert value("streams_receiving") == 1
    assert value("streams_defective") == 1
    assert value("workers_desired") == value("workers_ready") == 1
    assert value("monitor_condition", type="Ready") == 0
    assert value("monitor_condition", type="Accepted") == 1


async def test_streams_that_move_are_counted_by_why(cluster: Cluster) -> None:
    _, small = await pair(cluster)
    lost, packed = moves("lost"), moves("packed")
    cluster.silence(small)
    await cluster.settle(2.5)
    assert (moves("lost"), moves("packed")) == (lost + 1, packed)


async def test_what_is_new_or_stays_is_no_move(cluster: Cluster) -> None:
    reasons = ("lost", "evicted", "replaced", "packed")
    before = [moves(one) for one in reasons]
    cluster.apply(spec_of("a"))
    await cluster.settle()
    cluster.apply(spec_of("a", "b"))
    await cluster.settle()
    assert [moves(one) for one in reasons] == before
