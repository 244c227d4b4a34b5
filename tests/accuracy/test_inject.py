"""What the injector writes is what its manifest says, to the picture and the sample."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dev.media.strip import luma, read_strip
from dev.origin.origin import SAMPLE_RATE, Canvas, Floats, Picture, Texture, Tones, draw_strip
from streammonitor_worker.detectors.base import Kind
from tests.accuracy import inject as command
from tests.accuracy.defects import benches
from tests.accuracy.edits import Injection, Truth, unedited
from tests.accuracy.encode import Encoding, available
from tests.accuracy.footage import Generated
from tests.accuracy.inject import Manifest, inject

RATE = Fraction(25)
LONGEST_S = 20.0


class _Numbered:
    """Frames that carry their number; with `every`, each picture is shown so many times."""

    def __init__(self, every: int = 1) -> None:
        self._texture, self._every = Texture(320, 180), every

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        shown = index // self._every * self._every
        self._texture.draw(canvas, shown)
        draw_strip(canvas, shown)


def footage(duration_s: float = 3.0, *, picture: Picture | None = None) -> Generated:
    return Generated("test", duration_s, RATE, (320, 180), picture or _Numbered(), Tones())


def numbers(clip: Path) -> list[int | None]:
    with av.open(str(clip)) as container:
        return [read_strip(luma(frame)) for frame in container.decode(video=0)]


@pytest.mark.parametrize("codec", available())
def test_a_freeze_is_where_the_manifest_says(codec: str, tmp_path: Path) -> None:
    encoding = Encoding(codec, crf=28, gop_s=1.0)
    clip = tmp_path / f"clip{encoding.suffix}"
    manifest = inject(footage(), clip, [Injection("freeze", "held", 1.0, 2.0)], encoding=encoding)
    (truth,) = manifest.truths
    assert (truth.first, truth.end, truth.start_s, truth.end_s) == (25, 50, 1.0, 2.0)
    assert numbers(clip) == [25 if 25 <= index < 50 else index for index in range(75)]


def test_what_the_source_held_before_and_after_belongs_to_the_freeze(tmp_path: Path) -> None:
    paused = footage(picture=_Numbered(every=10))
    manifest = inject(paused, tmp_path / "clip.ts", [Injection("freeze", "held", 0.92, 2.0)])
    # Pictures 20 to 29 are the same; the edit holds 23 of them until 50.
    assert (manifest.truths[0].first, manifest.truths[0].end) == (20, 50)


@pytest.mark.parametrize("codec", available())
def test_pictures_that_are_left_out_leave_their_time(codec: str, tmp_path: Path) -> None:
    encoding = Encoding(codec, gop_s=1.0, b_frames=2)
    clip = tmp_path / f"clip{encoding.suffix}"
    injection = Injection("stutter", "time gaps 8 %", 1.0, 2.0)
    manifest = inject(footage(), clip, [injection], encoding=encoding)
    assert (manifest.truths[0].first, manifest.truths[0].end, manifest.frames) == (25, 50, 75)
    with av.open(str(clip)) as container:
        shown = [(frame.time, read_strip(luma(frame))) for frame in container.decode(video=0)]
    first_s = shown[0][0] or 0.0
    ticks = [round(((time_s or 0.0) - first_s) * RATE) for time_s, _ in shown]
    assert 71 <= len(ticks) <= 73
    assert ticks[:25] == list(range(25))
    assert ticks[-25:] == list(range(50, 75))
    read = [(tick, number) for tick, (_, number) in zip(ticks, shown, strict=True) if number]
    assert len(read) >= 65
    assert all(tick == number for tick, number in read)


def test_pictures_that_are_skipped_move_the_rest_up(tmp_path: Path) -> None:
    clip = tmp_path / "clip.ts"
    injections = [
        Injection("stutter", "skips 8 %", 1.0, 2.0),
        Injection("stutter", "repeats 10 %", 2.2, 2.8),
    ]
    skipped, repeated = inject(footage(), clip, injections).truths
    seen = numbers(clip)
    lost = sorted(set(range(25, 50)) - set(seen))
    assert 2 <= len(lost) <= 4
    assert (skipped.first, skipped.end) == (25, 50 - len(lost))
    assert (repeated.first, repeated.end) == (55 - len(lost), 70 - len(lost))
    assert seen[repeated.first + 1] == seen[repeated.first] == 55


def test_black_is_where_the_manifest_says(tmp_path: Path) -> None:
    clip = tmp_path / "clip.ts"
    manifest = inject(footage(), clip, [Injection("black", "level 16", 1.0, 2.0)])
    (truth,) = manifest.truths
    seen = numbers(clip)
    assert seen[: truth.first] == list(range(25))
    assert seen[truth.first : truth.end] == [None] * 25
    assert seen[truth.end :] == list(range(50, 75))


def test_silence_is_where_the_manifest_says_to_the_sample(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mkv"
    injection = Injection("silence", "digital", 0.5, 1.25)
    manifest = inject(footage(2.0), clip, [injection], encoding=Encoding(audio="flac"))
    with av.open(str(clip)) as container:
        pieces = [frame.to_ndarray() for frame in container.decode(audio=0)]
    sound = np.concatenate([piece.reshape(-1, 2) for piece in pieces])
    (truth,) = manifest.truths
    assert (truth.first, truth.end) == (SAMPLE_RATE // 2, SAMPLE_RATE * 5 // 4)
    assert len(sound) == manifest.samples == 2 * SAMPLE_RATE
    assert not sound[truth.first : truth.end].any()
    assert sound[truth.first - 8 : truth.first].any()
    assert sound[truth.end : truth.end + 8].any()


def test_the_same_seed_gives_the_same_clip(tmp_path: Path) -> None:
    clips = [tmp_path / f"{number}.mkv" for number in range(3)]
    injection = Injection("freeze", "fresh grain", 0.2, 0.8)
    notes = [
        inject(footage(1.0), clip, [injection], seed=seed)
        for clip, seed in zip(clips, (1, 1, 2), strict=True)
    ]
    first, second, other = (packets(clip) for clip in clips)
    assert first == second != other
    assert notes[0] == notes[1]
    assert Manifest.from_json(notes[0].to_json()) == notes[0]


def packets(clip: Path) -> list[bytes]:
    with av.open(str(clip)) as container:
        return [bytes(packet) for packet in container.demux()]


def test_the_command_edits_a_file_and_writes_the_manifest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "in.mp4", tmp_path / "out.ts"
    inject(footage(2.0), source)
    given = {"defect": "black", "at": "0.4", "for": "0.8", "codec": "mpeg2", "seed": "3"}
    options = [f"--{name}={value}" for name, value in given.items()]
    assert command.main([str(source), str(out), *options]) == 0
    note = json.loads(out.with_name("out.ts.json").read_text())
    assert note == json.loads(capsys.readouterr().out)
    assert (note["source"], note["seed"], note["frames"]) == ("in.mp4", 3, 50)
    assert len(note["source_sha256"]) == 64
    assert [index for index, seen in enumerate(numbers(out)) if seen is None] == list(range(10, 30))


@pytest.mark.parametrize("defect", sorted(benches))
def test_the_command_injects_every_defect_into_a_clip_with_pictures_and_sound(
    defect: str, tmp_path: Path
) -> None:
    source, out = tmp_path / "in.mp4", tmp_path / "out.ts"
    length_s = min(benches[defect].event_s[0], LONGEST_S)
    inject(footage(length_s + 1.0), source)
    given = [f"--defect={defect}", "--at=0.4", f"--for={length_s}"]
    assert command.main([str(source), str(out), *given]) == 0
    manifest = Manifest.from_json(out.with_name("out.ts.json").read_text())
    assert {truth.defect for truth in manifest.truths} == {defect}
    # Damage in packets may be seen until the next key frame, which is after the end here.
    slack_s = 0.7 if benches[defect].after else 0.2
    for truth in manifest.truths:
        assert 0.3 <= truth.start_s < truth.end_s <= 0.4 + length_s + slack_s
    with av.open(str(out)) as container:
        assert len(container.streams.video) == 1
        assert len(container.streams.audio) == (1 if manifest.samples else 0)
    assert manifest.samples or benches[defect].kind is Kind.VIDEO


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--defect=black", "--variant=blue", "--at=0", "--for=1"], "black has level 16"),
        (["--defect=black", "--at=0", "--for=0"], "no such span"),
        (["--defect=silence", "--at=0", "--for=1"], "has no sound"),
    ],
)
def test_the_command_says_what_cannot_be_done(
    options: list[str], said: str, tmp_path: Path
) -> None:
    source, out = tmp_path / "in.mp4", tmp_path / "out.ts"
    silent = footage(0.2)
    silent.sound = None
    inject(silent, source)
    with pytest.raises(SystemExit, match=said):
        command.main([str(source), str(out), *options])
    assert not out.exists()


def test_the_command_lists_what_it_can_do(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        command.main(["--list"])
    said = capsys.readouterr().out
    for defect, bench in benches.items():
        assert f"{defect}: {next(iter(bench.variants))}" in said


def test_a_defect_may_be_made_after_encoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after(clip: Path, truths: tuple[Truth, ...], rng: np.random.Generator) -> list[Truth]:
        clip.write_bytes(clip.read_bytes()[:-188])
        return [replace(truth, end=truth.end - 1) for truth in truths]

    bench = replace(benches["black"], defect="lost", variants={"one": unedited}, after=after)
    monkeypatch.setitem(benches, "lost", bench)
    whole, cut = tmp_path / "whole.ts", tmp_path / "cut.ts"
    inject(footage(1.0), whole)
    manifest = inject(footage(1.0), cut, [Injection("lost", "one", 0.2, 0.8)])
    assert cut.stat().st_size == whole.stat().st_size - 188
    assert [(truth.first, truth.end) for truth in manifest.truths] == [(5, 19)]


@pytest.mark.parametrize("defect", sorted(benches))
def test_every_edit_changes_what_it_should_and_nothing_else(defect: str) -> None:
    bench = benches[defect]
    assert bench.variants
    assert bench.negatives
    assert not set(bench.variants) & set(bench.negatives)
    length_s = 0.8 if bench.kind is Kind.VIDEO else min(bench.event_s[0], LONGEST_S)
    for name in [*bench.variants, *bench.negatives]:
        negative = name in bench.negatives
        injection = Injection(defect, name, 0.2, 0.2 + length_s, negative)
        run = command._Run(footage(0.4 + length_s), [injection], seed=0)
        changes = _pictures_change(run) if run.pictures else _sound_changes(run, length_s)
        # What is made after encoding need not change anything before.
        assert changes or (bench.after is not None and not negative), name


def _pictures_change(run: command._Run) -> bool:
    numbered = _Numbered()
    canvas, clean = Canvas(320, 180), Canvas(320, 180)
    changed = []
    for index in range(30):
        numbered.draw(canvas, index)
        numbered.draw(clean, index)
        fate = run.pictures[0].take(canvas, index)
        changed.append(fate is not None or not np.array_equal(canvas.data, clean.data))
    assert not any(changed[:5] + changed[25:])
    return any(changed[5:25])


def _sound_changes(run: command._Run, length_s: float) -> bool:
    index = np.arange(round((0.4 + length_s) * SAMPLE_RATE))
    clean: Floats = Tones().samples(index)
    edited = clean.copy()
    for first in range(0, len(index), 1000):
        run.sounds[0].take(edited[:, first : first + 1000], first)
    start, end = round(0.2 * SAMPLE_RATE), round((0.2 + length_s) * SAMPLE_RATE)
    assert np.array_equal(edited[:, :start], clean[:, :start])
    assert np.array_equal(edited[:, end:], clean[:, end:])
    return not np.array_equal(edited[:, start:end], clean[:, start:end])
