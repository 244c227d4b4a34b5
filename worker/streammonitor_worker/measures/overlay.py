"""What goes on over a picture that stands still: a clock, a ticker, a logo that turns."""

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streammonitor_worker.box import Box
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.tiles import Tiles

UPPER_MARGIN, LOWER_MARGIN = 0.2, 0.25
"""Shares of the active picture's height that overlays keep to; what stirs elsewhere is content."""

TileMask = npt.NDArray[np.bool_]
"""One flag a tile, shape (rows, columns)."""


class Frame(NamedTuple):
    """Where the active picture lies in a reduced one.

    Attributes:
        active: The active picture.
        height: Of the reduced picture, in pixels.
        width: Likewise.
    """

    active: Box
    height: int
    width: int

    def content(self, rows: int, columns: int) -> TileMask:
        """The tiles of a grid over the reduced picture that no overlay may cover."""
        return _content(self, rows, columns)

    def pixels(self, height: int, width: int, overlay: TileMask | None) -> Luma8:
        """Of a smaller picture, 255 where the active picture shows through the overlay."""
        down, right = height / self.height, width / self.width
        shown = np.zeros((height, width), np.uint8)
        rows = slice(int(self.active.top * down), max(1, int(self.active.bottom * down)))
        shown[rows, int(self.active.left * right) : max(1, int(self.active.right * right))] = 255
        if overlay is not None:
            covered = cv2.resize(
                overlay.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST
            )
            shown[covered > 0] = 0
        return shown


@lru_cache(maxsize=64)
def _content(frame: Frame, rows: int, columns: int) -> TileMask:
    high = frame.active.bottom - frame.active.top
    upper = frame.active.top + UPPER_MARGIN * high
    lower = frame.active.bottom - LOWER_MARGIN * high
    middles = (np.arange(rows) + 0.5) * frame.height / rows
    inside = (middles > upper) & (middles < lower)
    return np.repeat(inside[:, None], columns, axis=1)


def largest_outside(changes: Tiles, overlay: TileMask | None) -> float:
    """The largest change of a tile that no overlay covers."""
    shown = changes if overlay is None else changes[~overlay]
    return float(shown.max()) if shown.size else 0.0


def grown(
    overlay: TileMask | None, changes: Tiles, limit: float, frame: Frame, most_ratio: float
) -> TileMask | None:
    """Take the tiles that change by more than a limit into an overlay.

    Args:
        overlay: What it covers already; None for nothing.
        changes: Change of every tile, in the unit of `limit`.
        limit: Change beyond which a tile moves.
        frame: Where the active picture lies.
        most_ratio: Share of the tiles that an overlay may cover.

    Returns:
        What it covers now, or None: this is no overlay, but a picture that moves.
    """
    moving = changes > limit
    if (moving & frame.content(*moving.shape)).any():
        return None
    covered = moving if overlay is None else overlay | moving
    return covered if np.count_nonzero(covered) <= most_ratio * covered.size else None
