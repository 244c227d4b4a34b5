"""Against ffmpeg: its own published truth, and its filters on pictures and sound without a codec.

FFmpeg's FATE reference `filter-metadata-freezedetect` needs no sample: mptestsrc, r=25 d=10 m=51.
PyAV's wheels lack that source, so ffmpeg's command draws it; without the command that is skipped.
"""

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from dev.origin.origin import SAMPLE_RATE, Texture, Tones
from streammonitor_worker.analyze import analyze
from streammonitor_worker.detectors.base import Kind
from streammonitor_worker.frames import AudioView
from streammonitor_worker.measures.sound import SoundMeter
from tests.accuracy.defects import benches
from tests.accuracy.edits import Injection, Rival
from tests.accuracy.encode import Encoding
from tests.accuracy.filters import metadata_of_sound
from tests.accuracy.footage import Generated
from tests.accuracy.inject import inject
from tests.accuracy.rivals import rival_alarms
from tests.accuracy.sources import SOUNDS

FREEZEDETECT = benches["freeze"].rival
FRAME_S = 1 / 25
FATE_FREEZES = [(4.12, 6.12), (6.16, 8.16)]


@pytest.fixture(scope="module")
def mptestsrc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        pytest.skip("ffmpeg's command is not installed; PyAV's wheels have no mptestsrc")
    clip = tmp_path_factory.mktemp("fate") / "mptestsrc.mkv"
    source = ["-f", "lavfi", "-i", "mptestsrc=r=25:d=10:m=51"]
    command = [ffmpeg, "-v", "error", *source, "-pix_fmt", "yuv420p", "-c:v", "ffv1", str(clip)]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return clip


def test_freezedetect_through_pyav_says_what_fate_says(mptestsrc: Path) -> None:
    assert FREEZEDETECT is not None
    fate = Rival("freezedetect", FREEZEDETECT.start_key, FREEZEDETECT.end_key)
    (alarms,) = rival_alarms(mptestsrc, [fate], Kind.VIDEO)
    assert [(one.start_s, one.end_s) for one in alarms] == FATE_FREEZES


def test_what_freezedetect_finds_there_is_black_or_frozen_for_ours(mptestsrc: Path) -> None:
    """What FATE pins is how freezedetect counts, not what a viewer would call frozen.

    In both spans most of the picture is black and stands still while a small part changes a little.
    Whether that is black with a logo or a freeze under an overlay, it must not go unreported.
    """
    (report,) = analyze([str(mptestsrc)], {"freeze": {"minDuration": "1s"}, "black": {}})
    for start_s, end_s in FATE_FREEZES:
        assert any(
            one.start_s <= start_s + FRAME_S and (one.end_s or 99.0) >= end_s - FRAME_S
            for one in report.incidents
        ), start_s


VARIANTS = {"black": "level 16", "freeze": "held", "silence": "digital"}
SHORTEST_S = {"black": 2.4, "freeze": 3.4, "silence": 10.6}


def spans(defect: str, seed: int) -> list[tuple[float, float]]:
    """Two spans on the grid of pictures, at random, with room around them."""
    rng = np.random.default_rng([seed, len(defect)])
    found, at = [], 0.0
    for _ in range(2):
        start_s = at + float(rng.integers(40, 75)) / 25
        end_s = start_s + SHORTEST_S[defect] + float(rng.integers(0, 50)) / 25
        found.append((start_s, end_s))
        at = end_s
    return found


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("defect", sorted(VARIANTS))
def test_ours_and_the_filter_agree_on_what_no_codec_has_touched(
    defect: str, seed: int, tmp_path: Path
) -> None:
    bench, truth = benches[defect], spans(defect, seed)
    video = bench.kind is Kind.VIDEO
    footage = Generated(
        "reference",
        truth[-1][1] + 3,
        Fraction(25),
        (160, 90) if video else None,
        Texture(160, 90, seed=seed) if video else None,
        None if video else Tones(),
    )
    clip = tmp_path / "clip.mkv"
    encoding = Encoding(codec="ffv1", audio="flac")
    inject(
        footage,
        clip,
        [Injection(defect, VARIANTS[defect], *span) for span in truth],
        encoding=encoding,
    )
    assert bench.rival is not None
    (theirs,) = rival_alarms(clip, [bench.rival], bench.kind)
    (report,) = analyze([str(clip)], {defect: {}})
    ours = [(one.start_s, one.end_s) for one in report.incidents]
    tolerance_s = 1.01 * FRAME_S if video else 0.03
    assert len(ours) == len(theirs) == len(truth)
    for mine, alarm, (start_s, end_s) in zip(ours, theirs, truth, strict=True):
        assert mine[0] == pytest.approx(alarm.start_s, abs=tolerance_s)
        assert mine[0] == pytest.approx(start_s, abs=tolerance_s)
        assert mine[1] == pytest.approx(alarm.end_s, abs=tolerance_s)
        assert mine[1] == pytest.approx(end_s, abs=tolerance_s)


@pytest.mark.parametrize("name", ["commentary", "jazz trio", "applause", "film effects"])
def test_our_levels_are_those_of_astats(name: str) -> None:
    """Per hop of 100 ms: astats counts from 0 with every frame, ours has blocks of 20 ms."""
    samples = SOUNDS[name](5).samples(np.arange(SAMPLE_RATE * 5))
    lines = metadata_of_sound(samples, "stereo", "astats", "metadata=1:reset=1")
    measures = SoundMeter().measure(AudioView(0.0, 0.0, samples, SAMPLE_RATE))
    power = (10 ** (measures.rms_dbfs / 10)).reshape(2, -1, 5).mean(axis=2)
    peaks = measures.peak_dbfs.reshape(2, -1, 5).max(axis=2)
    assert len(lines) == power.shape[1] == 50
    for hop, line in enumerate(lines):
        for channel in range(2):
            key = f"lavfi.astats.{channel + 1}."
            # astats writes six decimals; 0.01 dB is far below what any threshold needs.
            rms_db = 10 * np.log10(power[channel, hop])
            assert rms_db == pytest.approx(float(line[key + "RMS_level"]), abs=0.01)
            assert peaks[channel, hop] == pytest.approx(float(line[key + "Peak_level"]), abs=0.01)
