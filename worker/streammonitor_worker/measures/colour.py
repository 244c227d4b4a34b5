"""A picture in red, green and blue, at the size at which a model wants to see it."""

import cv2
import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import FrameView, LumaArray, Matrix

Rgb = npt.NDArray[np.float32]

_WEIGHTS = {
    Matrix.BT601: (0.299, 0.114),
    Matrix.BT709: (0.2126, 0.0722),
    Matrix.BT2020: (0.2627, 0.0593),
}
"""The weights of red and blue in luma: ITU-R BT.601-7 clause 2.5.1, BT.709-6 item 3.2, BT.2020-2
table 4."""


def rgb_of(view: FrameView, width_px: int, height_px: int) -> Rgb:
    """The whole picture, stretched to a size.

    Averages over areas when it shrinks, so that no detail aliases. What the matrix gives beyond
    black and white is cut off, as a screen does. PQ and HLG stay as they are coded.

    Returns:
        Shape (height_px, width_px, 3), non-linear R'G'B', 0.0 is black and 1.0 is full.
    """
    size, codes = (width_px, height_px), 2**view.bit_depth
    # Limited: 16..235 and 16..240 of 8 bits. Full: all of 0..2^n - 1 (BT.2100-2 table 9).
    black, luma_span, chroma_span = (
        (0.0, codes - 1.0, codes - 1.0)
        if view.full_range
        else (codes / 16, codes * 219 / 256, codes * 224 / 256)
    )
    luma = _scaled(view.luma, size, black, luma_span)
    if view.chroma is None:
        return np.repeat(luma.clip(0, 1)[..., None], 3, axis=2)
    u, v = (_scaled(plane, size, codes / 2, chroma_span) for plane in view.chroma)
    red_weight, blue_weight = _WEIGHTS[view.matrix]
    out = np.empty((height_px, width_px, 3), np.float32)
    out[..., 0] = luma + 2 * (1 - red_weight) * v
    out[..., 2] = luma + 2 * (1 - blue_weight) * u
    coloured = red_weight * out[..., 0] + blue_weight * out[..., 2]
    out[..., 1] = (luma - coloured) / (1 - red_weight - blue_weight)
    return out.clip(0, 1, out=out)


def _scaled(plane: LumaArray, size: tuple[int, int], zero: float, span: float) -> Rgb:
    """A plane at another size, as a share of its span from its zero."""
    shrinks = plane.shape[1] >= size[0] and plane.shape[0] >= size[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    # A decoder's plane may be upside down or interleaved: OpenCV takes neither.
    resized = cv2.resize(np.ascontiguousarray(plane), size, interpolation=how)
    return (resized.astype(np.float32) - np.float32(zero)) / np.float32(span)
