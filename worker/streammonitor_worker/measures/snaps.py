"""Key frames that put the picture right: what they undo was damage.

What is predicted from a picture that was lost may look whole, only misplaced. The next key frame is
coded without it, so there a part of the picture changes far more than it did from picture to
picture just before. That alone proves nothing, since contents change as well; after a picture went
missing, it does.
"""

from collections import deque
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import FrameView
from streammonitor_worker.measures.luma import Luma8

TILE_PX = 8
"""Side of a tile in the reduced picture."""
BEFORE = 3
"""Pictures that tell what motion changes."""
SNAP_FACTOR, SNAP_CODES = 1.25, 6
"""A tile snaps if it changes more than so many times what it or a neighbour did, and by more."""
WHOLE_RATIO = 0.7
"""Where more than that changes at once, it is a cut."""


class Moment(NamedTuple):
    """Media time and Unix time of a picture; the picture itself must not be kept."""

    time_s: float
    arrived_at: float


class Snap(NamedTuple):
    """What a key frame undid.

    Attributes:
        start: When that began.
        tiles: Which parts it put right, shape (rows, columns) over the whole picture.
    """

    start: Moment
    tiles: npt.NDArray[np.bool_]

    @property
    def area(self) -> float:
        """Share of the picture, 0..1."""
        return float(np.count_nonzero(self.tiles) / self.tiles.size)


def tile_changes(now: Luma8, before: Luma8) -> Luma8:
    """Mean absolute difference of tiles of 8x8 pixels of the reduced picture, in codes."""
    size = (max(1, now.shape[1] // TILE_PX), max(1, now.shape[0] // TILE_PX))
    return cv2.resize(cv2.absdiff(now, before), size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


class Snaps:
    """Looks for key frames of one stream that put the picture right after some were lost."""

    def __init__(self) -> None:
        self._before: deque[Luma8] = deque(maxlen=BEFORE)
        self._start: Moment | None = None

    def take(self, view: FrameView, changes: Luma8, *, late: bool) -> Snap | None:
        """Take the changes of the next picture.

        Args:
            view: The picture.
            changes: What changed in it, see tile_changes; always of the same shape.
            late: Pictures are missing just before it.
        """
        found = None
        if view.key_frame:
            if self._start is not None and not late and len(self._before) == BEFORE:
                found = self._undone(changes, self._start)
            self._start = None
        elif late and self._start is None:
            self._start = Moment(view.time_s, view.arrived_at)
        if late:
            # Motion over several pictures is no measure for that from one to the next.
            self._before.clear()
        else:
            self._before.append(changes)
        return found

    def _undone(self, changes: Luma8, start: Moment) -> Snap | None:
        usual = cv2.dilate(np.maximum.reduce(list(self._before)), np.ones((3, 3), np.uint8))
        snap = Snap(start, changes > SNAP_FACTOR * usual + SNAP_CODES)
        return snap if snap.area <= WHOLE_RATIO else None
