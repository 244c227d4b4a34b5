"""Media time across reconnections: one line for the analysis, however often the source restarts."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from streammonitor_worker.frames import (
    AudioView,
    Discontinuity,
    FormatChange,
    FrameView,
    MediaItem,
)


class Splice:
    """Continues media time where the last connection left off, plus the time that was lost.

    Every source begins at 0. What follows a reconnection is moved behind what came before, as far
    as the wall clock says that it was away, and preceded by a Discontinuity.

    Args:
        clock: Monotonic clock in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._offset_s = 0.0
        self._end_s = 0.0
        self._lost_at: float | None = None
        self._joining = False
        self._format: FormatChange | None = None

    def lost(self) -> None:
        """The connection ended."""
        if self._lost_at is None:
            self._lost_at = self._clock()

    def connected(self) -> None:
        """Another connection begins."""
        self._joining = self._end_s > 0
        if self._joining:
            self.lost()

    def place(self, item: MediaItem) -> Iterator[MediaItem]:
        """Yield `item` at its place, preceded by the discontinuity it makes, if it makes one."""
        if isinstance(item, FormatChange):
            # The same format again says nothing new, and would make detectors start over.
            if item != self._format:
                self._format = item
                yield item
            return
        if self._joining:
            yield self._join()
        placed = replace(item, time_s=item.time_s + self._offset_s) if self._offset_s else item
        if isinstance(placed, FrameView | AudioView):
            self._end_s = max(self._end_s, placed.time_s + placed.duration_s)
            self._lost_at = None
        yield placed

    def _join(self) -> Discontinuity:
        self._joining = False
        away_s = max(0.0, self._clock() - (self._lost_at or self._clock()))
        self._lost_at = None
        self._offset_s = self._end_s + away_s
        return Discontinuity(time_s=self._offset_s, gap_s=away_s)
