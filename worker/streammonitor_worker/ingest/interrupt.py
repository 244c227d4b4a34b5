"""Ends a blocked FFmpeg call of this thread as soon as its stop event is set.

PyAV's only interrupt is a time-out: its callback, called by FFmpeg at least every 100 ms while it
waits for the network, compares `time.monotonic()` with a deadline, and no API moves that deadline
from another thread. So the callback's clock is ours: it reads infinity once the calling thread's
event is set. Should a later PyAV no longer look the clock up there, a stop merely waits for the
read time-out; a test tells.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import av.container.core

_local = threading.local()


class Flag(Protocol):
    """What a stop event looks like from here."""

    def is_set(self) -> bool:
        """Whether FFmpeg must return."""


class _Clock:
    """What PyAV's container module sees as its `time` module."""

    @staticmethod
    def monotonic() -> float:
        stop: Flag | None = getattr(_local, "stop", None)
        return float("inf") if stop is not None and stop.is_set() else time.monotonic()


av.container.core.time = _Clock()  # type: ignore[attr-defined]


@contextmanager
def interruptible(stop: Flag) -> Iterator[None]:
    """Make FFmpeg calls of this thread fail with ExitError once `stop` is set."""
    before = getattr(_local, "stop", None)
    _local.stop = stop
    try:
        yield
    finally:
        _local.stop = before
