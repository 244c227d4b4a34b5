"""What groups must monitor, and what that costs."""

from datetime import UTC, datetime
from typing import Any

import pytest

from streammonitor_api.spec import StreamMonitorSpec
from streammonitor_api.worker_status import StreamState, StreamStatus, WorkerStatus
from streammonitor_operator.children import WorkerPod
from streammonitor_operator.demand import UNMEASURED_M, demands, measured
from streammonitor_operator.fleet import PodView, WorkerView
from streammonitor_operator.observe import Observation
from streammonitor_operator.plan import Demand

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def spec(*streams: str, **group: Any) -> StreamMonitorSpec:
    return StreamMonitorSpec.model_validate(
        {
            "streams": [{"name": name, "url": "http://h/"} for name in streams],
            "detectors": {"freeze": {}},
            "workers": [{"name": "g", "detectors": ["freeze"], **group}],
        }
    )


def demand(*streams: str, loads: dict[str, int] | None = None, **group: Any) -> Demand:
    [found] = demands(spec(*streams, **group), {"g": loads or {}})
    return found


def sized(cpu: object, **scaling: Any) -> dict[str, Any]:
    return {"scaling": scaling, "template": {"resources": {"requests": {"cpu": cpu}}}}


def test_what_was_never_measured_costs_the_default() -> None:
    assert dict(demand("a", "b").streams) == {"a": UNMEASURED_M, "b": UNMEASURED_M}


def test_a_stream_that_was_not_measured_is_like_the_others_of_its_group() -> None:
    loads = {"a": 40, "b": 60, "c": 900, "gone": 1}
    assert dict(demand("a", "b", "c", "new", loads=loads).streams) == {
        "a": 40, "b": 60, "c": 900, "new": 60,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("group", "capacity_m"),
    [
        (sized("2"), 1600),
        (sized(1), 800),
        (sized("500m", targetUtilization=0.5), 250),
    ],
)
def test_a_worker_takes_its_share_of_what_it_requests(
    group: dict[str, Any], capacity_m: int
) -> None:
    assert demand("a", **group).capacity_m == capacity_m


def test_without_a_size_only_the_number_of_streams_bounds_a_worker() -> None:
    found = demand("a", "b", "c", scaling={"maxStreamsPerWorker": 7})
    assert found.capacity_m > 3 * UNMEASURED_M
    assert found.max_streams == 7


def test_least_and_most_workers() -> None:
    found = demand("a", scaling={"min": 2, "max": 3})
    assert (found.min_workers, found.max_workers) == (2, 3)
    assert (demand("a").min_workers, demand("a").max_workers) == (0, None)


def test_a_suspended_monitor_demands_nothing() -> None:
    assert demands(spec("a").model_copy(update={"suspend": True}), {}) == []


def test_more_workers_at_least_than_at_most_is_refused() -> None:
    with pytest.raises(ValueError, match=r"scaling.min 3, which is more than scaling.max 2"):
        spec("a", scaling={"min": 3, "max": 2})


def pod(name: str, *streams: StreamStatus, terminating: bool = False) -> PodView:
    status = WorkerStatus(
        version="1", worker="w", process=name, started_at=NOW, revision=1, epoch=1,
        streams=list(streams),
    )  # fmt: skip
    found = WorkerPod("n", name, name, 1, "m", "w", "10.0.0.1", True, terminating, "", "")
    return PodView(found, Observation(status), 0.0)


def said(name: str, load_m: int | None) -> StreamStatus:
    return StreamStatus(name=name, state=StreamState.RECEIVING, since=NOW, load_m=load_m)


def test_costs_are_what_pods_that_stay_say_the_most_that_any_says() -> None:
    pods = (
        pod("one", said("a", 40), said("b", None)),
        pod("two", said("a", 70)),
        pod("old", said("a", 900), terminating=True),
    )
    view = WorkerView("w", "g", None, None, None, pods)
    assert measured([view, WorkerView("x", "h", None, None, None)]) == {"g": {"a": 70}}
