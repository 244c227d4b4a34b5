"""A short representative of the bench: few clips, every defect, both kinds, and the page."""

from pathlib import Path

import numpy as np
import pytest

from dev.origin.origin import Canvas
from streammonitor_worker.detectors.base import Kind
from tests.accuracy import __main__ as command
from tests.accuracy import cache, table
from tests.accuracy import cases as module
from tests.accuracy.cache import made
from tests.accuracy.cases import Case, Role, cases
from tests.accuracy.defects import benches
from tests.accuracy.ebu import Reading
from tests.accuracy.edits import Injection
from tests.accuracy.encode import Encoding
from tests.accuracy.goals import CLEAN_HOURS, CLEAN_SOURCES
from tests.accuracy.run import OURS, RIVAL, Outcome, examine, tally
from tests.accuracy.sources import HALVES, KINDS, PICTURES, SOUNDS, Source, half_of, sources
from tests.accuracy.table import page

H264 = Encoding("h264", crf=28, gop_s=1.0)
# The fixture makes and examines all these clips: a minute on a busy machine.
pytestmark = pytest.mark.timeout(400)

SHORT: tuple[tuple[str, str, Encoding, tuple[tuple[str, float, float], ...]], ...] = (
    ("black", "landscape", H264, (("level 16", 1.6, 4), ("logo", 6, 8.4))),
    ("black", "flock", Encoding("mpeg2"), (("level 30", 1.6, 4), ("noise", 6, 8.4))),
    ("freeze", "landscape", H264, (("held", 1.6, 5.2),)),
    ("freeze", "cooking", Encoding("mpeg2"), (("held grain", 1.6, 5.2),)),
    ("blockCorruption", "landscape", H264, (("grey mosaic", 4, 5),)),
    ("blur", "landscape", H264, (("quarter size", 13, 26),)),
    ("stutter", "landscape", H264, (("repeats 5 %", 8, 13),)),
    ("silence", "man", Encoding(audio="aac"), (("digital", 4, 16), ("floor -75 dBFS", 20, 32))),
    ("silence", "nature film", Encoding(audio="mp2"), (("hum -72 dBFS", 4, 16),)),
    ("channelLoss", "nature film", H264, (("left gone", 4, 24),)),
    ("clipping", "man", H264, (("+20 dB", 4, 8),)),
    ("audioDropout", "tones", H264, (("gap of 200 ms", 4, 7),)),
    ("loudness", "tones", H264, (("+10 LU", 60, 80),)),
)
"""Defect, family, encoding, and what is where; nothing of it is held out."""


def short_cases() -> list[Case]:
    found = []
    for defect, family, encoding, spans in SHORT:
        kind = benches[defect].kind
        injections = tuple(Injection(defect, name, start, end) for name, start, end in spans)
        end_s = spans[-1][2] + 2.4
        found.append(Case(Role.DEFECT, defect, kind, family, 1, end_s, injections, encoding))
    fades = (Injection("black", "fades", 1.0, 5.0, negative=True),)
    found.append(Case(Role.NEGATIVE, "black", Kind.VIDEO, "cooking", 1, 6.0, fades, H264))
    found.append(Case(Role.CLEAN, "", Kind.VIDEO, "split screen", 1, 6.0, encoding=H264))
    found.append(Case(Role.CLEAN, "", Kind.AUDIO, "podcast", 1, 30.0, encoding=H264))
    assert {half_of(case.family) for case in found} == {HALVES[0]}
    return found


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STREAMMONITOR_CACHE", str(tmp_path_factory.mktemp("cache")))
        return [examine(case) for case in short_cases()]


@pytest.mark.parametrize("defect", sorted(benches))
def test_what_every_detector_must_find_is_found_and_nothing_else(
    defect: str, outcomes: list[Outcome]
) -> None:
    found = tally(defect, OURS, outcomes)
    assert [(one.outcome.case.source, one.event) for one in found.misses] == []
    assert [(one.outcome.case.source, one.alarm) for one in found.false] == []
    assert found.events >= 1
    assert found.clean_s > 5
    # Coarse on purpose: docs/accuracy.md has the figures; this notices that something broke.
    assert max(one.onset_error_s for one in found.hits) <= 0.4


def test_the_filters_of_ffmpeg_are_heard(outcomes: list[Outcome]) -> None:
    assert len(tally("black", RIVAL, outcomes).hits) >= 3
    assert len(tally("silence", RIVAL, outcomes).hits) == 3
    # It marks a fade that is black for a moment only in its metadata; its log would not.
    assert tally("black", RIVAL, outcomes).deceived["fades"] == 0


def test_the_page_has_a_row_for_each_defect(
    outcomes: list[Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = Reading("3341-1", "integrated", -23.0, -22.98)
    monkeypatch.setattr(table, "readings", lambda: [reading])
    text = page(HALVES[1], outcomes, ["a note"], planned=100)
    for defect in benches:
        assert f"| {defect} | {OURS} |" in text
    assert "- a note" in text
    assert "**Only 16 of the bench's 100 clips**" in text
    assert "No event was missed." in text
    assert "| 3341-1 | integrated | -23 | -22.98 | -0.1 / +0.1 | reached |" in text
    assert "| black | recall | >= 0.98 | 1.000 | reached |" in text
    assert "| freeze | onset error, p95 | <= 1 frames |" in text
    # Six seconds are no two hours.
    assert "| 0 in 0.00 h from 1 sources (0.0% unknown) | **not reached** |" in text
    assert "| blur | recall | >= 0.90 | 1.000 | reached |" in text
    assert "| 1 of 1 figures | reached |" in text


def test_a_clip_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(Role.CLEAN, "", Kind.AUDIO, "rain", 1, 1.0, encoding=H264)
    first = made(case, tmp_path)
    monkeypatch.setattr(cache, "inject", None)
    assert made(case, tmp_path) == first


def test_clips_can_be_made_ahead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("STREAMMONITOR_CACHE", str(tmp_path))
    short = Case(Role.CLEAN, "", Kind.AUDIO, "rain", 1, 1.0, encoding=H264)
    monkeypatch.setattr(command, "cases", lambda *_, **__: ([short, short], []))
    monkeypatch.setattr(command, "run", None)
    assert command.main(["--make-only", "--jobs", "1"]) == 0
    assert len(list((tmp_path / "accuracy" / "clips").glob("*.json"))) == 1
    assert "made in" in capsys.readouterr().err


def test_the_halves_share_no_family_and_the_held_out_one_is_large_enough() -> None:
    for kind in KINDS:
        tuning, held_out = ({one.family for one in sources(half, kind)} for half in HALVES)
        assert not tuning & held_out
        assert len(sources(HALVES[1], kind)) >= 20
    assert half_of("texture") == half_of("speech") == HALVES[0]


def test_the_held_out_half_has_more_than_two_clean_hours_of_either_kind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "fetch", lambda _: [])
    monkeypatch.setenv("STREAMMONITOR_CACHE", "/nowhere")
    clean = [case for case in cases(HALVES[1])[0] if case.role is Role.CLEAN]
    for kind in KINDS:
        own = [case for case in clean if case.kind is kind]
        assert sum(case.duration_s for case in own) > CLEAN_HOURS * 3600
        assert len({case.source for case in own}) == len(own) >= CLEAN_SOURCES


def test_a_sound_does_not_depend_on_how_it_is_cut() -> None:
    index = np.arange(30_000, 34_000)
    for name, make in SOUNDS.items():
        whole = make(7).samples(index)
        parts = [make(7).samples(index[:1700]), make(7).samples(index[1700:])]
        assert np.array_equal(whole, np.concatenate(parts, axis=1)), name
        assert 0.001 < np.abs(whole).max() <= 1.0, name


def test_a_picture_does_not_depend_on_what_was_drawn_before() -> None:
    for name, (make, _) in PICTURES.items():
        first, second = Canvas(320, 180), Canvas(320, 180)
        later = make(320, 180, 7)
        for index in (40, 41):
            later.draw(second, index)
        make(320, 180, 7).draw(first, 41)
        assert np.array_equal(first.data, second.data), name


def test_sources_differ_from_each_other() -> None:
    for kind in KINDS:
        seeds = [one.seed for half in HALVES for one in sources(half, kind)]
        assert len(set(seeds)) == len(seeds)
    digests = set()
    for take in (1, 2):
        canvas = next(iter(Source("city", take, Kind.VIDEO).footage(0.1).frames()))
        digests.add(canvas.data.tobytes())
    assert len(digests) == 2


def test_every_defect_has_cases_of_every_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fetch", lambda _: ["no packages today"])
    monkeypatch.setenv("STREAMMONITOR_CACHE", "/nowhere")
    found, notes = cases(HALVES[1])
    assert notes == ["no packages today"]
    for defect, bench in benches.items():
        own = [case for case in found if case.defect == defect]
        assert {case.role for case in own} == {Role.DEFECT, Role.NEGATIVE}
        reels = [case for case in own if case.role is Role.DEFECT]
        assert {one.variant for case in reels for one in case.injections} == set(bench.variants)
        assert len({case.encoding for case in reels}) >= 3
