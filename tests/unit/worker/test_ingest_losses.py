"""Which macroblocks never came is told by the slices that did."""

import io
from pathlib import Path

import av
import numpy as np
import pytest

from dev.media.damage import Coding, Damage, damage, encode, generated, slices_of
from streammonitor_worker.frames import FrameView
from streammonitor_worker.ingest import open_source
from streammonitor_worker.ingest.losses import ALIKE, FEWER, Coverage, losses_of

SIZE = COLUMNS, ROWS = 6, 8


def usual(coverage: Coverage) -> None:
    for _ in range(ALIKE):
        assert coverage.lost([0, 12, 24, 36]) is None


def test_what_lies_between_a_missing_slice_and_the_next_never_came() -> None:
    coverage = Coverage(*SIZE)
    usual(coverage)
    lost = coverage.lost([0, 12, 36])
    assert lost is not None
    assert lost.shape == (ROWS, COLUMNS)
    assert np.nonzero(lost.any(1))[0].tolist() == [4, 5]
    assert lost[4:6].all()


def test_the_last_slice_reaches_to_the_end_and_the_first_begins_at_the_start() -> None:
    coverage = Coverage(*SIZE)
    usual(coverage)
    lost = coverage.lost([12, 24])
    assert lost is not None
    assert np.nonzero(lost.any(1))[0].tolist() == [0, 1, 6, 7]


def test_pictures_that_are_divided_otherwise_lack_nothing() -> None:
    coverage = Coverage(*SIZE)
    usual(coverage)
    assert coverage.lost([0, 18]) is None
    assert coverage.lost([0]) is None


def test_fewer_slices_for_long_are_another_way_to_divide() -> None:
    coverage = Coverage(*SIZE)
    usual(coverage)
    found = [coverage.lost([0, 24]) is None for _ in range(FEWER + ALIKE)]
    assert not any(found[:FEWER])
    assert all(found[FEWER:])


@pytest.mark.parametrize("codec", ["h264", "mpeg2"])
def test_slices_that_were_dropped_are_lost_of_the_picture_they_belong_to(codec: str) -> None:
    clip = encode(
        generated("texture", (96, 128), 16), Coding(codec=codec, gop=8, slices=4, b_frames=2)
    )
    hurt = damage(clip, [Damage("slice", first=10, count=1, share=0.5)])
    with av.open(io.BytesIO(hurt), "r") as container:
        video = container.streams.video[0]
        context = video.codec_context
        losses = losses_of(context.name, context.extradata, (context.width, context.height))
        assert losses is not None
        packets = [packet for packet in container.demux(video) if packet.size]
        for packet in packets:
            losses.take(bytes(packet), packet.pts)
    lost = [losses.of(packet.pts) for packet in packets]
    assert [number for number, blocks in enumerate(lost) if blocks is not None] == [10]
    assert lost[10] is not None
    assert lost[10].mean() == pytest.approx(0.5)
    assert len(slices_of(bytes(packets[10]), codec)) in (2, 4)


def test_a_view_says_which_macroblocks_never_came(tmp_path: Path) -> None:
    clip = encode(generated("texture", (96, 128), 16), Coding(gop=8, slices=4))
    path = tmp_path / "a.ts"
    path.write_bytes(damage(clip, [Damage("slice", first=10, count=1, share=0.5)]))
    with open_source(str(path), audio=False, live=False) as source:
        views = [item for item in source if isinstance(item, FrameView)]
    assert [n for n, view in enumerate(views) if view.lost is not None] == [10]
    assert views[10].corrupt
