"""Which clips the bench looks at, and how each is made once and kept."""

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import av
import numpy as np

from streammonitor_worker.detectors.base import Kind
from tests.accuracy.defects import benches
from tests.accuracy.edits import Bench, Injection
from tests.accuracy.encode import Encoding, available
from tests.accuracy.footage import Clip, Footage
from tests.accuracy.sources import KINDS, Source, fetch, sources, wheel_clips

CRFS = (20, 28, 35)
GOPS_S = (1.0, 2.0, 4.0)
SPECIAL = (
    *(("h264", "10-bit"), ("hevc", "10-bit"), ("av1", "10-bit")),
    *(("h264", "full range"), ("hevc", "full range")),
    *(("hevc", "PQ"), ("av1", "PQ"), ("hevc", "HLG"), ("h264", "HLG")),
    *(("mpeg2", "interlaced"), ("h264", "interlaced")),
)
"""Codecs by the formats of pictures that are not 8-bit, limited-range and progressive."""
SPECIAL_EVERY = 3
"""One clip of so many has such a format."""
SOUND_CODECS = ("aac", "mp2", "ac3")
REELS = {Kind.VIDEO: 1, Kind.AUDIO: 2}
"""Reels of defects for each defect and family; the second one is of the other take."""
NEGATIVE_REELS = 4
"""Reels of hard negatives for each defect, and one of real media; each has every negative once."""
CLEAN_PICTURES_S, CLEAN_SOUND_S = 150.0, 200.0


class Role(StrEnum):
    """What a clip is for."""

    DEFECT = "defect"
    NEGATIVE = "negative"
    CLEAN = "clean"


@dataclass(frozen=True)
class Case:
    """One clip: a source, what is done to it, and how it is encoded.

    A `clip` that is a file is real media; a clean one is then analysed as it is.
    """

    role: Role
    defect: str
    kind: Kind
    family: str
    take: int
    duration_s: float
    injections: tuple[Injection, ...] = ()
    encoding: Encoding | None = None
    clip: str = ""

    @property
    def source(self) -> str:
        """What people call the source."""
        return Path(self.clip).name if self.clip else f"{self.family} {self.take}"

    def footage(self) -> Footage:
        """What is to be edited."""
        if self.clip:
            return Clip(Path(self.clip))
        interlaced = self.encoding is not None and self.encoding.form == "interlaced"
        source = Source(self.family, self.take, self.kind)
        return source.footage(self.duration_s, interlaced=interlaced)

    def coding(self) -> str:
        """How it is encoded, in a few words."""
        if self.encoding is None:
            return "as it is"
        if self.kind is Kind.AUDIO:
            return self.encoding.audio
        one = self.encoding
        return f"{one.codec}, CRF {one.crf}, GOP {one.gop_s:g} s, {one.form}"


def cases(half: str, *, clean: float = 1.0, reels: int = 1) -> tuple[list[Case], list[str]]:
    """Every case of a half, and sentences about what is not among them.

    Args:
        half: One of HALVES.
        clean: How much clean material, as a multiple of the usual.
        reels: How many reels with defects, as a multiple of the usual.
    """
    why_not = fetch(half)
    clips = wheel_clips(half)
    found: list[Case] = []
    for bench in benches.values():
        found += _defective(bench, half, reels, clips)
        found += _negatives(bench, half)
    for kind in KINDS:
        found += _clean(kind, half, clean)
    found += [_as_it_is(path) for path in clips]
    return found, why_not


def _defective(bench: Bench, half: str, reels: int, clips: Sequence[Path]) -> Iterator[Case]:
    codings = _codings(bench.kind, bench.codecs)
    for reel in range(reels * (bench.reels or REELS[bench.kind])):
        for source in _takes(bench, half, reel):
            case = Case(Role.DEFECT, bench.defect, bench.kind, source.family, source.take, 0.0)
            yield _laid_out(case, bench, source, next(codings), reel)
    for path in clips if bench.kind is Kind.VIDEO else ():
        if case_of_clip := _in_clip(bench, path, next(codings)):
            yield case_of_clip


def _takes(bench: Bench, half: str, reel: int) -> Iterator[Source]:
    """One take of each family; which one differs between defects, and from reel to reel."""
    by_family: dict[str, list[Source]] = {}
    for source in sources(half, bench.kind):
        if source.family in bench.unseen_in:
            continue
        by_family.setdefault(source.family, []).append(source)
    for family, takes in by_family.items():
        first = hashlib.sha256(f"{bench.defect} {family}".encode()).digest()[0]
        yield takes[(first + reel) % len(takes)]


def _negatives(bench: Bench, half: str) -> Iterator[Case]:
    codings = _codings(bench.kind, bench.codecs, shift=17)
    known = sources(half, bench.kind)
    real = [source for source in known if source.is_real]
    # Spread over the sources, and not in step with their takes.
    chosen = [known[(number * 3 + 1) % len(known)] for number in range(NEGATIVE_REELS)]
    if real:
        chosen.append(real[hashlib.sha256(bench.defect.encode()).digest()[0] % len(real)])
    for number, source in enumerate(chosen):
        case = Case(Role.NEGATIVE, bench.defect, bench.kind, source.family, source.take, 0.0)
        yield _laid_out(case, bench, source, next(codings), number)


def _clean(kind: Kind, half: str, clean: float) -> Iterator[Case]:
    codings = _codings(kind, shift=5)
    duration_s = clean * (CLEAN_PICTURES_S if kind is Kind.VIDEO else CLEAN_SOUND_S)
    for source in sources(half, kind):
        length_s = min(duration_s, source.longest_s)
        yield Case(
            Role.CLEAN, "", kind, source.family, source.take, length_s, encoding=next(codings)
        )


def _as_it_is(path: Path) -> Case:
    duration_s = float(clip_duration(path))
    return Case(Role.CLEAN, "", Kind.VIDEO, path.stem, 1, duration_s, clip=str(path))


def clip_duration(path: Path) -> float:
    """Length of a clip in seconds."""
    with av.open(str(path)) as container:
        return (container.duration or 0) / av.time_base


def _in_clip(bench: Bench, path: Path, encoding: Encoding) -> Case | None:
    """One event in the middle of a real clip, if there is room for one."""
    duration_s = clip_duration(path)
    length_s = 0.6 * duration_s
    if length_s < bench.event_s[0] - 0.5:
        return None
    start_s = 0.2 * duration_s
    end_s = start_s + min(length_s, bench.event_s[1])
    injection = Injection(bench.defect, next(iter(bench.variants)), start_s, end_s)
    return Case(
        Role.DEFECT,
        bench.defect,
        bench.kind,
        path.stem,
        1,
        duration_s,
        (injection,),
        encoding,
        str(path),
    )


def _laid_out(case: Case, bench: Bench, source: Source, encoding: Encoding, reel: int) -> Case:
    """Lay every variant (or hard negative) out over one clip, in an order of its own."""
    negative = case.role is Role.NEGATIVE
    digest = hashlib.sha256(f"{source.name} {bench.defect} {case.role} {reel}".encode()).digest()
    rng = np.random.default_rng(list(digest))
    names = rng.permutation(list(bench.negatives if negative else bench.variants)).tolist()
    injections, at = [], bench.lead_s
    for name in names:
        length_s = bench.negative_s if negative else rng.uniform(*bench.event_s)
        start, end = (round(t * source.frame_rate) for t in (at, at + length_s))
        start_s, end_s = (float(tick / source.frame_rate) for tick in (start, end))
        injections.append(Injection(bench.defect, name, start_s, end_s, negative))
        at = end_s + rng.uniform(*bench.gaps_s)
    return replace(case, duration_s=at, injections=tuple(injections), encoding=encoding)


def _codings(kind: Kind, codecs: Sequence[str] = (), shift: int = 0) -> Iterator[Encoding]:
    """Every way of encoding once, in a fixed random order, over and over."""
    if kind is Kind.AUDIO:
        yield from itertools.cycle([Encoding(audio=name) for name in SOUND_CODECS])
    known = [name for name in available() if not codecs or name in codecs]
    usual = [
        Encoding(codec, crf, gop_s, b_frames=2 * (number % 2))
        for number, (codec, crf, gop_s) in enumerate(itertools.product(known, CRFS, GOPS_S))
    ]
    special = [
        Encoding(codec, crf, GOPS_S[number % len(GOPS_S)], b_frames=2 * (number % 2), form=form)
        for number, ((codec, form), crf) in enumerate(itertools.product(SPECIAL, CRFS))
        if codec in known
    ]
    usually, specially = _shuffled(usual, shift), _shuffled(special, shift)
    for number in itertools.count():
        yield next(specially if special and number % SPECIAL_EVERY == 1 else usually)


def _shuffled(grid: Sequence[Encoding], shift: int) -> Iterator[Encoding]:
    order = np.random.default_rng(4).permutation(len(grid)).tolist()
    return itertools.cycle([grid[order[(n + shift) % len(grid)]] for n in range(len(grid))])
