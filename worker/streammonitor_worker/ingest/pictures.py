"""Decoded video frames → luma views, without a copy wherever the decoder has a luma plane."""

from functools import lru_cache

import av
import numpy as np
from av.video.format import VideoFormat

from streammonitor_worker.frames import LumaArray

_FULL_RANGE = 2
"""AVCOL_RANGE_JPEG."""


def luma_of(frame: av.VideoFrame) -> tuple[LumaArray, int, bool]:
    """Return the luma plane (read-only), its bit depth, and whether it is full range.

    The view is valid as long as it is referenced: it keeps the decoder's buffer alive.
    """
    bits = _luma_bits(frame.format.name)
    if not bits:
        # RGB, packed or big-endian: rare.
        frame, bits = frame.reformat(format="yuv420p"), 8
    full_range = frame.color_range == _FULL_RANGE or frame.format.name.startswith("yuvj")
    return _plane(frame, bits), bits, full_range


def _plane(frame: av.VideoFrame, bits: int) -> LumaArray:
    plane = frame.planes[0]
    memory = memoryview(plane).toreadonly()
    samples: LumaArray = (
        np.frombuffer(memory, np.uint8) if bits == 8 else np.frombuffer(memory, np.uint16)
    )
    lines = samples.reshape(plane.height, -1)[:, : frame.width]
    return lines[::-1] if plane.line_size < 0 else lines


@lru_cache(maxsize=64)
def _luma_bits(pixel_format: str) -> int:
    """Bits of a luma sample if plane 0 holds nothing else, low-aligned in native order; else 0."""
    described = VideoFormat(pixel_format)
    if not described.components or described.has_palette or described.is_bit_stream:
        return 0
    luma, *others = described.components
    shared = any(other.plane == luma.plane for other in others)
    if not luma.is_luma or luma.plane != 0 or shared or described.is_big_endian:
        return 0
    # p010 and its kin keep the significant bits on top.
    high_aligned = pixel_format.startswith("p") and luma.bits > 8
    return 0 if high_aligned or not 8 <= luma.bits <= 16 else luma.bits
