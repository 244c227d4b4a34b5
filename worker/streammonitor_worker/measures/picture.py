"""What is measured of a picture."""

from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike

from streammonitor_worker.box import Box
from streammonitor_worker.frames import ChromaArray, FrameView
from streammonitor_worker.measures.active import ActivePicture
from streammonitor_worker.measures.luma import Luma8, LumaScale, halved, reduce_luma, scale_of
from streammonitor_worker.measures.overlay import Frame
from streammonitor_worker.measures.tiles import Tiles, chroma_tiles, tile_means, without_corners
from streammonitor_worker.regions import counted_mask, touched_tiles

TILE_PX = 8
"""Side of a tile in a picture that was reduced: 16 pixels of 720p, 32 of 1080p."""
WHOLE_TILE_PX = 16
"""Side of a tile in a picture that was not: an encoder's macroblock, whose residual evens out."""
BAR_RATIO = 0.1
"""Luma up to which a pixel may belong to a bar; mastered bars reach 30 of 255."""
SMALL_WIDTH_PX = 160
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

    @cached_property
    def counted(self) -> Luma8 | None:
        """Where `reduced` counts: 255, and 0 where something is ignored; None: everywhere."""
        if not self.view.ignored:
            return None
        factor = round(self.view.luma.shape[1] / self.reduced.shape[1])
        return counted_mask(self.view.ignored, factor, *self.reduced.shape)

    def ignored_tiles(self, side_px: int, rows: int, columns: int) -> npt.NDArray[np.bool_] | None:
        """Which tiles of the picture in full resolution touch something that is ignored.

        Returns:
            Shape (rows, columns), bool; None where nothing is ignored.
        """
        if not self.view.ignored:
            return None
        return touched_tiles(self.view.ignored, side_px, rows, columns)

    @cached_property
    def _mask(self) -> Luma8 | None:
        return None if self.counted is None else self.active.of(self.counted)

    def _share(self, found: MatLike) -> float:
        """Share of what counts of the active picture that was found, 0..1."""
        if self._mask is None:
            return cv2.countNonZero(found) / found.size
        both = cv2.countNonZero(cv2.bitwise_and(found, self._mask))
        return both / max(1, cv2.countNonZero(self._mask))

    def _all_counted(self, grid: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
        """Which tiles of a grid over the active picture show nothing that is ignored."""
        if self._mask is None:
            return np.ones(grid.shape, np.bool_)
        counted: npt.NDArray[np.bool_] = (
            np.asarray(cv2.resize(self._mask, grid.shape[::-1], interpolation=cv2.INTER_AREA))
            == 255
        )
        return counted

    def dark_ratio(self, threshold: float) -> float:
        """Share of the active picture whose luma is at most `threshold`, 0..1."""
        if threshold not in self._dark:
            area = self.active.of(self.reduced)
            dark = cv2.inRange(area, 0, int(self.scale.code(threshold)))
            self._dark[threshold] = self._share(dark)
        return self._dark[threshold]

    def dark_tiles(self, threshold: float) -> npt.NDArray[np.bool_]:
        """Which tiles of the whole picture are at most as bright as `threshold` on average."""
        return tile_means(self.reduced, self._tile_px) <= self.scale.code(threshold)

    def lettering_ratio(self, threshold: float) -> float:
        """Share of the active picture that is above `threshold` outside its four corners, 0..1.

        A logo keeps to a corner, credits and captions do not.
        """
        area = self.active.of(self.reduced)
        lit = cv2.threshold(area, self.scale.code(threshold), 255, cv2.THRESH_BINARY)[1]
        lit[~without_corners(lit)] = 0
        return self._share(lit)

    @cached_property
    def contrast(self) -> float:
        """By how much luma differs between the tiles outside the corners of the active picture.

        A tile evens noise out, but not what is to be seen.
        """
        means = tile_means(self.active.of(self.reduced), self._tile_px)
        middle = means[without_corners(means) & self._all_counted(means)]
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
        distances = np.hypot(u, v)
        distances = distances[self._all_counted(distances)]
        return float(np.percentile(distances, TINTED_PERCENT)) if distances.size else 0.0

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
        counts = cv2.calcHist([area], [0], self._mask, [256], [0.0, 256.0])
        cumulative = np.cumsum(counts.ravel(), dtype=np.float64)
        cumulative /= max(1.0, float(cumulative[-1]))
        return cumulative

    def percentile(self, percent: float) -> float:
        """Luma below which `percent` of the active picture lies, as a ratio (may be below 0)."""
        code = int(np.searchsorted(self._cumulative, percent / 100))
        return self.scale.ratio(min(code, 255))

    @cached_property
    def mean(self) -> float:
        """Mean luma of the active picture, as a ratio (may be below 0)."""
        return self.scale.ratio(float(cv2.mean(self.active.of(self.reduced), self._mask)[0]))

    @cached_property
    def step(self) -> float | None:
        """How much the most changed tile differs from the picture before; None without one."""
        return None if self.step_tiles is None else float(self.step_tiles.max())

    @cached_property
    def step_tiles(self) -> Tiles | None:
        """How much every tile differs from the picture before; None without one."""
        return None if self.previous is None else self.change_tiles(self.previous)

    @cached_property
    def mean_step(self) -> float | None:
        """How much the whole differs from the picture before, on average; None without one."""
        if self.previous is None:
            return None
        total = cv2.norm(self.reduced, self.previous, cv2.NORM_L1)
        size = self.reduced.size if self.counted is None else cv2.countNonZero(self.counted)
        return total / max(1, size) / self.scale.span

    def change_tiles(self, reference: Luma8) -> Tiles | None:
        """How much every tile differs from a reference picture.

        Returns:
            The mean absolute difference of luma over every tile of 16x16 pixels or more of the
            source, as a ratio, shape (rows, columns); exactly 0.0 where a picture is repeated; None
            when the sizes differ.
        """
        if reference.shape != self.reduced.shape:
            return None
        difference = cv2.absdiff(self.reduced, reference)
        if cv2.norm(difference, cv2.NORM_INF) == 0:
            side = min(self._tile_px, *difference.shape)
            return np.zeros([size // side for size in difference.shape])
        return tile_means(difference, self._tile_px) / self.scale.span

    @cached_property
    def small(self) -> Luma8:
        """The picture at most 160 pixels wide: noise evens out, motion can still be seen."""
        return halved(self.reduced, SMALL_WIDTH_PX)  # type: ignore[return-value]

    @property
    def frame(self) -> Frame:
        """Where the active picture lies in `reduced`."""
        return Frame(self.active, *self.reduced.shape)

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
