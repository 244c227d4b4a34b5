from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dev.media.clips import Clip, Defect, write_clip
from dev.media.pictures import PICTURES, make_picture
from dev.media.servers import (
    ServerUnavailable,
    http_server,
    require,
)
from dev.media.strip import luma, read_strip
from dev.origin.origin import AAC_FRAME, SAMPLE_RATE, Canvas

SIZE = (320, 180)
DEFECTS = (
    Defect("black", 0.61, 1.0),
    Defect("freeze", 1.4, 2.0),
    Defect("silence", 2.2, 2.7),
)


@pytest.fixture(scope="module", params=[".mp4", ".ts", ".mkv"])
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Clip:
    path = tmp_path_factory.mktemp("clips") / f"clip{request.param}"
    return write_clip(path, duration_s=3, size=SIZE, defects=DEFECTS)


def test_manifest_matches_what_is_decoded(clip: Clip) -> None:
    with av.open(str(clip.path)) as container:
        frames = list(container.decode(video=0))
    planes = [luma(frame) for frame in frames]
    black, freeze, _ = clip.defects
    assert (black.start_s, black.end_s, black.first, black.end) == (0.6, 1.0, 15, 25)
    expected: list[int | None] = list(range(clip.frames))
    expected[black.first : black.end] = [None] * (black.end - black.first)
    expected[freeze.first : freeze.end] = [freeze.first] * (freeze.end - freeze.first)
    assert [read_strip(picture) for picture in planes] == expected
    times_s = [float(f.time or 0) - float(frames[0].time or 0) for f in frames]
    assert times_s[black.first] == pytest.approx(black.start_s, abs=0.002)
    assert max(picture.max() for picture in planes[black.first : black.end]) <= 20
    assert min(planes[n].max() for n in (black.first - 1, black.end)) > 60


def test_silence_is_where_the_manifest_says(clip: Clip) -> None:
    with av.open(str(clip.path)) as container:
        start_s = float(next(container.decode(video=0)).time or 0)
    with av.open(str(clip.path)) as container:
        decoded = list(container.decode(audio=0))
    lead = round((float(decoded[0].time or 0) - start_s) * SAMPLE_RATE)
    sound = np.concatenate([frame.to_ndarray() for frame in decoded], axis=1)
    silence = clip.defects[2]
    assert (silence.start_s, silence.end_s) == (2.2, 2.7)
    first, end = silence.first - lead, silence.end - lead
    assert not sound[:, first + 2 * AAC_FRAME : end - 2 * AAC_FRAME].any()
    assert abs(sound[:, first - 4 * AAC_FRAME : first - 2 * AAC_FRAME]).max() > 0.05
    assert abs(sound[:, end + AAC_FRAME : end + 3 * AAC_FRAME]).max() > 0.05


def test_streams_can_be_left_out(tmp_path: Path) -> None:
    mute = write_clip(tmp_path / "v.mp4", duration_s=0.4, size=SIZE, audio=False)
    blind = write_clip(tmp_path / "a.mkv", duration_s=0.4, video=False, audio_codec="libopus")
    with av.open(str(mute.path)) as container:
        assert [stream.type for stream in container.streams] == ["video"]
    with av.open(str(blind.path)) as container:
        assert [stream.type for stream in container.streams] == ["audio"]


def test_broadcast_frame_rate(tmp_path: Path) -> None:
    rate = Fraction(30000, 1001)
    clip = write_clip(
        tmp_path / "n.mp4", duration_s=1, size=SIZE, frame_rate=rate, defects=[DEFECTS[0]]
    )
    assert clip.frames == 30
    assert clip.defects[0].start_s == pytest.approx(float(18 / rate))


@pytest.mark.parametrize("name", PICTURES)
def test_pictures_move_and_are_not_black(name: str) -> None:
    picture = make_picture(name, *SIZE, frame_rate=Fraction(25), seed=1)
    first, second = Canvas(*SIZE), Canvas(*SIZE)
    picture.draw(first, 10)
    picture.draw(second, 11)
    assert abs(first.y.astype(int) - second.y).mean() > 0.3
    assert (first.y > 37).mean() > 0.05
    assert 9 < first.y.min() <= first.y.max() < 247


def test_http_server_serves_a_clip(tmp_path: Path) -> None:
    write_clip(tmp_path / "c.mp4", duration_s=0.4, size=SIZE)
    with http_server(tmp_path) as base, av.open(f"{base}/c.mp4", timeout=5) as container:
        assert len(list(container.decode(video=0))) == 10


def test_a_missing_program_names_the_packages() -> None:
    with pytest.raises(ServerUnavailable, match="apt-get install nginx ffmpeg"):
        require(False, "nginx", ("nginx", "ffmpeg"))
