"""Decoded frames on media time."""

from fractions import Fraction

import av
import pytest

from streammonitor_api.worker_status import VideoFormat
from streammonitor_worker.frames import FrameView
from streammonitor_worker.ingest.decoding import Decoded
from streammonitor_worker.ingest.placing import Placing

VIDEO = VideoFormat(codec="h264", width=64, height=36, frame_rate=25.0)
TICKS = 90_000


def picture(pts: int | None) -> Decoded:
    frame = av.VideoFrame(VIDEO.width, VIDEO.height, "yuv420p")
    frame.pts, frame.time_base = pts, Fraction(1, TICKS)
    return Decoded(frame)


@pytest.mark.parametrize("shared", [True, False])
def test_a_picture_that_lost_its_timestamp_has_the_one_that_is_due(shared: bool) -> None:
    placing = Placing(VIDEO, None, "url", shared_time=shared, watch=False)
    placing.begin(10.0)
    placed = [
        item
        for pts in (10 * TICKS, None, None, 10 * TICKS + 3 * TICKS // 25)
        for item in placing.place((picture(pts), 0.0))
        if isinstance(item, FrameView)
    ]
    assert [one.time_s for one in placed] == pytest.approx([0.0, 0.04, 0.08, 0.12])
    stamps = [one.source_s for one in placed]
    assert stamps == (pytest.approx([10.0, 10.04, 10.08, 10.12]) if shared else [None] * 4)
