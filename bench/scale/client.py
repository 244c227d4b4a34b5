"""A bare asyncio client of the Kubernetes API: what the operator is measured against."""

import asyncio
import base64
import json
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import yaml

Object = dict[str, Any]
T = TypeVar("T")

APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
_WATCH_S = 60


class Api:
    """One session with the API server."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def send(
        self, method: str, path: str, body: Object | str | None = None, kind: str = ""
    ) -> Object:
        """Make one request; a body that is text already is sent as it is.

        Raises:
            RuntimeError: the API refused.
        """
        text = body if isinstance(body, str) or body is None else json.dumps(body)
        headers = {"Content-Type": kind or "application/json"}
        async with self._session.request(
            method, self._url + path, data=text, headers=headers
        ) as answer:
            said = await answer.read()
            if answer.status >= 400:
                raise RuntimeError(f"{method} {path}: {answer.status} {said[:300]!r}")
            document: Object = json.loads(said)
            return document

    async def watch(self, path: str, selector: str = "") -> AsyncIterator[Object]:
        """Yield what is there, then every change, for ever."""
        query = f"watch=true&allowWatchBookmarks=true&timeoutSeconds={_WATCH_S}"
        url, version = f"{self._url}{path}?{query}&labelSelector={selector}", ""
        timeout = aiohttp.ClientTimeout(total=None, sock_read=2 * _WATCH_S)
        while True:  # the API server ends the watch of whoever is slow, and any one after a while
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self._session.get(f"{url}{version}", timeout=timeout) as said:
                    if said.status >= 400:
                        raise RuntimeError(f"watch of {path}: {said.status} {await said.text()}")
                    while line := await said.content.readline():
                        event = json.loads(line)
                        if event["type"] == "ERROR":
                            version = ""
                            break
                        reached = event["object"]["metadata"]["resourceVersion"]
                        version = f"&resourceVersion={reached}"
                        if event["type"] != "BOOKMARK":
                            yield event
            await asyncio.sleep(0.1)

    async def count(self, path: str) -> int:
        """How many objects a collection has."""
        page = await self.send("GET", f"{path}?limit=1")
        return len(page["items"]) + int(page["metadata"].get("remainingItemCount") or 0)


@asynccontextmanager
async def connect(kubeconfig: str) -> AsyncIterator[Api]:
    """The API as the user of a kubeconfig that holds its certificates."""
    async with session_of(kubeconfig) as (session, url):
        yield Api(session, url)


@asynccontextmanager
async def session_of(kubeconfig: str) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """A session as the user of a kubeconfig, and the URL of the API server."""
    document = yaml.safe_load(Path(kubeconfig).read_text())  # noqa: ASYNC240 - a small file
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    with tempfile.TemporaryDirectory() as name:
        files = {}
        for key, holder in (
            ("certificate-authority-data", cluster),
            ("client-certificate-data", user),
            ("client-key-data", user),
        ):
            files[key] = Path(name) / key
            files[key].write_bytes(base64.b64decode(holder[key]))
        context = ssl.create_default_context(cafile=str(files["certificate-authority-data"]))
        context.load_cert_chain(files["client-certificate-data"], files["client-key-data"])
    connector = aiohttp.TCPConnector(ssl=context, limit=100)
    # A line of a watch is a whole object.
    async with aiohttp.ClientSession(connector=connector, read_bufsize=2**22) as session:
        yield session, cluster["server"]


async def many(items: Iterable[T], act: Callable[[T], Awaitable[object]], at_once: int) -> None:
    """Do something for every item, so many at a time."""
    queue = iter(items)

    async def worker() -> None:
        for item in queue:
            await act(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
