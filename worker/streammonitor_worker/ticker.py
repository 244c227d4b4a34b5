"""Lets wall time pass for streams of which nothing comes: their own threads wait for it."""

import logging
import threading
from collections.abc import Callable, Iterable
from typing import Protocol

TICK_S = 0.25

_log = logging.getLogger(__name__)


class Ticking(Protocol):
    """What wall time passes for."""

    @property
    def name(self) -> str:
        """Its name, for the log."""

    def tick(self) -> None:
        """Wall time passed. Must not block."""


class Ticker:
    """Calls everybody a few times a second, in a thread of its own.

    Args:
        everybody: Whom to call, asked anew each time.
    """

    def __init__(self, everybody: Callable[[], Iterable[Ticking]]) -> None:
        self._everybody = everybody
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        """Begin; again has no effect."""
        if self._thread.ident is None:
            self._thread.start()

    def stop(self) -> None:
        """End, and wait for the call under way."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(TICK_S):
            for one in self._everybody():
                try:
                    one.tick()
                except Exception:
                    # The supervisor's boundary: a fault in one stream must not stop its siblings.
                    _log.exception("tick failed", extra={"fields": {"stream": one.name}})
