"""Means over the square tiles of a plane, and what they say of it."""

import cv2
import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike

from streammonitor_worker.frames import ChromaArray

Tiles = npt.NDArray[np.float64]
"""One value a tile, shape (rows, columns)."""

CORNER_RATIO = 0.25
"""Share of width and height within which a station's logo stays in its corner."""
_CHROMA_TILES = (18, 32)
_CHROMA_SPAN = {False: 224.0, True: 255.0}
"""Codes of 8 bits from the least to the greatest chroma, ITU-R BT.2100 table 9, by full range."""


def tile_means(plane: MatLike, tile_px: int) -> Tiles:
    """Mean of every whole tile; a rest at the right and lower edge is left out.

    Args:
        plane: Shape (height, width), uint8.
        tile_px: Side of a tile; less if the plane is smaller.
    """
    side: int = min(tile_px, *plane.shape)
    # Sums over tiles from one integral image cost a tenth of summing them in NumPy.
    corners = cv2.integral(plane)[::side, ::side]
    sums = corners[1:, 1:] - corners[:-1, 1:] - corners[1:, :-1] + corners[:-1, :-1]
    means: Tiles = sums.astype(np.float64) / (side * side)
    return means


def without_corners(values: MatLike) -> npt.NDArray[np.bool_]:
    """Which values of a grid lie outside its four corners."""
    height, width = values.shape
    outside = np.ones((height, width), np.bool_)
    rows, columns = round(height * CORNER_RATIO), round(width * CORNER_RATIO)
    for top in (slice(None, rows), slice(height - rows, None)):
        outside[top, :columns] = outside[top, width - columns :] = False
    return outside


def chroma_tiles(plane: ChromaArray, bit_depth: int, *, full_range: bool) -> Tiles:
    """Chroma from -0.5 to 0.5 on a grid that is coarse enough to even noise out."""
    rows, columns = (min(sizes) for sizes in zip(plane.shape, _CHROMA_TILES, strict=True))
    means = cv2.resize(plane, (columns, rows), interpolation=cv2.INTER_AREA)
    neutral = 2.0 ** (bit_depth - 1)
    codes = (means.astype(np.float64) - neutral) * 2.0 ** (8 - bit_depth)
    chroma: Tiles = codes / _CHROMA_SPAN[full_range]
    return chroma
