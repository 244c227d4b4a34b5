"""What is presented when: edit lists of MP4 (ISO/IEC 14496-12, 8.6.6), variable frame rates."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dev.media.clips import write_clip
from dev.media.strip import read_strip
from dev.origin.origin import AAC_FRAME, SAMPLE_RATE
from streammonitor_worker.frames import AudioView, Discontinuity, FrameView
from streammonitor_worker.ingest import open_source

RATE = 25
PICTURES = 50
PRIMING_S = AAC_FRAME / SAMPLE_RATE
"""What the encoder begins with. Only what lies before 0 is cut off."""


def number_of(picture: FrameView) -> int | None:
    return read_strip(picture.luma.astype(np.uint8))


def shifted(source: Path, target: Path, picture_s: Fraction, sound_s: Fraction) -> None:
    """Copy a clip; what would be presented before 0 is left out by an edit list."""
    shift_s = {"video": picture_s, "audio": sound_s}
    with av.open(str(source)) as inside, av.open(str(target), "w") as outside:
        streams = {one.index: outside.add_stream_from_template(one) for one in inside.streams}
        for packet in inside.demux():
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            by = int(shift_s[packet.stream.type] / packet.time_base)
            packet.pts, packet.dts = packet.pts + by, packet.dts + by
            packet.stream = streams[packet.stream.index]
            outside.mux(packet)


@pytest.fixture(scope="module", params=[0, 2], ids="{} pictures in between".format)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip in which sound and picture begin at 0; between two pictures that refer to earlier
    ones there may be some that refer to later ones."""
    path = tmp_path_factory.mktemp("edits") / "whole.mp4"
    write_clip(path, duration_s=PICTURES / RATE, size=(160, 90), b_frames=request.param)
    return path


@pytest.mark.parametrize(
    ("shift_s", "first", "begins_s"),
    [
        pytest.param((Fraction(0), Fraction(0)), 0, (0.0, 0.0), id="whole"),
        pytest.param((Fraction(-12, 25), Fraction(-12, 25)), 12, (0.0, 0.0), id="cut at the front"),
        pytest.param((Fraction(12, 25), Fraction(0)), 0, (0.48, 0.0), id="the picture is later"),
        pytest.param(
            (Fraction(0), Fraction(12, 25)), 0, (0.0, 0.48 - PRIMING_S), id="the sound is later"
        ),
    ],
)
def test_pictures_and_samples_are_those_that_are_to_be_presented(
    shift_s: tuple[Fraction, Fraction],
    first: int,
    begins_s: tuple[float, float],
    whole: Path,
    tmp_path: Path,
) -> None:
    edited = tmp_path / "edited.mp4"
    shifted(whole, edited, *shift_s)
    with open_source(str(edited), live=False) as source:
        items = list(source)

    pictures = [one for one in items if isinstance(one, FrameView)]
    sounds = [one for one in items if isinstance(one, AudioView)]
    assert [number_of(one) for one in pictures] == list(range(first, PICTURES))
    times = [one.time_s for one in pictures]
    assert times == pytest.approx(begins_s[0] + np.arange(PICTURES - first) / RATE, abs=1e-3)
    assert sounds[0].time_s == pytest.approx(begins_s[1], abs=1e-3)
    # The last frame of AAC may be filled up.
    heard = sum(one.samples.shape[1] for one in sounds)
    cut = round(min(Fraction(0), shift_s[1]) * SAMPLE_RATE) + AAC_FRAME * (shift_s[1] > 0)
    assert 0 <= heard - (PICTURES / RATE * SAMPLE_RATE + cut) < AAC_FRAME
    assert not any(isinstance(one, Discontinuity) for one in items)


@pytest.mark.parametrize("suffix", ["mp4", "ts", "mkv"])
def test_pictures_of_a_variable_rate_keep_their_times(suffix: str, tmp_path: Path) -> None:
    whole, sparse = tmp_path / "whole.mp4", tmp_path / f"sparse.{suffix}"
    write_clip(whole, duration_s=PICTURES / RATE, size=(160, 90), gop_s=1 / RATE, audio=False)
    kept = [number for number in range(PICTURES) if number % 7 not in (2, 3, 5)]
    with av.open(str(whole)) as inside, av.open(str(sparse), "w") as outside:
        stream = outside.add_stream_from_template(inside.streams.video[0])
        for number, packet in enumerate(inside.demux()):
            if number in kept:
                packet.stream = stream
                outside.mux(packet)
    with open_source(str(sparse), live=False) as source:
        items = list(source)

    pictures = [one for one in items if isinstance(one, FrameView)]
    assert [number_of(one) for one in pictures] == kept
    assert [one.time_s for one in pictures] == pytest.approx(np.array(kept) / RATE, abs=1e-3)
    assert not any(isinstance(one, Discontinuity) for one in items)
