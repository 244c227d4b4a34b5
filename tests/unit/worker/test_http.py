"""The endpoints: long-poll, refusals, health, metrics."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiohttp.web import Application, Request
from prometheus_client import CollectorRegistry

from streammonitor_api.incident import EndReason, Incident, Severity
from streammonitor_api.results import KeptResults, Minute
from streammonitor_api.worker_status import DetectorState, StreamState, StreamStatus, WorkerStatus
from streammonitor_worker.board import MAX_ENDED, StatusBoard
from streammonitor_worker.http import Endpoints

Client = TestClient[Request, Application]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Rig:
    """Endpoints over a board, with health that a test sets."""

    def __init__(self) -> None:
        self.board = StatusBoard("w")
        self.ailing: list[str] = []
        self.asked: list[tuple[str | None, datetime | None]] = []

    def kept(
        self, stream: str | None, since: datetime | None
    ) -> tuple[list[Minute], list[Incident]]:
        self.asked.append((stream, since))
        return [Minute(stream="a", worker="w", minute=NOW, watched=2**60 - 1)], [_incident(1)]


@pytest.fixture
async def rig() -> Rig:
    return Rig()


@pytest.fixture
async def client(rig: Rig) -> AsyncIterator[Client]:
    endpoints = Endpoints(
        rig.board,
        CollectorRegistry(),
        ailing=lambda: rig.ailing,
        ready=lambda: rig.board.epoch > 0,
        kept=rig.kept,
    )
    async with TestClient(TestServer(endpoints.application())) as one:
        yield one


async def _status(client: Client, query: str = "") -> WorkerStatus:
    async with client.get(f"/status{query}") as reply:
        assert reply.status == 200
        return WorkerStatus.model_validate(await reply.json())


def _incident(number: int, end: EndReason | None = None) -> Incident:
    return Incident(
        id=str(number),
        monitor_uid="u",
        stream="a",
        defect="black",
        episode=str(number),
        severity=Severity.WARNING,
        started_at=NOW,
        detected_at=NOW,
        ended_at=NOW if end else None,
        end_reason=end,
        start_s=0,
        detected_s=2,
    )


async def test_without_since_it_answers_at_once(client: Client) -> None:
    status = await _status(client)

    assert (status.worker, status.epoch, status.revision) == ("w", 0, 1)


async def test_a_poll_waits_for_a_change_that_a_thread_makes(rig: Rig, client: Client) -> None:
    poll = asyncio.create_task(_status(client, f"?since={rig.board.revision}&wait=30s"))
    await asyncio.sleep(0)
    threading.Thread(target=rig.board.acknowledge, args=(5,)).start()

    status = await asyncio.wait_for(poll, 5)

    assert status.epoch == 5
    assert status.revision == 2


async def test_a_poll_for_an_old_revision_answers_at_once(rig: Rig, client: Client) -> None:
    rig.board.acknowledge(1)

    status = await asyncio.wait_for(_status(client, "?since=1&wait=30s"), 5)

    assert status.revision == 2


async def test_a_poll_without_change_answers_after_its_wait(client: Client) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()

    status = await _status(client, "?since=1&wait=200ms")

    assert status.revision == 1
    assert loop.time() - started >= 0.2


async def test_who_knows_the_revision_is_told_that_there_is_nothing_newer(
    rig: Rig, client: Client
) -> None:
    known = {"If-None-Match": rig.board.tag}
    async with client.get("/status?since=1&wait=1ms", headers=known) as reply:
        assert (reply.status, await reply.read()) == (304, b"")
    rig.board.acknowledge(1)
    async with client.get("/status?since=1&wait=1ms", headers=known) as reply:
        assert (await reply.json())["revision"] == 2


async def test_many_polls_are_answered_by_one_change(rig: Rig, client: Client) -> None:
    polls = [asyncio.create_task(_status(client, "?since=1&wait=30s")) for _ in range(20)]
    await asyncio.sleep(0)
    rig.board.set_draining()

    found = await asyncio.wait_for(asyncio.gather(*polls), 10)

    assert all(status.draining for status in found)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?since=x", "since is 'x'"),
        ("?since=-1", "since is '-1'"),
        ("?since=1&wait=10", "write numbers with ms, s, m or h"),
        ("?since=1&wait=5m", "at most 60s"),
    ],
)
async def test_a_bad_query_is_refused_with_a_sentence(
    client: Client, query: str, said: str
) -> None:
    async with client.get(f"/status{query}") as reply:
        assert reply.status == 400
        assert said in await reply.text()


async def test_past_minutes_are_told_of_a_stream_and_a_time(rig: Rig, client: Client) -> None:
    async with client.get("/results?stream=a&since=2026-01-01T00:00:00Z") as reply:
        kept = KeptResults.model_validate_json(await reply.text())
    assert rig.asked == [("a", NOW)]
    assert (kept.worker, kept.minutes[0].watched) == ("w", 2**60 - 1)
    assert [one.id for one in kept.incidents] == ["1"]
    async with client.get("/results?since=yesterday") as reply:
        assert reply.status == 400
        assert "since is 'yesterday'" in await reply.text()


async def test_health_names_the_streams_that_hang(rig: Rig, client: Client) -> None:
    async with client.get("/healthz") as reply:
        assert reply.status == 200
    rig.ailing = ["a"]
    async with client.get("/healthz") as reply:
        assert reply.status == 503
        assert "a" in await reply.text()


async def test_readiness_is_about_the_assignment_alone(rig: Rig, client: Client) -> None:
    async with client.get("/readyz") as reply:
        assert reply.status == 503
    rig.board.acknowledge(1)
    async with client.get("/readyz") as reply:
        assert reply.status == 200


async def test_metrics_are_in_prometheus_format(client: Client) -> None:
    async with client.get("/metrics") as reply:
        assert reply.status == 200
        assert reply.headers["Content-Type"].startswith("text/plain")


def _stream(detector: DetectorState, state: StreamState = StreamState.RECEIVING) -> StreamStatus:
    return StreamStatus(name="a", state=state, since=NOW, detectors={"black": detector})


def test_the_revision_grows_with_what_is_worth_knowing_only() -> None:
    board = StatusBoard("w")
    measured = _incident(1).model_copy(update={"measurements": {"a": 1.0}})
    steps: list[tuple[Callable[[], None], int]] = [
        (lambda: board.set_stream(_stream(DetectorState.UNKNOWN)), 1),
        (lambda: board.set_stream(_stream(DetectorState.OK)), 0),
        (lambda: board.set_stream(_stream(DetectorState.OK, StreamState.RETRYING)), 1),
        (lambda: board.set_problems("x", []), 0),
        (lambda: board.set_problems("x", ["y"]), 1),
        (lambda: board.set_problems("x", ["y"]), 0),
        (lambda: board.set_incident(_incident(1)), 1),
        (lambda: board.set_incident(measured), 0),
        (lambda: board.set_incident(_incident(1, EndReason.CLEARED)), 1),
        (lambda: board.drop_stream("nobody"), 0),
    ]
    for number, (step, growth) in enumerate(steps):
        before = board.revision
        step()
        assert board.revision - before == growth, f"step {number}"
    assert board.document().streams[0].state is StreamState.RETRYING


@pytest.mark.parametrize(("alone", "grows"), [(True, [False, True, False]), (None, [False] * 3)])
def test_how_far_a_stream_came_is_worth_knowing_where_nobody_else_receives_it(
    alone: bool | None, grows: list[bool]
) -> None:
    board, seen = StatusBoard("w"), []
    for position_s in (100.0, 104.9, 105.0, 109.9):
        said = _stream(DetectorState.OK).model_copy(
            update={"alone": alone, "position_s": position_s}
        )
        board.set_stream(said)
        seen.append(board.revision)
    assert [later > sooner for sooner, later in pairwise(seen)] == grows


def test_the_document_is_bounded_but_tells_every_open_incident() -> None:
    board = StatusBoard("w")
    board.set_incident(_incident(0))
    for number in range(1, 500):
        board.set_incident(_incident(number, EndReason.CLEARED))

    incidents = board.document().incidents

    assert len(incidents) == MAX_ENDED + 1
    assert sum(item.active for item in incidents) == 1


def test_what_is_open_on_a_stream_that_moved_is_told_as_interrupted() -> None:
    board = StatusBoard("w")
    board.set_stream(_stream(DetectorState.ACTIVE))
    board.set_incident(_incident(1))
    board.set_incident(_incident(2, EndReason.CLEARED))
    board.drop_stream("a")

    document = board.document()
    assert document.streams == []
    assert {item.id: item.end_reason for item in document.incidents} == {
        "1": EndReason.INTERRUPTED,
        "2": EndReason.CLEARED,
    }


def test_what_comes_back_is_told_once() -> None:
    board = StatusBoard("w")
    board.set_incident(_incident(1))
    board.drop_stream("a")
    board.set_incident(_incident(1))

    assert [item.active for item in board.document().incidents] == [True]
