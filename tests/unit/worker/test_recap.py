"""The page about what became of a stream lately."""

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from streammonitor_api.results import DetectorMinute, Minute
from streammonitor_api.worker_status import StreamState, StreamStatus
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.detectors import registry
from streammonitor_worker.detectors.base import DetectorParams
from streammonitor_worker.evidence import Evidence
from streammonitor_worker.figures import Figures
from streammonitor_worker.live import Shown
from streammonitor_worker.recap import Recaps, unknown
from streammonitor_worker.thumbnails import Thumbnail
from streammonitor_worker.traces import Traces
from tests.unit.worker.alerts.incidents import NOON, ended, incident

NOW = NOON + timedelta(minutes=10)
ALL = 2**60 - 1
FIRST = NOON - timedelta(hours=2)


class Looked:
    """A stream that shows no pictures."""

    @property
    def hidden(self) -> bool:
        return False

    @property
    def picture(self) -> Thumbnail | None:
        return None

    @property
    def status(self) -> StreamStatus:
        state = StreamState.RECEIVING
        return StreamStatus(name="a", state=state, since=NOON, first_frame_at=FIRST)

    def figures(self) -> Figures:
        return Figures(analysed_s=100.0, unknown_s={"black": 10.0})

    def parameters(self) -> dict[str, DetectorParams]:
        return {"black": registry["black"].params_type()}

    def traces(self) -> Traces | None:
        return None

    def evidence(self, incident_id: str) -> Evidence | None:
        return None


@pytest.fixture
def board() -> StatusBoard:
    board = StatusBoard("w-1")
    board.set_incident(ended(incident("a", episode=1)))
    board.set_incident(incident("a", episode=2, started_at=NOW - timedelta(seconds=30)))
    board.set_incident(incident("b", episode=3))
    old = NOON - timedelta(hours=3)
    before = incident("a", episode=4, started_at=old, detected_at=old)
    board.set_incident(ended(before, ended_at=old + timedelta(seconds=5)))
    return board


@pytest.fixture
def recaps(board: StatusBoard) -> Recaps:
    shown: dict[str, Shown] = {"a": Looked()}
    return Recaps(board, shown.get)


def told(page: str | None) -> dict[str, Any]:
    """What the page's script is given."""
    assert page is not None
    (text,) = re.findall(r'<script type="application/json" class="data">(.*?)</script>', page)
    data: dict[str, Any] = json.loads(text)
    return data


def test_the_incidents_of_the_time_are_placed_by_the_clock(recaps: Recaps) -> None:
    data = told(recaps.page("a", 3600, NOW))
    assert data["duration"] == 3600
    spans = [(one["start"], one["end"]) for one in data["incidents"]]
    assert sorted(spans) == [(3000, 3012), (3570, 3600)], "one that lasts goes on to the end"


def test_what_began_before_begins_with_the_page(recaps: Recaps) -> None:
    data = told(recaps.page("a", 595, NOW))
    assert (0, 7) in [(one["start"], one["end"]) for one in data["incidents"]]


def test_it_reaches_back_no_further_than_the_worker_does(recaps: Recaps) -> None:
    page = recaps.page("a", 86_400, NOW)
    assert told(page)["duration"] == (NOW - FIRST).total_seconds()
    assert "Times are counted from 2026-11-21 10:00:00 UTC" in str(page)
    assert 'class="number">90.0 s' in str(page)


def test_a_stream_that_is_not_here_has_no_page(recaps: Recaps) -> None:
    assert recaps.page("b", 3600, NOW) is None


def test_what_the_status_has_forgotten_is_on_the_page_too(board: StatusBoard) -> None:
    long_ago = ended(incident("a", episode=9, started_at=FIRST, detected_at=FIRST))
    shown: dict[str, Shown] = {"a": Looked()}
    page = Recaps(board, shown.get, lambda stream, since: ([], [long_ago])).page("a", 86_400, NOW)
    assert len(told(page)["incidents"]) == 3


def test_seconds_without_media_and_minutes_that_were_missed_are_unknown() -> None:
    def minute(number: int, analysed: int, **unknown_s: float) -> Minute:
        detectors = [DetectorMinute(name=name, unknown_s=s) for name, s in unknown_s.items()]
        at = NOON + timedelta(minutes=number)
        return Minute(
            stream="a", worker="w", minute=at, watched=ALL, analysed=analysed, detectors=detectors
        )

    minutes = [minute(0, ALL), minute(1, ALL & ~0b111000), minute(2, ALL, blur=45.0, black=1.0)]
    begin = NOON + timedelta(seconds=30)
    assert unknown("black", minutes, begin, 130) == [(33, 36)]
    assert unknown("blur", minutes, begin, 130) == [(33, 36), (90, 130)]
