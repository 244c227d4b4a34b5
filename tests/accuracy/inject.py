"""Put a defect, or what only looks like one, into any clip; write a manifest that is exact.

    python -m tests.accuracy.inject --list
    python -m tests.accuracy.inject in.mp4 out.ts --defect black --at 4 --for 4
    python -m tests.accuracy.inject in.mp4 out.ts --defect freeze --variant 'fresh grain' \
        --at 2 --for 4 --codec hevc --crf 35 --gop 1 --seed 7

The clip is decoded, edited and encoded again; out.ts.json says what is where.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np

from dev.origin.origin import SAMPLE_RATE, Bytes, Canvas, Floats
from streammonitor_worker.detectors.base import Kind
from tests.accuracy.defects import benches
from tests.accuracy.edits import (
    Fate,
    Injection,
    MakePictureEdit,
    MakeSoundEdit,
    PictureEdit,
    Span,
    Truth,
)
from tests.accuracy.encode import Encoding, Writer, available
from tests.accuracy.footage import Clip, Footage
from tests.accuracy.formats import FORMATS

LEAD = 4096  # samples by which sound is encoded ahead of the pictures


@dataclass(frozen=True)
class Manifest:
    """What was written, and from what.

    `source_sha256` is the digest of the source's file, or of its raw pictures and sound if it was
    generated.
    """

    source: str
    source_sha256: str
    seed: int
    encoding: Encoding
    size: tuple[int, int] | None
    frame_rate: str
    frames: int
    samples: int
    truths: tuple[Truth, ...]

    @property
    def duration_s(self) -> float:
        """Length of the clip."""
        return max(float(self.frames / Fraction(self.frame_rate)), self.samples / SAMPLE_RATE)

    def to_json(self) -> str:
        """The manifest as JSON."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "Manifest":
        """Read one back."""
        fields = json.loads(text)
        return cls(
            **{
                **fields,
                "encoding": Encoding(**fields["encoding"]),
                "size": tuple(fields["size"]) if fields["size"] else None,
                "truths": tuple(Truth(**truth) for truth in fields["truths"]),
            }
        )


class _PictureEditing:
    """One picture edit on its way through the clip."""

    def __init__(self, injection: Injection, rate: Fraction, seed: int) -> None:
        self.injection, self.frames = injection, injection.ticks(float(rate))
        self.first, self.end = self.frames.start, self.frames.stop
        self._holds = benches[injection.defect].holds_picture and not injection.negative
        span = Span(len(self.frames), float(rate), _rng(injection, seed))
        self._edit: PictureEdit = cast(MakePictureEdit, _maker(injection))(span)

    def take(self, canvas: Canvas, index: int) -> Fate | None:
        """Edit picture `index` of the source if it is in the span."""
        return self._edit(canvas, index - self.frames.start) if index in self.frames else None

    def note(self, index: int, shown: int, same_since: int) -> None:
        """Learn where the span lies in the clip, after picture `index` was edited.

        Args:
            index: Number of the picture in the source.
            shown: Its number in the clip, which lacks those that were skipped.
            same_since: Number of the first picture in the clip that looks the same.
        """
        if index == self.frames.start:
            self.first = same_since if self._holds else shown
        if index == self.frames.stop - 1:
            self.end = shown + 1
        if self._holds and index >= self.frames.stop and same_since < self.end:
            self.end = shown + 1


class _SoundEditing:
    """One sound edit on its way through the clip."""

    def __init__(self, injection: Injection, seed: int) -> None:
        self.injection, self.span = injection, injection.ticks(SAMPLE_RATE)
        span = Span(len(self.span), float(SAMPLE_RATE), _rng(injection, seed))
        self._edit = cast(MakeSoundEdit, _maker(injection))(span)

    def take(self, samples: Floats, first: int) -> None:
        """Edit those of the samples, the first of which has this number, that are in the span."""
        start = max(self.span.start, first)
        end = min(self.span.stop, first + samples.shape[1])
        if start < end:
            self._edit(samples[:, start - first : end - first], start - self.span.start)


def _maker(injection: Injection) -> MakePictureEdit | MakeSoundEdit:
    bench = benches[injection.defect]
    known = bench.negatives if injection.negative else bench.variants
    return known[injection.variant]


def _rng(injection: Injection, seed: int) -> np.random.Generator:
    name = f"{seed} {injection.defect} {injection.variant} {injection.start_s}"
    return np.random.default_rng(list(hashlib.sha256(name.encode()).digest()))


class _Run:
    """A clip on its way from the source to the file."""

    def __init__(self, footage: Footage, injections: Sequence[Injection], seed: int) -> None:
        kinds = {one: benches[one.defect].kind for one in injections}
        self.footage = footage
        self.pictures = [
            _PictureEditing(one, footage.frame_rate, seed)
            for one in injections
            if kinds[one] is Kind.VIDEO
        ]
        self.sounds = [_SoundEditing(one, seed) for one in injections if kinds[one] is Kind.AUDIO]
        self.digest = hashlib.sha256()
        self._sounding = footage.samples()

    def write(self, writer: Writer) -> None:
        """Edit and encode everything, sound just ahead of the pictures."""
        for canvas, fate in self._edited():
            if fate is Fate.SKIPPED:
                continue
            due = (writer.frames + 1) / self.footage.frame_rate * SAMPLE_RATE + LEAD
            self._play(writer, float(due))
            if fate is Fate.LEFT_OUT:
                writer.leave_out()
            else:
                writer.show(canvas)
        self._play(writer, float("inf"))

    def _edited(self) -> Iterator[tuple[Canvas, Fate | None]]:
        before: Bytes | None = None
        same_since = shown = 0
        for index, canvas in enumerate(self.footage.frames()):
            self.digest.update(canvas.data.data)
            fates = [edit.take(canvas, index) for edit in self.pictures]
            fate = next((one for one in fates if one is not None), None)
            if fate is None and (before is None or not np.array_equal(before, canvas.y)):
                before, same_since = canvas.y.copy(), shown
            for edit in self.pictures:
                edit.note(index, shown, same_since)
            yield canvas, fate
            shown += fate is not Fate.SKIPPED

    def _play(self, writer: Writer, due: float) -> None:
        while self.footage.has_sound and writer.samples < due:
            samples = next(self._sounding, None)
            if samples is None:
                return
            self.digest.update(np.ascontiguousarray(samples).data)
            for edit in self.sounds:
                edit.take(samples, writer.samples)
            writer.play(samples)

    def truths(self, frames: int, samples: int) -> tuple[Truth, ...]:
        """The edits on the grid that they were written on, cut at the end of the clip."""
        rate = self.footage.frame_rate
        found = [
            _truth(one.injection, one.first, min(one.end, frames), rate) for one in self.pictures
        ]
        found += [
            _truth(one.injection, one.span.start, min(one.span.stop, samples), SAMPLE_RATE)
            for one in self.sounds
        ]
        return tuple(sorted(found, key=lambda truth: truth.start_s))


def _truth(injection: Injection, first: int, end: int, rate: Fraction | int) -> Truth:
    return Truth(
        injection.defect,
        injection.variant,
        injection.negative,
        float(first / Fraction(rate)),
        float(end / Fraction(rate)),
        first,
        end,
    )


def inject(
    footage: Footage,
    out: Path,
    injections: Sequence[Injection] = (),
    *,
    encoding: Encoding | None = None,
    seed: int = 0,
) -> Manifest:
    """Edit footage, encode it, and return the manifest. The same input gives the same clip."""
    encoding = encoding or Encoding()
    run = _Run(footage, injections, seed)
    with Writer(
        out,
        encoding,
        size=footage.size,
        frame_rate=footage.frame_rate,
        sound=footage.has_sound,
    ) as writer:
        run.write(writer)
    truths = _presented(run.truths(writer.frames, writer.samples), writer)
    truths = _judged(footage, out, truths, injections, encoding=encoding, seed=seed)
    truths = _damaged(out, truths, seed)
    return Manifest(
        source=footage.name,
        source_sha256=footage.sha256() or run.digest.hexdigest(),
        seed=seed,
        encoding=encoding,
        size=footage.size,
        frame_rate=str(footage.frame_rate),
        frames=writer.frames,
        samples=writer.samples if _sounds(out) else 0,
        truths=truths,
    )


def _judged(
    footage: Footage,
    clip: Path,
    truths: tuple[Truth, ...],
    injections: Sequence[Injection],
    *,
    encoding: Encoding,
    seed: int,
) -> tuple[Truth, ...]:
    """Let each defect whose edits may be too small to be noticed compare them with none."""
    found: list[Truth] = []
    for defect in sorted({truth.defect for truth in truths}):
        own = tuple(truth for truth in truths if truth.defect == defect)
        judge = benches[defect].judge
        if judge is None or all(one.negative for one in own):
            found += own
            continue
        clean = clip.with_name(f"clean-{clip.name}")
        others = [one for one in injections if one.defect != defect]
        inject(footage, clean, others, encoding=encoding, seed=seed)
        found += judge(clip, clean, own)
        clean.unlink()
    return tuple(sorted(found, key=lambda truth: truth.start_s))


def _presented(truths: tuple[Truth, ...], writer: Writer) -> tuple[Truth, ...]:
    """Times from the first sample that is presented, where it is not the first of the source."""
    lead_s = writer.lead / SAMPLE_RATE
    return tuple(
        replace(
            one,
            start_s=one.start_s - lead_s,
            end_s=one.end_s - lead_s,
            first=one.first - writer.lead,
            end=one.end - writer.lead,
        )
        for one in truths
    )


def _sounds(clip: Path) -> bool:
    """Whether the clip has sound: what damages packets of pictures may leave it out."""
    with av.open(str(clip)) as container:
        return bool(container.streams.audio)


def _damaged(clip: Path, truths: tuple[Truth, ...], seed: int) -> tuple[Truth, ...]:
    """Let each defect that is made on the compressed side make itself."""
    found: list[Truth] = []
    for defect in sorted({truth.defect for truth in truths}):
        own = tuple(truth for truth in truths if truth.defect == defect)
        after = benches[defect].after
        found += own if after is None else after(clip, own, np.random.default_rng(seed))
    return tuple(sorted(found, key=lambda truth: truth.start_s))


class _List(argparse.Action):
    """Prints what can be injected, and ends."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        for defect, bench in sorted(benches.items()):
            print(f"{defect}: {', '.join(bench.variants)}")  # noqa: T201 — what the option is for
            print(f"    only looks like it: {', '.join(bench.negatives)}")  # noqa: T201
        parser.exit()


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("clip", type=Path, help="any media file")
    parser.add_argument("out", type=Path, help="what to write; its suffix says which container")
    parser.add_argument("--list", action=_List, nargs=0, help="print every defect and its variants")
    parser.add_argument("--defect", choices=sorted(benches), required=True)
    parser.add_argument("--variant", help="which kind of it, or which hard negative")
    parser.add_argument("--at", type=float, required=True, metavar="SECONDS", help="where")
    parser.add_argument(
        "--for", type=float, required=True, metavar="SECONDS", dest="length_s", help="how long"
    )
    parser.add_argument("--codec", choices=available(), default="h264")
    parser.add_argument("--crf", type=int, default=28)
    parser.add_argument("--gop", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument("--b-frames", type=int, default=0)
    parser.add_argument("--format", choices=FORMATS, default=FORMATS[0], help="of the pictures")
    parser.add_argument("--audio-codec", default="aac")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def _refuse(given: argparse.Namespace, variant: str, footage: Footage) -> None:
    """End with a sentence if that cannot be done."""
    bench = benches[given.defect]
    if variant not in {*bench.variants, *bench.negatives}:
        known = ", ".join([*bench.variants, *bench.negatives])
        sys.exit(f"--variant {variant}: {given.defect} has {known}")
    if given.at < 0 or given.length_s <= 0:
        sys.exit(f"--at {given.at:g} --for {given.length_s:g}: there is no such span")
    if bench.codecs and given.codec not in bench.codecs:
        sys.exit(f"--codec {given.codec}: {given.defect} is made in {', '.join(bench.codecs)}")
    if bench.kind is Kind.VIDEO and footage.size is None:
        sys.exit(f"{given.clip} has no pictures: {given.defect} is a defect of pictures")
    if bench.kind is Kind.AUDIO and not footage.has_sound:
        sys.exit(f"{given.clip} has no sound: {given.defect} is a defect of sound")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write a clip and, beside it, its manifest."""
    given = _arguments(arguments)
    bench, footage = benches[given.defect], Clip(given.clip)
    variant = given.variant or next(iter(bench.variants))
    _refuse(given, variant, footage)
    injection = Injection(
        given.defect,
        variant,
        given.at,
        given.at + given.length_s,
        negative=variant in bench.negatives,
    )
    encoding = Encoding(
        given.codec, given.crf, given.gop, given.b_frames, given.audio_codec, given.format
    )
    manifest = inject(footage, given.out, [injection], encoding=encoding, seed=given.seed)
    given.out.with_name(given.out.name + ".json").write_text(manifest.to_json() + "\n")
    print(manifest.to_json())  # noqa: T201 — what the command is for
    return 0


if __name__ == "__main__":
    sys.exit(main())
