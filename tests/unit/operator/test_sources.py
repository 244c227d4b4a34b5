"""Where lists are read from: a real HTTP server, an API in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from streammonitor_api.streams_from import StreamsFrom
from streammonitor_operator import sources
from streammonitor_operator.kube import CONFIG_MAPS
from streammonitor_operator.sources import MAX_BYTES, Answer, SourceError, Sources
from tests.unit.operator.fake_kube import FakeKube, rejected

ENTRIES = [{"name": "a", "url": "http://h/"}]
LOCAL = "127.0.0.1"


class Endpoint:
    """An HTTP endpoint with a list."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.response: dict[str, Any] = {"body": json.dumps(ENTRIES).encode()}
        self.stuck: asyncio.Event | None = None
        self.server: TestServer

    async def answer(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        if self.stuck is not None:
            await self.stuck.wait()
        if request.headers.get("If-None-Match") == '"v1"':
            return web.Response(status=304)
        return web.Response(**self.response)

    def source(self, host: str = LOCAL) -> StreamsFrom:
        url = f"http://{host}:{self.server.port}/list?token=hidden"
        return StreamsFrom.model_validate({"http": {"url": url}})


@pytest_asyncio.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    made = Endpoint()
    application = web.Application()
    application.router.add_get("/list", made.answer)
    made.server = TestServer(application)
    await made.server.start_server()
    yield made
    await made.server.close()


@pytest_asyncio.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(auto_decompress=False, trust_env=False) as made:
        yield made


async def test_a_list_is_asked_for_again_only_if_it_changed(
    endpoint: Endpoint, session: aiohttp.ClientSession
) -> None:
    asked = Sources(FakeKube(), session, [LOCAL])
    endpoint.response["headers"] = {"ETag": '"v1"'}
    first = await asked.read("n", endpoint.source(), None)
    assert first.entries == ENTRIES
    assert await asked.read("n", endpoint.source(), first) is first
    assert [one.headers.get("If-None-Match") for one in endpoint.requests] == [None, '"v1"']


async def test_without_an_etag_the_same_answer_is_the_same_version(
    endpoint: Endpoint, session: aiohttp.ClientSession
) -> None:
    asked = Sources(FakeKube(), session, [LOCAL])
    first = await asked.read("n", endpoint.source(), None)
    second = await asked.read("n", endpoint.source(), first)
    assert second.version == first.version
    endpoint.response["body"] = b"[]"
    assert (await asked.read("n", endpoint.source(), second)).version != first.version


@pytest.mark.parametrize(
    ("response", "sentence"),
    [
        ({"status": 302, "headers": {"Location": "http://elsewhere.example/"}}, "a redirect"),
        ({"status": 500}, "answers with status 500 instead of 200"),
        ({"body": b" " * (MAX_BYTES + 1)}, "answers with more than 1 MiB"),
        ({"body": b"- a"}, "is not readable as JSON"),
        ({"body": b"\xff"}, "no UTF-8"),
        ({"body": b"{}"}, "holds a mapping: write a list"),
    ],
    ids=["redirect", "status", "size", "form", "bytes", "kind"],
)
async def test_what_is_no_answer_is_told_without_the_query(
    endpoint: Endpoint,
    session: aiohttp.ClientSession,
    response: dict[str, Any],
    sentence: str,
) -> None:
    endpoint.response = response
    with pytest.raises(SourceError, match=sentence) as failure:
        await Sources(FakeKube(), session, [LOCAL]).read("n", endpoint.source(), None)
    assert "hidden" not in str(failure.value)
    assert len(endpoint.requests) == 1


async def test_an_endpoint_that_takes_too_long(
    endpoint: Endpoint, session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "TIMEOUT_S", 0.05)
    endpoint.stuck = asyncio.Event()
    with pytest.raises(SourceError, match=r"did not answer within 0\.05 s"):
        await Sources(FakeKube(), session, [LOCAL]).read("n", endpoint.source(), None)
    endpoint.stuck.set()


async def test_an_endpoint_that_is_not_there(session: aiohttp.ClientSession) -> None:
    source = StreamsFrom.model_validate({"http": {"url": f"http://{LOCAL}:1/"}})
    with pytest.raises(SourceError, match="could not be asked"):
        await Sources(FakeKube(), session, [LOCAL]).read("n", source, None)


@pytest.mark.parametrize(
    ("allowed", "sentence"),
    [
        ([], "lists over HTTP are switched off here: the platform team sets"),
        (["lists.example"], f"host {LOCAL} may not be asked for a list: the platform team sets"),
        ([f"{LOCAL}:1"], "may not be asked"),
        (["*.27.0.0.1"], "may not be asked"),
    ],
    ids=["none", "another", "port", "domain"],
)
async def test_only_allowed_hosts_are_asked(
    endpoint: Endpoint, session: aiohttp.ClientSession, allowed: list[str], sentence: str
) -> None:
    with pytest.raises(SourceError, match=sentence):
        await Sources(FakeKube(), session, allowed).read("n", endpoint.source(), None)
    assert endpoint.requests == []


async def test_hosts_are_allowed_by_port_and_by_domain(
    endpoint: Endpoint, session: aiohttp.ClientSession
) -> None:
    for allowed in (f"{LOCAL}:{endpoint.server.port}", "*.0.0.1"):
        answer = await Sources(FakeKube(), session, [allowed]).read("n", endpoint.source(), None)
        assert answer.entries == ENTRIES


async def test_a_config_map_is_parsed_again_only_if_it_changed() -> None:
    kube = FakeKube()
    source = StreamsFrom.model_validate({"configMap": {"name": "c", "key": "k"}})

    async def read(last: Answer | None = None) -> Answer:
        return await Sources(kube).read("n", source, last)

    with pytest.raises(SourceError, match="ConfigMap c does not exist: create it"):
        await read()
    manifest = {"metadata": {"namespace": "n", "name": "c"}, "data": {"other": "[]"}}
    kube.put(CONFIG_MAPS, manifest)
    with pytest.raises(SourceError, match="ConfigMap c has no key k in its data: add it"):
        await read()
    kube.put(CONFIG_MAPS, {**manifest, "data": {"k": json.dumps(ENTRIES)}})
    first = await read()
    assert first.entries == ENTRIES
    assert await read(first) is first
    kube.fail = lambda *_: rejected(403, "Forbidden")
    with pytest.raises(SourceError, match="ConfigMap c could not be read: 403 Forbidden"):
        await read(first)
