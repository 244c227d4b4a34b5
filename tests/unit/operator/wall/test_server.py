"""The wall over HTTP: who gets in, what they see, and what a browser is told."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from streammonitor_api import names
from streammonitor_api.assignment import Assignment
from streammonitor_api.spec import Stream
from streammonitor_api.worker_status import StreamState, StreamStatus, VideoFormat, WorkerStatus
from streammonitor_operator.observe import Observation
from streammonitor_operator.reconcile import Reconciler
from streammonitor_operator.settings import WorkerSettings
from streammonitor_operator.wall import session
from streammonitor_operator.wall.access import MAX_TOKEN, Access
from streammonitor_operator.wall.board import Board
from streammonitor_operator.wall.glimpses import MAX_PICTURE_BYTES, Glimpses
from streammonitor_operator.wall.history import History
from streammonitor_operator.wall.server import Wall
from streammonitor_operator.wall.streams import StreamPages
from streammonitor_operator.work import World
from tests.unit.operator.fake_kube import FakeKube
from tests.unit.operator.wall.reviews import Reviews

Client = TestClient[web.Request, web.Application]
ALICE = {"Authorization": "Bearer alice-token"}
JPEG = b"\xff\xd8\xff made up"
STREAM = "/api/streams/video/sports/arena"


@dataclass
class Worker:
    """What answers at a worker's port."""

    picture: bytes = JPEG
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if request.path == "/live/arena/picture":
            return web.Response(body=self.picture)
        if request.path == "/live/arena/traces":
            return web.json_response({"graphs": []})
        return web.Response(status=403 if request.path.startswith("/live/secret/") else 404)


@dataclass
class Rig:
    client: Client
    reviews: Reviews
    worker: Worker


def _fill(world: World, said: dict[str, Observation]) -> None:
    """One monitor in each of two namespaces, each with a worker at 127.0.0.1."""
    for version, namespace in enumerate(("video", "sport"), 1):
        spec = {"streams": [{"name": one, "url": "http://h/s?token=hush"} for one in STREAMS],
                "detectors": {"black": {}}}  # fmt: skip
        metadata = {"namespace": namespace, "name": "sports", "uid": namespace,
                    "resourceVersion": str(version)}  # fmt: skip
        world.monitors.put({"metadata": metadata, "spec": spec})
        owner = {"controller": True, "kind": names.KIND, "name": "sports", "uid": namespace}
        assignment = Assignment(
            epoch=1, streams=[Stream(name=one, url="http://h/s?token=hush") for one in STREAMS]
        )
        world.maps.put({
            "metadata": {**metadata, "name": "w", "ownerReferences": [owner]},
            "data": {names.ASSIGNMENT_KEY: assignment.model_dump_json(by_alias=True)},
        })  # fmt: skip
        world.pods.put({
            "metadata": {**metadata, "name": "w-0", "uid": f"pod-{namespace}",
                         "annotations": {names.ANNOTATION_MONITOR: "sports"},
                         "labels": {names.LABEL_WORKER: "w"}},
            "status": {"phase": "Running", "podIP": "127.0.0.1"},
        })  # fmt: skip
        said[f"pod-{namespace}"] = Observation(_said())


STREAMS = ("arena", "secret")


def _said() -> WorkerStatus:
    now = "2026-01-01T00:00:00Z"
    video = VideoFormat(codec="h264", width=1920, height=1080, frame_rate=50)
    return WorkerStatus.model_validate({
        "version": "1", "worker": "w", "process": "p", "startedAt": now, "revision": 1, "epoch": 1,
        "streams": [StreamStatus.model_validate({"name": one, "state": StreamState.RECEIVING,
                                                 "since": now, "video": video}) for one in STREAMS],
    })  # fmt: skip


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    worker, reviews = Worker(), Reviews()
    app = web.Application()
    app.router.add_get("/{path:.*}", worker.answer)
    said: dict[str, Observation] = {}
    async with TestServer(app) as server:
        world = Reconciler(FakeKube(), WorkerSettings(image="i")).world
        _fill(world, said)
        glimpses = Glimpses(server.port or 0)
        wall = Wall(
            Access(reviews),
            Board(world, said.get),
            StreamPages(world, said.get, History()),
            glimpses,
        )
        async with TestClient(TestServer(wall.application()), cookie_jar=None) as client:
            yield Rig(client, reviews, worker)
        glimpses.close()


async def code(rig: Rig, path: str, **headers: str) -> int:
    async with rig.client.get(path, headers=headers, allow_redirects=False) as answer:
        return answer.status


async def document(rig: Rig, path: str, headers: dict[str, str]) -> dict[str, Any]:
    async with rig.client.get(path, headers=headers) as answer:
        assert answer.status == 200
        found: dict[str, Any] = await answer.json()
        return found


async def login(rig: Rig, token: str, **headers: str) -> tuple[int, str, str]:
    form = {"token": token, "back": "/streams/a/b/c"}
    async with rig.client.post(
        "/login", data=form, headers=headers, allow_redirects=False
    ) as answer:
        return answer.status, answer.headers.get("Set-Cookie", ""), await answer.text()


async def test_who_is_not_known_sees_nothing(rig: Rig) -> None:
    for path in ("/api/wall", STREAM, f"{STREAM}/picture", f"{STREAM}/traces"):
        assert await code(rig, path) == 401
        assert await code(rig, path, Authorization="Bearer other") == 401
        assert await code(rig, path, Cookie=f"{session.COOKIE}=other") == 401
    async with rig.client.get("/?defect=black", allow_redirects=False) as answer:
        assert answer.status == 303
        assert answer.headers["Location"] == "/login?back=/%3Fdefect%3Dblack"


async def test_a_person_sees_what_the_cluster_lets_them(rig: Rig) -> None:
    alice = await document(rig, "/api/wall", ALICE)
    assert {one["id"] for one in alice["tiles"]} == {"video/sports/arena", "video/sports/secret"}
    root = await document(rig, "/api/wall", {"Authorization": "Bearer root-token"})
    assert len(root["tiles"]) == 4
    nobody = await document(rig, "/api/wall", {"Authorization": "Bearer nobody-token"})
    assert nobody["tiles"] == []
    for what in ("", "/picture", "/traces", "/past", "/evidence/1"):
        assert await code(rig, f"/api/streams/sport/sports/arena{what}", **ALICE) == 404
    assert [path for path in rig.worker.asked if "sport/" in path] == []


async def test_nothing_secret_is_told(rig: Rig) -> None:
    for path in ("/api/wall", STREAM):
        async with rig.client.get(path, headers=ALICE) as answer:
            assert "hush" not in await answer.text()


async def test_a_token_becomes_a_cookie_that_scripts_cannot_read(rig: Rig) -> None:
    status, cookie, _ = await login(rig, "alice-token")
    assert status == 303
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert "Secure" not in cookie, "a port-forward is plain HTTP"
    assert await code(rig, "/", Cookie=cookie.split(";")[0]) == 200
    status, cookie, _ = await login(rig, "alice-token", **{"X-Forwarded-Proto": "https"})
    assert "Secure" in cookie.split("; ")


@pytest.mark.parametrize(
    ("token", "headers", "status", "says"),
    [
        ("other", {}, 401, "may have expired"),
        ("", {}, 401, "may have expired"),
        ("x" * (MAX_TOKEN + 1), {}, 400, "too long"),
        ("alice-token", {"Origin": "http://evil.example"}, 403, "another site"),
        ("alice-token", {"Sec-Fetch-Site": "cross-site"}, 403, "another site"),
        ("alice-token", {"Host": "wall.example"}, 403, "HTTPS"),
    ],
)
async def test_a_login_that_must_not_be_is_refused_in_words(
    rig: Rig, token: str, headers: dict[str, str], status: int, says: str
) -> None:
    got, cookie, text = await login(rig, token, **headers)
    assert (got, cookie) == (status, "")
    assert says in text


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/\\evil", "javascript:"]
)
def test_nobody_is_sent_elsewhere_after_the_login(back: str) -> None:
    assert session.inside(back) == "/"
    assert session.inside("/?namespace=video&text=a%20b") == "/?namespace=video&text=a%20b"


async def test_logging_out_takes_the_cookie_away(rig: Rig) -> None:
    async with rig.client.post("/logout", allow_redirects=False) as answer:
        assert answer.headers["Location"] == "/login"
        assert "Max-Age=0" in answer.headers["Set-Cookie"]
    elsewhere = {"Sec-Fetch-Site": "cross-site"}
    async with rig.client.post("/logout", headers=elsewhere, allow_redirects=False) as answer:
        assert "Set-Cookie" not in answer.headers


async def test_a_cluster_that_does_not_answer_is_said(rig: Rig) -> None:
    rig.reviews.away = True
    assert await code(rig, "/api/wall", **ALICE) == 503
    assert await code(rig, "/", **ALICE) == 503
    assert (await login(rig, "alice-token"))[0] == 503


async def test_every_answer_is_locked_down(rig: Rig) -> None:
    for path in ("/login", "/", "/api/wall", "/static/wall.js", "/nothing"):
        async with rig.client.get(path, headers=ALICE) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy
            assert "unsafe" not in policy
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Cache-Control"] in ("no-store", "no-cache")
            assert "<script>" not in await answer.text()


async def test_static_files_are_had_once(rig: Rig) -> None:
    async with rig.client.get("/static/wall.js") as answer:
        tag = answer.headers["ETag"]
        assert answer.content_type == "text/javascript"
    assert await code(rig, "/static/wall.js", **{"If-None-Match": tag}) == 304
    for name in ("wall.html", "..%2f__init__.py", "none"):
        assert await code(rig, f"/static/{name}") == 404


async def test_a_picture_is_asked_of_the_worker_once_for_all_who_look(rig: Rig) -> None:
    async with rig.client.get(f"{STREAM}/picture", headers=ALICE) as answer:
        assert (answer.content_type, await answer.read()) == ("image/jpeg", JPEG)
    codes = await asyncio.gather(*(code(rig, f"{STREAM}/picture", **ALICE) for _ in range(10)))
    assert set(codes) == {200}
    assert rig.worker.asked == ["/live/arena/picture"]


@pytest.mark.parametrize("made", [b"<html>", b"", b"\xff\xd8\xff" + bytes(MAX_PICTURE_BYTES)])
async def test_what_is_no_picture_is_not_passed_on(rig: Rig, made: bytes) -> None:
    rig.worker.picture = made
    assert await code(rig, f"{STREAM}/picture", **ALICE) == 404


async def test_what_a_worker_does_not_show_is_not_shown(rig: Rig) -> None:
    assert await code(rig, "/api/streams/video/sports/secret/picture", **ALICE) == 403
    assert await document(rig, f"{STREAM}/traces", ALICE) == {"parts": [{"graphs": []}]}
    assert await document(rig, f"{STREAM}/evidence/0123", ALICE) == {"parts": []}
    asked = len(rig.worker.asked)
    for incident in ("..%2F..%2Fstatus", "a%20b", "-", "x" * 65):
        assert await code(rig, f"{STREAM}/evidence/{incident}", **ALICE) == 404
    assert len(rig.worker.asked) == asked
