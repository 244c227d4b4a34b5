"""Interlaced pictures: two fields of different times in each are one picture, and no stutter."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest
from av.codec.context import Flags

from streammonitor_worker.analysis import StreamAnalysis
from streammonitor_worker.frames import FrameView
from streammonitor_worker.ingest import open_source

FEW, MANY = 30, 125
RATE = 25
SIZE = 96
DETECTORS: dict[str, dict[str, str]] = {"freeze": {"minDuration": "1s"}, "stutter": {}}
HELD = range(40, 90)
"""Pictures that are all the first one of them."""


def field(number: int) -> npt.NDArray[np.uint8]:
    """Half a picture: a bright bar that moves by 1.5 px from one field to the next."""
    lines = np.full((SIZE // 2, SIZE), 60, np.uint8)
    at = round(number * 1.5) % (SIZE - 16)
    lines[:, at : at + 16] = 180
    return lines


def woven(number: int, *, top_first: bool) -> npt.NDArray[np.uint8]:
    """A picture of two fields, one 20 ms after the other."""
    first, second = field(2 * number), field(2 * number + 1)
    picture = np.empty((SIZE, SIZE), np.uint8)
    picture[0::2], picture[1::2] = (first, second) if top_first else (second, first)
    return picture


def encode(
    path: Path, codec: str, pictures: int, *, top_first: bool, held: range = range(0)
) -> None:
    options = {
        "libx264": {"x264-params": "tff=1" if top_first else "bff=1", "preset": "ultrafast"},
        "mpeg2video": {"field_order": "tt" if top_first else "bb", "qmin": "2", "qmax": "4"},
    }[codec]
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE)
        assert isinstance(stream, av.VideoStream)
        context = stream.codec_context
        context.width = context.height = SIZE
        context.pix_fmt, context.gop_size, context.thread_count = "yuv420p", RATE, 1
        context.max_b_frames = 0
        context.flags |= Flags.interlaced_dct | Flags.interlaced_me
        context.options = options
        for number in range(pictures):
            shown = held.start if number in held else number
            planes = np.full((SIZE * 3 // 2, SIZE), 128, np.uint8)
            planes[:SIZE] = woven(shown, top_first=top_first)
            frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
@pytest.mark.parametrize("top_first", [True, False])
def test_both_fields_are_one_picture_at_its_time(
    codec: str, top_first: bool, tmp_path: Path
) -> None:
    path = tmp_path / "a.ts"
    encode(path, codec, FEW, top_first=top_first)
    with open_source(str(path), live=False) as source:
        pictures = [one for one in source if isinstance(one, FrameView)]

    assert source.video is not None
    assert source.video.frame_rate == RATE
    assert [one.time_s for one in pictures] == pytest.approx(np.arange(FEW) / RATE, abs=1e-4)
    assert {round(one.duration_s, 6) for one in pictures} == {1 / RATE}
    for number in (0, 20, FEW - 1):
        truth = woven(number, top_first=top_first).astype(int)
        assert np.abs(pictures[number].luma.astype(int) - truth).mean() < 6


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
@pytest.mark.parametrize("held", [range(0), HELD], ids=["moving", "held"])
def test_what_moves_by_fields_neither_freezes_nor_stutters_unless_it_is_held(
    codec: str, held: range, tmp_path: Path
) -> None:
    encode(tmp_path / "a.ts", codec, MANY, top_first=True, held=held)
    analysis = StreamAnalysis(monitor_uid="", stream="a", worker="", detectors=DETECTORS)
    told = []
    with open_source(str(tmp_path / "a.ts"), live=False) as source:
        for item in source:
            told += analysis.feed(item)

    ended = [one.incident for one in told if one.kind == "ended"]
    assert {one.incident.defect for one in told} == ({"freeze"} if held else set())
    assert [(one.start_s, one.end_s) for one in ended] == (
        [pytest.approx((held.start / RATE, held.stop / RATE), abs=1 / RATE)] if held else []
    )
