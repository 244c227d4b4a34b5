"""What a running worker does with a changed assignment, over sources that a test makes up."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streammonitor_api.assignment import Assignment
from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.regions import Region
from streammonitor_api.worker_status import StreamState, StreamStatus, VideoFormat
from streammonitor_worker import reception
from streammonitor_worker.analysis import StreamAnalysis
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.fleet import Fleet
from streammonitor_worker.frames import FormatChange, FrameView, MediaItem
from streammonitor_worker.regions import PictureRegions
from tests.unit.worker.made_up import MadeUpSource

VIDEO = VideoFormat(codec="h264", width=64, height=64, frame_rate=25)
STEP_S = 0.04
CORNER = {"left": 0.5, "top": 0, "width": 0.5, "height": 0.5}


def lit_corner() -> Iterator[MediaItem]:
    """A picture that is black but for a quarter, without end."""
    luma = np.full((64, 64), 16, np.uint8)
    luma[:32, 32:] = 200
    yield FormatChange(video=VIDEO, audio=None)
    for number in count():
        yield FrameView(number * STEP_S, STEP_S, time.time(), luma)


class Rig:
    """A fleet, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.board = StatusBoard("w")
        self.changed = threading.Condition()
        self.started: list[Incident] = []
        self.opened: list[str] = []
        self.epoch = 0
        self.fleet = Fleet(
            self.board, journal=None, worker="w", secrets_folder=folder, on_incident=self.tell
        )
        self.board.listen(self.notify)

    def open_source(self, url: str, **_: object) -> MadeUpSource:
        self.opened.append(url)
        return MadeUpSource(lit_corner(), VIDEO)

    def tell(self, kind: str, incident: Incident) -> None:
        if kind == "started":
            self.started.append(incident)
        self.notify()

    def notify(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def apply(self, *, profile: str | None = None, stale: bool = False, **stream: Any) -> list[str]:
        self.epoch += 1
        document = {
            "epoch": self.epoch,
            "profile": profile,
            "streams": [{"name": "a", "url": "http://h/a", **stream}],
            "detectors": {"black": {"minDuration": "1s"}},
        }
        return self.fleet.apply(Assignment.model_validate(document), stale=stale)

    @property
    def status(self) -> StreamStatus:
        (status,) = self.board.document().streams
        return status

    def wait(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 10
        while not what():
            assert time.monotonic() < deadline
            with self.changed:
                self.changed.wait(0.05)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    one = Rig(tmp_path)
    monkeypatch.setattr(reception, "open_source", one.open_source)
    yield one
    one.fleet.finish(EndReason.REMOVED)
    assert one.fleet.join(10)


def receiving(rig: Rig, reason: str | None = None) -> Callable[[], bool]:
    return lambda: (rig.status.state, rig.status.reason) == (StreamState.RECEIVING, reason)


def test_a_region_that_is_ignored_from_now_on_needs_no_other_connection(rig: Rig) -> None:
    assert rig.apply() == []
    rig.wait(lambda: "ok" in rig.status.detectors.values())
    assert rig.started == []

    rig.apply(ignoreRegions=[CORNER])
    rig.wait(lambda: bool(rig.started))
    assert rig.started[0].defect == "black"
    assert rig.opened == ["http://h/a"]


def test_a_refused_parameter_is_a_problem_of_its_stream_and_the_monitors_value_holds(
    rig: Rig,
) -> None:
    rig.apply(detectors={"black": {"minDuration": "9h", "threshold": 0.3}}, profile="relaxed")
    rig.wait(receiving(rig, "InvalidParameter"))
    assert rig.status.message == (
        "detectors.black.minDuration is '9h': set at most 1h: it is ignored"
    )
    rig.apply(detectors={"black": {"threshold": 0.3}}, ignoreRegions=[CORNER])
    rig.wait(receiving(rig))
    rig.wait(lambda: bool(rig.started))
    assert rig.started[0].detected_s - rig.started[0].start_s == pytest.approx(1.0, abs=STEP_S)
    assert rig.opened == ["http://h/a"]


def test_another_source_is_opened(rig: Rig) -> None:
    rig.apply()
    rig.wait(receiving(rig))
    rig.apply(url="http://h/b")
    rig.wait(lambda: rig.opened == ["http://h/a", "http://h/b"])


def test_an_override_of_a_detector_that_does_not_run_is_a_problem_of_the_stream(rig: Rig) -> None:
    rig.apply(detectors={"blur": {}})
    rig.wait(receiving(rig, "InvalidParameter"))
    assert "detectors.blur is set, but 'blur' does not run" in (rig.status.message or "")


def test_a_profile_that_this_version_lacks_is_a_problem_and_no_refusal(rig: Rig) -> None:
    assert rig.apply(profile="lax", ignoreRegions=[CORNER]) == []
    rig.wait(receiving(rig, "InvalidParameter"))
    rig.wait(lambda: bool(rig.started))
    assert "profile is 'lax': use one of strict, broadcast, relaxed" in (rig.status.message or "")


def test_what_may_be_another_worker_s_by_now_is_told_only_when_it_is_not(rig: Rig) -> None:
    rig.apply(ignoreRegions=[CORNER], stale=True)
    rig.wait(lambda: "active" in rig.status.detectors.values())
    assert rig.started == []
    rig.apply(ignoreRegions=[CORNER])
    rig.wait(lambda: bool(rig.started))
    assert rig.started[0].start_s == 0.0


def test_a_picture_without_what_is_ignored_from_now_on_is_black_however_long_it_was_not() -> None:
    detectors = {"black": {"minDuration": "1s", "threshold": 0.3}}
    analysis = StreamAnalysis(monitor_uid="", stream="a", worker="w", detectors=detectors)
    items = lit_corner()
    for item in islice(items, 500):
        assert not analysis.feed(item)

    analysis.set_regions(PictureRegions(None, (Region.model_validate(CORNER),)))
    events = [event for item in islice(items, 50) for event in analysis.feed(item)]

    assert [event.incident.defect for event in events] == ["black"]
