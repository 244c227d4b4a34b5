"""How much detail the sharpest parts of a picture have."""

import math
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike

from streammonitor_worker.frames import FrameView
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.picture import PictureMeasures

TILES_ACROSS = 20
MIN_TILE_PX, MOST_PX = 32, 64
"""Of a tile that is larger than MOST_PX, so much of the middle is looked at."""
TILES = 26
"""So many of the tiles that change most from pixel to pixel are looked at."""
OVERLAID = 6
"""The sharpest of them may be a logo or a clock, which stays sharp when the programme does not: a
fortieth of the picture."""
SHAPES_PX = (40, 22)
"""A picture that is so small has only its shapes left."""
MIN_CONTRAST = 0.4
"""Least contrast of those shapes, in codes: below it there is no detail to be lost."""
LITTLE = 0.35
"""A direction with less than such a share of the other one's detail shows no loss."""


class Detail(NamedTuple):
    """Detail, relative to the contrast of shapes: neither light nor a fade changes it.

    Attributes:
        across: From pixel to pixel of a row; 1.0 if fine structures contrast as shapes do.
        down: The same from row to row.
        contrast: That contrast of shapes, as a root mean square in 8-bit codes.
    """

    across: float
    down: float
    contrast: float

    @property
    def both(self) -> float:
        """The geometric mean of both directions."""
        return math.sqrt(self.across * self.down)

    def relative_to(self, usual: "Detail") -> float:
        """Share of the usual detail that is left, in the direction that lost least.

        What moves fast is smeared in one direction only. A direction that had little compared with
        the other one has little to lose.
        """
        pairs = ((self.across, usual.across), (self.down, usual.down))
        least = max(1e-6, LITTLE * max(usual.across, usual.down))
        return max((now / was for now, was in pairs if was >= least), default=1.0)


def detail_of(measures: PictureMeasures) -> Detail | None:
    """The detail of a picture in full resolution; None if it has hardly any contrast."""
    view, height, width = measures.view, *measures.view.luma.shape
    side = max(MIN_TILE_PX, width // TILES_ACROSS)
    rows, columns = height // side, width // side
    if not rows or not columns:
        return None
    contrast, chosen = _contrast(measures.reduced), _busiest(measures, side, rows, columns)
    if not chosen or contrast < MIN_CONTRAST:
        return None
    tiles = _middles(view, side, [divmod(index, columns) for index in chosen])
    half = cv2.resize(tiles, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    fine, medium = (_energies(one, len(chosen)) for one in (tiles, half))
    sharpest = np.argsort(-fine.sum(axis=0), kind="stable")
    beside = sharpest[min(OVERLAID, len(chosen) - 1) :]
    across, down = ((fine * medium) ** 0.25)[:, beside].mean(axis=1) / contrast
    return Detail(float(across), float(down), contrast)


def _busiest(measures: PictureMeasures, side: int, rows: int, columns: int) -> list[int]:
    """Numbers of the tiles that change most from pixel to pixel, what is ignored left out."""
    reduced = measures.reduced
    steps = cv2.convertScaleAbs(cv2.Laplacian(reduced, cv2.CV_16S))
    means = np.asarray(cv2.resize(steps, (columns, rows), interpolation=cv2.INTER_AREA)).ravel()
    ignored = measures.ignored_tiles(side, rows, columns)
    if ignored is not None:
        # Blanks have sharp edges, and keep them when the picture has none.
        means = np.where(ignored.ravel(), -1.0, means)
    chosen = np.argsort(means, kind="stable")[-TILES:]
    numbers: list[int] = chosen[means[chosen] >= 0].tolist()
    return numbers


def _contrast(reduced: Luma8) -> float:
    """Contrast between neighbouring shapes of the whole picture, as a root mean square in codes."""
    coarse = cv2.resize(reduced, SHAPES_PX, interpolation=cv2.INTER_AREA).astype(np.float32)
    squares = (
        cv2.norm(cv2.Sobel(coarse, cv2.CV_32F, *order, ksize=1), cv2.NORM_L2SQR)
        for order in ((1, 0), (0, 1))
    )
    return float(np.sqrt(sum(squares) / 4 / coarse.size))


def _energies(tiles: MatLike, count: int) -> npt.NDArray[np.float64]:
    """Mean squares of the second differences across and down, shape (2, count).

    Args:
        tiles: Square tiles, one below the other.
        count: How many.
    """
    side = tiles.shape[1]
    found = []
    for order in ((2, 0), (0, 2)):
        steps = np.asarray(cv2.Sobel(tiles, cv2.CV_32F, *order, ksize=1))
        inside = steps.reshape(count, side, side)[:, 1:-1, 1:-1]
        found.append(np.einsum("nij,nij->n", inside, inside) / (side - 2) ** 2)
    return np.array(found, np.float64)


def _middles(view: FrameView, side: int, places: list[tuple[int, int]]) -> Luma8:
    """The middle of every tile, in 8-bit codes, one below the other."""
    size = min(side, MOST_PX) // 2 * 2
    edge = (side - size) // 2
    corners = [(row * side + edge, column * side + edge) for row, column in places]
    tiles = np.concatenate(
        [view.luma[top : top + size, left : left + size] for top, left in corners]
    )
    if tiles.dtype == np.uint8:
        return tiles
    return cv2.convertScaleAbs(tiles, alpha=2.0 ** (8 - view.bit_depth))  # type: ignore[return-value]
