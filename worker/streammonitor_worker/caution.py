"""Which streams this process has just opened, kept where its successor finds it after a crash.

Hostile media can make a decoder end the process, and most of it does so at once. So streams that
were not received for long when a process died are the likelier culprits: the next process opens the
others first, and these a little later. By then the operator has heard of it, and tries them alone,
or has taken away the one that was.
"""

import json
import logging
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from streammonitor_api.worker_status import StreamState, StreamStatus

FILE_NAME: Final = "opening.json"
STEADY_S = 10.0
"""A stream that was received for so long has shown nothing that kills."""
HOLD_BACK_S = 5.0
"""How much later suspects are opened: a new assignment reaches a process sooner than that."""

_log = logging.getLogger(__name__)


class Caution:
    """The streams that were opened lately. Thread-safe.

    A folder that cannot be written costs the protection, not the monitoring.

    Args:
        folder: Outlives the process.
        clock: Monotonic, in seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = folder / FILE_NAME
        self._clock = clock
        self._lock = threading.Lock()
        self._suspects = self._read()
        self._young = set(self._suspects)
        self._received_at: dict[str, float] = {}
        self._proven: set[str] = set()

    def delay_s(self, stream: str, assigned: Collection[str]) -> float:
        """How much later than the others a stream is to be opened.

        Args:
            stream: Its name.
            assigned: All streams of the assignment. Where all are suspect all wait: one that is
                tried alone must not end this process again before the operator has taken it away.
        """
        suspects = self._suspects.intersection(assigned)
        if stream not in suspects:
            if suspects:
                self._proven.add(stream)  # it was received for long before
            return 0.0
        return HOLD_BACK_S

    def note(self, status: StreamStatus) -> None:
        """Take note of what a stream does."""
        with self._lock:
            if status.state is not StreamState.RECEIVING:
                self._received_at.pop(status.name, None)
                opening = status.state in (StreamState.CONNECTING, StreamState.RETRYING)
                self._keep(status.name, young=opening and status.name not in self._proven)
                return
            since = self._received_at.setdefault(status.name, self._clock())
            if self._clock() - since >= STEADY_S:
                self._proven.discard(status.name)
                self._suspects -= {status.name}
                self._keep(status.name, young=False)

    def forget(self, stream: str) -> None:
        """It is not this process's any more."""
        with self._lock:
            self._received_at.pop(stream, None)
            self._suspects -= {stream}
            self._keep(stream, young=False)

    def _keep(self, stream: str, *, young: bool) -> None:
        if young is (stream in self._young):
            return
        (self._young.add if young else self._young.discard)(stream)
        fresh = self._path.with_suffix(".new")
        try:
            fresh.write_text(json.dumps(sorted(self._young)))
            fresh.replace(self._path)
        except OSError as error:
            _log.warning("caution: %s", error)

    def _read(self) -> frozenset[str]:
        try:
            found = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return frozenset()
        return frozenset(map(str, found)) if isinstance(found, list) else frozenset()
