"""/healthz, /readyz, /status, /results and /metrics on one port."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry

from streammonitor_api.durations import parse_duration
from streammonitor_api.results import KeptResults
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.live import LiveView
from streammonitor_worker.looking import looking
from streammonitor_worker.metrics import render
from streammonitor_worker.recap import LONGEST_S, Kept, Recaps

MAX_WAIT_S = 60.0
SETTLE_S = 0.02
"""Changes come in bursts; an answer that waits this long carries the burst as one."""
Health = Callable[[], list[str]]


class StatusFeed:
    """Lets coroutines wait for a revision that threads make."""

    def __init__(self, board: StatusBoard) -> None:
        self._board = board
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        board.listen(self._wake)

    async def wait(self, since: int, wait_s: float) -> None:
        """Return once the revision is greater than `since`, or after `wait_s`."""
        deadline = self._loop.time() + wait_s
        while self._board.revision <= since and (rest := deadline - self._loop.time()) > 0:
            # Looked up before the wait: a change in between sets this very event.
            changed = self._changed
            if self._board.revision > since:
                break
            try:
                await asyncio.wait_for(changed.wait(), rest)
            except TimeoutError:
                return
            await asyncio.sleep(SETTLE_S)

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._replace)

    def _replace(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()


class Endpoints:
    """The HTTP endpoints of a worker.

    Args:
        board: The status document.
        registry: The metrics.
        ailing: Names the streams whose threads hang; empty when the process is healthy.
        ready: Whether an assignment was read; independent of how the streams are.
        live: Shows the streams to who looks at them; None: nobody can.
        kept: What is in memory of past minutes.
        recaps: Makes pages of what became of streams lately; None: there are none.
    """

    def __init__(
        self,
        board: StatusBoard,
        registry: CollectorRegistry,
        *,
        ailing: Health,
        ready: Callable[[], bool],
        live: LiveView | None = None,
        kept: Kept = lambda stream, since: ([], []),
        recaps: Recaps | None = None,
    ) -> None:
        self._board = board
        self._registry = registry
        self._ailing = ailing
        self._ready = ready
        self._live = live
        self._kept = kept
        self._recaps = recaps
        self._feed = StatusFeed(board)

    def application(self) -> web.Application:
        """The routes."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/healthz", self.healthz),
                web.get("/readyz", self.readyz),
                web.get("/status", self.status),
                web.get("/results", self.results),
                web.get("/metrics", self.metrics),
            ]
        )
        if self._live is not None:
            app.add_routes(looking(self._live))
        if self._recaps is not None:
            app.add_routes([web.get("/report/{stream}", self.report)])
        return app

    async def healthz(self, request: web.Request) -> web.Response:
        """200 while the process works: that this answers shows that the event loop does."""
        ailing = self._ailing()
        if ailing:
            return _text(503, f"the threads of these streams hang: {', '.join(ailing)}")
        return _text(200, "ok")

    async def readyz(self, request: web.Request) -> web.Response:
        """200 once an assignment is carried out."""
        return _text(200, "ok") if self._ready() else _text(503, "no assignment was read yet")

    async def status(self, request: web.Request) -> web.Response:
        """The status document, at once or when it changes."""
        try:
            since, wait_s = _query(request)
        except ValueError as error:
            return _text(400, str(error))
        if since is not None:
            await self._feed.wait(since, wait_s)
        if request.headers.get("If-None-Match") == self._board.tag:
            return web.Response(status=304)  # what changes without a new revision can wait
        # To a thread: with hundreds of streams the document takes milliseconds to write.
        text = await asyncio.to_thread(self._render)
        return web.Response(text=text, content_type="application/json")

    async def results(self, request: web.Request) -> web.Response:
        """Past minutes and incidents that ended, of ?stream=NAME or all, since ?since=TIME."""
        try:
            since = _moment(request.query.get("since"))
        except ValueError as error:
            return _text(400, str(error))
        # To a thread: a day of a stream takes milliseconds to write.
        text = await asyncio.to_thread(self._past, request.query.get("stream"), since)
        return web.Response(text=text, content_type="application/json")

    async def metrics(self, request: web.Request) -> web.Response:
        """Prometheus's text format."""
        body = await asyncio.to_thread(render, self._registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _past(self, stream: str | None, since: datetime | None) -> str:
        minutes, incidents = self._kept(stream, since)
        kept = KeptResults(
            worker=self._board.document().worker, minutes=minutes, incidents=incidents
        )
        return kept.model_dump_json(by_alias=True, exclude_none=True)

    async def report(self, request: web.Request) -> web.Response:
        """One page about the last time of a stream, `?since=1h` of it by default."""
        try:
            since_s = parse_duration(request.query.get("since", "1h"))
        except ValueError as error:
            return _text(400, f"since: {error}")
        if self._recaps is None or since_s > LONGEST_S:
            return _text(400, f"since is longer than {LONGEST_S:.0f}s: a worker keeps no more")
        stream = request.match_info["stream"]
        page = await asyncio.to_thread(self._recaps.page, stream, since_s)
        if page is None:
            return _text(404, "this worker does not monitor that stream")
        return web.Response(text=page, content_type="text/html")

    def _render(self) -> str:
        return self._board.document().model_dump_json(by_alias=True, exclude_none=True)


def _query(request: web.Request) -> tuple[int | None, float]:
    since, wait = request.query.get("since"), request.query.get("wait", "0s")
    if since is not None and not (since.isascii() and since.isdigit()):
        raise ValueError(
            f"since is {since!r}: give the revision of the last answer, a whole number"
        )
    try:
        wait_s = parse_duration(wait)
    except ValueError as error:
        raise ValueError(f"wait: {error}") from None
    if wait_s > MAX_WAIT_S:
        raise ValueError(f"wait is {wait!r}: set at most {MAX_WAIT_S:g}s")
    return (int(since) if since is not None else None), wait_s


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"since is {text!r}: give a time with its zone, as 2027-03-01T20:00:00Z")
    return moment


def _text(status: int, text: str) -> web.Response:
    return web.Response(status=status, text=text + "\n")


@asynccontextmanager
async def serving(application: web.Application, port: int) -> AsyncIterator[int]:
    """Serve on every address; yields the port (another than asked for when that was 0).

    Raises:
        OSError: The port is taken.
    """
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "0.0.0.0", port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
