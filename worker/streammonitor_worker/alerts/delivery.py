"""One sink's share of the spool: a thread that delivers it, in order, until it is taken."""

import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from streammonitor_api import alerts as api
from streammonitor_api.incident import Incident
from streammonitor_api.worker_status import SinkProblem
from streammonitor_worker.alerts.abreast import AHEAD, Lanes, Waiting
from streammonitor_worker.alerts.events import AlertEvent, as_seen_by, now
from streammonitor_worker.alerts.sink import Around, NotDelivered, Pace, Sink
from streammonitor_worker.alerts.sinks import build_sink
from streammonitor_worker.incidents import EventKind
from streammonitor_worker.spool import Record, Spool, SpoolReader

BACKOFF_FIRST_S = 0.5
BACKOFF_CAP_S = 30.0
TELL_AFTER = 2
"""A sink that did not take something so often in a row is reported: one miss is none."""
IDLE_S = 60.0
BUCKETS_S = (0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0, 600.0)
"""Bounds of the histogram of delays."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class SinkFigures:
    """What a sink was told so far, for metrics.

    Attributes:
        sent: Events that it took.
        failures: Messages that it did not take.
        refused: Events that it refuses for good, which are passed over.
        lost: Events that the spool had to drop before it took them.
        behind: Events of the spool that it has not come to yet.
        oldest_s: For how long the oldest event that it has not taken has waited.
        delays: Starts of incidents by the time from the raise until it took them: for each of
            BUCKETS_S how many took at most so long; the last counts all.
        delay_s: The sum of those times.
    """

    sent: int = 0
    failures: int = 0
    refused: int = 0
    lost: int = 0
    behind: int = 0
    oldest_s: float = 0.0
    delays: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    delay_s: float = 0.0

    def took(self, delay_s: float) -> None:
        """A start was taken so long after it was told."""
        self.delay_s += delay_s
        for index, bound_s in enumerate((*BUCKETS_S, float("inf"))):
            self.delays[index] += delay_s <= bound_s


class Delivery:
    """Delivers what one sink is to be told.

    Args:
        name: Name of the sink.
        spool: Where events come from.
        lasting: The incidents that last and that this worker speaks for.
        changed: Called when `problem` has changed, from the delivery's thread.
    """

    def __init__(
        self,
        name: str,
        spool: Spool,
        lasting: Callable[[], Sequence[Incident]],
        changed: Callable[[], None],
    ) -> None:
        self.name = name
        self._spool = spool
        self._lasting = lasting
        self._changed = changed
        self._asked: api.Sink | None = None
        self._sink: Sink[object] | None = None
        self._around: Around | None = None
        self._reader: SpoolReader = spool.reader(name, self._would_miss)
        self._pending: deque[Waiting] = deque()
        self._lanes = Lanes(name)
        self._singly = 0
        self._attempts = 0
        self._retry_at = self._sent_at = self._first_at = float("-inf")
        self._remind_at = float("inf")
        self._failing_since: datetime | None = None
        self._problem: SinkProblem | None = None
        self._figures = SinkFigures()
        self._configuring = threading.Lock()
        self._fresh: tuple[api.Sink, Around] | None = None
        self._poke = threading.Event()
        self._ends_at: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"sink-{name}", daemon=True)

    @property
    def problem(self) -> SinkProblem | None:
        """What is wrong with the sink; None while it takes what it is sent."""
        return self._problem

    def figures(self) -> SinkFigures:
        """What it was told so far."""
        behind = max(0, self._spool.last - self._reader.committed)
        return replace(
            self._figures,
            lost=self._reader.lost,
            behind=behind,
            oldest_s=self._oldest_s(),
            delays=[*self._figures.delays],
        )

    def configure(self, asked: api.Sink, around: Around) -> None:
        """Deliver as is asked from now on, what is waiting included; the first time, begin."""
        with self._configuring:
            self._fresh = (asked, around)
        if self._thread.ident is None:
            self._thread.start()
        self._poke.set()

    def poke(self) -> None:
        """There is something new in the spool."""
        self._poke.set()

    def stop(self, patience_s: float) -> None:
        """Deliver what can be delivered at once, and end; `join` waits for that."""
        self._ends_at = time.monotonic() + patience_s
        self._poke.set()

    def join(self) -> None:
        """Wait until the patience of `stop` is over."""
        if self._ends_at is not None and self._thread.ident is not None:
            self._thread.join(max(0.0, self._ends_at - time.monotonic()))
        with self._configuring:
            around = self._around
        if around is not None:
            around.stop.set()
        if self._thread.ident is not None:
            self._thread.join(1.0)
        self._reader.close()

    def _oldest_s(self) -> float:
        try:
            _, event = self._pending[0]
        except IndexError:  # also where it was taken this moment
            return 0.0
        return max(0.0, (now() - event.at).total_seconds())

    def _run(self) -> None:
        while not self._over():
            # Before looking: what comes from here on ends the wait.
            self._poke.clear()
            try:
                wait_s = self._step()
            except Exception:
                # The supervisor's boundary: whatever goes wrong with the spool, the thread goes on.
                _log.exception("sink failed", extra={"fields": {"sink": self.name}})
                wait_s = BACKOFF_CAP_S
            if wait_s > 0 and self._ends_at is not None:
                break  # nothing is left that could be delivered now
            if wait_s > 0:
                self._poke.wait(min(wait_s, IDLE_S))
        self._lanes.close()
        if self._sink is not None:
            self._sink.close()

    def _step(self) -> float:
        """Do what there is to do; returns how long there is nothing."""
        self._renew()
        self._fill()
        wait_s = self._due_s(time.monotonic())
        if wait_s <= 0:
            self._act()
        return wait_s

    def _over(self) -> bool:
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def _renew(self) -> None:
        """Take up what was configured since; what was not delivered is looked at anew."""
        with self._configuring:
            fresh, self._fresh = self._fresh, None
            if fresh is None:
                return
            self._asked, self._around = fresh
        if self._sink is not None:
            self._sink.close()
        self._sink = build_sink(*fresh)
        waiting, self._pending = self._pending, deque()
        for record, _ in waiting:
            self._await(record)
        self._attempts = self._singly = 0
        self._retry_at = float("-inf")
        reminds = self._sink is not None and self._sink.remind_s is not None
        self._remind_at = time.monotonic() if reminds else float("inf")
        if self._sink is None:
            self._fail(
                NotDelivered(
                    "UnknownKind", "this version of the worker knows no such sink: update it"
                )
            )

    def _seen(self, line: bytes) -> AlertEvent | None:
        """What the sink is told of a line of the spool."""
        asked, sink = self._asked, self._sink
        try:
            event = as_seen_by(asked, AlertEvent.from_line(line)) if asked is not None else None
        except ValueError:
            _log.warning("spool: a line cannot be read and is skipped")
            return None
        return event if event is not None and sink is not None and sink.tells(event) else None

    def _would_miss(self, line: bytes) -> bool:
        return self._seen(line) is not None

    def _fill(self) -> None:
        """Read ahead, as much as goes into one message, or into those that go side by side."""
        sink = self._sink
        if sink is None:
            return
        most = sink.pace.most if sink.lanes == 1 else sink.lanes * AHEAD
        while len(self._pending) < most:
            record = self._reader.next()
            if record is None:
                break
            self._await(record)
        if not self._pending and self._reader.committed < self._reader.position:
            self._commit(self._reader.position)

    def _await(self, record: Record) -> None:
        """Have a record of the spool delivered if the sink is told of it."""
        event = self._seen(record.line)
        if event is not None:
            if not self._pending:
                self._first_at = time.monotonic()
            self._pending.append((record, event))

    def _due_s(self, at: float) -> float:
        """How long there is nothing to do."""
        if self._sink is None:
            return IDLE_S
        if self._ends_at is not None:
            return -1.0 if self._pending and self._retry_at <= at else IDLE_S
        due_at = self._remind_at
        if self._pending and self._singly:
            due_at = float("-inf")
        elif self._pending:
            pace: Pace = self._sink.pace
            due_at = max(self._first_at + pace.wait_s, self._sent_at + pace.window_s)
        return max(min(due_at, self._remind_at), self._retry_at) - at

    def _act(self) -> None:
        """Send what waits, or a reminder; whatever goes wrong, only this sink is late."""
        sink = self._sink
        if sink is None:
            return
        try:
            if self._pending and sink.lanes > 1:
                self._deliver_abreast(sink)
            elif self._pending:
                self._deliver(sink)
            else:
                self._remind(sink)
        except NotDelivered as error:
            self._fail(error)
        except Exception:
            _log.exception("sink failed", extra={"fields": {"sink": self.name}})
            self._fail(NotDelivered("InternalError", "the sink failed: see the worker's log"))
        else:
            self._succeed()

    def _deliver(self, sink: Sink[object]) -> None:
        number = 1 if self._singly else min(len(self._pending), sink.pace.most)
        batch = [self._pending[index] for index in range(number)]
        try:
            sink.send([event for _, event in batch])
        except NotDelivered as error:
            if not error.final:
                raise
            self._figures.failures += 1
            self._pass_over(batch, error)
            return
        self._delivered(batch)

    def _deliver_abreast(self, sink: Sink[object]) -> None:
        failed: NotDelivered | None = None
        for one, error in self._lanes.send(sink, self._pending):
            if error is None:
                self._delivered([one])
            elif error.final:
                self._figures.failures += 1
                self._pass_over([one], error)
            else:
                failed = error
        if failed is not None:
            raise failed

    def _delivered(self, batch: list[Waiting]) -> None:
        done = now()
        self._take(batch)
        for _, event in batch:
            if event.kind is EventKind.STARTED:
                self._figures.took((done - event.at).total_seconds())
        self._figures.sent += len(batch)

    def _pass_over(self, batch: list[Waiting], error: NotDelivered) -> None:
        """A message that is refused for good: find out which event it is, and leave it out."""
        if len(batch) > 1:
            self._singly = len(batch)
            return
        self._figures.refused += 1
        fields = {"sink": self.name, "event": batch[0][1].id, "why": error.message}
        _log.error("an event is refused and not delivered", extra={"fields": fields})
        self._take(batch)

    def _take(self, batch: list[Waiting]) -> None:
        for one in batch:
            self._pending.remove(one)
        self._singly = max(0, self._singly - len(batch))
        self._sent_at = self._first_at = time.monotonic()
        # What was sent side by side is taken once all before it is.
        oldest = self._pending[0][0].number if self._pending else None
        done = self._reader.position if oldest is None else oldest - 1
        if done > self._reader.committed:
            self._commit(done)

    def _commit(self, number: int) -> None:
        self._reader.commit(number)
        self._spool.trim()

    def _remind(self, sink: Sink[object]) -> None:
        asked = self._asked
        seen = (
            as_seen_by(asked, AlertEvent(EventKind.UPDATED, one, now(), one.severity))
            for one in (self._lasting() if asked is not None else ())
            if asked is not None
        )
        lasting = [event.incident for event in seen if event is not None]
        if lasting:
            sink.remind(lasting)
        self._remind_at = time.monotonic() + (sink.remind_s or float("inf"))

    def _succeed(self) -> None:
        self._attempts = 0
        self._retry_at = float("-inf")
        self._failing_since = None
        self._say(None)

    def _fail(self, error: NotDelivered) -> None:
        self._figures.failures += 1
        self._attempts += 1
        self._failing_since = self._failing_since or now().replace(microsecond=0)
        ceiling_s = min(BACKOFF_CAP_S, BACKOFF_FIRST_S * 2 ** min(self._attempts, 10))
        self._retry_at = time.monotonic() + random.uniform(BACKOFF_FIRST_S, ceiling_s)
        if self._attempts < TELL_AFTER and self._sink is not None:
            return
        also = "; events were lost, as the spool was full" if self._reader.lost else ""
        self._say(
            SinkProblem(
                name=self.name,
                reason=error.reason,
                message=f"{error.message}{also}",
                since=self._failing_since,
            )
        )

    def _say(self, problem: SinkProblem | None) -> None:
        if problem != self._problem:
            fields = {"sink": self.name, "why": problem.message if problem else "it takes them"}
            _log.warning("sink changed", extra={"fields": fields})
            self._problem = problem
            self._changed()
