"""/healthz, /readyz and /metrics of the operator."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from streammonitor_operator.metrics import LOOP_LAG, REGISTRY, WATCH_AGE

WATCH_LIMIT_S = 300.0
"""Watches end by themselves every 45 s and the StreamMonitors are listed every two minutes: one
that was not heard of for so long hangs."""
LAG_LIMIT_S = 10.0
_BEAT_S = 0.5


class PortTaken(Exception):
    """The port cannot be listened on."""


class Watched(Protocol):
    """Something that is heard of regularly."""

    synced: asyncio.Event
    heard_at: float


class Health:
    """What the probes ask."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lags: deque[float] = deque(maxlen=round(60 / _BEAT_S))
        self.watches: Sequence[Watched] = ()
        """Empty while another process leads."""

    async def beat(self) -> None:
        """Measure for ever how late the event loop is."""
        while True:
            before = self._clock()
            await asyncio.sleep(_BEAT_S)
            self._lags.append(max(0.0, self._clock() - before - _BEAT_S))
            LOOP_LAG.set(max(self._lags))
            WATCH_AGE.set(self.watch_age_s)

    @property
    def watch_age_s(self) -> float:
        """Since the quietest watch was last heard of."""
        return max((self._clock() - watch.heard_at for watch in self.watches), default=0.0)

    def fault(self) -> str:
        """Why the process should be restarted; empty when it should not."""
        if self.watch_age_s > WATCH_LIMIT_S:
            return f"a watch has been silent for {self.watch_age_s:.0f} s"
        recent = list(self._lags)[-4:]
        if recent and min(recent) > LAG_LIMIT_S:
            return f"the event loop is {min(recent):.0f} s late"
        return ""

    def unready(self) -> str:
        """Why it is not ready; one that waits for its turn to lead is."""
        waiting = sum(not watch.synced.is_set() for watch in self.watches)
        return f"{waiting} watches have not listed yet" if waiting else self.fault()


async def serve(health: Health, port: int, host: str = "0.0.0.0") -> web.AppRunner:
    """Start the server; `cleanup` of the answer stops it."""

    async def healthz(_: web.Request) -> web.Response:
        return _verdict(health.fault())

    async def readyz(_: web.Request) -> web.Response:
        return _verdict(health.unready())

    async def metrics(_: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        # In a thread: with thousands of StreamMonitors it takes longer than a timer may be late.
        body = await asyncio.to_thread(generate_latest, REGISTRY)
        return web.Response(body=body, headers=headers)

    app = web.Application()
    routes: list[tuple[str, Any]] = [
        ("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics),
    ]  # fmt: skip
    app.add_routes([web.get(path, handler) for path, handler in routes])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        raise PortTaken(f"HTTP_PORT {port} cannot be used: {error.strerror}") from error
    return runner


def _verdict(fault: str) -> web.Response:
    return web.Response(text=f"{fault or 'ok'}\n", status=503 if fault else 200)
