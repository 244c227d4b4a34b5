"""Decoded video frames → planes and colour facts, without a copy wherever the planes allow it.

Zero-copy: planar YUV (4:2:0, 4:2:2, 4:4:4 and their kin, also yuvj), semi-planar YUV (nv12, p010)
and grey, little-endian, of 8 to 16 bits. P010 and its kin keep their bits on top, which makes them
pictures of 16 bits. Everything else (RGB, palettes, packed and big-endian YUV) is converted to
4:4:4: of 8 bits if it has no more, else of 16; RGB to the full range with BT.709's matrix.
"""

from functools import lru_cache
from typing import NamedTuple

import av
import numpy as np
from av.video.format import VideoFormat
from av.video.reformatter import ColorRange, Colorspace

from streammonitor_worker.frames import Chroma, LumaArray, Matrix, Transfer

_TRANSFERS = {16: Transfer.PQ, 18: Transfer.HLG}
"""AVCOL_TRC_SMPTE2084 and AVCOL_TRC_ARIB_STD_B67; every other one is SDR."""
_MATRICES = {1: Matrix.BT709, 5: Matrix.BT601, 6: Matrix.BT601, 7: Matrix.BT709, 9: Matrix.BT2020,
             10: Matrix.BT2020}  # fmt: skip
"""AVCOL_SPC_BT709, BT470BG, SMPTE170M, SMPTE240M (all but BT.709), BT2020_NCL and BT2020_CL."""
_SD_LINES = 576
"""Up to this height, what does not say its matrix has BT.601's, as players assume."""
_ON_TOP = ("p0", "p2", "p4")
"""How the names of semi-planar formats that keep their bits on top begin."""
_V_FIRST = ("nv21", "nv42")
_CONTAINER_BITS = 16


class Picture(NamedTuple):
    """What a frame shows; see FrameView for shapes and units."""

    luma: LumaArray
    chroma: Chroma | None
    bit_depth: int
    full_range: bool
    transfer: Transfer
    matrix: Matrix


class _Layout(NamedTuple):
    """How the samples of a pixel format lie in memory."""

    bits: int
    chroma_planes: int
    """2: U and V apart; 1: interleaved; 0: none."""
    v_first: bool


def picture_of(frame: av.VideoFrame) -> Picture:
    """Return read-only planes and what their codes mean.

    The views are valid as long as they are referenced: they keep the decoder's buffer alive.
    """
    layout = _layout(frame.format.name)
    transfer = _TRANSFERS.get(frame.color_trc, Transfer.SDR)
    if layout is None:
        # RGB, packed or big-endian: rare.
        frame = _converted(frame)
        layout = _layout(frame.format.name) or _Layout(8, 0, v_first=False)
    full_range = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    luma = _plane(frame, 0, layout.bits)[:, : frame.width]
    chroma = _chroma(frame, layout)
    return Picture(luma, chroma, layout.bits, full_range, transfer, _matrix(frame))


def _matrix(frame: av.VideoFrame) -> Matrix:
    unsaid = Matrix.BT709 if frame.height > _SD_LINES else Matrix.BT601
    return _MATRICES.get(int(frame.colorspace), unsaid)


def _converted(frame: av.VideoFrame) -> av.VideoFrame:
    deep = max((part.bits for part in frame.format.components), default=8) > 8
    target = "yuv444p16le" if deep else "yuv444p"
    if not (frame.format.is_rgb or frame.format.has_palette):
        return frame.reformat(format=target)
    return frame.reformat(
        format=target, dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.JPEG
    )


def _chroma(frame: av.VideoFrame, layout: _Layout) -> Chroma | None:
    if not layout.chroma_planes:
        return None
    width = frame.format.chroma_width(frame.width)
    if layout.chroma_planes == 1:
        pairs = _plane(frame, 1, layout.bits)
        first, second = pairs[:, 0 : 2 * width : 2], pairs[:, 1 : 2 * width : 2]
        return Chroma(second, first) if layout.v_first else Chroma(first, second)
    u, v = (_plane(frame, number, layout.bits)[:, :width] for number in (1, 2))
    return Chroma(u, v)


def _plane(frame: av.VideoFrame, number: int, bits: int) -> LumaArray:
    """All samples of a plane, the padding at the right included."""
    plane = frame.planes[number]
    memory = memoryview(plane).toreadonly()
    samples: LumaArray = (
        np.frombuffer(memory, np.uint8) if bits == 8 else np.frombuffer(memory, np.uint16)
    )
    lines = samples.reshape(plane.height, -1)
    return lines[::-1] if plane.line_size < 0 else lines


@lru_cache(maxsize=64)
def _layout(pixel_format: str) -> _Layout | None:
    """How to view a pixel format as it is; None if it must be converted."""
    described = VideoFormat(pixel_format)
    parts = [part for part in described.components if not part.is_alpha]
    odd = described.has_palette or described.is_bit_stream or described.is_big_endian
    if not parts or odd or described.is_rgb or described.is_bayer:
        return None
    luma, *others = parts
    planes = sorted(part.plane for part in described.components)
    apart = planes.count(luma.plane) == 1 and luma.plane == 0
    if not apart or not 8 <= luma.bits <= _CONTAINER_BITS or described.name.startswith("xyz"):
        return None
    on_top = luma.bits > 8 and (pixel_format.startswith(_ON_TOP) or "msb" in pixel_format)
    return _Layout(
        _CONTAINER_BITS if on_top else luma.bits,
        len({part.plane for part in others}),
        v_first=pixel_format.startswith(_V_FIRST),
    )
