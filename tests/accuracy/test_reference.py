"""Against ffmpeg: its own published truth, and its filters on pictures and sound without a codec.

FFmpeg's FATE reference `filter-metadata-freezedetect` needs no sample: mptestsrc, r=25 d=10 m=51.
PyAV's wheels lack that source, so ffmpeg's command draws it; without the command that is skipped.
"""

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from dev.origin.origin import Texture, Tones
from streammonitor_worker.analyze import analyze
from streammonitor_worker.detectors.base import Kind
from tests.accuracy.defects import benches
from tests.accuracy.edits import Injection, Rival
from tests.accuracy.encode import Encoding
from tests.accuracy.footage import Generated
from tests.accuracy.inject import inject
from tests.accuracy.rivals import rival_alarms

FREEZEDETECT = benches["freeze"].rival
FRAME_S = 1 / 25


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
    assert [(one.start_s, one.end_s) for one in alarms] == [(4.12, 6.12), (6.16, 8.16)]


def test_ours_calls_the_same_pictures_black(mptestsrc: Path) -> None:
    """What FATE pins is how freezedetect counts, not what a viewer would call frozen.

    From 6.16 s to 8.16 s the luma is black throughout and only the chroma changes. From 4.12 s to
    6.12 s 1.5 % of the picture, in a corner, creeps over black by one code a picture. For ours both
    are black, with what could be a logo, and a freeze is not reported beside its cause.
    """
    (report,) = analyze([str(mptestsrc)], {"freeze": {"minDuration": "1s"}, "black": {}})
    (early,) = [one for one in report.incidents if one.start_s < 8.2]
    assert early.defect == "black"
    assert early.start_s == pytest.approx(2.08, abs=FRAME_S + 0.001)
    assert early.end_s == pytest.approx(8.2, abs=FRAME_S)


SPANS = {
    "black": ("level 16", 2.0, 5.0),
    "freeze": ("held", 2.0, 6.0),
    "silence": ("digital", 3.0, 15.0),
}


@pytest.mark.parametrize("defect", sorted(SPANS))
def test_ours_and_the_filter_agree_on_what_no_codec_has_touched(
    defect: str, tmp_path: Path
) -> None:
    variant, start_s, end_s = SPANS[defect]
    bench, video = benches[defect], benches[defect].kind is Kind.VIDEO
    footage = Generated(
        "reference",
        end_s + 3,
        Fraction(25),
        (160, 90) if video else None,
        Texture(160, 90) if video else None,
        None if video else Tones(),
    )
    clip = tmp_path / "clip.mkv"
    encoding = Encoding(codec="ffv1", audio="flac")
    inject(footage, clip, [Injection(defect, variant, start_s, end_s)], encoding=encoding)
    assert bench.rival is not None
    ((theirs,),) = rival_alarms(clip, [bench.rival], bench.kind)
    (report,) = analyze([str(clip)], {defect: {}})
    (ours,) = report.incidents
    tolerance_s = 1.01 * FRAME_S if video else 0.03
    assert ours.start_s == pytest.approx(theirs.start_s, abs=tolerance_s)
    assert ours.start_s == pytest.approx(start_s, abs=tolerance_s)
    assert ours.end_s == pytest.approx(theirs.end_s, abs=tolerance_s)
