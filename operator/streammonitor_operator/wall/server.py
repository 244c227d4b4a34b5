"""The wall over HTTP. Everything but a login is read-only."""

import gzip
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import quote

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from streammonitor_operator.kube import KubeError
from streammonitor_operator.metrics import WALL_REQUESTS
from streammonitor_operator.wall import session
from streammonitor_operator.wall.access import Access, Visitor
from streammonitor_operator.wall.board import Board
from streammonitor_operator.wall.brief import Brief
from streammonitor_operator.wall.glimpses import PICTURE_EVERY_S, Glimpses, Hidden
from streammonitor_operator.wall.pages import assets, page, protect
from streammonitor_operator.wall.past import past
from streammonitor_operator.wall.streams import StreamPages

MAX_WAIT_S = 25.0
"""Shorter than proxies wait for an answer."""
PAST_EVERY_S = 20.0
"""What is known of the past grows once a minute."""
_MOST_PAST = 50
_PACK_FROM = 2048
_INCIDENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_VISITOR: web.RequestKey[Visitor] = web.RequestKey("visitor", Visitor)
_PATH = "/{namespace}/{monitor}/{stream}"


class Wall:
    """The routes.

    Args:
        access: Knows who may see what.
        board: The tiles.
        streams: What is shown of one stream.
        glimpses: Asks workers for pictures.
    """

    def __init__(
        self, access: Access, board: Board, streams: StreamPages, glimpses: Glimpses
    ) -> None:
        self._access = access
        self._board = board
        self._streams = streams
        self._glimpses = glimpses
        self._past: Brief[tuple[str, str, str], bytes] = Brief(PAST_EVERY_S, _MOST_PAST)

    def application(self) -> web.Application:
        """Everything that is served."""
        app = web.Application(middlewares=[self._counted], client_max_size=session.MAX_FORM_BYTES)
        app.on_response_prepare.append(protect)
        app.add_routes(
            [
                web.get("/healthz", _healthy),
                web.get("/static/{name}", _static),
                web.get("/login", self.login_form),
                web.post("/login", self.login),
                web.post("/logout", self.logout),
                web.get("/", self._page("wall")),
                web.get(f"/streams{_PATH}", self._page("stream")),
                web.get("/api/wall", self._for_visitors(self.news)),
                web.get(f"/api/streams{_PATH}", self._for_visitors(self.stream)),
                web.get(f"/api/streams{_PATH}/picture", self._for_visitors(self.picture)),
                web.get(f"/api/streams{_PATH}/past", self._for_visitors(self.past)),
                web.get(f"/api/streams{_PATH}/traces", self._for_visitors(self.traces)),
                web.get(
                    f"/api/streams{_PATH}/evidence/{{incident}}", self._for_visitors(self.evidence)
                ),
            ]
        )
        return app

    async def login_form(self, request: web.Request) -> web.Response:
        """Where a token is pasted."""
        problem = "" if session.is_private(request) else session.INSECURE
        return page("login", problem=problem, back=session.inside(request.query.get("back", "/")))

    async def login(self, request: web.Request) -> web.Response:
        """Take a token, and keep it in a cookie if the cluster knows it."""
        form = await request.post()
        token, back = str(form.get("token", "")).strip(), session.inside(str(form.get("back", "/")))
        problem, status = await self._refusal(request, token)
        if problem:
            return page("login", status, problem=problem, back=back)
        response = web.Response(status=303, headers={"Location": back})
        session.keep(response, request, token)
        return response

    async def _refusal(self, request: web.Request, token: str) -> tuple[str, int]:
        """Why a token is not taken, and the code that says so."""
        if not session.is_own_form(request):
            return "The form came from another site. Try again here.", 403
        if not session.is_private(request):
            return session.INSECURE, 403
        if not session.fits(token):
            return "The token is too long for a cookie: use one of kubectl create token.", 400
        try:
            known = await self._access.visitor(token)
        except KubeError:
            return "The cluster does not answer just now. Try again in a moment.", 503
        if known is None:
            return "The cluster does not take this token: it may have expired. Make a new one.", 401
        return "", 200

    async def logout(self, request: web.Request) -> web.Response:
        """Forget the token."""
        response = web.Response(status=303, headers={"Location": "/login"})
        if session.is_own_form(request):
            session.forget(response)
        return response

    async def news(self, request: web.Request) -> web.Response:
        """Every tile, or those that changed since; see `Board.news`."""
        visitor = request[_VISITOR]
        allowed = await self._access.namespaces(visitor, self._board.namespaces)
        wait_s = _seconds(request.query.get("wait", "0"))
        found = await self._board.news(request.query.get("since", ""), allowed, wait_s)
        return _json(request, found.body)

    async def stream(self, request: web.Request) -> web.Response:
        """What is known of one stream."""
        found = self._streams.describe(*_place(request))
        if found is None:
            raise web.HTTPNotFound(text="there is no such stream\n")
        return _json(request, orjson.dumps(found))

    async def picture(self, request: web.Request) -> web.Response:
        """Its latest picture."""
        namespace, monitor, stream = _place(request)
        pods = self._streams.pods(namespace, monitor, stream)
        try:
            jpeg = await self._glimpses.picture(f"{namespace}/{monitor}", stream, pods)
        except Hidden:
            raise web.HTTPForbidden(text="the stream is encrypted\n") from None
        if jpeg is None:
            raise web.HTTPNotFound(text="there is no picture\n")
        headers = {"Cache-Control": f"private, max-age={PICTURE_EVERY_S - 1:.0f}"}
        return web.Response(body=jpeg, content_type="image/jpeg", headers=headers)

    async def traces(self, request: web.Request) -> web.Response:
        """What its detectors measured in the last minutes."""
        return await self._told(request, "traces")

    async def past(self, request: web.Request) -> web.Response:
        """The score of each of its past minutes, and the incidents that ended."""
        namespace, monitor, stream = _place(request)

        async def ask() -> bytes:
            pods = self._streams.pods(namespace, monitor, stream)
            path = f"/results?stream={quote(stream)}"
            return orjson.dumps(past(await self._glimpses.documents(path, pods)))

        return _json(request, await self._past.get((namespace, monitor, stream), ask))

    async def evidence(self, request: web.Request) -> web.Response:
        """Pictures and sound of one of its incidents."""
        incident = request.match_info["incident"]
        if not _INCIDENT.fullmatch(incident):
            raise web.HTTPNotFound(text="there is no such incident\n")
        return await self._told(request, f"evidence/{incident}")

    async def _told(self, request: web.Request, what: str) -> web.Response:
        namespace, monitor, stream = _place(request)
        pods = self._streams.pods(namespace, monitor, stream)
        found = await self._glimpses.documents(f"/live/{quote(stream)}/{what}", pods)
        return _json(request, orjson.dumps({"parts": found}))

    def _page(self, name: str) -> Handler:
        """A page for who is known; others are sent to the login."""

        async def show(request: web.Request) -> web.Response:
            try:
                visitor = await self._access.visitor(session.token_of(request))
            except KubeError:
                return page("login", 503, problem="The cluster does not answer.", back="/")
            if visitor is None:
                to = f"/login?back={quote(request.path_qs)}"
                return web.Response(status=303, headers={"Location": to})
            return page(name, visitor=visitor.name)

        return show

    def _for_visitors(self, answer: Callable[[web.Request], Awaitable[web.Response]]) -> Handler:
        """Answer who is known, and may see what is asked for."""

        async def checked(request: web.Request) -> web.Response:
            try:
                visitor = await self._access.visitor(session.token_of(request))
                if visitor is None:
                    raise web.HTTPUnauthorized(text="log in first\n")
                namespace = request.match_info.get("namespace")
                if namespace is not None and not await self._access.may_see(visitor, namespace):
                    # As if it were not there: who may not see it need not know.
                    raise web.HTTPNotFound(text="there is no such stream\n")
                request[_VISITOR] = visitor
                return await answer(request)
            except KubeError as error:
                raise web.HTTPServiceUnavailable(text="the cluster does not answer\n") from error

        return checked

    @web.middleware
    async def _counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        route = request.match_info.route.resource
        name, code = route.canonical if route is not None else "none", 500
        try:
            response = await handler(request)
            code = response.status
        except web.HTTPException as refusal:
            code = refusal.status
            raise
        finally:
            WALL_REQUESTS.labels(name, str(code)).inc()
        return response


@asynccontextmanager
async def serving(application: web.Application, port: int) -> AsyncIterator[None]:
    """Serve on every address.

    Raises:
        OSError: The port is taken.
    """
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    try:
        await web.TCPSite(runner, "0.0.0.0", port).start()
        yield
    finally:
        await runner.cleanup()


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


async def _static(request: web.Request) -> web.Response:
    asset = assets().get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound(text="there is no such file\n")
    return asset.answer(request)


def _place(request: web.Request) -> tuple[str, str, str]:
    match = request.match_info
    return match["namespace"], match["monitor"], match["stream"]


def _seconds(text: str) -> float:
    digits = text.removesuffix("s")
    return min(MAX_WAIT_S, float(digits)) if digits.isascii() and digits.isdecimal() else 0.0


def _json(request: web.Request, body: bytes) -> web.Response:
    headers = {"Vary": "Accept-Encoding"}
    if len(body) >= _PACK_FROM and "gzip" in request.headers.get("Accept-Encoding", ""):
        headers["Content-Encoding"] = "gzip"
        body = gzip.compress(body, 1, mtime=0)
    return web.Response(body=body, content_type="application/json", headers=headers)
