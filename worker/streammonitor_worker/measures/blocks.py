"""Steps at the borders of an encoder's blocks, in what changed since the picture before.

A damaged block is predicted from what should not be there, so its border becomes a step that its
surroundings do not have. A step counts by how far it exceeds its neighbours on either side, and
only in the difference of two pictures, in which whatever stands still is gone. Moving contents make
steps too, but no more on the grid of blocks than off it: the same measure four pixels off the grid
is subtracted.

Only pixels beside grid lines are ever read; of vertical borders, those of every fourth row. And of
each picture, either vertical or horizontal borders: each is compared with the picture but one.
"""

import cv2
import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import LumaArray
from streammonitor_worker.measures.luma import Luma8

BLOCK_PX = 16
"""Side of a macroblock (H.264, MPEG-2); grids of 8 pixels have these borders as well."""
OFF_GRID_PX = 4
MIN_SIDE_PX = 64
ROW_STEP = 4
STEP_CODES = 16.0
"""By how much a border must exceed its neighbours, in 8-bit codes."""

Tiles = npt.NDArray[np.float32]
Found = npt.NDArray[np.bool_]


class BlockSteps:
    """Finds block borders that appear from one picture to the next but one.

    It keeps copies of the pixels beside grid lines: for 1080p, three megabytes with what it works
    on, which are never allocated anew, because fresh memory costs more than the arithmetic.
    """

    def __init__(self) -> None:
        self._borders: tuple[tuple[_Borders, _Borders], ...] = ()
        self._shape: tuple[int, ...] = ()
        self._taken = 0

    def reset(self) -> None:
        """Forget the pictures before: what follows does not adjoin them."""
        self._taken = 0

    def measure(self, luma: LumaArray, bit_depth: int) -> Tiles | None:
        """Return which borders of each block became a step, less what chance explains.

        Args:
            luma: Shape (height, width), uint8, or uint16 with `bit_depth` significant low bits.
            bit_depth: Significant bits, 8..16.

        Returns:
            Shape (height / 16, width / 16), float32, -1..1: the left borders of blocks and the
            upper ones in turn; None without pictures before it, or if it is smaller than 64 pixels.
        """
        if min(luma.shape) < MIN_SIDE_PX:
            self._taken = 0
            return None
        if luma.shape != self._shape:
            self._shape, self._taken = luma.shape, 0
            self._borders = tuple(
                (_Borders(luma.shape, vertical, 0), _Borders(luma.shape, vertical, OFF_GRID_PX))
                for vertical in (True, False)
            )
        vertical = self._taken % 2 == 0
        on, off = (one.take(luma, bit_depth) for one in self._borders[not vertical])
        self._taken += 1
        if self._taken <= 2:
            return None
        tiles: Tiles = np.zeros([side // BLOCK_PX for side in luma.shape], np.float32)
        inner = tiles[:, 1:] if vertical else tiles[1:]
        np.subtract(on, off, out=inner, dtype=np.float32)
        return tiles


class _Borders:
    """The borders of one direction, and the two pixels on either side of each."""

    def __init__(self, shape: tuple[int, ...], vertical: bool, offset: int) -> None:
        height, width = (side // BLOCK_PX * BLOCK_PX for side in shape)
        self._vertical = vertical
        if vertical:
            count, along = width // BLOCK_PX - 1, slice(0, height, ROW_STEP)
            size = (height // ROW_STEP, count)
        else:
            count, along = height // BLOCK_PX - 1, slice(0, width)
            size = (count, width)
        first = BLOCK_PX - 2 + offset
        lines = [
            slice(at, at + BLOCK_PX * (count - 1) + 1, BLOCK_PX) for at in range(first, first + 4)
        ]
        self._where = [(along, line) if vertical else (line, along) for line in lines]
        self._now, self._before, self._change = (np.empty((4, *size), np.uint8) for _ in range(3))
        self._steps = np.empty((3, *size), np.uint8)

    def take(self, luma: LumaArray, bit_depth: int) -> Found:
        """Take a picture; return which borders became a step since the one taken before."""
        now, before = self._before, self._now
        self._now, self._before = now, before
        for line, where in zip(now, self._where, strict=True):
            if luma.dtype == np.uint8:
                line[...] = luma[where]
            else:
                np.right_shift(luma[where], bit_depth - 8, out=line, casting="unsafe")
        # Modulo 256, in which a difference of differences still comes out right up to 128 codes.
        np.subtract(now, before, out=self._change)
        steps = np.subtract(self._change[1:], self._change[:-1], out=self._steps)
        signed = steps.view(np.int8)
        np.abs(signed, out=signed)
        return self._exceeding(steps)

    def _exceeding(self, steps: Luma8) -> Found:
        if self._vertical:
            count = BLOCK_PX // ROW_STEP
            rows = steps.reshape(3, -1, count, steps.shape[2])
            low, at, high = rows.sum(2, dtype=np.int32)
        else:
            count = BLOCK_PX
            sums = cv2.reduce(steps.reshape(-1, BLOCK_PX), 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)
            low, at, high = np.reshape(sums, (3, steps.shape[1], -1))
        found: Found = at - np.maximum(low, high) >= STEP_CODES * count
        return found
