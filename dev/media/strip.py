"""Read the frame counter that `dev.origin.origin.draw_strip` burns into the bottom rows."""

import av
import numpy as np
from numpy.typing import NDArray

from dev.origin.origin import COUNTER_BITS, STRIP_CELLS, strip_height_px, strip_word

_THRESHOLD = 128  # luma code between the two levels


def read_strip(luma: NDArray[np.uint8]) -> int | None:
    """Return the counter in a luma plane (height, width), or None where none can be read.

    A black picture has no strip; a frozen one repeats the held frame's. Only the inner half of each
    cell counts, so blurred and re-coded pictures read well.
    """
    height_px, width_px = luma.shape
    rows = strip_height_px(height_px)
    band = luma[height_px - rows * 3 // 4 : height_px - rows // 4].mean(axis=0)
    cell_px = width_px / STRIP_CELLS
    word = 0
    for cell in range(STRIP_CELLS):
        inner = band[int((cell + 0.25) * cell_px) : max(int((cell + 0.75) * cell_px), 1)]
        word = word << 1 | int(inner.mean() > _THRESHOLD)
    value = word >> (STRIP_CELLS - COUNTER_BITS)
    return value if strip_word(value) == word else None


def luma(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """Return the luma plane (height, width) of an 8-bit 4:2:0 frame, as a copy."""
    planes = frame.to_ndarray(format="yuv420p")
    return planes[: frame.height].astype(np.uint8, copy=False)
