"""Parts of the picture that jump: as damage comes, and as a key frame puts it right.

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
HALT_FACTOR, HALT_CODES = 0.25, 3
"""A tile halts if it changes less than so many times the least it did, and that was more."""
WHOLE_RATIO = 0.7
"""Where more than that changes at once, it is a cut."""
_NEIGHBOURS = np.ones((3, 3), np.uint8)
_BLOCK_TILES = 4


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


def brightness(picture: Luma8) -> Luma8:
    """Mean luma of tiles of 8x8 pixels of the reduced picture, in codes."""
    size = (max(1, picture.shape[1] // TILE_PX), max(1, picture.shape[0] // TILE_PX))
    return cv2.resize(picture, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _crowded(tiles: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The tiles that are set with neighbours: a macroblock of a small picture has four."""
    count = cv2.boxFilter(
        tiles.view(np.uint8), -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    crowded: npt.NDArray[np.bool_] = np.asarray(count) >= _BLOCK_TILES
    return crowded


def _partial(tiles: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
    """None where nearly all of the picture is concerned: that is a cut, or a standstill."""
    return tiles if np.count_nonzero(tiles) <= WHOLE_RATIO * tiles.size else None


class Snaps:
    """Looks for key frames of one stream that put the picture right after something was lost.

    Attributes:
        jumped: Which parts jumped in the pictures that were reported as damaged since the last
            whole key frame, shape (rows, columns) over the whole picture; None before any was.
        sudden: Which parts jumped or halted in this picture, and not alone (rain does it here and
            there); None if that is unknown, or it is a cut.
    """

    def __init__(self) -> None:
        self.jumped: npt.NDArray[np.bool_] | None = None
        self.sudden: npt.NDArray[np.bool_] | None = None
        self._before: deque[Luma8] = deque(maxlen=BEFORE)
        self._start: Moment | None = None
        self._whole = False

    def take(self, view: FrameView, changes: Luma8, *, late: bool) -> Snap | None:
        """Take the changes of the next picture.

        Args:
            view: The picture.
            changes: What changed in it, see tile_changes; always of the same shape.
            late: Pictures are missing just before it.
        """
        found = None
        if self._before and self._before[-1].shape != changes.shape:
            self._before.clear()
            self.jumped = None
        jumps = self._jumps(changes)
        self.sudden = None if jumps is None else _partial(_crowded(jumps | self._halts(changes)))
        if view.key_frame and not view.corrupt:
            if self._start is not None and not late and jumps is not None:
                found = Snap(self._start, jumps)
            self._start = self.jumped = None
        elif late or view.corrupt:
            self._start = self._start or Moment(view.time_s, view.arrived_at)
            if view.corrupt and jumps is not None:
                self.jumped = jumps if self.jumped is None else self.jumped | jumps
        whole = jumps is None and len(self._before) == BEFORE
        if late:
            # Motion over several pictures is no measure for that from one to the next.
            self._before.clear()
        elif not whole or self._whole:
            # Nor is a cut, but for the first picture of faster motion.
            self._before.append(changes)
        self._whole = whole
        return found

    def _jumps(self, changes: Luma8) -> npt.NDArray[np.bool_] | None:
        """What changes far more than just before; None if that is unknown, or it is a cut."""
        if len(self._before) < BEFORE:
            return None
        usual = cv2.dilate(np.maximum.reduce(list(self._before)), _NEIGHBOURS)
        jumps: npt.NDArray[np.bool_] = changes > SNAP_FACTOR * usual + SNAP_CODES
        return _partial(jumps)

    def _halts(self, changes: Luma8) -> npt.NDArray[np.bool_]:
        """What moved in each of the pictures just before and does not any more."""
        least = np.minimum.reduce(list(self._before))
        halts: npt.NDArray[np.bool_] = (least > HALT_CODES) & (changes < HALT_FACTOR * least)
        return halts
