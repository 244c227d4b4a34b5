"""A proxy between the operator and a real API server that fails as networks and servers do."""

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto

import aiohttp
from aiohttp import web

from bench.scale.client import session_of
from dev.cluster.loopback import HOST, Loopback

GONE = {
    "type": "ERROR",
    "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"},
}


class Watches(Enum):
    """What becomes of watches."""

    PASS = auto()
    DROP = auto()
    """Their connections are reset, and so is each new one."""
    FREEZE = auto()
    """They stay open, and nothing comes any more, as on each new one."""
    EXPIRE = auto()
    """They end with 410, and so does each new one."""


class FaultyProxy:
    """Speaks HTTP to the operator and HTTPS to the API server."""

    def __init__(self, plane: Loopback) -> None:
        self._plane = plane
        self._loop = asyncio.new_event_loop()
        self._news = asyncio.Event()
        self._over = asyncio.Event()
        self._watches = Watches.PASS
        self.refuse: tuple[int, int] = (0, 0)
        """The status code that requests are answered with, and how many more of them."""
        self.refused = 0
        self.broken = 0
        """How many watches were broken."""
        self.port = 0

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    def watches(self, fate: Watches) -> None:
        """Decide what becomes of watches from now on."""
        self._loop.call_soon_threadsafe(self._decide, fate)

    def _decide(self, fate: Watches) -> None:
        self._watches = fate
        self._news.set()
        self._news = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        code, left = self.refuse
        if left and "leases" not in request.path:
            self.refuse = (code, left - 1)
            self.refused += 1
            said = {"kind": "Status", "code": code, "reason": "TooManyRequests", "message": "no"}
            return web.json_response(said, status=code, headers={"Retry-After": "1"})
        kept = ("Content-Type", "Accept")
        headers = {name: request.headers[name] for name in kept if name in request.headers}
        async with self._session.request(
            request.method,
            f"{self._plane.url}{request.raw_path}",
            data=await request.read() or None,
            headers=headers,
            timeout=aiohttp.ClientTimeout(total=None),
        ) as answer:
            if request.query.get("watch") == "true":
                response = web.StreamResponse(status=answer.status)
                await response.prepare(request)
                with contextlib.suppress(ConnectionError):  # whoever asked has left
                    await self._watch(request, answer, response)
                if answer.connection is not None and answer.connection.transport is not None:
                    # A farewell over TLS takes its time, and would outlive the event loop.
                    answer.connection.transport.abort()
                return response
            body = await answer.read()
            kind = answer.headers.get("Content-Type", "application/json").partition(";")[0]
            return web.Response(body=body, status=answer.status, content_type=kind)

    async def _watch(
        self, request: web.Request, answer: aiohttp.ClientResponse, response: web.StreamResponse
    ) -> None:
        passing = asyncio.create_task(_pass_on(answer, response))
        deciding = asyncio.create_task(self._broken_off())
        tasks = {passing, deciding, asyncio.create_task(self._over.wait())}
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if deciding.done():
                self.broken += 1
                await self._break(deciding.result(), request, response)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _broken_off(self) -> Watches:
        """What becomes of a watch that is not to go on, once that is decided."""
        while self._watches is Watches.PASS:
            await self._news.wait()
        return self._watches

    async def _break(
        self, fate: Watches, request: web.Request, response: web.StreamResponse
    ) -> None:
        if fate is Watches.EXPIRE:
            await response.write(json.dumps(GONE).encode() + b"\n")
        elif fate is Watches.FREEZE:
            await self._over.wait()
        elif request.transport is not None:
            request.transport.abort()

    async def _serve(self, ready: threading.Event) -> None:
        async with session_of(str(self._plane.kubeconfig)) as (self._session, _):
            app = web.Application(client_max_size=2**24)
            app.router.add_route("*", "/{path:.*}", self.handle)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=10)
            await runner.setup()
            await web.TCPSite(runner, HOST, 0).start()
            self.port = runner.addresses[0][1]
            ready.set()
            await self._over.wait()
            await runner.cleanup()

    @contextmanager
    def running(self) -> Iterator["FaultyProxy"]:
        """Have it at work."""
        ready = threading.Event()

        def work() -> None:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve(ready))

        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        try:
            assert ready.wait(10), "The proxy does not start."
            yield self
        finally:
            self._loop.call_soon_threadsafe(self._over.set)
            thread.join(20)
            assert not thread.is_alive(), "The proxy does not end."


async def _pass_on(answer: aiohttp.ClientResponse, response: web.StreamResponse) -> None:
    """Let every line through until there is none any more, or nobody to read it."""
    with contextlib.suppress(ConnectionError):
        while line := await answer.content.readline():
            await response.write(line)
