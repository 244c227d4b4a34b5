"""How a source comes by the wall clock: in a steady flow, or in bursts of a segment."""

from collections import deque

from streammonitor_worker.facts import Waiting

BUCKET_S = 10.0
BUCKETS = 12
"""The rhythm is that of the last two minutes."""
PAUSE_S = 0.5
"""After a pause of so much, another burst begins."""
BURST_S = 60.0
"""What came ahead of its time longer ago says nothing of the next pause."""
MARGIN_RATIO = 1.5
"""A pause may be so much longer than it usually is."""
MARGIN_S = 2.0
"""What is late by less is on its way, and adjoins what came before: networks hold back and catch
up. A socket that is silent for so long is opened again."""


class Rhythm:
    """Learns for how long nothing comes while all is well.

    That is the second longest pause of the last two minutes: one that is longer than all others is
    the fault that is looked for. It is also what the last burst brought ahead of its time: who
    sends six seconds at once may well send nothing for the next six.

    Times are those of a monotonic clock, in seconds.

    Attributes:
        begun: Anything has ever come.
    """

    def __init__(self) -> None:
        self.begun = False
        self._last_s = 0.0
        self._resumed = True
        self._burst_s = 0.0
        self._burst_media_s = 0.0
        self._buckets: deque[tuple[float, list[float]]] = deque(maxlen=BUCKETS)

    def took(self, now_s: float, media_s: float) -> None:
        """Something came.

        Args:
            now_s: When.
            media_s: By how much the media is longer for it.
        """
        pause_s, self._last_s, self.begun = now_s - self._last_s, now_s, True
        if self._resumed or pause_s >= PAUSE_S or now_s - self._burst_s > BURST_S:
            self._burst_s, self._burst_media_s = now_s, 0.0
        self._burst_media_s += media_s
        if not self._resumed:
            self._note(now_s, pause_s)
        self._resumed = False

    def resume(self) -> None:
        """The source was opened again: what it was away for is no pause of its own."""
        self._resumed = True

    def waiting(self, now_s: float) -> Waiting:
        """How long nothing has come, and whether that is too long."""
        waited_s, due_s = max(0.0, now_s - self._last_s), self._due_s()
        late = self.begun and waited_s > MARGIN_RATIO * due_s + MARGIN_S
        return Waiting(waited_s, due_s, waited_s - due_s if late else 0.0)

    def _note(self, now_s: float, pause_s: float) -> None:
        if not self._buckets or now_s - self._buckets[-1][0] >= BUCKET_S:
            self._buckets.append((now_s, []))
        longest = self._buckets[-1][1]
        longest.append(pause_s)
        if len(longest) > 2:
            longest.remove(min(longest))

    def _due_s(self) -> float:
        pauses = sorted(pause for _, longest in self._buckets for pause in longest)
        ahead_s = self._burst_media_s - (self._last_s - self._burst_s)
        return max(pauses[-2] if len(pauses) > 1 else 0.0, ahead_s)
