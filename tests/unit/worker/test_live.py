"""What is shown of a stream to who looks at it."""

import base64
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain

import cv2
import numpy as np
import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from prometheus_client import CollectorRegistry

from streammonitor_api.worker_status import StreamState, StreamStatus
from streammonitor_worker.analysis import StreamAnalysis
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.detectors import registry
from streammonitor_worker.detectors.base import DetectorParams, Measurement, Verdict
from streammonitor_worker.evidence import Evidence
from streammonitor_worker.figures import Figures
from streammonitor_worker.frames import FrameView
from streammonitor_worker.http import Endpoints
from streammonitor_worker.live import PICTURE_EVERY_S, HiddenPicture, LiveView
from streammonitor_worker.thumbnails import Thumbnail
from streammonitor_worker.traces import BINS, Traces
from tests.contract.material import flat, pan, views

Client = TestClient[Request, Application]
BEGAN_S = 1_700_000_000.0


@dataclass
class Watched:
    """A stream whose pictures a test feeds."""

    hidden: bool = False
    recent: Traces = field(default_factory=Traces)
    incident: str = ""

    def __post_init__(self) -> None:
        self.analysis = StreamAnalysis(
            monitor_uid="u",
            stream="arena",
            worker="w",
            detectors={"black": {"minDuration": "1s"}},
            heard=self.recent.heard,
        )

    def feed(self, pictures: Iterator[FrameView], delay_s: float = BEGAN_S) -> None:
        for view in pictures:
            for event in self.analysis.feed(replace(view, arrived_at=delay_s + view.time_s)):
                self.incident = event.incident.id

    @property
    def status(self) -> StreamStatus:
        states = self.analysis.detector_states()
        now = datetime.now(UTC)
        return StreamStatus(name="arena", state=StreamState.RECEIVING, since=now, detectors=states)

    def figures(self) -> Figures:
        return Figures(lag_s=0.25)

    @property
    def picture(self) -> Thumbnail | None:
        return self.analysis.picture

    def parameters(self) -> dict[str, DetectorParams]:
        return self.analysis.parameters()

    def traces(self) -> Traces | None:
        return self.recent

    def evidence(self, incident_id: str) -> Evidence | None:
        return self.analysis.evidence(incident_id)


@dataclass
class Clock:
    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


def brightness(jpeg: bytes) -> float:
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert decoded is not None
    return float(decoded.mean())


def test_a_picture_is_made_at_most_every_five_seconds() -> None:
    clock, watched = Clock(), Watched()
    live = LiveView({"arena": watched}.get, clock)
    assert live.picture("arena") is None
    watched.feed(views(flat(25, 200)))
    first = live.picture("arena")
    assert first is not None
    assert brightness(first.jpeg) > 190
    watched.feed(views(flat(25, 60), start_s=1.0))
    clock.now_s += PICTURE_EVERY_S - 0.1
    assert live.picture("arena") is first
    clock.now_s += 0.2
    second = live.picture("arena")
    assert second is not None
    assert brightness(second.jpeg) < 80
    assert first.taken_at < second.taken_at < BEGAN_S + 2.0
    assert live.picture("other") is None


def test_a_picture_that_must_stay_stays() -> None:
    watched = Watched(hidden=True)
    watched.feed(views(chain(pan(12), flat(50, 16), pan(60))))
    live = LiveView({"arena": watched}.get)
    with pytest.raises(HiddenPicture):
        live.picture("arena")
    evidence = live.evidence("arena", watched.incident)
    assert evidence == {"hidden": True, "shots": [], "waveform": None}


def test_evidence_has_the_pictures_of_an_incident() -> None:
    watched = Watched()
    watched.feed(views(chain(pan(12), flat(50, 16), pan(60))))
    live = LiveView({"arena": watched}.get)
    evidence = live.evidence("arena", watched.incident)
    assert evidence is not None
    shots = {one["role"]: one for one in evidence["shots"]}
    assert list(shots) == ["start", "worst", "end"]
    assert brightness(base64.b64decode(shots["worst"]["jpeg"])) < 20
    assert brightness(base64.b64decode(shots["end"]["jpeg"])) > 40
    assert shots["start"]["takenAt"] == pytest.approx(BEGAN_S + 0.48, abs=0.3)
    assert live.evidence("arena", "unknown") is None
    assert live.evidence("other", watched.incident) is None


def test_traces_are_the_values_of_each_second_and_their_limits() -> None:
    watched = Watched()
    until_s = int(time.time())
    watched.feed(views(chain(pan(50), flat(50, 16))), until_s - 4.0)
    traces = LiveView({"arena": watched}.get).traces("arena")
    assert traces is not None
    assert (traces["detectors"], traces["lagMs"]) == ({"black": "active"}, 250)
    (graph, *_) = traces["graphs"]
    assert graph["detector"] == "black"
    assert len(graph["high"]) == len(graph["low"]) == BINS
    assert any(limit["raises"] for limit in graph["limits"])
    known = [number for number, value in enumerate(graph["high"]) if value is not None]
    assert {traces["from"] + number for number in known} == set(range(until_s - 4, until_s))
    first, last = graph["high"][known[0]], graph["high"][known[-1]]
    assert first is not None
    assert last is not None
    assert first < 0.9 < last


def test_a_gap_in_what_was_measured_stays_one() -> None:
    traces, (name, *_) = Traces(), registry["black"].traces[0].values
    for at_s in (1000.0, 1000.5, 1003.0, 1000.0 + 2 * BINS):
        found = Measurement(0, 1, at_s, Verdict.GOOD, values={name: at_s - 1000.0})
        traces.heard("black", found)
    (ring,) = traces.of("black").values()
    low, high = ring.course(1000.0 + 2 * BINS)
    assert (low[-1], high[-1]) == (2.0 * BINS, 2.0 * BINS)
    assert low[:-1] == [None] * (BINS - 1)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    watched, secret = Watched(), Watched(hidden=True)
    watched.feed(views(flat(25, 120)))
    secret.feed(views(flat(25, 120)))
    endpoints = Endpoints(
        StatusBoard("w"),
        CollectorRegistry(),
        ailing=list,
        ready=lambda: True,
        live=LiveView({"arena": watched, "secret": secret}.get),
    )
    async with TestClient(TestServer(endpoints.application())) as one:
        yield one


async def test_the_endpoints_say_what_there_is(client: Client) -> None:
    async with client.get("/live/arena/picture") as reply:
        assert reply.status == 200
        assert reply.content_type == "image/jpeg"
        assert "2023" in reply.headers["Last-Modified"]
        assert brightness(await reply.read()) == pytest.approx(120, abs=12)
    async with client.get("/live/arena/traces") as reply:
        assert [one["detector"] for one in (await reply.json())["graphs"]] == ["black"]
    for path, status in {
        "/live/secret/picture": 403,
        "/live/none/picture": 404,
        "/live/none/traces": 404,
        "/live/arena/evidence/none": 404,
    }.items():
        async with client.get(path) as reply:
            assert reply.status == status
            assert (await reply.text()).endswith("\n")
