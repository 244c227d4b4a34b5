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
STEPS_RATIO = 0.75
"""Share of the pixels along a border that must have such a step."""
ROW_STEP = 2
"""Steps from left to right are looked for in every second row."""
REGION_BLOCKS = 5
"""Side of the neighbourhood that is judged, in blocks: single borders fall in line by chance."""
LINE_BORDERS = 2
"""Borders of one line that count in a neighbourhood."""
MOST = 2 * LINE_BORDERS * REGION_BLOCKS
"""Evidence where every line of a neighbourhood has its borders in both directions."""
FEWER_FACTOR = 3
"""Evidence is at most so many times that of the rarer direction: one straight edge has only one."""
FLAT_CODES, FLAT_PIXELS = 5, 12
"""A cell has one colour if no more of its inner pixels differ from the next by so many codes."""
FLAT_RATIO, CELLS_RATIO = 0.85, 0.6
"""From which share of flat cells, and of borders that are steps, a neighbourhood is a mosaic."""
PLAIN_RATIO = 0.5
"""In a picture with fewer flat cells than that, they are a mosaic wherever they are many."""
UNWRITTEN_CHROMA = 48
"""Luma and chroma below this, of 8 bits, are no colour: red and blue would be less than -80."""
MIN_SIDE_PX = 96
CELLS_EVIDENCE = 4
"""Less than that is not worth looking for cells."""
_PHASES = 4
REGION = np.ones((REGION_BLOCKS, REGION_BLOCKS), np.uint8)
_INNER = np.frombuffer(bytes([0, 0, 1, 1, 1, 1, 1, 0]), np.uint64)[0] * np.uint64(255)
"""The differences of a row of eight that lie well inside a cell."""

Evidence = npt.NDArray[np.int16]


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
        upright, level = _upright(half, *self._memory), _level(half, *self._memory)
        evidence = _evidence(upright, level)
        if evidence.max() >= CELLS_EVIDENCE and _drop_cells(half, upright, level):
            evidence = _evidence(upright, level)
        return evidence

    def _halved(self, luma: LumaArray, bit_depth: int) -> Luma8:
        """Average 2x2 pixels of the whole blocks, in 8-bit codes."""
        height, width = (side // BLOCK_PX * CELL for side in luma.shape)
        if (height, width) != self._shape:
            self._shape = height, width
            self._memory = tuple(np.zeros((height, width), np.uint8) for _ in range(3))
        whole = luma[: 2 * height, : 2 * width]
        half = cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA)
        if half.dtype != np.uint8:
            # Halves are rounded up, as they are with 8 bits.
            half = cv2.convertScaleAbs(half, alpha=2.0 ** (8 - bit_depth), beta=0.001)
        return half  # type: ignore[return-value]


def _evidence(upright: Luma8, level: Luma8) -> Evidence:
    found = [_crowded(upright, (1, 0)), _crowded(level, (0, 1))]
    fewer, more = np.minimum(*found), np.maximum(*found)
    evidence: Evidence = np.minimum(FEWER_FACTOR * fewer, fewer + more)
    return evidence


def _upright(half: Luma8, *memory: Luma8) -> Luma8:
    """Which borders are steps from left to right, at four phases; shape (rows, columns, 4)."""
    rows = half[::ROW_STEP]
    change, most, steps = (each[: len(rows)] for each in memory)
    # change[:, x] is the difference of pixels x - 1 and x.
    cv2.absdiff(rows[:, 1:], rows[:, :-1], dst=change[:, 1:])
    cv2.max(change[:, :-2], change[:, 2:], dst=most[:, 1:-1])
    cv2.subtract(change[:, 2:-1], most[:, 2:-1], dst=steps[:, 2:-1])
    steps[:, :2] = steps[:, -1:] = 0
    cv2.threshold(steps, STEP_CODES - 1, 1, cv2.THRESH_BINARY, dst=steps)
    count = CELL // ROW_STEP
    counts = steps.reshape(-1, count, steps.shape[1]).sum(1, dtype=np.uint8)
    found = (counts[:, ::2] >= STEPS_RATIO * count).view(np.uint8)
    borders: Luma8 = found.reshape(len(found), -1, _PHASES)
    return borders


def _level(half: Luma8, *memory: Luma8) -> Luma8:
    """The same from above to below."""
    change, most, steps = memory
    cv2.absdiff(half[1:], half[:-1], dst=change[1:])
    cv2.max(change[:-2], change[2:], dst=most[1:-1])
    cv2.subtract(change[2:-1], most[2:-1], dst=steps[2:-1])
    steps[:2] = steps[-1:] = 0
    even = np.ascontiguousarray(steps[::2])
    cv2.threshold(even, STEP_CODES - 1, 1, cv2.THRESH_BINARY, dst=even)
    found = (_sums_of_eight(even) >= STEPS_RATIO * CELL).view(np.uint8)
    return np.ascontiguousarray(found.reshape(-1, _PHASES, found.shape[1]).transpose(0, 2, 1))


def _flat(half: Luma8) -> npt.NDArray[np.bool_]:
    """Which blocks have one colour inside."""
    width = half.shape[1]
    beside, below = np.zeros_like(half), np.zeros_like(half)
    cv2.absdiff(half[:, 1:], half[:, :-1], dst=beside[:, 1:])
    cv2.absdiff(half[1:], half[:-1], dst=below[1:])
    for change in (beside, below):
        cv2.threshold(change, FLAT_CODES - 1, 1, cv2.THRESH_BINARY, dst=change)
    rows = beside.reshape(-1, CELL, width).sum(1, dtype=np.uint8)
    columns = below.reshape(-1, CELL, width)[:, 2:-1].sum(1, dtype=np.uint8)
    flat = _sums_of_eight(rows, inner=True) <= FLAT_PIXELS
    both: npt.NDArray[np.bool_] = flat & (_sums_of_eight(columns) <= FLAT_PIXELS)
    return both


def _sums_of_eight(rows: Luma8, *, inner: bool = False) -> Luma8:
    """Sum each eight neighbours of a row, the sum below 256; or only those inside a cell."""
    words = np.ascontiguousarray(rows).view(np.uint64)
    if inner:
        words = words & _INNER
    # The top byte of this product is the sum of the bytes.
    sums: Luma8 = (words * np.uint64(0x0101010101010101) >> np.uint64(56)).astype(np.uint8)
    return sums


def _drop_cells(half: Luma8, upright: Luma8, level: Luma8) -> bool:
    """Take out the borders between cells of one colour where there is nothing but such cells."""
    flat = _flat(half)
    cells = _mean(flat.view(np.uint8)) >= FLAT_RATIO
    if np.count_nonzero(flat) >= PLAIN_RATIO * flat.size:
        cells &= _mean(upright[..., 0] + level[..., 0]) >= 2 * CELLS_RATIO
    if not cells.any():
        return False
    within = cv2.dilate(cells.view(np.uint8), REGION).view(np.bool_) & flat
    upright[:, 1:, 0][within[:, 1:] & flat[:, :-1]] = 0
    level[1:, :, 0][within[1:] & flat[:-1]] = 0
    return True


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
