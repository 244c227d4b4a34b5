"""What is measured of a picture."""

from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike

from streammonitor_worker.frames import FrameView
from streammonitor_worker.measures.active import ActivePicture, Box
from streammonitor_worker.measures.luma import Luma8, LumaScale, reduce_luma, scale_of

TILE_PX = 8
"""Side of a tile in a picture that was reduced: 16 pixels of 720p, 32 of 1080p."""
WHOLE_TILE_PX = 16
"""Side of a tile in a picture that was not: an encoder's macroblock, whose residual evens out."""
BAR_RATIO = 0.1
"""Luma up to which a pixel may belong to a bar; mastered bars reach 30 of 255."""
CORNER_RATIO = 0.25
"""Share of width and height within which a station's logo stays in its corner."""


class PictureMeasures:
    """The measures of one picture, each computed when it is first asked for.

    Ratios of luma are shares of the way from black to white, so that bit depth and range make no
    difference: 0.0 is black, 1.0 is white.

    Attributes:
        view: The picture itself. Its luma is valid only while it is being observed.
        reduced: Luma in 8-bit codes, at most 640 pixels wide; stays valid, must not be changed.
        scale: Where black and white lie in `reduced`.
        active: The active picture in `reduced`: bars excluded.
        previous: The reduced picture before; None for the first one in this format.
    """

    def __init__(
        self,
        view: FrameView,
        reduced: Luma8,
        active: Box,
        previous: Luma8 | None,
    ) -> None:
        self.view = view
        self.reduced = reduced
        self.scale: LumaScale = scale_of(view)
        self.active = active
        self.previous = previous
        self._dark: dict[float, float] = {}

    def dark_ratio(self, threshold: float) -> float:
        """Share of the active picture whose luma is at most `threshold`, 0..1."""
        if threshold not in self._dark:
            area = self.active.of(self.reduced)
            dark = cv2.countNonZero(cv2.inRange(area, 0, int(self.scale.code(threshold))))
            self._dark[threshold] = dark / area.size
        return self._dark[threshold]

    def lettering_ratio(self, threshold: float) -> float:
        """Share of the active picture that is above `threshold` outside its four corners, 0..1.

        A logo keeps to a corner, credits and captions do not.
        """
        area = self.active.of(self.reduced)
        lit = cv2.threshold(area, self.scale.code(threshold), 255, cv2.THRESH_BINARY)[1]
        height, width = (round(size * CORNER_RATIO) for size in area.shape)
        for rows in (slice(None, height), slice(area.shape[0] - height, None)):
            lit[rows, :width] = 0
            lit[rows, area.shape[1] - width :] = 0
        return cv2.countNonZero(lit) / area.size

    @cached_property
    def _cumulative(self) -> npt.NDArray[np.float64]:
        """Share of the active picture at or below each 8-bit code, shape (256,)."""
        area = self.active.of(self.reduced)
        counts = cv2.calcHist([area], [0], None, [256], [0.0, 256.0])
        return np.cumsum(counts.ravel(), dtype=np.float64) / area.size

    def percentile(self, percent: float) -> float:
        """Luma below which `percent` of the active picture lies, as a ratio (may be below 0)."""
        code = int(np.searchsorted(self._cumulative, percent / 100))
        return (min(code, 255) - self.scale.black) / self.scale.span

    @cached_property
    def mean(self) -> float:
        """Mean luma of the active picture, as a ratio (may be below 0)."""
        mean = float(cv2.mean(self.active.of(self.reduced))[0])
        return (mean - self.scale.black) / self.scale.span

    @cached_property
    def step(self) -> float | None:
        """How much the most changed tile differs from the picture before; None without one."""
        return None if self.previous is None else self.change_from(self.previous)

    @cached_property
    def mean_step(self) -> float | None:
        """How much the whole differs from the picture before, on average; None without one."""
        if self.previous is None:
            return None
        total = cv2.norm(self.reduced, self.previous, cv2.NORM_L1)
        return total / self.reduced.size / self.scale.span

    def change_from(self, reference: Luma8) -> float | None:
        """How much the most changed tile differs from a reference picture.

        Returns:
            The greatest mean absolute difference of luma over a tile of 16x16 pixels or more of the
            source, as a ratio; exactly 0.0 for a repeated picture; None when the sizes differ.
        """
        if reference.shape != self.reduced.shape:
            return None
        difference = cv2.absdiff(self.reduced, reference)
        if cv2.norm(difference, cv2.NORM_INF) == 0:
            return 0.0
        reduced = self.view.luma.shape[1] > self.reduced.shape[1]
        tile_px = TILE_PX if reduced else WHOLE_TILE_PX
        return _greatest_tile_mean(difference, tile_px) / self.scale.span


def _greatest_tile_mean(difference: MatLike, tile_px: int) -> float:
    """The greatest mean over whole tiles; a rest at the right and lower edge is left out."""
    side: int = min(tile_px, *difference.shape)
    # Sums over tiles from one integral image cost a tenth of summing them in NumPy.
    corners = cv2.integral(difference)[::side, ::side]
    sums = corners[1:, 1:] - corners[:-1, 1:] - corners[1:, :-1] + corners[:-1, :-1]
    return float(np.max(sums)) / (side * side)


class PictureMeter:
    """Measures the pictures of one stream, in order.

    It keeps one reduced picture, never a decoder's plane: that is gone with the next frame.
    """

    def __init__(self) -> None:
        self._active = ActivePicture()
        self._previous: Luma8 | None = None

    def reset(self) -> None:
        """Forget the picture before: what follows does not adjoin it."""
        self._previous = None

    def measure(self, view: FrameView) -> PictureMeasures:
        """Return the measures of the next picture."""
        reduced = reduce_luma(view.luma, view.bit_depth)
        bar_level = scale_of(view).code(BAR_RATIO)
        active = self._active.update(reduced, bar_level, view.duration_s)
        previous = self._previous
        if previous is not None and previous.shape != reduced.shape:
            previous = None
        self._previous = reduced
        return PictureMeasures(view, reduced, active, previous)
