"""Borders of an encoder's blocks that became steps, and how crowded they are.

Blocks of 16 pixels that do not belong where they are show as straight steps along their borders.
Natural contents have steps as well, but anywhere: as many on the grid of blocks as beside it. So a
step counts by how far it exceeds its neighbours on either side along a whole border, and borders on
the grid count by how many more of them there are in a neighbourhood than at any other phase. Long
straight edges (plates, pillars, window frames) may lie on the grid: of one line, no more counts
than two borders of a neighbourhood, and a direction without the other counts little.

Cells of one colour whose borders are all steps are no damage but a picture made of cells: a mosaic
that hides a face, a checkerboard.
"""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import FrameView, LumaArray
from streammonitor_worker.measures.luma import Luma8

BLOCK_PX = 16
"""Side of a macroblock (H.264, MPEG-2); the grids of HEVC and AV1 have these borders as well."""
CELL = 8
"""The same in a picture of half the width and height, which evens out noise and coding."""
STEP_CODES = 8
"""By how much the step of a border exceeds those beside it, in 8-bit codes."""
STEPS = 6
"""Of the eight pixels of a border, how many must have such a step."""
REGION_BLOCKS = 5
"""Side of the neighbourhood that is judged, in blocks: single borders fall in line by chance."""
LINE_BORDERS = 2
"""Borders of one line that count in a neighbourhood."""
MOST = 2 * LINE_BORDERS * REGION_BLOCKS
"""Evidence where every line of a neighbourhood has its borders in both directions."""
FEWER_FACTOR = 3
"""Evidence is at most so many times that of the rarer direction: one straight edge has only one."""
FLAT_CODES, FLAT_PIXELS = 5, 8
"""A cell has one colour if no more of its inner pixels differ from the next by so many codes."""
FLAT_RATIO, CELLS_RATIO = 0.85, 0.45
"""From which share of flat cells, and of borders that are steps, a neighbourhood is a mosaic."""
UNWRITTEN_CHROMA = 48
"""Luma and chroma below this, of 8 bits, are no colour: red and blue would be less than -80."""
MIN_SIDE_PX = 96
_PHASES = 4
_REGION = np.ones((REGION_BLOCKS, REGION_BLOCKS), np.uint8)
_INNER = np.frombuffer(bytes([0, 0, 1, 1, 1, 1, 1, 0]), np.uint64)[0] * np.uint64(255)
"""The differences of a row of eight that lie well inside a cell."""

Evidence = npt.NDArray[np.int16]


class _Steps(NamedTuple):
    """What is found in one direction.

    Attributes:
        borders: Which borders are steps, at phases 0, 4, 8 and 12 pixels; shape (rows, columns, 4).
        inner: How many inner pixels of each block differ from the next, 0..40.
    """

    borders: Luma8
    inner: Luma8


class BlockBorders:
    """Finds crowded block borders in single pictures. Keeps its working memory, no picture."""

    def __init__(self) -> None:
        self._shape = (0, 0)
        self._memory: tuple[Luma8, ...] = ()

    def measure(self, luma: LumaArray, bit_depth: int) -> Evidence | None:
        """Return how much the surroundings of each block look damaged.

        Args:
            luma: Shape (height, width), uint8, or uint16 with `bit_depth` significant low bits.
            bit_depth: Significant bits, 8..16.

        Returns:
            Shape (height // 16, width // 16), int16, at most MOST, below 0 where other phases have
            more borders than the grid; None if the picture is smaller than 96 pixels.
        """
        if min(luma.shape) < MIN_SIDE_PX:
            return None
        half = self._halved(luma, bit_depth)
        upright, level = _upright(half, self._memory), _level(half, self._memory)
        _drop_cells(upright, level)
        found = [_crowded(upright.borders, (1, 0)), _crowded(level.borders, (0, 1))]
        fewer, more = np.minimum(*found), np.maximum(*found)
        evidence: Evidence = np.minimum(FEWER_FACTOR * fewer, fewer + more)
        return evidence

    def _halved(self, luma: LumaArray, bit_depth: int) -> Luma8:
        """Average 2x2 pixels of the whole blocks, in 8-bit codes."""
        height, width = (side // BLOCK_PX * CELL for side in luma.shape)
        if (height, width) != self._shape:
            self._shape = height, width
            self._memory = tuple(np.zeros((height, width), np.uint8) for _ in range(4))
        whole = luma[: 2 * height, : 2 * width]
        half = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
        if half.dtype != np.uint8:
            half = cv2.convertScaleAbs(half, alpha=2.0 ** (8 - bit_depth))
        return half  # type: ignore[return-value]


def _upright(half: Luma8, memory: tuple[Luma8, ...]) -> _Steps:
    """Steps from left to right."""
    change, most, steps, inner = memory
    width = half.shape[1]
    # change[:, x] is the difference of pixels x - 1 and x.
    cv2.absdiff(half[:, 1:], half[:, :-1], dst=change[:, 1:])
    cv2.max(change[:, :-2], change[:, 2:], dst=most[:, 1:-1])
    cv2.subtract(change[:, 2:-1], most[:, 2:-1], dst=steps[:, 2:-1])
    steps[:, :2] = steps[:, -1:] = 0
    cv2.threshold(steps, STEP_CODES - 1, 1, cv2.THRESH_BINARY, dst=steps)
    counts = steps.reshape(-1, CELL, width).sum(1, dtype=np.uint8)
    cv2.threshold(change, FLAT_CODES - 1, 1, cv2.THRESH_BINARY, dst=inner)
    rows = inner.reshape(-1, CELL, width).sum(1, dtype=np.uint8)
    borders = (counts[:, ::2] >= STEPS).view(np.uint8).reshape(len(counts), -1, _PHASES)
    return _Steps(borders, _sums_of_eight(rows, inner=True))


def _level(half: Luma8, memory: tuple[Luma8, ...]) -> _Steps:
    """Steps from above to below."""
    change, most, steps, inner = memory
    width = half.shape[1]
    cv2.absdiff(half[1:], half[:-1], dst=change[1:])
    cv2.max(change[:-2], change[2:], dst=most[1:-1])
    cv2.subtract(change[2:-1], most[2:-1], dst=steps[2:-1])
    steps[:2] = steps[-1:] = 0
    cv2.threshold(steps, STEP_CODES - 1, 1, cv2.THRESH_BINARY, dst=steps)
    counts = _sums_of_eight(steps[::2])
    cv2.threshold(change, FLAT_CODES - 1, 1, cv2.THRESH_BINARY, dst=inner)
    cells = inner.reshape(-1, CELL, width)[:, 2:-1].sum(1, dtype=np.uint8)
    found = (counts >= STEPS).view(np.uint8).reshape(-1, _PHASES, width // CELL)
    borders = np.ascontiguousarray(found.transpose(0, 2, 1))
    return _Steps(borders, _sums_of_eight(cells))


def _sums_of_eight(rows: Luma8, *, inner: bool = False) -> Luma8:
    """Sum each eight neighbours of a row, the sum below 256; or only those inside a cell."""
    words = np.ascontiguousarray(rows).view(np.uint64)
    if inner:
        words = words & _INNER
    # The top byte of this product is the sum of the bytes.
    sums: Luma8 = (words * np.uint64(0x0101010101010101) >> np.uint64(56)).astype(np.uint8)
    return sums


def _drop_cells(upright: _Steps, level: _Steps) -> None:
    """Take out the borders between cells of one colour where there is nothing but such cells."""
    flat = (upright.inner <= FLAT_PIXELS) & (level.inner <= FLAT_PIXELS)
    steps = upright.borders[..., 0] + level.borders[..., 0]
    cells = (_mean(flat.view(np.uint8)) >= FLAT_RATIO) & (_mean(steps) >= 2 * CELLS_RATIO)
    if cells.any():
        within = cv2.dilate(cells.view(np.uint8), _REGION).view(np.bool_) & flat
        upright.borders[:, 1:, 0][within[:, 1:] & flat[:, :-1]] = 0
        level.borders[1:, :, 0][within[1:] & flat[:-1]] = 0


def _crowded(borders: Luma8, along: tuple[int, int]) -> Evidence:
    """How many more borders a neighbourhood has on the grid than at any other phase."""
    line = (REGION_BLOCKS, 1) if along[1] else (1, REGION_BLOCKS)
    lines = np.minimum(_sums(borders, line), np.uint8(LINE_BORDERS))
    crowds = _sums(lines, line[::-1]).view(np.int8)
    others = np.maximum(np.maximum(crowds[..., 1], crowds[..., 2]), crowds[..., 3])
    return np.subtract(crowds[..., 0], others, dtype=np.int16)


def _sums(blocks: Luma8, size: tuple[int, ...]) -> Luma8:
    """Sum over windows of so many columns and rows; beyond the edge there is nothing."""
    return cv2.boxFilter(blocks, -1, size, normalize=False, borderType=cv2.BORDER_CONSTANT)  # type: ignore[return-value]


def _mean(blocks: Luma8) -> npt.NDArray[np.float32]:
    """Mean over each block's neighbourhood."""
    return cv2.boxFilter(blocks, cv2.CV_32F, (REGION_BLOCKS,) * 2)  # type: ignore[return-value]


def unwritten_blocks(view: FrameView) -> npt.NDArray[np.bool_] | None:
    """Which blocks have a colour that memory has before anything is written to it: a deep green.

    Luma and chroma of 0 are far outside of what red, green and blue can mix: red and blue would be
    less than none. Two pixels of each block are looked at.

    Returns:
        Shape (height // 16, width // 16); None where there is no such block, or no chroma.
    """
    if view.chroma is None or min(view.luma.shape) < MIN_SIDE_PX:
        return None
    rows, columns = (side // BLOCK_PX for side in view.luma.shape)
    tall, wide = (
        max(1, BLOCK_PX * a // b) for a, b in zip(view.chroma.u.shape, view.luma.shape, strict=True)
    )
    limit = UNWRITTEN_CHROMA << (view.bit_depth - 8)
    found: npt.NDArray[np.bool_] | None = None
    for part in (4, 2):
        for plane, down, right in (
            (view.chroma.u, tall, wide),
            (view.chroma.v, tall, wide),
            (view.luma, BLOCK_PX, BLOCK_PX),
        ):
            sampled = plane[down // part :: down, right // part :: right][:rows, :columns]
            low = sampled < limit
            found = low if found is None else found & low
            if not found.any():
                return None
    return found
