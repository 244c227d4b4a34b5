"""Parameters and regions of single streams, while they are watched."""

from typing import Any

from dev.kube import eventually
from tests.e2e.monitor import DETECTORS, Monitor, assert_undisturbed, channel, inject, lasting

CORNER = {"name": "clock", "left": 0.75, "top": 0, "width": 0.25, "height": 0.2}
PATIENT = {"black": {"minDuration": "60s"}}


def _defects(monitor: Monitor, stream: str) -> set[str]:
    return {incident.defect for incident in monitor.incidents(stream)}


def test_a_stream_has_parameters_of_its_own_and_takes_others_without_being_opened_again(
    monitor: Monitor,
) -> None:
    monitor.apply(streams=[channel(0, detectors=PATIENT), channel(1)])
    monitor.wait("Ready")
    pod = monitor.pods()[0]["metadata"]["name"]
    epoch, before = monitor.worker(pod).epoch, monitor.metrics(pod)
    inject(monitor.access, 0, "black", 12)
    inject(monitor.access, 1, "black", 12)
    monitor.wait_incident("black", lambda one: one.defect == "black" and lasting(one), "channel-1")
    # Both were black for as long; only one of them may be for up to a minute.
    assert "black" not in _defects(monitor, "channel-0")

    monitor.apply(streams=[channel(0, ignoreRegions=[CORNER], profile="strict"), channel(1)])
    eventually("the new epoch", lambda: monitor.worker(pod).epoch > epoch, timeout_s=30)
    monitor.wait_incident("black", lambda one: one.defect == "black", "channel-0")
    after = monitor.metrics(pod)
    assert_undisturbed(before, after, "channel-0")
    assert_undisturbed(before, after, "channel-1")


def test_regions_that_leave_nothing_are_refused_in_the_status_and_workers_go_on(
    monitor: Monitor,
) -> None:
    monitor.apply()
    monitor.wait("Ready")
    halves: list[dict[str, Any]] = [
        {"left": left, "top": 0, "width": 0.5, "height": 1} for left in (0, 0.5)
    ]
    monitor.apply(streams=[channel(0, ignoreRegions=halves)])
    refused = monitor.wait("Accepted", "False")
    assert refused["reason"] == "InvalidSpec"
    assert "stream 'channel-0': ignoreRegions leave nothing of the picture" in refused["message"]
    assert monitor.stream()

    monitor.apply(streams=[channel(0, ignoreRegions=halves[:1])], detectors=DETECTORS)
    monitor.wait("Ready")
