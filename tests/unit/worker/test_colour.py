"""Red, green and blue against FFmpeg's own conversion."""

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from streammonitor_worker.frames import FrameView
from streammonitor_worker.ingest.pictures import picture_of
from streammonitor_worker.measures.colour import rgb_of

COLOURS = [(255, 255, 255), (0, 0, 0), (200, 40, 40), (30, 180, 60), (20, 60, 220), (90, 90, 90)]
"""R, G and B of 8 bits, one a column of the picture."""


def _view(pixels: str, space: Colorspace, *, full_range: bool) -> FrameView:
    columns = np.repeat(np.array(COLOURS, np.uint8), 16, axis=0)
    frame = av.VideoFrame.from_ndarray(np.repeat(columns[None], 32, axis=0), format="rgb24")
    target = ColorRange.JPEG if full_range else ColorRange.MPEG
    coded = frame.reformat(format=pixels, dst_colorspace=space, dst_color_range=target)
    coded.colorspace, coded.color_range = space, target
    picture = picture_of(coded)
    return FrameView(
        0.0, 0.04, 0.0, picture.luma, picture.bit_depth, picture.full_range, picture.transfer,
        picture.matrix, picture.chroma,
    )  # fmt: skip


@pytest.mark.parametrize("space", [Colorspace.ITU709, Colorspace.SMPTE170M], ids=["709", "601"])
@pytest.mark.parametrize(
    ("pixels", "full_range"),
    [("yuv444p", False), ("yuv420p", True), ("nv12", False), ("yuv422p10le", False)],
)
def test_colours_survive_the_way_through_yuv(
    pixels: str, full_range: bool, space: Colorspace
) -> None:
    rgb = rgb_of(_view(pixels, space, full_range=full_range), len(COLOURS), 2)
    np.testing.assert_allclose(rgb[0] * 255, COLOURS, atol=4)


def test_the_wrong_matrix_would_be_seen() -> None:
    view = _view("yuv444p", Colorspace.SMPTE170M, full_range=False)
    wrong = FrameView(0.0, 0.04, 0.0, view.luma, chroma=view.chroma)
    assert np.abs(rgb_of(wrong, len(COLOURS), 2)[0] * 255 - COLOURS).max() > 8


def test_grey_is_grey_and_a_pixel_becomes_a_picture() -> None:
    luma = np.full((1, 1), 126, np.uint8)
    rgb = rgb_of(FrameView(0.0, 0.04, 0.0, luma), 4, 3)
    assert rgb.shape == (3, 4, 3)
    np.testing.assert_allclose(rgb, (126 - 16) / 219, atol=1e-6)
