"""Tiles, and what of them changed."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from streammonitor_api.incident import EndReason
from streammonitor_api.worker_status import VideoFormat
from streammonitor_operator.observe import Observation
from streammonitor_operator.wall.board import Board, News
from streammonitor_operator.wall.history import History
from streammonitor_operator.wall.streams import StreamPages
from tests.unit.operator.fleet import KEY, Cluster, spec_of

pytestmark = pytest.mark.looptime(start=time.monotonic)
ALL = frozenset({"video"})


class Observed:
    """What is known of each pod: the same object until something changes."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[tuple[str, int], Observation | None] = {}

    def __call__(self, uid: str) -> Observation | None:
        worker = self._cluster.workers.get(uid)
        place = (uid, worker.revision if worker else 0)
        if place not in self._known:
            seen = Observation(worker.status()) if worker else None
            self._known[place] = seen
        return self._known[place]


def board_of(cluster: Cluster) -> Board:
    return Board(cluster.reconciler.world, Observed(cluster), cluster.time)


def shown(news: News) -> dict[str, dict[str, Any]]:
    document = orjson.loads(news.body)
    return {one["stream"]: one for one in document["tiles"]}


async def test_every_stream_is_a_tile_with_its_state(cluster: Cluster) -> None:
    cluster.apply(spec_of("a", "b", "c"))
    await cluster.settle()
    worker = cluster.worker_of("a")
    worker.lose("b")
    incident = worker.start("c")
    cluster.say()
    await cluster.settle()
    tiles = shown(await board_of(cluster).news("", ALL, 0))
    assert {name: one["state"] for name, one in tiles.items()} == {
        "a": "receiving", "b": "retrying", "c": "receiving",
    }  # fmt: skip
    assert tiles["a"]["id"] == "video/sports/a"
    assert (tiles["a"]["incidents"], tiles["b"]["reason"]) == ([], "Timeout")
    (one,) = tiles["c"]["incidents"]
    assert (one["id"], one["defect"], one["severity"]) == (incident.id, "freeze", "critical")


async def test_only_what_changed_is_told(cluster: Cluster) -> None:
    cluster.apply(spec_of("a", "b"))
    await cluster.settle()
    board, worker = board_of(cluster), cluster.worker_of("a")
    worker.states = {one.name: one for one in worker.status().streams}
    first = await board.news("", ALL, 0)
    assert first.whole
    assert (await board.news(first.cursor, ALL, 2)).body == (
        orjson.dumps({"cursor": first.cursor, "whole": False, "tiles": [], "gone": []})
    )
    incident = worker.start("b")
    cluster.say()
    await cluster.settle()
    second = await board.news(first.cursor, ALL, 5)
    assert not second.whole
    assert list(shown(second)) == ["b"]
    worker.end(incident.id)
    cluster.say()
    await cluster.settle()
    third = await board.news(second.cursor, ALL, 5)
    assert shown(third)["b"]["incidents"] == []
    cluster.apply(spec_of("a"))
    await cluster.settle()
    fourth = await board.news(third.cursor, ALL, 5)
    assert fourth.gone == ("video/sports/b",)
    assert (await board.news("", ALL, 0)).gone == ()


async def test_who_may_see_less_is_told_less_and_anew_when_that_changes(cluster: Cluster) -> None:
    cluster.apply(spec_of("a"))
    await cluster.settle()
    board = board_of(cluster)
    assert board.namespaces == {"video"}
    none = await board.news("", frozenset(), 0)
    assert none.tiles == ()
    some = await board.news(none.cursor, ALL, 0)
    assert some.whole
    assert list(shown(some)) == ["a"]
    for cursor in ("", "x", some.cursor.replace("-", "-9"), "other" + some.cursor, "a-b-c-d"):
        found = await board.news(cursor, ALL, 0)
        assert found.whole or found.cursor == some.cursor


async def test_how_late_a_stream_is_is_told_in_whole_seconds(cluster: Cluster) -> None:
    cluster.apply(spec_of("a"))
    await cluster.settle()
    worker = cluster.worker_of("a")
    said = worker.status().streams[0]
    video = VideoFormat(codec="h264", width=1920, height=1080, frame_rate=50)
    worker.states["a"] = said.model_copy(update={"lag_s": 3, "video": video})
    worker.revision += 1
    cluster.say()
    tile = shown(await board_of(cluster).news("", ALL, 0))["a"]
    assert (tile["lag"], tile["format"], tile["picture"]) == (3, "1920x1080 50", True)


async def test_a_suspended_monitor_and_one_without_workers(cluster: Cluster) -> None:
    cluster.apply(spec_of("a", suspend=True))
    await cluster.settle()
    assert shown(await board_of(cluster).news("", ALL, 0))["a"]["state"] == "suspended"


async def test_what_is_interrupted_goes_on_until_it_expires(cluster: Cluster) -> None:
    cluster.apply(spec_of("a"))
    await cluster.settle()
    worker = cluster.worker_of("a")
    incident = worker.start("a")
    worker.end(incident.id, EndReason.INTERRUPTED)
    later = datetime.now(UTC) + timedelta(minutes=5)
    worker.incidents[incident.id] = worker.incidents[incident.id].model_copy(
        update={"expires_at": later}
    )
    worker.revision += 1
    cluster.say()
    await cluster.settle()
    (one,) = shown(await board_of(cluster).news("", ALL, 0))["a"]["incidents"]
    assert one["id"] == incident.id


async def test_a_stream_s_page_remembers_what_ended_on_workers_that_are_gone(
    cluster: Cluster,
) -> None:
    cluster.apply(spec_of("a"))
    await cluster.settle()
    worker, history = cluster.worker_of("a"), History()
    pages = StreamPages(cluster.reconciler.world, Observed(cluster), history)
    first = worker.start("a", episode="1")
    worker.end(first.id)
    (pod,) = cluster.reconciler.world.pods.of(KEY).values()
    history.heard(pod, worker.status())
    worker.incidents.clear()
    second = worker.start("a", episode="2")
    cluster.say()
    await cluster.settle()
    page = pages.describe("video", "sports", "a")
    assert page is not None
    assert [one["id"] for one in page["ended"]] == [first.id]
    assert page["ended"][0]["endReason"] == "cleared"
    assert [one["id"] for one in page["incidents"]] == [second.id]
    (group,) = page["groups"]
    assert (group["name"], group["worker"], group["state"]) == ("all", worker.name, "receiving")
    assert pages.describe("video", "sports", "z") is None
    assert pages.describe("video", "other", "a") is None
    assert [pod.pod.worker for pod in pages.pods("video", "sports", "a")] == [worker.name]
