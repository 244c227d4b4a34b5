"""The status, from made-up facts."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streammonitor_api.assignment import Assignment
from streammonitor_api.incident import Incident, Severity
from streammonitor_api.spec import StreamMonitorSpec
from streammonitor_api.status import ConditionType, StreamMonitorStatus
from streammonitor_api.worker_status import StreamState, StreamStatus, WorkerStatus
from streammonitor_operator.children import AssignmentMap, WorkerPod
from streammonitor_operator.fleet import PodView, WorkerView
from streammonitor_operator.observe import Observation
from streammonitor_operator.plan import Worker
from streammonitor_operator.status import Facts, compute_status

NOW = datetime(2026, 1, 2, 12, 0, 0, tzinfo=UTC)


def said(name: str, state: StreamState = StreamState.RECEIVING, **more: Any) -> StreamStatus:
    return StreamStatus(name=name, state=state, since=NOW, **more)


def view(*streams: StreamStatus, epoch: int = 1, **pod: Any) -> WorkerView:
    status = WorkerStatus(
        version="1", worker="w", process="p", started_at=NOW, revision=1, epoch=epoch,
        streams=list(streams),
    )  # fmt: skip
    facts: dict[str, Any] = {
        "namespace": "n", "name": "w-1", "uid": "u", "version": 1, "monitor": "m", "worker": "w",
        "ip": "10.0.0.1", "running": True, "terminating": False, "reason": "", "message": "",
    } | pod  # fmt: skip
    seen = Observation(status) if facts["running"] else None
    assignment = Assignment(epoch=1, worker="w", group="all")
    child = AssignmentMap("n", "w", "u", 1, "m", "o", {}, assignment)
    pods = (PodView(WorkerPod(**facts), seen, 0.0),)
    return WorkerView("w", "all", assignment, child, None, pods)


def facts(*names: str, worker: WorkerView, **changes: Any) -> Facts:
    spec = {
        "streams": [{"name": name, "url": "http://h/"} for name in names],
        "detectors": {"freeze": {}},
        "suspend": changes.pop("suspend", False),
    }
    known: dict[str, Any] = {
        "generation": 4, "now": NOW, "before": StreamMonitorStatus(), "fault": "",
        "spec": StreamMonitorSpec.model_validate(spec),
        "workers": ((Worker("w", "all", names), worker),),
        "unready_since": {} if worker.ready else {"w": NOW},
    }  # fmt: skip
    return Facts(**(known | changes))


def verdicts(status: StreamMonitorStatus) -> dict[str, str]:
    return {one.type: one.status for one in status.conditions}


def reasons(status: StreamMonitorStatus) -> dict[str, str]:
    return {one.type: one.reason for one in status.conditions}


def test_all_is_well() -> None:
    status = compute_status(facts("a", "b", worker=view(said("a"), said("b"))))
    assert verdicts(status) == {
        "Accepted": "True", "Assigned": "True", "Receiving": "True", "Ready": "True",
        "Degraded": "False", "Completed": "False", "Suspended": "False",
    }  # fmt: skip
    assert {one.observed_generation for one in status.conditions} == {4}
    assert status.observed_generation == 4


def test_every_condition_is_always_there() -> None:
    for changes in ({}, {"spec": None, "fault": "spec.streams: no"}, {"suspend": True}):
        status = compute_status(facts("a", worker=view(said("a")), **changes))
        assert list(verdicts(status)) == [one.value for one in ConditionType]


def test_a_transition_time_is_kept_while_the_status_is_the_same() -> None:
    before = compute_status(facts("a", worker=view(said("a"))))
    later = NOW + timedelta(hours=1)
    bad = view(said("a", StreamState.RETRYING, reason="Timeout"))
    after = compute_status(facts("a", worker=bad, before=before, now=later))
    times = {one.type: one.last_transition_time for one in after.conditions}
    assert times["Accepted"] == NOW
    assert times["Ready"] == times["Degraded"] == times["Receiving"] == later


@pytest.mark.parametrize(
    ("states", "condition", "reason"),
    [
        ([StreamState.COMPLETED, StreamState.COMPLETED], "Completed", "Completed"),
        ([StreamState.COMPLETED, StreamState.RECEIVING], "Receiving", "AllReceiving"),
        ([StreamState.CONNECTING, StreamState.RECEIVING], "Receiving", "SomeNotReceiving"),
        ([StreamState.CONNECTING, StreamState.CONNECTING], "Receiving", "NoneReceiving"),
    ],
)
def test_streams_that_end_or_have_not_begun(
    states: list[StreamState], condition: str, reason: str
) -> None:
    worker = view(*(said(name, state) for name, state in zip("ab", states, strict=True)))
    assert reasons(compute_status(facts("a", "b", worker=worker)))[condition] == reason


def test_streams_that_no_worker_may_take_are_named() -> None:
    status = compute_status(
        facts("a", "b", "c", worker=view(said("a")), workers=(
            (Worker("w", "all", ("a",)), view(said("a"))),
        ), unplaced={"all": ("b", "c")})
    )  # fmt: skip
    assert status.streams is not None
    assert [(one.name, one.reason) for one in status.streams.problems] == [
        ("b", "NoCapacity"), ("c", "NoCapacity"),
    ]  # fmt: skip
    found = {one.type: one for one in status.conditions}
    assert (found["Assigned"].status, found["Assigned"].reason) == ("False", "CapacityExhausted")
    assert found["Assigned"].message == (
        "group all has reached scaling.max and does not monitor 2 streams: b, c."
    )
    assert found["Degraded"].reason == "CapacityExhausted"
    again = compute_status(
        facts("a", "b", "c", worker=view(said("a")), workers=(
            (Worker("w", "all", ("a",)), view(said("a"))),
        ), unplaced={"all": ("b", "c")}, before=status, now=NOW + timedelta(minutes=5))
    )  # fmt: skip
    assert again == status


def test_a_stream_that_lacks_what_a_detector_needs_is_received_and_a_problem() -> None:
    worker = view(said("a", reason="NoAudio", message="a has no audio"), said("b"))
    status = compute_status(facts("a", "b", worker=worker))
    assert status.streams is not None
    assert status.streams.receiving == 2
    assert [one.reason for one in status.streams.problems] == ["NoAudio"]
    assert reasons(status)["Ready"] == "StreamProblems"


def test_the_worst_problems_come_first() -> None:
    worker = view(
        said("a", reason="NoAudio"),
        said("b", StreamState.RETRYING, reason="Timeout"),
        said("c", StreamState.FAILED, reason="UnsupportedCodec"),
    )
    status = compute_status(facts("a", "b", "c", worker=worker))
    assert status.streams is not None
    assert [one.name for one in status.streams.problems] == ["c", "b", "a"]


def test_a_pod_that_cannot_start_says_why() -> None:
    worker = view(
        running=False, reason="ImagePullBackOff", message='Back-off pulling image "x". Again later.'
    )
    status = compute_status(facts("a", worker=worker))
    assert status.streams is not None
    [problem] = status.streams.problems
    assert problem.reason == "ImagePullBackOff"
    assert problem.message == 'worker w: Back-off pulling image "x"'
    assert reasons(status)["Degraded"] == "WorkersNotReady"
    assert "ImagePullBackOff" in next(o.message for o in status.conditions if o.type == "Assigned")


def test_a_worker_that_is_starting_is_no_problem_until_it_takes_too_long() -> None:
    worker = view(running=False)
    early = compute_status(facts("a", worker=worker))
    late = compute_status(facts("a", worker=worker, now=NOW + timedelta(seconds=31)))
    assert early.streams is not None
    assert late.streams is not None
    assert early.streams.problems == []
    assert [one.reason for one in late.streams.problems] == ["WorkerNotReady"]


def test_an_older_epoch_is_not_ready() -> None:
    status = compute_status(facts("a", worker=view(said("a"), epoch=0)))
    assert verdicts(status)["Assigned"] == "False"
    assert status.workers is not None
    assert status.workers.ready == 0


def test_a_problem_keeps_its_beginning() -> None:
    worker = view(said("a", StreamState.RETRYING, reason="Timeout"))
    before = compute_status(facts("a", worker=worker))
    newer = said("a", StreamState.RETRYING, reason="Timeout").model_copy(
        update={"since": NOW + timedelta(minutes=5)}
    )
    after = compute_status(facts("a", worker=view(newer), before=before))
    assert after.streams is not None
    assert after.streams.problems[0].since == NOW


def test_a_status_never_gets_too_long() -> None:
    names = [f"stream-{number:03}-{'x' * 50}" for number in range(500)]
    streams = [
        said(name, StreamState.RETRYING, reason="R" * 500, message="\N{SNOWMAN}" * 5000)
        for name in names
    ]
    incidents = tuple(
        Incident(
            id=f"{number:016}", monitor_uid="u", stream=names[number], defect="freeze",
            episode="e" * 36, severity=Severity.CRITICAL, started_at=NOW, detected_at=NOW,
            start_s=0, detected_s=0,
        )
        for number in range(500)
    )  # fmt: skip
    status = compute_status(facts(*names, worker=view(*streams), open_incidents=incidents))
    assert len(json.dumps(status.to_json_object(), ensure_ascii=False).encode()) <= 64 * 1024
    assert status.incidents is not None
    assert status.incidents.active == 500
    assert len(status.active_incidents) == 20
    assert status.streams is not None
    assert status.streams.defective == 500
    assert len(status.streams.problems) > 25
