"""Deletes results that are too old, by whole days."""

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

from streammonitor_worker.results import layout
from streammonitor_worker.results.store import Store

EVERY_S = 3600.0
MOST_DELETED = 5_000
"""Objects that are deleted at a time; the rest is left to the next."""
_TOGETHER = 500


class Retention:
    """Looks for days that are too old, once an hour, and deletes what they hold.

    Every worker looks, at a time of its own: three requests an hour while there is nothing, and who
    comes first does it. So what workers wrote that are no more goes as well.

    Args:
        retention_s: How old something may get; None: as old as it likes.
        monitor: namespace/name of the StreamMonitor. Nothing else's is touched.
        clock: Monotonic clock in seconds.
        today: The wall clock, UTC.
    """

    def __init__(
        self,
        retention_s: float | None,
        monitor: str,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._retention_s = retention_s
        self._monitor = monitor
        self._clock = clock
        self._today = today
        self._due_at = clock() + random.uniform(0, EVERY_S)

    @property
    def due(self) -> bool:
        """Whether it is time to look."""
        return self._retention_s is not None and self._clock() >= self._due_at

    def clean(self, store: Store) -> int:
        """Delete what is too old. Returns how many objects that were.

        Raises:
            NotDelivered: The store does not let it.
        """
        self._due_at = self._clock() + EVERY_S
        deleted = 0
        old = islice(self._old(store), MOST_DELETED)
        while paths := list(islice(old, _TOGETHER)):
            store.delete(paths)
            deleted += len(paths)
        return deleted

    def _old(self, store: Store) -> Iterator[str]:
        if self._retention_s is None:
            return
        before = (self._today() - timedelta(seconds=self._retention_s)).date()
        for kind in layout.KINDS:
            days = store.folders(layout.root(kind, self._monitor))
            for day in sorted(layout.expired(days, before)):
                yield from (path for path, _ in store.objects(day))
