"""Streams that are listed elsewhere: in a ConfigMap that somebody edits while they are watched."""

import json
from typing import Any

from dev.kube import eventually
from tests.e2e.monitor import DETECTORS, Monitor, assert_undisturbed, channel

LIST = "channels"
SOURCE = {"configMap": {"name": LIST, "key": "streams"}}
FOUND_S = 45
"""A ConfigMap is looked at every 10 s."""


def write(monitor: Monitor, *streams: dict[str, Any]) -> None:
    monitor.access.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": LIST, "namespace": monitor.namespace},
            "data": {"streams": json.dumps(streams)},
        }
    )


def apply(monitor: Monitor, **source: Any) -> None:
    """With no streams but those of the list."""
    manifest = monitor.manifest(streamsFrom={**SOURCE, **source}, detectors=DETECTORS)
    del manifest["spec"]["streams"]
    monitor.access.apply(manifest)


def wait_receiving(monitor: Monitor, number: int) -> None:
    eventually(
        f"{number} streams received",
        lambda: monitor.status().get("streams", {}).get("receiving") == number,
        timeout_s=FOUND_S,
    )


def watched(monitor: Monitor) -> set[str]:
    return {stream.name for worker in monitor.workers() for stream in worker.streams}


def test_a_list_is_followed_and_a_great_loss_is_held_back(monitor: Monitor) -> None:
    write(monitor, channel(0), channel(1))
    apply(monitor)
    monitor.wait("Receiving")
    assert watched(monitor) == {"channel-0", "channel-1"}
    pod = monitor.pods()[0]["metadata"]["name"]
    before = monitor.metrics(pod)

    write(monitor, channel(0), channel(1), channel(2))
    wait_receiving(monitor, 3)

    write(monitor, channel(0))
    degraded = eventually(
        "the loss held back",
        lambda: (
            found
            if (found := monitor.condition("Degraded")).get("reason") == "DiscoveryHeld"
            else None
        ),
        timeout_s=FOUND_S,
    )
    assert "takes away 2 of 3 streams (channel-1, channel-2)" in degraded["message"]
    assert watched(monitor) == {"channel-0", "channel-1", "channel-2"}

    apply(monitor, maxLossRatio=1)
    eventually("the loss obeyed", lambda: watched(monitor) == {"channel-0"}, timeout_s=FOUND_S)
    assert_undisturbed(before, monitor.metrics(pod), "channel-0")


def test_a_bad_entry_is_named_and_a_lost_list_goes_on(monitor: Monitor) -> None:
    write(monitor, channel(0), {"name": "typo", "url": "htp://origin.example/"})
    apply(monitor)
    problem = monitor.wait_problem("typo", "EntryRefused", timeout_s=120)
    assert problem["message"].startswith("entry 2 of the list: url begins with htp, which cannot")
    wait_receiving(monitor, 1)

    write(monitor, channel(0))
    monitor.wait("Ready", timeout_s=FOUND_S)
    monitor.access.delete("configmap", LIST, monitor.namespace)
    degraded = monitor.wait("Degraded", timeout_s=FOUND_S)
    assert degraded["reason"] == "DiscoveryFailed"
    assert f"ConfigMap {LIST} does not exist: create it" in degraded["message"]
    assert monitor.condition("Ready")["status"] == "True"
    assert watched(monitor) == {"channel-0"}


def test_a_host_that_nobody_allowed_is_not_asked(monitor: Monitor) -> None:
    manifest = monitor.manifest(streamsFrom={"http": {"url": "http://origin.example/list"}})
    monitor.access.apply(manifest)
    degraded = monitor.wait("Degraded")
    assert degraded["reason"] == "DiscoveryFailed"
    assert "lists over HTTP are switched off here: the platform team sets" in degraded["message"]
    monitor.wait("Ready")
