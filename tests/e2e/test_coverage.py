"""Planned moves, one after the other: every picture is somebody's, and every incident told once."""

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from typing import Any

import pytest

from dev.kube import Object, eventually
from tests.e2e.coverage import Coverage
from tests.e2e.monitor import CYCLE_S, DETECTORS, Monitor, channel

Figure = Callable[[str, str, str], None]
STREAMS = ["channel-0", "channel-1"]


def _spec(size: str, most: int) -> dict[str, Any]:
    group = {
        "name": "all",
        "detectors": sorted(DETECTORS),
        "scaling": {"maxStreamsPerWorker": most, "scaleDownAfter": "2s"},
        "rollout": {"canary": "2s"},
        "template": {"resources": {"requests": {"memory": size}}},
    }
    return {"streams": [channel(0), channel(1)], "detectors": DETECTORS, "workers": [group]}


def _workers(monitor: Monitor) -> set[str]:
    return {one["metadata"]["name"] for one in monitor.objects("deployments")}


def _move(monitor: Monitor, size: str, most: int) -> None:
    """Ask for other workers, and wait until there are no others."""
    before, wanted = _workers(monitor), 2 if most == 1 else 1
    resized = f'"{size}"'

    def done() -> bool:
        now = monitor.objects("deployments")
        fits = all(resized in str(one["spec"]["template"]).replace("'", '"') for one in now)
        busy = [worker for worker in monitor.workers() if worker.streams]
        alone = sum(len(worker.streams) for worker in busy) == len(STREAMS)
        there = len(now) == len(busy) == wanted
        return there and alone and fits and _workers(monitor) != before

    monitor.patch(**_spec(size, most))
    eventually(f"{wanted} workers of {size}", done, timeout_s=90, pause_s=0.5)


def _leave_node(monitor: Monitor) -> None:
    """Cordon the node of the only worker, and wait until it is elsewhere."""

    def only() -> Object | None:
        pods = monitor.pods(terminating=True)
        return pods[0] if len(pods) == 1 else None

    node = eventually("one pod is left", only, timeout_s=60)["spec"]["nodeName"]

    def done() -> bool:
        pod = only()
        return pod is not None and pod["spec"].get("nodeName") not in (None, node)

    monitor.access.kubectl("cordon", node)
    try:
        eventually(f"no worker on {node}", done, timeout_s=90, pause_s=0.5)
    finally:
        monitor.access.kubectl("uncordon", node)


@pytest.mark.usefixtures("two_nodes")
def test_planned_moves_lose_no_picture_and_tell_every_incident_once(
    monitor: Monitor, figure: Figure
) -> None:
    monitor.apply(**_spec("128Mi", 2))
    monitor.wait("Ready")
    with Coverage(monitor) as coverage:
        eventually("all are counted", lambda: all(map(coverage.spans, STREAMS)), timeout_s=30)
        _move(monitor, "128Mi", 1)  # scale up
        _move(monitor, "160Mi", 1)  # roll-out
        _move(monitor, "160Mi", 2)  # scale down
        _leave_node(monitor)
        counts = {stream: coverage.count(stream) for stream in STREAMS}
        for stream, count in counts.items():  # shown if this fails
            print(stream, count, *coverage.spans(stream), sep="\n  ")  # noqa: T201
    pictures = sum(count.pictures for count in counts.values())
    hands = sum(count.hands for count in counts.values())
    unseen = sum(count.unseen for count in counts.values())
    twice = sum(count.twice for count in counts.values())
    figure(f"{hands} planned hand-overs: of {pictures} pictures, analysed by nobody",
           str(unseen), "0")  # fmt: skip
    figure(f"{hands} planned hand-overs: pictures that two workers told of", str(twice), "0")
    assert hands >= 6
    assert (unseen, twice) == (0, 0)
    lost, doubled = _incidents(monitor)
    figure("planned hand-overs: incidents lost; doubled by key", f"{lost}; {doubled}", "0; 0")
    assert (lost, doubled) == (0, 0)


def _incidents(monitor: Monitor) -> tuple[int, int]:
    """Incidents of the origin's timetable that are missing, and those that are too many.

    Each defect comes once in a cycle. An end without a start, or one that is not for having been
    seen to be gone, counts as one too many.
    """
    events = monitor.events()
    lost = doubled = 0
    for stream in STREAMS:
        for defect in DETECTORS:
            started, ended = (
                [one for one in events if one["reason"] == f"{defect.capitalize()}{phase}"
                 and one["message"].startswith(f"{stream}:")]
                for phase in ("Started", "Ended")
            )  # fmt: skip
            doubled += sum("(cleared)" not in one["message"] for one in ended)
            doubled += max(0, len(ended) - len(started))
            for one, other in pairwise(sorted(_detected_at(event) for event in started)):
                cycles = round((other - one) / CYCLE_S)
                lost, doubled = lost + max(0, cycles - 1), doubled + (cycles == 0)
    return lost, doubled


def _detected_at(event: Object) -> float:
    return datetime.fromisoformat(event["firstTimestamp"].replace("Z", "+00:00")).timestamp()
