"""/live of a worker: what the operator's wall shows of a stream, made when it is asked for."""

import asyncio
from email.utils import formatdate

from aiohttp import web

from streammonitor_worker.live import Document, HiddenPicture, LiveView


def looking(live: LiveView) -> list[web.RouteDef]:
    """The routes of everything that is made for who looks at a stream."""

    async def picture(request: web.Request) -> web.Response:
        """The latest picture as JPEG; 403 if it must not be shown, 404 if there is none."""
        try:
            made = await asyncio.to_thread(live.picture, request.match_info["stream"])
        except HiddenPicture:
            return web.Response(
                status=403,
                text="the stream is encrypted, and its pictures stay in the worker: set "
                "spec.showDecryptedPictures to show them\n",
            )
        if made is None:
            return web.Response(status=404, text="there is no picture of this stream\n")
        headers = {"Last-Modified": formatdate(made.taken_at, usegmt=True)}
        return web.Response(body=made.jpeg, content_type="image/jpeg", headers=headers)

    async def traces(request: web.Request) -> web.Response:
        """What its detectors measured in the last minutes."""
        stream = request.match_info["stream"]
        return _answer(await asyncio.to_thread(live.traces, stream))

    async def evidence(request: web.Request) -> web.Response:
        """Pictures and sound of an incident."""
        stream, incident = request.match_info["stream"], request.match_info["incident"]
        return _answer(await asyncio.to_thread(live.evidence, stream, incident))

    return [
        web.get("/live/{stream}/picture", picture),
        web.get("/live/{stream}/traces", traces),
        web.get("/live/{stream}/evidence/{incident}", evidence),
    ]


def _answer(document: Document | None) -> web.Response:
    if document is None:
        return web.Response(status=404, text="there is nothing of that to show\n")
    return web.json_response(document)
