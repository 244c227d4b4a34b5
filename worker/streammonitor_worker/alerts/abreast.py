"""Messages of different streams that are under way at the same time; those of one stay in order."""

import logging
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from streammonitor_worker.alerts.events import AlertEvent
from streammonitor_worker.alerts.sink import NotDelivered, Sink
from streammonitor_worker.spool.records import Record

Waiting = tuple[Record, AlertEvent]
"""A record of the spool, and what the sink is told of it."""
Outcome = tuple[Waiting, NotDelivered | None]
AHEAD = 8
"""For each message under way so many events are read, as many may be of the same stream."""

_log = logging.getLogger(__name__)


class Lanes:
    """Threads that send for one sink."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._threads: ThreadPoolExecutor | None = None

    def send(self, sink: Sink[object], pending: Iterable[Waiting]) -> list[Outcome]:
        """Send the first event of each stream; returns what was tried, and why it failed."""
        first = first_of_each(pending, sink.lanes)
        if len(first) == 1:
            return [self._try(sink, first[0])]
        if self._threads is None:
            self._threads = ThreadPoolExecutor(sink.lanes, thread_name_prefix=f"sink-{self._name}")
        return list(self._threads.map(lambda one: self._try(sink, one), first))

    def close(self) -> None:
        """Let the threads go."""
        if self._threads is not None:
            self._threads.shutdown(wait=False, cancel_futures=True)

    def _try(self, sink: Sink[object], one: Waiting) -> Outcome:
        try:
            sink.send([one[1]])
        except NotDelivered as error:
            return one, error
        except Exception:
            # The boundary: what was sent beside it counts all the same.
            _log.exception("sink failed", extra={"fields": {"sink": self._name}})
            return one, NotDelivered("InternalError", "the sink failed: see the worker's log")
        return one, None


def first_of_each(pending: Iterable[Waiting], most: int) -> Sequence[Waiting]:
    """The first event of each stream, in their order; of the first `most` streams."""
    first: dict[str, Waiting] = {}
    for one in pending:
        if len(first) == most:
            break
        first.setdefault(one[1].incident.stream, one)
    return list(first.values())
