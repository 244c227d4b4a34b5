"""apply → the three defects, at the right times, with Events, status and logs that say so."""

import json
from collections.abc import Callable

import pytest

from dev import product
from dev.kube import Access, eventually
from dev.timetable import Match, match
from streammonitor_api.incident import Incident
from tests.e2e.monitor import (
    ORIGIN_NAMESPACE,
    TIMETABLE_MAX_S,
    Monitor,
    channel,
    event_time,
    now,
    order,
)

FRAME_S = 1 / 25
KINDS = ("black", "freeze", "silence")


@pytest.fixture
def found(
    monitor: Monitor, figure: Callable[[str, str, str], None]
) -> tuple[Monitor, dict[str, Incident]]:
    """One ended incident of each kind, on one stream, from one worker."""
    applied_at = now()
    monitor.apply(streams=[channel(0)])
    monitor.wait("Receiving")
    stream = monitor.stream()
    assert stream
    assert stream.first_frame_at
    latency = stream.first_frame_at.timestamp() - applied_at
    figure("kubectl apply -> first frame analysed, image present", f"{latency:.1f} s", "15 s")

    def all_ended() -> dict[str, Incident] | None:
        # What was on when the stream was opened was not seen to begin.
        whole = [item for item in monitor.incidents() if not item.active and item.start_s > 0.5]
        ended = {item.defect: item for item in reversed(whole)}
        return ended if set(ended) >= set(KINDS) else None

    return monitor, eventually("an incident of each kind", all_ended, timeout_s=90)


def test_all_three_defects_are_found_at_the_right_times(
    found: tuple[Monitor, dict[str, Incident]], figure: Callable[[str, str, str], None]
) -> None:
    monitor, incidents = found
    timetable = json.loads(
        monitor.access.proxy(ORIGIN_NAMESPACE, "origin", product.ORIGIN_PORT, "timetable")
    )
    matches = {kind: match(incidents[kind], timetable) for kind in KINDS}
    _assert_exact(matches, timetable["cycle_s"])
    for kind, item in matches.items():
        # The player starts some segments behind live; that delay is reported, not judged.
        assert 0 < item.delay_s < timetable["cycle_s"] / 2
        figure(f"{kind}: origin's encoder -> worker (live HLS)", f"{item.delay_s:.1f} s", "none")
    _assert_reported(monitor, incidents)
    _record_latencies(monitor, incidents, figure)


def _assert_exact(matches: dict[str, Match], cycle_s: float) -> None:
    """Lengths, and distances between defects, are those of the timetable.

    Media time begins at the worker's first frame, so only differences can be compared.
    """
    tolerance_s = {"black": FRAME_S, "freeze": FRAME_S, "silence": 0.05}
    for kind, item in matches.items():
        assert item.found_s == pytest.approx(item.played_s, abs=2 * tolerance_s[kind])
    first = matches["black"]
    for kind, item in matches.items():
        played_s = item.played_at - first.played_at
        found_s = item.incident.start_s - first.incident.start_s
        error_s = (found_s - played_s + cycle_s / 2) % cycle_s - cycle_s / 2
        assert abs(error_s) <= FRAME_S + tolerance_s[kind], f"{kind} starts {error_s:+.3f} s off"


def _assert_reported(monitor: Monitor, incidents: dict[str, Incident]) -> None:
    reasons = {event["reason"] for event in monitor.events()}
    for kind in KINDS:
        assert {f"{kind.capitalize()}Started", f"{kind.capitalize()}Ended"} <= reasons
    started = next(event for event in monitor.events() if event["reason"] == "BlackStarted")
    assert started["type"] == "Warning"
    assert "channel-0" in started["message"]
    status = monitor.status()
    assert status["lastIncident"]["stream"] == "channel-0"
    assert status["streams"] == {"total": 1, "receiving": 1} | {
        key: value for key, value in status["streams"].items() if key not in ("total", "receiving")
    }
    table = monitor.access.kubectl("get", "smon", "-n", monitor.namespace)
    assert "STREAMS RECEIVING WORKERS INCIDENTS LAST DEFECT READY AGE" in " ".join(table.split())
    assert {item.id for item in incidents.values()} == {incidents[kind].id for kind in KINDS}, (
        "an id names one incident"
    )


def _record_latencies(
    monitor: Monitor, incidents: dict[str, Incident], figure: Callable[[str, str, str], None]
) -> None:
    pod = monitor.pods()[0]["metadata"]["name"]
    events = {event["reason"]: event_time(event) for event in monitor.events()}
    for kind in KINDS:
        arrived = incidents[kind].detected_at.timestamp()
        (logged, *_) = monitor.log_times(pod, incidents[kind].id)
        figure(
            f"{kind}: completing frame's bytes -> worker's log",
            f"{logged - arrived:.3f} s",
            "0.5 s",
        )
        figure(
            f"{kind}: completing frame's bytes -> Kubernetes Event",
            f"{events[f'{kind.capitalize()}Started'] - arrived:.2f} s",
            "5 s",
        )


def test_a_channel_that_is_gone_is_one_incident(monitor: Monitor) -> None:
    """Signal loss is the root: black, still and silent are its consequences, in every group."""
    others = {kind: {"minDuration": f"{TIMETABLE_MAX_S + 1}s"} for kind in KINDS}
    groups = [
        {"name": "picture", "detectors": ["black", "freeze"]},
        {"name": "sound", "detectors": ["silence", "stall"]},
    ]
    detectors = {**others, "stall": {"minDuration": "6s"}}
    monitor.apply(streams=[channel(1)], detectors=detectors, workers=groups)
    monitor.wait("Receiving")
    order(monitor.access, 1, "404")
    try:
        stall = monitor.wait_incident("a stall", lambda item: item.defect == "stall", "channel-1")
    finally:
        order(monitor.access, 1, "resume")

    def over() -> list[Incident] | None:
        found = [item for one in monitor.workers() for item in one.incidents]
        ended = any(item.id == stall.id and not item.active for item in found)
        return found if ended else None

    found = eventually("the stall ends", over, timeout_s=60)
    assert {item.defect for item in found} == {"stall"}


def test_picture_and_sound_can_be_watched_by_groups_of_their_own(
    monitor: Monitor, access: Access
) -> None:
    groups = [
        {"name": "picture", "detectors": ["black", "freeze"]},
        {"name": "sound", "detectors": ["silence"], "scaling": {"maxStreamsPerWorker": 1}},
    ]
    monitor.apply(streams=[channel(0), channel(1)], workers=groups)
    monitor.wait("Receiving")
    by_group = {group["name"]: group for group in monitor.status()["groups"]}
    assert (by_group["picture"]["workers"], by_group["sound"]["workers"]) == (1, 2)
    for worker in monitor.workers():
        for stream in worker.streams:
            assert bool(stream.video) != bool(stream.audio), "a group decodes what it needs only"
    assert (
        access.get("smon", monitor.name, "-n", monitor.namespace)["status"]["streams"]["receiving"]
        == 2
    )
