"""What is measured of a picture."""

from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import ChromaArray, FrameView
from streammonitor_worker.measures.active import ActivePicture, Box
from streammonitor_worker.measures.luma import Luma8, LumaScale, reduce_luma, scale_of
from streammonitor_worker.measures.tiles import chroma_tiles, tile_means, without_corners

TILE_PX = 8
"""Side of a tile in a picture that was reduced: 16 pixels of 720p, 32 of 1080p."""
WHOLE_TILE_PX = 16
"""Side of a tile in a picture that was not: an encoder's macroblock, whose residual evens out."""
BAR_RATIO = 0.1
"""Luma up to which a pixel may belong to a bar; mastered bars reach 30 of 255."""
TINTED_PERCENT = 90.0
"""A coloured logo is smaller than the rest of this."""


class PictureMeasures:
    """The measures of one picture, each computed when it is first asked for.

    Ratios of luma are shares of the way from black to white of SDR video that shows the same light,
    so that bit depth, range and transfer make no difference: 0.0 is black, 1.0 is (diffuse) white.
    Changes are shares of the codes from black to white, whatever the transfer.

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
        return np.count_nonzero(lit[without_corners(lit)]) / area.size

    @cached_property
    def contrast(self) -> float:
        """By how much luma differs between the tiles outside the corners of the active picture.

        A tile evens noise out, but not what is to be seen.
        """
        means = tile_means(self.active.of(self.reduced), self._tile_px)
        middle = means[without_corners(means)]
        if not middle.size:
            return 0.0
        return self.scale.ratio(float(middle.max())) - self.scale.ratio(float(middle.min()))

    @cached_property
    def saturation(self) -> float:
        """How far the active picture is from grey, 0..0.7; 0.0 without chroma.

        Nine tenths of the picture lie below: distance from neutral in the plane of U and V, which
        each run from -0.5 to 0.5, of tiles that even noise out.
        """
        chroma = self.view.chroma
        if chroma is None:
            return 0.0
        u, v = (self._chroma_tiles(plane) for plane in chroma)
        return float(np.percentile(np.hypot(u, v), TINTED_PERCENT))

    def _chroma_tiles(self, plane: ChromaArray) -> npt.NDArray[np.float64]:
        view, box = self.view, self.active
        down, right = (
            whole / reduced for whole, reduced in zip(plane.shape, self.reduced.shape, strict=True)
        )
        top, left = int(box.top * down), int(box.left * right)
        # A plane may be smaller than the reduced picture, but never empty.
        bottom, end = max(top + 1, int(box.bottom * down)), max(left + 1, int(box.right * right))
        part = plane[top:bottom, left:end]
        return chroma_tiles(part, view.bit_depth, full_range=view.full_range)

    @cached_property
    def _cumulative(self) -> npt.NDArray[np.float64]:
        """Share of the active picture at or below each 8-bit code, shape (256,)."""
        area = self.active.of(self.reduced)
        counts = cv2.calcHist([area], [0], None, [256], [0.0, 256.0])
        return np.cumsum(counts.ravel(), dtype=np.float64) / area.size

    def percentile(self, percent: float) -> float:
        """Luma below which `percent` of the active picture lies, as a ratio (may be below 0)."""
        code = int(np.searchsorted(self._cumulative, percent / 100))
        return self.scale.ratio(min(code, 255))

    @cached_property
    def mean(self) -> float:
        """Mean luma of the active picture, as a ratio (may be below 0)."""
        return self.scale.ratio(float(cv2.mean(self.active.of(self.reduced))[0]))

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
        return float(tile_means(difference, self._tile_px).max()) / self.scale.span

    @property
    def _tile_px(self) -> int:
        return TILE_PX if self.view.luma.shape[1] > self.reduced.shape[1] else WHOLE_TILE_PX


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
