"""What the readers of a source notice, until it is handed on."""

import time
from collections import deque
from collections.abc import Sequence

from streammonitor_worker.facts import Fact
from streammonitor_worker.mpegts.scte35 import Cue

MAX_NOTES = 1000
"""A reader may be ahead of the decoder by a segment; beyond that the oldest are dropped."""


class Notes:
    """Facts in the order in which they were noticed. Any thread may write and take.

    Attributes:
        dropped: How many nobody took in time.
    """

    def __init__(self) -> None:
        self._facts: deque[tuple[Fact | Cue, float]] = deque()
        self.dropped = 0

    def add(self, fact: Fact | Cue) -> None:
        """Note a fact, and that it was noticed now."""
        self._facts.append((fact, time.time()))
        if len(self._facts) > MAX_NOTES:
            self._facts.popleft()
            self.dropped += 1

    def take(self) -> Sequence[tuple[Fact | Cue, float]]:
        """Return what there is, each with the Unix time at which it was noticed, and forget it."""
        taken, self._facts = self._facts, deque()
        return taken
