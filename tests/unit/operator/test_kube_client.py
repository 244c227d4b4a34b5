"""The client against a real HTTP server that speaks as the API does."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio import client

from streammonitor_operator import kube_client
from streammonitor_operator.kube import (
    CONFIG_MAPS,
    MONITORS,
    NotLeader,
    Rejected,
    Unreachable,
)
from streammonitor_operator.kube_client import KubeClient

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, str], str]] = []
        self.url = ""
        self.answer: Answer

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        query = dict(request.query) | {"type": request.content_type}
        self.requests.append((request.method, request.path, query, body))
        return await self.answer(request)

    def say(self, document: Any, status: int = 200, **headers: str) -> None:
        async def answer(_: web.Request) -> web.StreamResponse:
            return web.json_response(document, status=status, headers=headers)

        self.answer = answer


@pytest_asyncio.fixture
async def api() -> AsyncIterator[Api]:
    api = Api()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.handle)
    async with TestServer(app) as server:
        api.url = str(server.make_url("")).rstrip("/")
        yield api


@pytest_asyncio.fixture
async def kube(api: Api) -> AsyncIterator[KubeClient]:
    configuration = client.Configuration()
    configuration.host = api.url
    kube = KubeClient(configuration)
    yield kube
    await kube.close()


MANIFEST = {"metadata": {"namespace": "n", "name": "a"}, "status": {}}


async def test_apply_names_its_field_manager(api: Api, kube: KubeClient) -> None:
    api.say({"ok": True})
    await kube.apply(MONITORS, MANIFEST, subresource="status")
    method, path, query, _ = api.requests[0]
    assert (method, path) == (
        "PATCH", "/apis/streammonitor.io/v1alpha1/namespaces/n/streammonitors/a/status"
    )  # fmt: skip
    assert query == {
        "fieldManager": "streammonitor", "force": "true", "type": "application/apply-patch+yaml"
    }  # fmt: skip


async def test_a_list_is_read_page_by_page(api: Api, kube: KubeClient) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        last = "continue" in request.query
        metadata = {"resourceVersion": "9"} | ({} if last else {"continue": "more"})
        return web.json_response({"metadata": metadata, "items": [{"n": int(last)}]})

    api.answer = answer
    result = await kube.list_all(CONFIG_MAPS, "", "app=x")
    assert result["items"] == [{"n": 0}, {"n": 1}]
    assert api.requests[0][1:3] == (
        "/api/v1/configmaps",
        {"labelSelector": "app=x", "limit": "500", "type": "application/json"},
    )


async def test_an_error_says_what_kubernetes_said(api: Api, kube: KubeClient) -> None:
    api.say({"reason": "TooManyRequests", "message": "slow"}, 429, **{"Retry-After": "3"})
    with pytest.raises(Rejected) as caught:
        await kube.get(CONFIG_MAPS, "n", "a")
    assert (caught.value.status, caught.value.retry_after_s) == (429, 3.0)
    assert "slow" in str(caught.value)


async def test_a_namespace_that_is_being_deleted_is_told_from_a_missing_right(
    api: Api, kube: KubeClient
) -> None:
    cause = {"reason": "NamespaceTerminating", "message": "namespace video is being terminated"}
    told = {"reason": "Forbidden", "message": "no", "details": {"causes": [cause]}}
    for document, ending in ((told, True), ({**told, "details": {}}, False)):
        api.say(document, status=403)
        with pytest.raises(Rejected) as caught:
            await kube.create(CONFIG_MAPS, {"metadata": {"namespace": "video", "name": "a"}})
        assert (caught.value.ending, caught.value.final) == (ending, not ending)


async def test_an_error_of_a_proxy_is_understood_too(api: Api, kube: KubeClient) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.Response(status=502, text="<html>bad gateway</html>")

    api.answer = answer
    with pytest.raises(Rejected, match="502"):
        await kube.get(CONFIG_MAPS, "n", "a")


async def test_a_watch_yields_events_and_raises_what_the_server_objects_to(
    api: Api, kube: KubeClient
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type": "ADDED", "object": {"n": 1}}\n')
        gone = b'{"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}\n'
        await response.write(gone)
        return response

    api.answer = answer
    events = kube.watch(CONFIG_MAPS, "n", "app=x", "5")
    assert (await anext(events))["object"] == {"n": 1}
    with pytest.raises(Rejected) as caught:
        await anext(events)
    assert caught.value.expired
    assert api.requests[0][2]["resourceVersion"] == "5"


async def test_a_silent_watch_is_given_up(
    api: Api, kube: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_client, "WATCH_SILENCE_S", 0.2)

    async def silent(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await asyncio.sleep(1)
        return response

    api.answer = silent
    with pytest.raises(Unreachable):
        await anext(kube.watch(CONFIG_MAPS, "n", "app=x", "5"))


async def test_a_guard_keeps_writes_from_being_sent(api: Api, kube: KubeClient) -> None:
    def guard() -> None:
        raise NotLeader("no")

    kube._guard = guard
    api.say({})
    await kube.get(CONFIG_MAPS, "n", "a")
    with pytest.raises(NotLeader):
        await kube.create(CONFIG_MAPS, MANIFEST)
    assert [one[0] for one in api.requests] == ["GET"]


async def test_a_delete_names_the_uid(api: Api, kube: KubeClient) -> None:
    api.say({})
    await kube.delete(CONFIG_MAPS, "n", "a", "uid-1")
    assert '"preconditions":{"uid":"uid-1"}' in api.requests[0][3]


@pytest.mark.parametrize(("status", "expected"), [(200, True), (404, False)])
async def test_it_knows_what_the_cluster_serves(
    api: Api, kube: KubeClient, status: int, expected: bool
) -> None:
    api.say({"resources": [{"name": "streammonitors"}]}, status)
    assert await kube.serves(MONITORS) is expected
