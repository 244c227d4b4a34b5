"""Planes and colour facts of decoded frames, format by format."""

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace, ColorTrc

from streammonitor_worker.frames import Matrix, Transfer
from streammonitor_worker.ingest.pictures import picture_of

LUMA, U, V = 100, 160, 112
RGB = ("rgb24", "gbrp", "gbrp10le", "bgra", "rgb48be")
FORMATS = {
    "yuv420p": (32, 24),
    "yuv422p": (32, 48),
    "yuv444p": (64, 48),
    "yuv411p": (16, 48),
    "yuva420p": (32, 24),
    "nv12": (32, 24),
    "nv21": (32, 24),
    "nv16": (32, 48),
    "yuv420p10le": (32, 24),
    "yuv422p12le": (32, 48),
    "p010le": (32, 24),
    "p210le": (32, 48),
    "yuv420p10be": (64, 48),
    "yuyv422": (64, 48),
    **dict.fromkeys(RGB, (64, 48)),
}
"""Pixel formats, and width and height of the chroma planes of a picture of 64x48."""


def _frame(pixels: str, full_range: bool = False) -> av.VideoFrame:
    """One colour in a pixel format; the upper half is 20 codes brighter."""
    planes = [np.full((48, 64), code, np.uint8) for code in (LUMA, U, V)]
    planes[0][:24] += 20
    frame = av.VideoFrame.from_ndarray(np.stack(planes), format="yuv444p")
    frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
    wanted = ColorRange.JPEG if full_range else ColorRange.MPEG
    return frame.reformat(format=pixels, src_colorspace=Colorspace.ITU709, dst_color_range=wanted)


@pytest.mark.parametrize("pixels", FORMATS)
def test_every_format_shows_the_same_picture(pixels: str) -> None:
    picture = picture_of(_frame(pixels, full_range=pixels in RGB))

    assert picture.chroma is not None
    assert picture.luma.shape == (48, 64)
    assert picture.chroma.u.shape == picture.chroma.v.shape == FORMATS[pixels][::-1]
    unit = 2 ** (picture.bit_depth - 8)
    luma_span, chroma_span = (255, 255) if picture.full_range else (219, 224)
    black = 0 if picture.full_range else 16
    for rows, code in ((slice(2, 22), LUMA + 20), (slice(26, 46), LUMA)):
        ratio = (picture.luma[rows] / unit - black) / luma_span
        assert ratio == pytest.approx((code - 16) / 219, abs=0.006)
    for plane, code in zip(picture.chroma, (U, V), strict=True):
        assert (plane / unit - 128) / chroma_span == pytest.approx((code - 128) / 224, abs=0.01)


@pytest.mark.parametrize(
    ("pixels", "bits"),
    [("yuv422p", 8), ("nv12", 8), ("yuv420p10le", 10), ("p010le", 16), ("gray", 8)],
)
def test_planes_are_read_only_views_of_the_decoders_memory(pixels: str, bits: int) -> None:
    picture = picture_of(_frame(pixels))

    assert picture.bit_depth == bits
    for plane in (picture.luma, *(picture.chroma or ())):
        assert plane.dtype == (np.uint8 if bits == 8 else np.uint16)
        assert not plane.flags.writeable
        assert not plane.flags.owndata


def test_grey_has_no_chroma() -> None:
    assert picture_of(_frame("gray")).chroma is None


@pytest.mark.parametrize(("pixels", "full"), [("yuvj422p", True), ("yuv420p", False)])
def test_range_is_known(pixels: str, full: bool) -> None:
    assert picture_of(_frame(pixels, full_range=full)).full_range is full
    assert picture_of(_frame("yuv420p", full_range=True)).full_range


@pytest.mark.parametrize(
    ("coded", "transfer"),
    [
        (ColorTrc.SMPTE2084, Transfer.PQ),
        (ColorTrc.ARIB_STD_B67, Transfer.HLG),
        (ColorTrc.BT709, Transfer.SDR),
        (ColorTrc.UNSPECIFIED, Transfer.SDR),
    ],
)
def test_transfer_is_known(coded: ColorTrc, transfer: Transfer) -> None:
    frame = _frame("yuv420p10le")
    frame.color_trc = coded
    assert picture_of(frame).transfer is transfer


@pytest.mark.parametrize(
    ("coded", "matrix"),
    [
        (Colorspace.ITU709, Matrix.BT709),
        (Colorspace.SMPTE170M, Matrix.BT601),
        (9, Matrix.BT2020),
        (2, Matrix.BT601),
    ],
    ids=["BT.709", "BT.601", "BT.2020", "unsaid and small"],
)
def test_matrix_is_known(coded: int, matrix: Matrix) -> None:
    frame = _frame("yuv420p")
    frame.colorspace = coded
    assert picture_of(frame).matrix is matrix


def test_rgb_is_converted_with_the_matrix_that_is_told() -> None:
    assert picture_of(_frame("rgb24", full_range=True)).matrix is Matrix.BT709
