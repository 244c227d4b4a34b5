"""The observer against a real HTTP server."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import BaseTestServer, TestServer

from streammonitor_operator.children import Key, WorkerPod
from streammonitor_operator.observe import MAX_ANSWER_BYTES, Observer


def pod(**changes: Any) -> WorkerPod:
    facts: dict[str, Any] = {
        "namespace": "video", "name": "w-1", "uid": "u1", "version": 1, "monitor": "sports",
        "worker": "w", "ip": "127.0.0.1", "running": True, "terminating": False,
        "reason": "", "message": "",
    } | changes  # fmt: skip
    return WorkerPod(**facts)


class Page:
    """A worker's /status, with the long poll of its contract."""

    def __init__(self) -> None:
        self.revision = 1
        self.worker = "w"
        self.broken: web.Response | None = None
        self.extra: dict[str, Any] = {}
        self.queries: list[str] = []
        self.changed = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        self.queries.append(request.query_string)
        if self.broken is not None:
            return web.Response(status=self.broken.status, body=self.broken.body)
        if int(request.query.get("since", -1)) >= self.revision:
            self.changed.clear()
            await self.changed.wait()
        return web.json_response(
            {
                "version": "1", "worker": self.worker, "process": "p", "revision": self.revision,
                "startedAt": datetime.now(UTC).isoformat(), "epoch": 1, **self.extra,
            }
        )  # fmt: skip

    def change(self) -> None:
        self.revision += 1
        self.changed.set()


class Rig:
    def __init__(self, page: Page, server: BaseTestServer) -> None:
        self.page = page
        self.server = server
        self.woken: list[Key] = []
        self.observer: Observer
        self._event = asyncio.Event()

    def wake(self, key: Key) -> None:
        self.woken.append(key)
        self._event.set()

    async def until_woken(self, times: int) -> None:
        async with asyncio.timeout(5):
            while len(self.woken) < times:
                self._event.clear()
                await self._event.wait()


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    page = Page()
    app = web.Application()
    app.router.add_get("/status", page.answer)
    async with TestServer(app) as server:
        rig = Rig(page, server)
        rig.observer = Observer(rig.wake, port=server.port or 0)
        yield rig
        await rig.observer.stop()
        page.changed.set()


async def test_a_change_wakes_at_once_and_idleness_does_not(rig: Rig) -> None:
    rig.observer.pod_changed(None, pod())
    await rig.until_woken(1)
    await asyncio.sleep(0.3)
    assert rig.woken == [("video", "sports")]
    assert rig.page.queries == ["", "since=1&wait=1s"]
    rig.page.change()
    started = asyncio.get_running_loop().time()
    await rig.until_woken(2)
    assert asyncio.get_running_loop().time() - started < 0.5
    seen = rig.observer.of("u1")
    assert seen is not None
    assert seen.status is not None
    assert seen.status.revision == 2


async def test_a_pod_that_does_not_answer_keeps_its_last_status(rig: Rig) -> None:
    rig.observer.pod_changed(None, pod())
    await rig.until_woken(1)
    rig.page.broken = web.Response(status=500)
    rig.page.change()
    rig.page.changed.set()
    await rig.until_woken(2)
    await asyncio.sleep(1)
    seen = rig.observer.of("u1")
    assert seen is not None
    assert seen.failing_since is not None
    assert "500" in seen.error
    assert seen.status is not None
    assert len(rig.woken) <= 3, "many failures wake once"


async def test_a_process_that_is_gone_refuses_whatever_happened_first(rig: Rig) -> None:
    rig.observer.pod_changed(None, pod())
    await rig.until_woken(1)
    rig.page.broken = web.Response(status=500)
    rig.page.change()
    await rig.until_woken(2)
    first = rig.observer.of("u1")
    assert first is not None
    assert not first.refused
    await rig.server.close()
    await rig.until_woken(3)
    seen = rig.observer.of("u1")
    assert seen is not None
    assert seen.refused
    assert seen.failing_since == first.failing_since


async def test_an_answer_of_another_worker_is_none(rig: Rig) -> None:
    rig.page.worker = "other"
    rig.observer.pod_changed(None, pod())
    await rig.until_woken(1)
    seen = rig.observer.of("u1")
    assert seen is not None
    assert seen.status is None
    assert "'other' answers where 'w' should" in seen.error


async def test_an_endless_answer_is_cut_off(rig: Rig) -> None:
    rig.page.broken = web.Response(body=b" " * (MAX_ANSWER_BYTES + 1))
    rig.observer.pod_changed(None, pod())
    await rig.until_woken(1)
    seen = rig.observer.of("u1")
    assert seen is not None
    assert "longer than" in seen.error


async def test_times_become_utc_and_odd_ids_are_left_out(rig: Rig) -> None:
    incident = {
        "id": "abc", "monitorUid": "u", "stream": "a", "defect": "freeze", "episode": "1",
        "severity": "critical", "startedAt": "2026-01-01T00:00:00",
        "detectedAt": "2026-01-01T02:00:02+02:00", "startS": 0, "detectedS": 2,
    }  # fmt: skip
    rig.page.extra = {
        "incidents": [
            incident,
            {**incident, "id": "../../x"},
            {**incident, "id": "b", "stream": "s" * 5000},
            {**incident, "id": "c", "defect": "no such\nthing"},
        ]
    }
    rig.observer.pod_changed(None, pod())
    await rig.until_woken(1)
    seen = rig.observer.of("u1")
    assert seen is not None
    assert seen.status is not None
    [kept] = seen.status.incidents
    assert (kept.detected_at - kept.started_at).total_seconds() == 2


async def test_the_last_words_of_a_pod_that_is_gone_are_handed_out_once(rig: Rig) -> None:
    rig.observer.pod_changed(None, pod())
    await rig.until_woken(1)
    rig.observer.pod_changed(pod(), None)
    assert rig.observer.of("u1") is None
    [last] = rig.observer.take_departed(("video", "sports"))
    assert last.worker == "w"
    assert rig.observer.take_departed(("video", "sports")) == []


async def test_many_pods_that_fall_silent_at_once_are_doubted(rig: Rig) -> None:
    for number in range(6):
        rig.observer.pod_changed(None, pod(uid=f"u{number}"))
    await rig.until_woken(6)
    assert not rig.observer.doubtful
    rig.page.broken = web.Response(status=500)
    async with asyncio.timeout(5):
        while not rig.observer.doubtful:
            rig.page.changed.set()  # one poll after the other hears of it
            await asyncio.sleep(0.02)
