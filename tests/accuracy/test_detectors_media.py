"""Encoded media with known defects, through the real decoder, measures, detectors and machine."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from dev.media.clips import Clip, Defect, write_clip
from streammonitor_worker.analyze import analyze

FRAME_S = 1 / 25
VIDEO: dict[str, dict[str, object]] = {"black": {}, "freeze": {}}
ALL: dict[str, dict[str, object]] = {**VIDEO, "silence": {"minDuration": "2s"}}


@pytest.fixture
def found(tmp_path: Path) -> Callable[..., tuple[Clip, list[tuple[str, float, float]]]]:
    """Writes a clip, analyzes it, and returns its truth and what was found."""

    def find(
        *, detectors: dict[str, dict[str, object]] = ALL, suffix: str = ".ts", **how: object
    ) -> tuple[Clip, list[tuple[str, float, float]]]:
        how = {"size": (320, 180), **how}
        clip = write_clip(tmp_path / f"clip{suffix}", **how)  # type: ignore[arg-type]
        (report,) = analyze([str(clip.path)], detectors)
        assert report.readable, report.notes
        assert report.document["video"]["frames"] == clip.frames
        return clip, [(one.defect, one.start_s, one.end_s or -1.0) for one in report.incidents]

    return find


Find = Callable[..., tuple[Clip, list[tuple[str, float, float]]]]


def agree(clip: Clip, found: list[tuple[str, float, float]]) -> None:
    truth = sorted((one.start_s, one.end_s, one.defect) for one in clip.defects)
    seen = sorted((start, end, defect) for defect, start, end in found)
    assert [one[2] for one in seen] == [one[2] for one in truth], seen
    for (start, end, defect), (true_start, true_end, _) in zip(seen, truth, strict=True):
        tolerance_s = 0.05 if defect == "silence" else FRAME_S + 0.001
        assert start == pytest.approx(true_start, abs=tolerance_s), defect
        assert end == pytest.approx(true_end, abs=tolerance_s), defect


@pytest.mark.parametrize("suffix", [".ts", ".mp4"])
def test_all_three_defects_are_found_where_they_are(found: Find, suffix: str) -> None:
    defects = (Defect("black", 2, 5), Defect("freeze", 7, 11), Defect("silence", 3, 8))
    clip, seen = found(duration_s=14, suffix=suffix, defects=defects)
    agree(clip, seen)


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("crf", [28, 35])
def test_a_freeze_survives_key_frames_at_low_quality(found: Find, crf: int, b_frames: int) -> None:
    clip, seen = found(
        detectors=VIDEO,
        audio=False,
        duration_s=8,
        crf=crf,
        gop_s=1.0,
        b_frames=b_frames,
        preset="veryfast",
        defects=(Defect("freeze", 2.2, 6.2),),
    )
    agree(clip, seen)


def test_a_freeze_in_mpeg_2(found: Find) -> None:
    clip, seen = found(
        detectors=VIDEO,
        audio=False,
        duration_s=8,
        gop_s=0.5,
        video_codec="mpeg2video",
        defects=(Defect("freeze", 2.2, 6.2),),
    )
    agree(clip, seen)


@pytest.mark.parametrize("rate", [Fraction(30000, 1001), Fraction(50)])
def test_other_frame_rates(found: Find, rate: Fraction) -> None:
    defects = (Defect("black", 1, 3.5), Defect("freeze", 5, 8.5))
    clip, seen = found(
        detectors=VIDEO, audio=False, duration_s=10, frame_rate=rate, defects=defects
    )
    agree(clip, seen)


def test_noise_at_70_db_below_full_scale_is_silence(found: Find) -> None:
    clip, seen = found(
        detectors={"silence": {"minDuration": "2s"}, "black": {}},
        duration_s=8,
        size=(64, 64),
        defects=(Defect("silence", 2, 6, level=-70),),
    )
    agree(clip, seen)


@pytest.mark.parametrize("picture", ["texture", "zoom", "night", "studio"])
def test_clean_pictures_raise_nothing(found: Find, picture: str) -> None:
    _, seen = found(
        detectors=VIDEO, audio=False, duration_s=8, picture=picture, strip=False, gop_s=1.0
    )
    assert seen == []


@pytest.mark.parametrize("sound", ["tones", "speech", "quiet"])
def test_clean_sound_raises_nothing(found: Find, sound: str) -> None:
    detectors = {"black": {}, "silence": {"minDuration": "1s"}}
    _, seen = found(detectors=detectors, duration_s=8, size=(64, 64), sound=sound)
    assert seen == []
