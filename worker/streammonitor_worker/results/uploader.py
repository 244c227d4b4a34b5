"""Uploads what lies in the spool, in a thread of its own, until the store has taken it."""

import json
import logging
import os
import random
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from streammonitor_api.results import Results
from streammonitor_api.worker_status import StoreProblem
from streammonitor_worker.alerts.events import now
from streammonitor_worker.alerts.sink import Around, NotDelivered
from streammonitor_worker.results.objects import pack
from streammonitor_worker.results.retention import Retention
from streammonitor_worker.results.store import Store
from streammonitor_worker.spool import Record, Spool

BACKOFF_FIRST_S = 1.0
BACKOFF_CAP_S = 60.0
TELL_AFTER = 2
"""A store that did not take something so often in a row is reported: one miss is none."""
MOST_RECORDS = 5_000
MOST_BYTES = 4 * 2**20
"""What goes into one file at most, and is uploaded before its time once there is as much."""
IDLE_S = 60.0
FIRST_S = (60.0, 120.0)
"""When the first upload is due."""
_SLOW = ("obstore.store", "streammonitor_worker.results.tables")
"""What a store needs and no other worker: 20 MB."""
_PLAN = "upload.json"
_ORIGIN = "origin"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class StoreFigures:
    """What was uploaded so far, for metrics.

    Attributes:
        objects: Objects that the store took.
        bytes: Their size.
        failures: Attempts that failed.
        lost: Lines that the spool had to drop before they were uploaded.
        behind: Lines of the spool that are not uploaded yet.
        deleted: Objects that were too old.
    """

    objects: int = 0
    bytes: int = 0
    failures: int = 0
    lost: int = 0
    behind: int = 0
    deleted: int = 0


class Uploader:
    """Writes the lines of a spool to a store, each once.

    Which lines make up an upload is on disk before it begins. So a process that dies before it
    could note that the store has taken them uploads the same objects again, by the same names, and
    the store, which writes nothing over, keeps those it has. A name begins with the worker and the
    spool (each pod has its own) and ends with the numbers of the lines.

    Args:
        spool: Where lines come from.
        changed: Called when `problem` has changed, from the uploader's thread.
        clock: Monotonic clock in seconds.
    """

    def __init__(
        self,
        spool: Spool,
        changed: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._spool = spool
        self._changed = changed
        self._clock = clock
        self._reader = spool.reader("store", lambda line: True)
        self._batch: list[Record] = []
        self._origins: dict[Path, str] = {}
        self._asked: tuple[Results, Around] | None = None
        self._fresh: tuple[Results, Around] | None = None
        self._configuring = threading.Lock()
        self._retention: Retention | None = None
        self._due_at = self._retry_at = float("-inf")
        self._attempts = 0
        self._problem: StoreProblem | None = None
        self._figures = StoreFigures()
        self._poke = threading.Event()
        self._ends_at: float | None = None
        self._thread = threading.Thread(target=self._run, name="results", daemon=True)

    @property
    def problem(self) -> StoreProblem | None:
        """What is wrong with the store; None while it takes what it is sent."""
        return self._problem

    def figures(self) -> StoreFigures:
        """What was uploaded so far."""
        behind = max(0, self._spool.last - self._reader.committed)
        return replace(self._figures, lost=self._reader.lost, behind=behind)

    def configure(self, results: Results, around: Around) -> None:
        """Upload as is asked from now on, what is waiting included; the first time, begin."""
        with self._configuring:
            self._fresh = (results, around)
        if self._thread.ident is None:
            self._thread.start()
        self._poke.set()

    def stop(self, patience_s: float) -> None:
        """Upload all that there is within a time, and end. The rest stays in the spool."""
        self._ends_at = time.monotonic() + patience_s
        self._poke.set()
        if self._thread.ident is not None:
            self._thread.join(patience_s)
        self._reader.close()

    def _run(self) -> None:
        # Now: who is told to stop has no time for it.
        for name in _SLOW:
            import_module(name)
        while self._ends_at is None or time.monotonic() < self._ends_at:
            # Before looking: what comes from here on ends the wait.
            self._poke.clear()
            ending = self._ends_at is not None
            try:
                wait_s = self.step(hurry=ending)
            except Exception:
                # The supervisor's boundary: whatever goes wrong, the thread goes on.
                _log.exception("uploading results failed")
                wait_s = BACKOFF_CAP_S
            if ending:
                return  # what was not taken now stays in the spool
            self._poke.wait(min(wait_s, IDLE_S))

    def step(self, *, hurry: bool = False) -> float:
        """Do what there is to do; returns how long there is nothing.

        Args:
            hurry: Upload what there is, though its time has not come.
        """
        self._renew()
        asked, at = self._asked, self._clock()
        if asked is None:
            return IDLE_S
        full = self._spool.last - self._reader.committed >= MOST_RECORDS
        if not hurry and (at < self._retry_at or (at < self._due_at and not full)):
            return max(self._retry_at, min(self._due_at, at + IDLE_S)) - at
        try:
            self._upload(*asked)
        except NotDelivered as error:
            return self._fail(error, at)
        self._attempts, self._retry_at = 0, float("-inf")
        self._due_at = at + asked[0].every_s
        return self._clean(*asked, at)

    def _renew(self) -> None:
        with self._configuring:
            fresh, self._fresh = self._fresh, None
        if fresh is None:
            return
        if self._asked is None:
            # Soon, so that what is wrong with the store is told soon; workers that are started
            # together do not upload together.
            self._due_at = self._clock() + random.uniform(*FIRST_S)
        self._asked, self._retry_at, self._attempts = fresh, float("-inf"), 0
        self._retention = Retention(fresh[0].retention, fresh[1].monitor, self._clock)

    def _upload(self, results: Results, around: Around) -> None:
        """Upload until the spool is empty.

        Raises:
            NotDelivered: Something was not taken.
        """
        store: Store | None = None
        while records := self._fill():
            if store is None:
                # Anew each time: a Secret may have been rotated, a name lead elsewhere.
                store = Store(results, around)
                store.check()
            first, last = records[0].number, records[-1].number
            name = f"{around.worker}-{self._origin()}-{first:010d}-{last:010d}"
            for path, body in pack(records, around.monitor, name):
                store.put(path, body)
                self._figures.objects += 1
                self._figures.bytes += len(body)
            self._reader.commit(last)
            self._spool.trim()
            self._batch = []
        if self._attempts:
            self._say(None)

    def _fill(self) -> Sequence[Record]:
        """The lines that are uploaded next; the same ones until they were taken."""
        if self._batch:
            return self._batch
        planned, size = _read_plan(self._spool.folder / _PLAN), 0
        while len(self._batch) < MOST_RECORDS and size < MOST_BYTES:
            record = self._reader.next()
            if record is None:
                break
            self._batch.append(record)
            size += len(record.line)
            if record.number == planned:
                break
        if self._batch:
            _write(self._spool.folder / _PLAN, json.dumps(self._batch[-1].number))
        return self._batch

    def _origin(self) -> str:
        """Names the spool: another pod of the same worker numbers its lines anew."""
        path = self._spool.folder / _ORIGIN
        try:
            return path.read_text()
        except OSError:
            made = self._origins.setdefault(path, uuid.uuid4().hex[:8])
            _write(path, made)
            return made

    def _clean(self, results: Results, around: Around, at: float) -> float:
        """Delete what is too old, if it is time to look for it."""
        retention = self._retention
        if retention is not None and retention.due:
            try:
                store = Store(results, around)
                store.check()
                self._figures.deleted += retention.clean(store)
                self._say(None)
            except NotDelivered as error:
                text = f"what is too old is not deleted: {error.message}"
                self._say(StoreProblem(reason=error.reason, message=text, since=now()))
        return self._due_at - at

    def _fail(self, error: NotDelivered, at: float) -> float:
        self._figures.failures += 1
        self._attempts += 1
        ceiling_s = min(BACKOFF_CAP_S, BACKOFF_FIRST_S * 2 ** min(self._attempts, 10))
        self._retry_at = at + random.uniform(ceiling_s / 2, ceiling_s)
        if self._attempts >= TELL_AFTER:
            since = self._problem.since if self._problem else now().replace(microsecond=0)
            also = "; some were lost, as the spool was full" if self._reader.lost else ""
            self._say(StoreProblem(reason=error.reason, message=error.message + also, since=since))
        return self._retry_at - at

    def _say(self, problem: StoreProblem | None) -> None:
        if problem != self._problem:
            fields = {"why": problem.message if problem else "the store takes them"}
            _log.warning("results changed", extra={"fields": fields})
            self._problem = problem
            self._changed()


def _read_plan(path: Path) -> int | None:
    try:
        return int(json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _write(path: Path, text: str) -> None:
    """Have a small file on disk, whole."""
    fresh = path.with_suffix(".fresh")
    try:
        with fresh.open("w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError as error:
        _log.debug("results: %s is not saved: %s", path.name, error)
