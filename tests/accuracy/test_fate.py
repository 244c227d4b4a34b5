"""FFmpeg's own references that need no sample, through PyAV, and our measures on the same pictures.

What is asserted of ffmpeg's filters are the texts under `tests/ref/fate/` of FFmpeg: it makes sure
that the figures beside ours in docs/accuracy.md are those of the filters as FFmpeg means them.
`cmp_metadata` of FATE allows 1.5 % for blockdetect, blurdetect and siti; so do we.
"""

import av
import numpy as np
import pytest

from streammonitor_worker.frames import FrameView
from streammonitor_worker.ingest.pictures import picture_of
from streammonitor_worker.measures.picture import PictureMeasures, PictureMeter
from tests.accuracy.filters import frames_of_source

FATE_TOLERANCE = 0.015
TESTSRC2 = "size=300x200:rate=1:duration=5"
"""The source of FATE's cmp_metadata."""
STATS = "lavfi.signalstats."


def drawn(name: str, pixels: str = "yuv420p") -> list[av.VideoFrame]:
    return frames_of_source("testsrc2", TESTSRC2, ("format", pixels), (name, ""))


def measured(frames: list[av.VideoFrame]) -> list[PictureMeasures]:
    """Ours of every picture."""
    meter, found = PictureMeter(), []
    for number, frame in enumerate(frames):
        picture = picture_of(frame)
        view = FrameView(
            time_s=float(number),
            duration_s=1.0,
            arrived_at=0.0,
            luma=picture.luma,
            bit_depth=picture.bit_depth,
            full_range=picture.full_range,
        )
        found.append(meter.measure(view))
    return found


@pytest.mark.parametrize(
    ("name", "key", "expected"),
    [
        # filter-refcmp-blockdetect-yuv, filter-refcmp-blurdetect-yuv, filter-refcmp-siti-yuv
        ("blockdetect", "block", [46.592525, 40.478703, 40.858681, 39.519077, 38.713215]),
        ("blurdetect", "blur", [4.499666, 4.677492, 4.735711, 4.532343, 4.532660]),
        ("siti", "siti.si", [106.72, 109.40, 109.29, 113.27, 110.87]),
        ("siti", "siti.ti", [0.00, 28.00, 28.38, 33.42, 30.53]),
    ],
)
def test_the_filters_say_what_fate_says(name: str, key: str, expected: list[float]) -> None:
    found = [float(frame.metadata[f"lavfi.{key}"]) for frame in drawn(name)]
    assert found == pytest.approx(expected, rel=FATE_TOLERANCE)


# filter-metadata-signalstats-yuv420p and -yuv420p10: color=white
@pytest.mark.parametrize(("pixels", "white", "bits"), [("yuv420p", 235, 6), ("yuv420p10", 943, 8)])
def test_signalstats_of_white_is_fates_and_ours_is_one(pixels: str, white: int, bits: int) -> None:
    white_s = "color=white:duration=1:rate=1"
    (frame,) = frames_of_source("color", white_s, ("format", pixels), ("signalstats", ""))
    for name in ("YMIN", "YLOW", "YAVG", "YHIGH", "YMAX"):
        assert frame.metadata[STATS + name] == str(white)
    assert frame.metadata[STATS + "YBITDEPTH"] == str(bits)
    (ours,) = measured([frame])
    # FATE's 10-bit white is 943, not 940: swscale rounds so.
    assert ours.mean == pytest.approx(1.0, abs=0.005)
    assert ours.percentile(0.001) == ours.percentile(100) == pytest.approx(1.0, abs=0.005)


@pytest.mark.parametrize("pixels", ["yuv420p", "yuv420p10"])
def test_our_luma_is_that_of_signalstats(pixels: str) -> None:
    frames = drawn("signalstats", pixels)
    scale = 4 if pixels == "yuv420p10" else 1
    for frame, ours in zip(frames, measured(frames), strict=True):
        stats = {
            name: (float(frame.metadata[STATS + name]) / scale - 16) / 219
            for name in ("YMIN", "YLOW", "YAVG", "YHIGH", "YMAX")
        }
        # Ours are of 8-bit codes: within half a code.
        code = 0.51 / 219
        assert ours.mean == pytest.approx(stats["YAVG"], abs=code)
        for percent, name in ((1e-6, "YMIN"), (10, "YLOW"), (90, "YHIGH"), (100, "YMAX")):
            assert ours.percentile(percent) == pytest.approx(stats[name], abs=code), name


def test_our_change_is_that_of_signalstats() -> None:
    frames = drawn("signalstats")
    ours = [one.mean_step for one in measured(frames)]
    theirs = [float(frame.metadata[STATS + "YDIF"]) / 219 for frame in frames]
    assert ours[0] is None
    # A code in 219: that filter adds up lines in integers.
    assert ours[1:] == pytest.approx(theirs[1:], abs=1 / 219)
    assert np.min(theirs[1:]) > 0.01
