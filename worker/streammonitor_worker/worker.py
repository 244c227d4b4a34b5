"""The worker process in a cluster: assignment in, incidents and status out, orderly departure."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import time

from streammonitor_api.assignment import Assignment
from streammonitor_worker import logs
from streammonitor_worker.alerts import AlertDesk
from streammonitor_worker.assignments import POLL_S, AssignmentFile
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.caution import Caution
from streammonitor_worker.fleet import Fleet
from streammonitor_worker.http import Endpoints, serving
from streammonitor_worker.journal import Journal
from streammonitor_worker.live import LiveView
from streammonitor_worker.metrics import build_registry
from streammonitor_worker.models import store
from streammonitor_worker.recap import Recaps
from streammonitor_worker.results import ResultsDesk
from streammonitor_worker.settings import Settings

JOIN_S = 1.0
"""How long the threads have to end before the process does."""

DELIVER_S = 2.5
"""How long sinks have to take what is left: Kubernetes kills the process soon after."""

STALE_S = 5.0
"""What a restarted process finds mounted may be out of date, its streams another worker's by now.
For so long it keeps what it finds to itself: the operator needs a second or two to say so."""

_log = logging.getLogger(__name__)


class Worker:
    """One worker.

    On SIGTERM it goes on until its assignment has taken its streams away or the grace period
    ends; what is open then is reported as interrupted. A second signal ends the wait.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._board = StatusBoard(settings.worker)
        self._journal = Journal(settings.state_folder)
        store.shared.use(settings.models_folder)
        self._alerts = AlertDesk(
            self._board,
            settings.state_folder / "spool",
            worker=settings.worker,
            secrets_folder=settings.secrets_folder,
            access=settings.sinks,
        )
        self._results = ResultsDesk(
            self._board,
            settings.state_folder / "results",
            worker=settings.worker,
            secrets_folder=settings.secrets_folder,
            access=settings.sinks,
        )
        self._fleet = Fleet(
            self._board,
            journal=self._journal,
            caution=Caution(settings.state_folder),
            worker=settings.worker,
            secrets_folder=settings.secrets_folder,
            access=settings.access,
            evidence=settings.evidence,
            alerts=self._alerts,
            results=self._results,
        )
        self._file = AssignmentFile(settings.assignment_folder)
        self._draining = asyncio.Event()
        self._hurry = asyncio.Event()
        self._over = asyncio.Event()
        self._clock = time.monotonic
        self._doubted: Assignment | None = None
        self._trusted_at = 0.0

    async def run(self) -> None:
        """Work until told to stop.

        Raises:
            OSError: The port is taken.
        """
        self._catch_signals()
        endpoints = Endpoints(
            self._board,
            build_registry(self._fleet, self._board, self._alerts, self._results),
            ailing=self._fleet.healthy,
            ready=lambda: self._board.epoch > 0,
            live=LiveView(self._fleet.find),
            kept=self._results.kept,
            recaps=Recaps(self._board, self._fleet.find, self._results.kept),
        )
        async with serving(endpoints.application(), self._settings.port) as port:
            fields = {"worker": self._settings.worker, "port": port}
            _log.info("worker started", extra={"fields": fields})
            following = asyncio.create_task(self._follow())
            try:
                left_s = await self._until_drained(following)
            finally:
                # Not cancelled: an assignment that is being carried out is carried out.
                self._over.set()
                await following
            await asyncio.to_thread(self._fleet.interrupt)
            await asyncio.gather(
                asyncio.to_thread(self._alerts.close, DELIVER_S),
                asyncio.to_thread(self._results.close, DELIVER_S + left_s),
            )
        await asyncio.to_thread(self._fleet.join, JOIN_S)
        self._journal.close()
        _log.info("worker stopped", extra={"fields": {"worker": self._settings.worker}})

    def _catch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)

    def _stop(self) -> None:
        if self._draining.is_set():
            self._hurry.set()
        self._draining.set()
        self._board.set_draining()

    async def _follow(self) -> None:
        while not self._over.is_set():
            reading = await asyncio.to_thread(self._file.poll)
            if reading is not None:
                problems = reading.problems
                if reading.assignment is not None:
                    problems += await self._carry_out(reading.assignment)
                self._board.set_problems("assignment", problems)
            elif self._doubted is not None and self._clock() >= self._trusted_at:
                await self._carry_out(self._doubted)
            await _wait(self._over, POLL_S)

    async def _carry_out(self, assignment: Assignment) -> list[str]:
        """Do as an assignment says; doubt the first one that a restarted process finds."""
        stale = self._journal.resumed and self._board.epoch == 0
        if stale:
            self._trusted_at = self._clock() + STALE_S
        self._doubted = assignment if stale else None
        problems = await asyncio.to_thread(self._fleet.apply, assignment, stale=stale)
        fields = {"epoch": assignment.epoch, "stale": stale}
        _log.info("assignment carried out", extra={"fields": fields})
        return problems

    async def _until_drained(self, following: asyncio.Task[None]) -> float:
        """Go on until the streams are another's. Returns what is left of the grace period."""
        stopping = asyncio.create_task(self._draining.wait())
        await asyncio.wait({stopping, following}, return_when=asyncio.FIRST_COMPLETED)
        if following.done():
            stopping.cancel()
            following.result()  # a fault of ours: crash loudly
        _log.info("draining", extra={"fields": {"graceSeconds": self._settings.grace_s}})
        deadline = asyncio.get_running_loop().time() + self._settings.grace_s
        while not self._fleet.empty and asyncio.get_running_loop().time() < deadline:
            if await _wait(self._hurry, POLL_S):
                return 0.0
        return max(0.0, deadline - asyncio.get_running_loop().time())


async def _wait(event: asyncio.Event, timeout_s: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), timeout_s)
    return event.is_set()


def run_worker(settings: Settings) -> None:
    """Run a worker until it is told to stop. Ends the process when a thread will not."""
    logs.configure(settings.log_level)
    asyncio.run(_main(settings))
    sys.stdout.flush()
    sys.stderr.flush()
    # A daemon thread inside FFmpeg would wake up in an interpreter that is being torn down.
    os._exit(0)


async def _main(settings: Settings) -> None:
    await Worker(settings).run()
