"""What `kubectl streammonitor` tells of what the cluster says."""

from datetime import UTC, datetime, timedelta
from typing import Any

from streammonitor_api.incident import EndReason, Incident, Severity
from streammonitor_api.worker_status import (
    SinkProblem,
    StreamState,
    StreamStatus,
    VideoFormat,
    WorkerStatus,
)
from streammonitor_kubectl import views
from streammonitor_kubectl.cluster import Worker

NOW = datetime.now(UTC).replace(microsecond=0)


def incident(number: int, **more: Any) -> Incident:
    given: dict[str, Any] = {
        "id": str(number), "monitor_uid": "u", "stream": "a", "defect": "black",
        "episode": str(number), "severity": Severity.WARNING,
        "started_at": NOW - timedelta(seconds=90 - number),
        "detected_at": NOW - timedelta(seconds=88 - number), "start_s": 0.0, "detected_s": 2.0,
        "measurements": {"darkRatio": 0.98},
    }  # fmt: skip
    return Incident(**given | more)


def worker(name: str = "w-1", *incidents: Incident, **more: Any) -> Worker:
    streams = [
        StreamStatus(
            name="a", state=StreamState.RECEIVING, since=NOW, load_m=120,
            video=VideoFormat(codec="h264", width=1920, height=1080, frame_rate=25.0),
        ),
        StreamStatus(
            name="b", state=StreamState.RETRYING, since=NOW, reason="NotFound",
            message="HTTP 404: check the URL",
        ),
    ]  # fmt: skip
    status = WorkerStatus(
        version="1", worker=name, process="p", started_at=NOW, revision=1, epoch=1,
        streams=streams, incidents=list(incidents), **more,
    )  # fmt: skip
    return Worker("video", "sports", "g", name, f"{name}-x", "node-1", status)


def test_a_stream_with_a_problem_comes_first_and_says_why() -> None:
    first, second = views.stream_rows([worker()])
    assert (first["stream"], first["state"]) == ("b", "retrying")
    assert first["why"] == "NotFound: HTTP 404: check the URL"
    assert (second["stream"], second["video"]) == ("a", "h264 1920x1080 25")
    assert [row["stream"] for row in views.stream_rows([worker()], "a")] == ["a"]


def test_a_worker_says_what_it_does_or_why_nothing_is_known() -> None:
    since = NOW
    sinks = [SinkProblem(name="s", reason="Refused", message="it refuses", since=since)]
    row = views.worker_row(worker(sinks=sinks))
    assert (row["state"], row["streams"], row["receiving"]) == ("answers", 2, 1)
    assert (row["load"], row["problems"]) == ("120m", ["it refuses"])
    dead = Worker("video", "sports", "g", "w-2", "w-2-x", "", None, "connection refused")
    assert views.worker_row(dead)["state"] == "silent"
    assert views.worker_row(dead)["up"] == "connection refused"


def test_an_incident_that_moved_is_told_once_as_its_holder_says() -> None:
    left = incident(1, ended_at=NOW, end_reason=EndReason.INTERRUPTED)
    held = incident(1)
    other = incident(2, ended_at=NOW, end_reason=EndReason.CLEARED)
    for order in ([worker("w-1", left), worker("w-2", held, other)],
                  [worker("w-2", held, other), worker("w-1", left)]):  # fmt: skip
        found = views.incidents_of(order)
        assert [(holder.name, one.id, one.active) for holder, one in found] == [
            ("w-2", "1", True), ("w-2", "2", False),
        ]  # fmt: skip
        assert [one.id for _, one in views.incidents_of(order, ended=False)] == ["1"]
        assert views.incidents_of(order, "b") == []


def test_a_row_of_an_incident_has_all_of_it_for_programs() -> None:
    holder, one = worker(), incident(1, ended_at=NOW, end_reason=EndReason.CLEARED)
    row = views.incident_row(holder, one)
    assert one.to_json_object().items() <= row.items()
    assert (row["monitor"], row["lasted"], row["ended"]) == ("sports", "89s", "cleared")
    assert row["measured"] == "darkRatio 0.98"


def test_a_monitor_says_why_it_is_not_ready() -> None:
    manifest = {
        "metadata": {"namespace": "video", "name": "sports"},
        "status": {
            "streams": {"total": 2, "receiving": 1, "problems": [{"name": "b", "reason": "X"}]},
            "workers": {"desired": 2, "ready": 1},
            "alerts": {"problems": [{"name": "oncall", "reason": "Y"}]},
            "conditions": [{"type": "Ready", "status": "False", "message": "1 of 2 streams"}],
        },
    }
    row = views.monitor_row(manifest)
    assert (row["workers"], row["ready"], row["why"]) == ("1/2", "False", "1 of 2 streams")
    assert [one["what"] for one in views.problems(manifest)] == ["stream b", "sink oncall"]
    fresh = views.monitor_row({"metadata": {"namespace": "video", "name": "new"}})
    assert (fresh["ready"], fresh["streams"]) == ("Unknown", 0)
