"""The gap of a hand-over: from what two workers say, and how well it is known."""

from datetime import UTC, datetime
from typing import Any

import pytest

from streammonitor_api.assignment import Assignment, Turn
from streammonitor_api.spec import Stream
from streammonitor_api.status import GapMeasure, HandOver
from streammonitor_api.worker_status import StreamState, StreamStatus, VideoFormat, WorkerStatus
from streammonitor_operator.children import WorkerPod
from streammonitor_operator.fleet import PodView, WorkerView
from streammonitor_operator.gaps import hand_overs
from streammonitor_operator.handover import Known, Told, listen
from streammonitor_operator.observe import Observation

BEGAN_S = 1_000_000.0
NOW = datetime.fromtimestamp(BEGAN_S, UTC)
CLOCK_S = 900_000.0
STREAM = Stream(name="a", url="srt://:9000?mode=listener")
VIDEO = VideoFormat(codec="h264", width=64, height=36, frame_rate=25.0)


def worker(name: str, turn: Turn | None = None, **says: Any) -> WorkerView:
    """A worker that holds the stream, and what it says of it."""
    facts = {"state": StreamState.RECEIVING, "clock_s": CLOCK_S, "video": VIDEO} | says
    said = StreamStatus(name="a", since=NOW, **facts)
    status = WorkerStatus(
        version="1", worker=name, process="p", started_at=NOW, revision=1, epoch=1, streams=[said]
    )
    pod = WorkerPod("n", name, name, 1, "m", name, "10.0.0.1", True, False, "", "")
    assignment = Assignment(epoch=1, group="g", streams=[STREAM], turns=[turn] if turn else [])
    return WorkerView(name, "g", assignment, None, None, (PodView(pod, Observation(status), 0.0),))


def measured(turn: Turn, told: Told, before: tuple[HandOver, ...] = (), **says: Any) -> HandOver:
    new = worker("new", turn, **{"held_from_s": BEGAN_S + 0.44} | says)
    [found] = hand_overs(before, [new], {"a"}, told)
    return found


def heard(**says: Any) -> Told:
    """What is known of the stream once its worker has said this of it."""
    return listen({}, [worker("old", position_s=BEGAN_S, **says)], {"a"})


@pytest.mark.parametrize(
    ("says", "clock_s", "measure"),
    [
        pytest.param({"held_until_s": BEGAN_S}, CLOCK_S, GapMeasure.EXACT, id="it was asked"),
        pytest.param({"state": StreamState.RETRYING}, CLOCK_S, GapMeasure.EXACT, id="cut off"),
        pytest.param({}, CLOCK_S, GapMeasure.AT_MOST, id="it died"),
        pytest.param(
            {"held_until_s": BEGAN_S}, CLOCK_S - 7.0, GapMeasure.ABOUT, id="another clock"
        ),
    ],
)
def test_the_gap_is_what_lies_between_two_pictures(
    says: dict[str, Any], clock_s: float, measure: GapMeasure
) -> None:
    turn = Turn(stream="a", clock_s=CLOCK_S, from_s=BEGAN_S)
    found = measured(turn, heard(**says), clock_s=clock_s)
    assert (found.gap, found.frames, found.worker) == (0.44, 11, "new")
    assert found.at == NOW
    assert found.measure is measure


def test_that_a_worker_ceased_is_remembered_while_the_next_goes_on() -> None:
    told = heard(held_until_s=BEGAN_S)
    told = listen(told, [worker("new", position_s=BEGAN_S + 60)], {"a"})
    assert told["g", "a"] == Known(CLOCK_S, BEGAN_S + 60, ceased_s=BEGAN_S)


def test_what_was_measured_once_stays() -> None:
    turn = Turn(stream="a", clock_s=CLOCK_S, from_s=BEGAN_S)
    first = measured(turn, heard(held_until_s=BEGAN_S))
    again = measured(turn, {}, (first,), held_from_s=BEGAN_S + 50, clock_s=0.0)
    assert again == first, "a process that starts anew in the same worker"
