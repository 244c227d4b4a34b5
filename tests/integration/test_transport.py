"""The transport of streams as other people's programs make them."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dev.media.clips import write_clip
from dev.media.muxers import MUXERS
from streammonitor_worker.mpegts.monitor import TransportMonitor


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("transport") / "clip.mp4"
    write_clip(path, duration_s=9, size=(320, 180), gop_s=1, b_frames=2)
    return path


@pytest.mark.parametrize("muxer", MUXERS, ids=lambda muxer: str(muxer.__name__))
def test_nothing_is_wrong_with_a_clean_stream_of_any_muxer(
    muxer: Callable[[Path, Path], None], clip: Path, tmp_path: Path
) -> None:
    target = tmp_path / "clean.ts"
    muxer(clip, target)
    monitor, data = TransportMonitor(), target.read_bytes()
    found = [
        fault
        for at in range(0, len(data), 32_768)
        for fault in monitor.feed(data[at : at + 32_768])
    ]
    assert found == []
    assert monitor.synchronised
    assert monitor.pts_s is not None
