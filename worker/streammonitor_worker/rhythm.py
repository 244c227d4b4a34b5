"""How a source comes by the wall clock: in a steady flow, or in bursts of a segment."""

from collections import deque

from streammonitor_worker.facts import Waiting

BUCKET_S = 10.0
BUCKETS = 12
"""The rhythm is that of the last two minutes."""
MARGIN_RATIO = 1.5
"""A pause may be so much longer than it usually is."""
MARGIN_S = 2.0
"""What is late by less is on its way, and adjoins what came before: networks hold back and catch
up. A socket that is silent for so long is opened again."""


class Rhythm:
    """Learns for how long nothing comes while all is well.

    A source that delivers in bursts begins with several segments at once; until as much time has
    passed as it delivered ahead, the pause may be as long as that. Then the second longest pause of
    the last two minutes counts: one that is longer than all others is the fault that is looked for.

    Times are those of a monotonic clock, in seconds.

    Attributes:
        begun: Anything has ever come.
    """

    def __init__(self) -> None:
        self.begun = False
        self._began_s: float | None = None
        self._last_s = 0.0
        self._media_s = 0.0
        self._settled = False
        self._buckets: deque[tuple[float, list[float]]] = deque(maxlen=BUCKETS)

    def took(self, now_s: float, media_s: float) -> None:
        """Media came.

        Args:
            now_s: When.
            media_s: How long it plays; 0 for what plays at the same time as something else.
        """
        if self._began_s is None:
            self.begun, self._began_s, self._last_s = True, now_s, now_s
        pause_s, self._last_s = now_s - self._last_s, now_s
        self._media_s += media_s
        self._settled |= now_s - self._began_s > self._ahead_s
        if not self._buckets or now_s - self._buckets[-1][0] >= BUCKET_S:
            self._buckets.append((now_s, []))
        longest = self._buckets[-1][1]
        longest.append(pause_s)
        if len(longest) > 2:
            longest.remove(min(longest))

    def resume(self, now_s: float) -> None:
        """The source was opened again: what it was away for is no pause of its own."""
        self._last_s = now_s
        if not self._settled:
            self._began_s, self._media_s = None, 0.0

    def waiting(self, now_s: float) -> Waiting:
        """How long nothing has come, and whether that is too long."""
        waited_s, due_s = max(0.0, now_s - self._last_s), self._due_s()
        late = self.begun and waited_s > MARGIN_RATIO * due_s + MARGIN_S
        return Waiting(waited_s, due_s, waited_s - due_s if late else 0.0)

    def _due_s(self) -> float:
        pauses = sorted(pause for _, longest in self._buckets for pause in longest)
        usual_s = pauses[-2] if len(pauses) > 1 else 0.0
        return usual_s if self._settled else max(usual_s, self._ahead_s)

    @property
    def _ahead_s(self) -> float:
        """How much more media came than time has passed, up to the last that came."""
        return 0.0 if self._began_s is None else self._media_s - (self._last_s - self._began_s)
