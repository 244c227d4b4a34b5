"""How much finer than its shapes the sharpest parts of a picture are."""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike

from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.picture import PictureMeasures

TILE_PX = 32
"""Side of a tile of the reduced picture, which is at most 640 pixels wide."""
TILES = 30
"""So many of the tiles that change most at half the scale are looked at. Half of them decide, so
that a logo and a clock, which stay sharp when the programme does not, do not."""
MIN_TILES = 4
MIN_HEIGHT = 12.0
"""Tiles whose highest edge is lower, in codes, show grain and what the encoder made of it."""
NOTHING_FINER = 1 / 3
"""Steepness of an edge that is at least four pixels wide."""
MIN_DETAIL = 0.2
"""A picture with less of it has no detail to lose: a blur would not change what is seen of it."""

Floats = npt.NDArray[np.float32]


class Detail(NamedTuple):
    """How steep edges are: neither light nor a fade nor what is shown changes it much.

    The steepness of an edge is the greatest step from pixel to pixel as a share of its height; what
    exceeds NOTHING_FINER is detail. It is below 0 in what is very soft, 0.7 if edges are as sharp
    as pixels allow, and more in a texture of points.

    Attributes:
        across: From pixel to pixel of a row, the median of the busiest tiles.
        down: The same from row to row.
        tiles: The same of every tile, shape (2, rows, columns); NaN where no edge is high enough.
        chosen: The busiest tiles, of which the medians are taken; the same shape.
    """

    across: float
    down: float
    tiles: Floats
    chosen: npt.NDArray[np.bool_]

    @property
    def best(self) -> float:
        """That of the direction that has more: what moves fast is smeared in the other one."""
        return max(self.across, self.down)

    def relative_to(self, usual: "Detail") -> float:
        """Share of the usual detail that is left, in the direction that lost least.

        A direction that had no detail cannot have lost it.
        """
        pairs = ((self.across, usual.across), (self.down, usual.down))
        return max((share(is_, was) for is_, was in pairs if was >= MIN_DETAIL), default=1.0)

    def left_in_place(self, before: "Detail") -> float:
        """Share of the detail of an earlier picture that is left in the tiles that had some.

        It is that of the direction that lost least; 1 if too few tiles still show an edge.
        """
        if self.tiles.shape != before.tiles.shape:
            return 1.0
        lost_from = before.chosen & (before.tiles >= MIN_DETAIL) & ~np.isnan(self.tiles)
        shares = [
            share(float(np.median(now[where])), float(np.median(was[where])))
            for now, was, where in zip(self.tiles, before.tiles, lost_from, strict=True)
            if np.count_nonzero(where) >= MIN_TILES
        ]
        return max(shares, default=1.0)


def share(detail: float, usual: float) -> float:
    """What is left of the usual detail, 0 if nothing is."""
    return max(0.0, detail) / max(usual, 1e-6)


def detail_of(measures: PictureMeasures) -> Detail | None:
    """The detail of a picture; None if too few of its tiles show an edge."""
    reduced = measures.reduced
    rows, columns = (size // TILE_PX for size in reduced.shape)
    if not rows or not columns:
        return None
    steepest, height, busy = _edges(reduced[: rows * TILE_PX, : columns * TILE_PX], rows, columns)
    shown = height >= MIN_HEIGHT
    side = TILE_PX * measures.view.luma.shape[1] // reduced.shape[1]
    ignored = measures.ignored_tiles(side, rows, columns)
    if ignored is not None:
        # Blanks have sharp edges, and keep them when the picture has none.
        shown &= ~ignored
    tiles = np.where(shown, steepest / np.maximum(height, 1.0) - NOTHING_FINER, np.nan)
    order = np.argsort(np.where(shown.any(axis=0), busy, -1.0), axis=None, kind="stable")
    chosen = np.zeros(rows * columns, bool)
    chosen[order[-TILES:]] = True
    chosen = chosen.reshape(rows, columns) & shown
    medians = [
        float(np.median(found[where])) if np.count_nonzero(where) >= MIN_TILES else np.nan
        for found, where in zip(tiles, chosen, strict=True)
    ]
    if np.isnan(medians).all():
        return None
    across, down = np.nan_to_num(medians).tolist()
    return Detail(across, down, tiles.astype(np.float32), chosen)


def _edges(picture: Luma8, rows: int, columns: int) -> tuple[Floats, Floats, Luma8]:
    """The greatest step of every tile, its highest edge, and how much it changes at half the scale.

    The height of an edge is the greatest step at a half and a quarter of the scale. Rows of two
    fields that interleave are no detail: a step down is at most that between rows of one field.

    Returns:
        Twice shape (2, rows, columns), across and down, and shape (rows, columns), in codes.
    """
    across, down = _steps(picture)
    comb = cv2.absdiff(picture[2:], picture[:-2])
    fields = _greatest(cv2.copyMakeBorder(comb, 0, 2, 0, 0, cv2.BORDER_REPLICATE), rows, columns)
    steepest = np.stack(
        [_greatest(across, rows, columns), np.minimum(_greatest(down, rows, columns), fields)]
    )
    half = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    quarter = cv2.resize(half, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    of_half, of_quarter = _steps(half), _steps(quarter)
    height = np.stack([_greatest(step, rows, columns) for step in (*of_half, *of_quarter)])
    changes = cv2.resize(cv2.add(*of_half), (columns, rows), interpolation=cv2.INTER_AREA)
    return steepest, np.maximum(height[:2], height[2:]), np.asarray(changes)


def _steps(picture: MatLike) -> tuple[MatLike, MatLike]:
    """Steps from pixel to pixel, across and down, as large as the picture."""
    repeat = cv2.BORDER_REPLICATE
    across = cv2.absdiff(picture[:, 1:], picture[:, :-1])
    down = cv2.absdiff(picture[1:], picture[:-1])
    return (
        cv2.copyMakeBorder(across, 0, 0, 0, 1, repeat),
        cv2.copyMakeBorder(down, 0, 1, 0, 0, repeat),
    )


def _greatest(steps: MatLike, rows: int, columns: int) -> Floats:
    """The greatest of every tile, shape (rows, columns)."""
    side = steps.shape[0] // rows
    tall = np.asarray(steps).reshape(rows, side, steps.shape[1]).max(axis=1)
    greatest: Floats = tall.reshape(rows, columns, -1).max(axis=2).astype(np.float32)
    return greatest
