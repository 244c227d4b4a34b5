"""Luma reduced to a size and a scale at which detectors can afford to look at every frame."""

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import FrameView, LumaArray, Transfer
from streammonitor_worker.measures.transfer import hdr_signal, sdr_signal

Luma8 = npt.NDArray[np.uint8]

REDUCED_WIDTH_PX = 640
"""A reduced picture is at most this wide, and wider than half of it unless the source is not."""


class LumaScale(NamedTuple):
    """Where black and white lie in 8-bit codes (BT.709 clause 3, BT.2100 table 9 for full range).

    Luma as a ratio is the share of the way from black to white at which SDR video shows the same
    light: of HDR, white is diffuse white, and highlights are above 1.

    >>> LumaScale(16.0, 235.0).code(0.1)
    37.9
    >>> round(LumaScale(16.0, 235.0, Transfer.PQ).code(0.1), 1)
    46.3
    """

    black: float
    white: float
    transfer: Transfer = Transfer.SDR

    @property
    def span(self) -> float:
        """Codes from black to white."""
        return self.white - self.black

    def code(self, ratio: float) -> float:
        """The code of a luma of 0..1."""
        return self.black + hdr_signal(ratio, self.transfer) * self.span

    def ratio(self, code: float) -> float:
        """The luma of a code; below 0 for what is blacker than black."""
        return sdr_signal((code - self.black) / self.span, self.transfer)


LIMITED = LumaScale(16.0, 235.0)
FULL = LumaScale(0.0, 255.0)


def scale_of(view: FrameView) -> LumaScale:
    """Where black and white lie in a view's reduced luma."""
    return (FULL if view.full_range else LIMITED)._replace(transfer=view.transfer)


def halved(picture: LumaArray, width_px: int) -> LumaArray:
    """Halve a picture until it is at most so wide; what is not wider is returned as it is.

    Halving averages 2x2 pixels, for which OpenCV has a vectorised path: two halvings cost a sixth
    of one reduction by four.
    """
    while picture.shape[1] > width_px and picture.shape[0] > 1:
        height, width = (size - size % 2 for size in picture.shape)
        picture = cv2.resize(  # type: ignore[assignment]  # OpenCV keeps the dtype
            picture[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_AREA
        )
    return picture


def reduce_luma(luma: LumaArray, bit_depth: int) -> Luma8:
    """Halve a picture until it is at most 640 pixels wide, and bring it to 8 bits.

    Averaging before the bits are dropped keeps what noise dithered.

    Args:
        luma: Shape (height, width), uint8, or uint16 with `bit_depth` significant low bits.
        bit_depth: Significant bits, 8..16.

    Returns:
        A copy of its own, shape (height / n, width / n), 8-bit codes in the range of the source.
    """
    reduced = halved(luma, REDUCED_WIDTH_PX)
    if reduced.dtype != np.uint8:
        reduced = cv2.convertScaleAbs(reduced, alpha=2.0 ** (8 - bit_depth))  # type: ignore[assignment]
    elif reduced is luma:
        reduced = luma.copy()
    return reduced  # type: ignore[return-value]
