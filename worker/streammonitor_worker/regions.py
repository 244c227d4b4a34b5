"""Regions: what of a picture enters the measures, for every picture detector alike.

A `region` is a crop, which costs nothing. What is ignored is blanked in a copy, so that it never
changes, and listed in the view, so that measures leave it out of their shares.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streammonitor_api.regions import Region
from streammonitor_worker.box import Box
from streammonitor_worker.frames import Chroma, FrameView, LumaArray

GRID_PX = 16
"""A crop begins on an encoder's grid of macroblocks, so that blocks stay where they are looked for;
chroma, of which there may be one sample for two of luma, stays in step as well."""
CHROMA_PX = 2
EDGE_PX = 2
"""How far from the edge of what was blanked a detector that looks at edges may find it."""
_FUZZ_DIGITS = 6
"""Ratios are decimal, products of them with sizes are not: 0.7 * 640 is a hair below 448."""


class _Layout(NamedTuple):
    """Where the regions lie in pictures of one size.

    Attributes:
        crop: What is looked at.
        ignored: What is blanked, measured from the crop's corner.
    """

    crop: Box
    ignored: tuple[Box, ...]


class PictureRegions:
    """Applies a stream's regions to its pictures, of whatever size.

    A crop shrinks to whole macroblocks at its left and upper edge; what is ignored grows to whole
    samples of chroma. Where a picture is too small for anything to be left, nothing is applied.

    Args:
        region: What is looked at; None: the whole picture.
        ignored: What of it is not.
    """

    def __init__(self, region: Region | None = None, ignored: Sequence[Region] = ()) -> None:
        self._region = region
        self._ignored = tuple(ignored)
        self._shape: tuple[int, ...] = ()
        self._layout = _Layout(Box(0, 0, 0, 0), ())
        self._blanks: dict[str, LumaArray] = {}

    def apply(self, view: FrameView) -> FrameView:
        """Return what of a picture is looked at: the same view where that is all of it.

        Like the decoder's, the planes are valid only until the next picture, and read-only.
        """
        if self._region is None and not self._ignored:
            return view
        if view.luma.shape != self._shape:
            self._shape = view.luma.shape
            self._layout = _layout(self._region, self._ignored, *view.luma.shape)
        half = 1 << (view.bit_depth - 1)
        black = 0 if view.full_range else 16 << (view.bit_depth - 8)
        chroma = view.chroma
        return replace(
            view,
            luma=self._plane("y", view.luma, black),
            chroma=chroma
            and Chroma(self._plane("u", chroma.u, half), self._plane("v", chroma.v, half)),
            ignored=self._layout.ignored,
            # What is cropped or ignored would have to be so here as well.
            lost=None,
        )

    def _plane(self, name: str, plane: LumaArray, blank: int) -> LumaArray:
        """Crop a plane and blank what is ignored."""
        across, down = (
            max(1, round(luma / own))
            for luma, own in zip(self._shape[::-1], plane.shape[::-1], strict=True)
        )
        part = _scaled(self._layout.crop, across, down).of(plane)
        if not self._layout.ignored:
            return part
        copy = self._blanks.get(name)
        if copy is None or (copy.shape, copy.dtype) != (part.shape, part.dtype):
            # Kept: fresh memory for every picture costs more than copying into it.
            copy = self._blanks[name] = np.empty_like(part, order="C", subok=False)
        np.copyto(copy, part)
        for box in self._layout.ignored:
            _scaled(box, across, down).of(copy)[...] = blank
        shown = copy.view()
        shown.flags.writeable = False
        return shown


def _layout(region: Region | None, ignored: Sequence[Region], height: int, width: int) -> _Layout:
    whole = Box(0, 0, width, height)
    crop = whole if region is None else _crop(region, width, height)
    boxes = (_grown(one, width, height).within(crop) for one in ignored)
    blanked = tuple(box for box in boxes if not box.empty)
    if blanked and not _mask(blanked, 1, crop.bottom - crop.top, crop.right - crop.left).any():
        return _Layout(whole, ())
    return _Layout(crop, blanked)


def _crop(region: Region, width: int, height: int) -> Box:
    """The macroblocks that lie inside; where that is none, those that it touches."""
    left, right = _inner(region.left, region.right, width)
    top, bottom = _inner(region.top, region.bottom, height)
    return Box(left, top, right, bottom)


def _inner(low: float, high: float, size: int) -> tuple[int, int]:
    start, end = _up(low * size, GRID_PX), _down(high * size, CHROMA_PX)
    if high * size > size - 1:
        end = size  # odd sizes, too
    if end - start < GRID_PX:
        start, end = _down(low * size, GRID_PX), min(size, _up(high * size, CHROMA_PX))
    return start, end


def _grown(region: Region, width: int, height: int) -> Box:
    return Box(
        _down(region.left * width, CHROMA_PX),
        _down(region.top * height, CHROMA_PX),
        min(width, _up(region.right * width, CHROMA_PX)),
        min(height, _up(region.bottom * height, CHROMA_PX)),
    )


def _up(value: float, step: int) -> int:
    return math.ceil(round(value / step, _FUZZ_DIGITS)) * step


def _down(value: float, step: int) -> int:
    return math.floor(round(value / step, _FUZZ_DIGITS)) * step


def _scaled(box: Box, across: int, down: int) -> Box:
    """A box in a plane that has one sample for so many pixels: whatever it touches."""
    return Box(box.left // across, box.top // down, -(-box.right // across), -(-box.bottom // down))


@lru_cache(maxsize=16)
def counted_mask(
    ignored: tuple[Box, ...], factor: int, height: int, width: int
) -> npt.NDArray[np.uint8]:
    """Which pixels of a picture that was reduced by a factor show nothing that is ignored.

    Returns:
        Shape (height, width), uint8, read-only: 255 counts, 0 does not.
    """
    mask = _mask(ignored, factor, height, width)
    mask.flags.writeable = False
    return mask


def _mask(ignored: tuple[Box, ...], factor: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    mask = np.full((height, width), 255, np.uint8)
    for box in ignored:
        _scaled(box, factor, factor).of(mask)[...] = 0
    return mask


@lru_cache(maxsize=64)
def touched_tiles(
    ignored: tuple[Box, ...], side_px: int, rows: int, columns: int
) -> npt.NDArray[np.bool_]:
    """Which tiles of a picture show something that is ignored, or the edge of it.

    The edge of what was blanked is one that the picture does not have, and it has a pixel on either
    side.

    Returns:
        Shape (rows, columns), bool, read-only.
    """
    touched = np.zeros((rows, columns), np.bool_)
    for box in ignored:
        grown = Box(
            max(0, box.left - EDGE_PX),
            max(0, box.top - EDGE_PX),
            box.right + EDGE_PX,
            box.bottom + EDGE_PX,
        )
        _scaled(grown, side_px, side_px).of(touched)[...] = True
    touched.flags.writeable = False
    return touched
