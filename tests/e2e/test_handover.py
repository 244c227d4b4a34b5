"""Streams move from worker to worker while somebody watches them."""

from collections.abc import Callable
from typing import Any

import pytest

from dev.host import Failure
from dev.kube import Object, eventually
from streammonitor_api import names
from streammonitor_api.assignment import Assignment
from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.worker_status import StreamState, WorkerStatus
from tests.e2e.monitor import (
    Monitor,
    assert_one_start_and_one_end,
    channel,
    inject,
    kill_process,
    lasting,
    now,
)

Figure = Callable[[str, str, str], None]
STREAMS = ["channel-0", "channel-1"]
SILENCE = {"silence": {"minDuration": "1s"}}


def _spec(size: str) -> dict[str, Any]:
    """The same streams on pods of another size."""
    template = {"resources": {"requests": {"memory": size}}}
    group = {
        "name": "all",
        "detectors": ["silence"],
        "template": template,
        "rollout": {"canary": "2s"},
    }
    return {"streams": [channel(0), channel(1)], "detectors": SILENCE, "workers": [group]}


def _assignments(monitor: Monitor) -> dict[str, Assignment]:
    found = {}
    for config in monitor.objects("configmaps"):
        text = config["data"][names.ASSIGNMENT_KEY]
        found[config["metadata"]["name"]] = Assignment.model_validate_json(text)
    return found


def _holders(assignments: dict[str, Assignment], stream: str) -> list[str]:
    return [
        worker
        for worker, one in assignments.items()
        if stream in {listed.name for listed in one.streams} - set(one.warming)
        # Who was asked to hand over has fallen silent before anyone else is told to speak.
        and not any(turn.until_s for turn in one.turns if turn.stream == stream)
    ]


def _raise_silence(monitor: Monitor) -> Incident:
    """A silence on the second stream that stays open while it moves."""
    inject(monitor.access, 1, "silence", 60)
    return monitor.wait_incident(
        "open silence", lambda item: item.active and lasting(item), "channel-1"
    )


def _cleared(monitor: Monitor, raised: Incident) -> Incident:
    """Its end, which is not that a worker let it go."""
    ended = monitor.wait_incident(
        "its end",
        lambda item: item.id == raised.id and item.end_reason is EndReason.CLEARED,
        "channel-1",
        90,
    )
    assert ended.started_at == raised.started_at
    return ended


def test_a_changed_template_moves_streams_without_a_gap(monitor: Monitor, figure: Figure) -> None:
    monitor.apply(**_spec("128Mi"))
    monitor.wait("Ready")
    before = {one["metadata"]["name"] for one in monitor.objects("deployments")}
    raised = _raise_silence(monitor)

    let_go_at: dict[str, float] = {}
    unwatched: list[str] = []

    def moved() -> bool:
        assignments = _assignments(monitor)
        for stream in STREAMS:
            assert len(_holders(assignments, stream)) <= 1, "two workers speak for one stream"
            if not before & set(_holders(assignments, stream)):
                let_go_at.setdefault(stream, now())
        said = [one for worker in monitor.workers() for one in worker.streams]
        receiving = {one.name for one in said if one.state is StreamState.RECEIVING}
        unwatched.extend(set(STREAMS) - receiving)
        if monitor.condition("Ready")["status"] != "True":
            unwatched.append("Ready")
        deployments = {one["metadata"]["name"] for one in monitor.objects("deployments")}
        return not deployments & before

    monitor.patch(**_spec("160Mi"))
    changed_at = now()
    eventually("the clones took over", moved, timeout_s=120, pause_s=0.1)
    figure("template changed -> old worker gone", f"{now() - changed_at:.1f} s", "-")
    assert unwatched == []
    for stream in STREAMS:
        seen = monitor.stream(stream)
        assert seen is not None
        assert seen.first_frame_at is not None
        overlap_s = let_go_at[stream] - seen.first_frame_at.timestamp()
        figure(f"{stream}: both workers analysed it for", f"{overlap_s:.1f} s", "> 0")
        assert overlap_s > 0

    _cleared(monitor, raised)
    assert_one_start_and_one_end(monitor, raised)


def _answers(monitor: Monitor) -> list[WorkerStatus]:
    """What every process says, those that were told to end included."""
    said = []
    for pod in monitor.pods(terminating=True):
        try:
            said.append(monitor.worker(pod["metadata"]["name"]))
        except Failure:
            continue  # it is starting, or it has ended
    return said


@pytest.mark.usefixtures("two_nodes")
@pytest.mark.parametrize("command", ["cordon", "drain"])
def test_streams_leave_a_node_without_a_gap(monitor: Monitor, figure: Figure, command: str) -> None:
    monitor.apply(**_spec("128Mi"))
    monitor.wait("Ready")
    (pod,) = monitor.pods()
    node, leaving = pod["spec"]["nodeName"], pod["metadata"]["labels"][names.LABEL_WORKER]
    raised = _raise_silence(monitor)
    unwatched: list[str] = []
    made: set[str] = set()

    def moved() -> bool:
        assignments = _assignments(monitor)
        for stream in STREAMS:
            assert len(_holders(assignments, stream)) <= 1, "two workers speak for one stream"
        streams = [one for said in _answers(monitor) for one in said.streams]
        receiving = {one.name for one in streams if one.state is StreamState.RECEIVING}
        unwatched.extend(set(STREAMS) - receiving)
        pods = monitor.pods(terminating=True)
        labelled = {one["metadata"]["name"]: one["metadata"]["labels"] for one in pods}
        made.update(one for one in labelled if labelled[one][names.LABEL_WORKER] == leaving)
        return bool(pods) and all(one["spec"].get("nodeName", node) != node for one in pods)

    # Draining begins with a cordon. It is not waited for: what happens meanwhile is looked at.
    drain = ("drain", node, f"--pod-selector={names.LABEL_MONITOR}={monitor.name}",
             "--ignore-daemonsets", "--delete-emptydir-data")  # fmt: skip
    left_at = now()
    try:
        if command == "cordon":
            monitor.access.kubectl("cordon", node)
        else:
            monitor.access.kubectl(*drain, "--timeout=1s", check=False)
        eventually("its streams are elsewhere", moved, timeout_s=120, pause_s=0.1)
        figure(f"node {command}ed -> no pod left on it", f"{now() - left_at:.1f} s", "-")
        monitor.access.kubectl(*drain, "--timeout=60s", timeout=70)
    finally:
        monitor.access.kubectl("uncordon", node)
    assert unwatched == []
    assert made == {pod["metadata"]["name"]}, "it was not evicted: no other came in its place"
    _cleared(monitor, raised)
    assert_one_start_and_one_end(monitor, raised)
    monitor.wait("Ready")


def test_streams_of_a_killed_worker_go_on_where_there_is_room(
    monitor: Monitor, figure: Figure
) -> None:
    for most in (1, 2):  # two workers with a stream each, and room for another
        scaling = {"maxStreamsPerWorker": most}
        group = {"name": "all", "detectors": ["silence"], "scaling": scaling}
        spec = {"streams": [channel(0), channel(1)], "detectors": SILENCE, "workers": [group]}
        monitor.apply(**spec)
        monitor.wait("Ready")
    raised = _raise_silence(monitor)
    (holder,) = _holders(_assignments(monitor), "channel-1")
    (other,) = _holders(_assignments(monitor), "channel-0")
    (killed,) = _pods(monitor, holder)
    (spare,) = [one["metadata"]["name"] for one in _pods(monitor, other)]
    kill_process(killed)
    killed_at = now()

    def taken() -> float | None:
        streams = {one.name: one for one in monitor.worker(spare).streams}
        seen = streams.get("channel-1")
        return seen.first_frame_at.timestamp() if seen and seen.first_frame_at else None

    first_frame_at = eventually("the other worker has it", taken, timeout_s=30, pause_s=0.1)
    figure(
        "worker killed -> its stream analysed by another",
        f"{first_frame_at - killed_at:.1f} s",
        "5 s",
    )
    assert _cleared(monitor, raised).worker == other
    monitor.wait("Ready")


def _pods(monitor: Monitor, worker: str) -> list[Object]:
    return [
        pod for pod in monitor.pods() if pod["metadata"]["labels"][names.LABEL_WORKER] == worker
    ]
