"""`streammonitor run`: a StreamMonitor in one process on a laptop, with live output."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live

from streammonitor_api.assignment import Assignment
from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.results import Results
from streammonitor_api.worker_status import StreamState
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.display import describe_incident, describe_stream, overview
from streammonitor_worker.fleet import Fleet
from streammonitor_worker.http import Endpoints, serving
from streammonitor_worker.ingest import EVERYTHING
from streammonitor_worker.live import LiveView
from streammonitor_worker.metrics import build_registry
from streammonitor_worker.monitor_file import MonitorFile
from streammonitor_worker.recap import Recaps
from streammonitor_worker.results import ResultsDesk

REFRESH_S = 0.25
JOIN_S = 1.0
WRITE_S = 10.0
"""How long the last results may take to be written."""
UNREADABLE = 3
"""Exit code: a stream cannot be monitored at all."""


class LaptopRun:
    """All groups of a StreamMonitor in this process: every stream, every declared detector.

    Args:
        monitor: What to run.
        secrets_folder: Secret S, key K is the file S/K in it.
        console: Where people look.
        scratch: A folder that is there while it runs.
        results: Folder to which results are written; None: they are kept in memory.
    """

    def __init__(
        self,
        monitor: MonitorFile,
        secrets_folder: Path,
        console: Console,
        scratch: Path,
        results: Path | None = None,
    ) -> None:
        self._monitor = monitor
        self._console = console
        self._board = StatusBoard("local")
        self._folder = results
        self._results = ResultsDesk(
            self._board,
            scratch / "results",
            worker="local",
            secrets_folder=secrets_folder,
            access=EVERYTHING,
        )
        self._fleet = Fleet(
            self._board,
            journal=None,
            worker="local",
            secrets_folder=secrets_folder,
            results=self._results,
            on_incident=self._tell_incident,
        )
        self._stop = asyncio.Event()
        self._told: dict[str, tuple[StreamState, str | None]] = {}

    async def run(self, port: int | None) -> int:
        """Run until every stream is over or a signal comes. Returns the exit code.

        Raises:
            OSError: The port is taken.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        async with self._endpoints(port):
            await asyncio.to_thread(self._fleet.apply, self._assignment())
            await self._watch()
            failed = any(s.state is StreamState.FAILED for s in self._board.document().streams)
            # What is still open is over as far as anyone here can know.
            await asyncio.to_thread(self._fleet.finish, EndReason.INTERRUPTED)
        await asyncio.to_thread(self._results.close, WRITE_S)
        await asyncio.to_thread(self._fleet.join, JOIN_S)
        return UNREADABLE if failed else 0

    def _assignment(self) -> Assignment:
        spec = self._monitor.spec
        streams = [] if spec.suspend else spec.streams
        return Assignment(
            epoch=1,
            monitor=self._monitor.name,
            streams=streams,
            profile=spec.profile,
            detectors=spec.detectors,
            show_decrypted_pictures=spec.show_decrypted_pictures,
            results=self._asked(),
        )

    def _asked(self) -> Results | None:
        """As the resource says, but that the store is the folder."""
        if self._folder is None:
            return None
        url, asked = self._folder.absolute().as_uri(), self._monitor.spec.results
        if asked is None:
            return Results.model_construct(url=url)
        return asked.model_copy(update={"url": url, "object_store": None})

    @asynccontextmanager
    async def _endpoints(self, port: int | None) -> AsyncIterator[None]:
        if port is None:
            yield
            return
        endpoints = Endpoints(
            self._board,
            build_registry(self._fleet, self._board, results=self._results),
            ailing=self._fleet.healthy,
            ready=lambda: self._board.epoch > 0,
            live=LiveView(self._fleet.find),
            recaps=Recaps(self._board, self._fleet.find),
            kept=self._results.kept,
        )
        async with serving(endpoints.application(), port) as bound:
            self._console.print(f"serving http://localhost:{bound}/status and /metrics")
            yield

    async def _watch(self) -> None:
        if not self._console.is_terminal:
            await self._until_over(self._tell_streams)
            return
        with Live(console=self._console, auto_refresh=False, transient=False) as live:
            await self._until_over(
                lambda: live.update(overview(self._board.document()), refresh=True)
            )

    async def _until_over(self, show: Callable[[], None]) -> None:
        while True:
            show()
            if self._stop.is_set() or self._fleet.completed:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), REFRESH_S)

    def _tell_streams(self) -> None:
        for status in self._board.document().streams:
            now = (status.state, status.reason)
            if self._told.get(status.name) != now:
                self._told[status.name] = now
                self._line(describe_stream(status))

    def _tell_incident(self, kind: str, incident: Incident) -> None:
        if kind in ("started", "ended"):
            self._line(describe_incident(kind, incident))

    def _line(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


def run_monitor(
    monitor: MonitorFile,
    *,
    port: int | None = None,
    secrets_folder: Path | None = None,
    results: Path | None = None,
) -> int:
    """Run a StreamMonitor until it is over. Returns the exit code.

    Raises:
        OSError: The port is taken.
    """
    # Reports of lost streams are in the display already.
    logging.getLogger("streammonitor_worker").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        made = LaptopRun(monitor, secrets_folder or scratch, Console(), scratch, results)
        code = asyncio.run(made.run(port))
    sys.stdout.flush()
    sys.stderr.flush()
    if any(thread.name.startswith("stream-") for thread in threading.enumerate()):
        # A daemon thread inside FFmpeg would wake up in an interpreter that is being torn down.
        os._exit(code)
    return code
