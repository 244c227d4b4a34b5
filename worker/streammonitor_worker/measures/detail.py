"""How much detail the sharpest parts of a picture have."""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike

from streammonitor_worker.frames import FrameView
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.picture import PictureMeasures

TILES_ACROSS = 20
MIN_TILE_PX = 32
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
        return float(np.sqrt(self.across * self.down))

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
    contrast = _contrast(measures.reduced)
    found = []
    for index in _busiest(measures, side, rows, columns):
        row, column = divmod(index, columns)
        tile = _tile(view, row * side, column * side, side)
        half = cv2.resize(tile, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        fine, medium = _energies(tile), _energies(half)
        found.append((*(fine * medium) ** 0.25, float(fine.sum())))
    if not found or contrast < MIN_CONTRAST:
        return None
    found.sort(key=lambda one: -one[-1])
    energies = np.array(found)[min(OVERLAID, len(found) - 1) :].mean(axis=0)
    across, down = (energies[:2] / contrast).tolist()
    return Detail(across, down, contrast)


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


def _energies(tile: MatLike) -> npt.NDArray[np.float64]:
    """Mean squares of the second differences across and down."""
    squares = (
        cv2.norm(cv2.Sobel(tile, cv2.CV_16S, *order, ksize=1), cv2.NORM_L2SQR)
        for order in ((2, 0), (0, 2))
    )
    return np.array([square / tile.size for square in squares])


def _tile(view: FrameView, top: int, left: int, side: int) -> Luma8:
    tile = view.luma[top : top + side, left : left + side]
    if tile.dtype == np.uint8:
        return tile  # type: ignore[return-value]
    return cv2.convertScaleAbs(tile, alpha=2.0 ** (8 - view.bit_depth))  # type: ignore[return-value]
