"""Where results are gathered: told by streams, kept in memory, and saved for the store."""

import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from streammonitor_api.incident import Incident
from streammonitor_api.results import Minute, Results
from streammonitor_worker.alerts.sink import Around
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.figures import Figures
from streammonitor_worker.incidents import EventKind, IncidentEvent
from streammonitor_worker.ingest import Access
from streammonitor_worker.results.evidence import Pictures
from streammonitor_worker.results.minutes import Minutes
from streammonitor_worker.results.objects import incident_line, picture_line, summary_line
from streammonitor_worker.results.uploader import StoreFigures, Uploader
from streammonitor_worker.spool import Spool

KEPT_MINUTES = 20_000
"""Summaries that are kept in memory, over all streams: of 20 streams, those of 16 hours."""
KEPT_INCIDENTS = 2_000
TICK_S = 1.0

_log = logging.getLogger(__name__)


class ResultsDesk:
    """What one worker knows of its streams, minute by minute. Thread-safe.

    Args:
        board: Where it says what is wrong.
        folder: Where the spool is kept.
        worker: Name of this worker.
        secrets_folder: Secret S, key K is the file S/K in it.
        access: Where results may be sent.
        wall: Unix time in seconds.
        clock: Monotonic clock in seconds.
    """

    def __init__(
        self,
        board: StatusBoard,
        folder: Path,
        *,
        worker: str,
        secrets_folder: Path,
        access: Access,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._board = board
        self._folder = folder
        self._worker = worker
        self._secrets_folder = secrets_folder
        self._access = access
        self._wall = wall
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: tuple[Results | None, str] | None = None
        self._group = ""
        self._streams: dict[str, Minutes] = {}
        self._minutes: deque[Minute] = deque(maxlen=KEPT_MINUTES)
        self._incidents: deque[Incident] = deque(maxlen=KEPT_INCIDENTS)
        self._pictures = Pictures(None, "", worker)
        self._spool: Spool | None = None
        self._uploader: Uploader | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="minutes", daemon=True)
        self._unsaved = 0

    def minutes(self, stream: str, figures: Callable[[], Figures]) -> Minutes:
        """Begin with a stream: what it tells of itself goes there."""
        made = Minutes(stream, self._worker, figures, self._wall)
        with self._lock:
            made.group = self._group
            self._streams[stream] = made
        if self._thread.ident is None:
            self._thread.start()
        return made

    def configure(self, results: Results | None, monitor: str, group: str = "") -> None:
        """Keep results where it is asked for from now on.

        Args:
            results: Where; None: in memory only.
            monitor: namespace/name of the StreamMonitor.
            group: The worker group.
        """
        with self._lock:
            self._group = group
            for one in self._streams.values():
                one.group = group
        if self._asked == (results, monitor):
            return
        self._asked = (results, monitor)
        evidence = results.evidence if results is not None else None
        with self._lock:
            self._pictures = Pictures(evidence, monitor, self._worker)
        if results is None:
            self._forget_store()
            return
        if self._spool is None or self._uploader is None:
            self._spool = Spool(self._folder, what="results")
            self._uploader = Uploader(self._spool, self._say_problems, self._clock)
        around = Around(monitor, self._worker, self._secrets_folder, self._access)
        self._uploader.configure(results, around)
        self._say_problems()

    def tell(self, event: IncidentEvent) -> None:
        """Take note of an event. One that ends an incident is saved on return."""
        incident = event.incident
        with self._lock:
            minutes = self._streams.get(incident.stream)
        if minutes is not None:
            minutes.incident(event)
        if event.kind is EventKind.ENDED:
            self._ended(event)

    def adopt(self, incidents: Iterable[Incident]) -> None:
        """Go on with incidents that another process told of."""
        for one in incidents:
            with self._lock:
                minutes = self._streams.get(one.stream)
            if minutes is not None:
                minutes.adopt([one])

    def drop(self, stream: str) -> None:
        """The worker monitors a stream no longer: what is known of it is told."""
        with self._lock:
            gone = self._streams.pop(stream, None)
        if gone is not None:
            self._keep(gone.finish())

    def tick(self) -> None:
        """Tell what is known of minutes that are over. To be called every second or so."""
        with self._lock:
            streams = list(self._streams.values())
        self._keep([minute for one in streams for minute in one.tick()])

    def kept(
        self, stream: str | None = None, since: datetime | None = None
    ) -> tuple[list[Minute], list[Incident]]:
        """What is in memory of minutes and of incidents that ended, oldest first.

        Args:
            stream: Only of this one.
            since: Only minutes that begin, and incidents that ended, then or later.
        """
        with self._lock:
            minutes, incidents = list(self._minutes), list(self._incidents)
        return (
            [
                one
                for one in minutes
                if stream in (None, one.stream) and (since is None or one.minute >= since)
            ],
            [
                one
                for one in incidents
                if stream in (None, one.stream)
                and (since is None or (one.ended_at is not None and one.ended_at >= since))
            ],
        )

    def figures(self) -> StoreFigures:
        """What was uploaded so far."""
        found = StoreFigures() if self._uploader is None else self._uploader.figures()
        return replace(found, lost=found.lost + self._unsaved)

    def close(self, patience_s: float) -> None:
        """Save what is known of every stream, and upload what can be within a time."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join(TICK_S)
        for stream in list(self._streams):
            self.drop(stream)
        if self._uploader is not None:
            self._uploader.stop(patience_s)
        if self._spool is not None:
            self._spool.close()

    def _run(self) -> None:
        while not self._over.wait(TICK_S):
            try:
                self.tick()
            except Exception:
                # The supervisor's boundary: a fault here must not end it for all streams.
                _log.exception("summing up a minute failed")

    def _ended(self, event: IncidentEvent) -> None:
        with self._lock:
            self._incidents.append(event.incident)
            pictures = list(self._pictures.of(event.incident, event.evidence))
        # The pictures go first if the spool is full; the incident says where they would be.
        self._save([incident_line(event.incident, [path for path, _ in pictures])])
        self._save([picture_line(*one) for one in pictures], expendable=True)

    def _keep(self, minutes: list[Minute]) -> None:
        if not minutes:
            return
        with self._lock:
            self._minutes.extend(minutes)
        self._save([summary_line(one) for one in minutes])

    def _save(self, lines: list[bytes], *, expendable: bool = False) -> None:
        spool = self._spool
        if spool is None or not lines:
            return
        try:
            spool.append(*lines, expendable=expendable)
        except OSError as error:
            self._unsaved += len(lines)
            _log.error("results are lost: they cannot be saved anywhere: %s", error)
        if spool.problem is not None:
            self._say_problems()

    def _forget_store(self) -> None:
        """Nobody asks for a store any more: what waits for it goes."""
        uploader, spool = self._uploader, self._spool
        self._uploader = self._spool = None
        if uploader is not None:
            uploader.stop(0.0)
        if spool is not None:
            spool.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        self._say_problems()

    def _say_problems(self) -> None:
        uploader, spool = self._uploader, self._spool
        self._board.set_results(uploader.problem if uploader else None)
        self._board.set_problems("results", [spool.problem] if spool and spool.problem else [])
