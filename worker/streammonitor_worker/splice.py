"""Media time of a stream: one line for the analysis, however often its source stops or restarts."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from streammonitor_worker.facts import Packet, Seam
from streammonitor_worker.frames import (
    AudioView,
    Discontinuity,
    FormatChange,
    FrameView,
    MediaItem,
    TransportView,
)
from streammonitor_worker.programme import ProgrammeClock
from streammonitor_worker.rhythm import Rhythm

JOIN_S = 5.0
"""What was overdue for less was held up on its way, and adjoins what came before."""
NOWHERE = float("-inf")
USELESS_S, USELESS_RATIO = 10.0, 4.0
"""A connection of which nothing has come for this time, and so many times the longest pause that is
usual, is of no use, though bytes come: its program has another number, or none of it is decoded."""


class Splice:
    """Continues media time where it was left off, plus the time for which nothing came.

    Every source begins at 0. What follows a reconnection, or a time for which media was long
    overdue, is moved behind what came before, as far as the wall clock says that it was away, and
    preceded by a Discontinuity. Meanwhile media time passes with the wall clock.

    Args:
        programme: Is told where it is the wall clock that says how much media is missing.
        clock: Monotonic clock in seconds.
        wall: Unix time in seconds.
    """

    def __init__(
        self,
        programme: ProgrammeClock | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._programme = programme or ProgrammeClock()
        self._clock = clock
        self._wall = wall
        self._rhythm = Rhythm()
        self._offset_s = 0.0
        self._end_s = 0.0
        self._reached_s = NOWHERE
        self._lost_at: float | None = None
        self._joining = False
        self._connected_s = 0.0
        self._format: FormatChange | None = None

    def lost(self) -> None:
        """The connection ended."""
        if self._lost_at is None:
            self._lost_at = self._clock()

    def connected(self) -> None:
        """Another connection begins."""
        self._joining = self._end_s > 0
        self._connected_s = self._clock()
        if self._joining:
            self.lost()
            self._rhythm.resume()

    def wait(self) -> Iterator[TransportView]:
        """Wall time passed: yield what there is to tell of it."""
        if not self._rhythm.begun:
            return
        waiting = self._rhythm.waiting(self._clock())
        if waiting.overdue_s:
            self._reached_s = max(self._reached_s, self._end_s + waiting.overdue_s)
        yield TransportView(self._position_s, self._wall(), waiting)

    def useless(self) -> bool:
        """Whether so little comes of this connection that another one is to be tried."""
        now_s = self._clock()
        waiting = self._rhythm.waiting(now_s)
        idle_s = min(waiting.waited_s, now_s - self._connected_s)
        return idle_s > USELESS_S + USELESS_RATIO * waiting.due_s

    def place(self, item: MediaItem) -> Iterator[MediaItem]:
        """Yield `item` at its place, preceded by the discontinuity it makes, if it makes one."""
        if isinstance(item, FormatChange):
            # The same format again says nothing new, and would make detectors start over.
            if item != self._format:
                self._format = item
                yield item
            return
        if isinstance(item, TransportView):
            if isinstance(item.fact, Packet):
                self._came(0.0)
            yield replace(item, time_s=self._position_s)
            return
        self._came(0.0)
        yield from self._join(item)
        placed = replace(item, time_s=item.time_s + self._offset_s) if self._offset_s else item
        if isinstance(placed, FrameView | AudioView):
            before_s = self._end_s
            self._end_s = max(before_s, placed.time_s + placed.duration_s)
            self._came(self._end_s - before_s)
        yield placed

    @property
    def _position_s(self) -> float:
        return max(self._end_s, self._reached_s)

    def _came(self, media_s: float) -> None:
        """Something came; the first of another connection ends the time that it was away."""
        now_s = self._clock()
        if self._lost_at is not None and self._joining:
            waiting = self._rhythm.waiting(now_s)
            away_s = max(now_s - self._lost_at, waiting.waited_s - waiting.due_s)
            self._reached_s = max(self._position_s, self._end_s + away_s)
        self._lost_at = None
        self._rhythm.took(now_s, media_s)

    def _join(self, item: FrameView | AudioView | Discontinuity) -> Iterator[MediaItem]:
        """Move what follows behind the time that has passed without it."""
        joining, self._joining = self._joining, False
        behind = item.time_s + self._offset_s < self._reached_s
        if not joining and (not behind or self._reached_s - self._end_s < JOIN_S):
            return
        reached_s, self._reached_s = self._position_s, NOWHERE
        self._programme.rejoined()
        gap_s, self._end_s = reached_s - self._end_s, reached_s
        self._offset_s = reached_s if joining else reached_s - item.time_s
        yield Discontinuity(time_s=reached_s, gap_s=gap_s)
        if joining:
            yield TransportView(reached_s, self._wall(), Seam("the source was opened again"))
