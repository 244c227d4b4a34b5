"""Damage of the compressed stream, live and baked in, mosaics of it, and what looks like them.

A clip goes through two hops, as from a contribution link through a broadcaster's encoder. What is
`baked` is done to the first: it is decoded and encoded anew, so that no flag is left. What is
`live` is done to the second, which is what the detectors get. Mosaics are drawn before both.

The truth of either is the difference of clean and damaged pictures: an episode is what differs at
all, and an event if in three pictures in a row at least 2 % of the tiles visibly do. What differs
less, before an event, after it, or without one, is neutral: it may be reported or not. So is what
comes so soon after other damage that an alarm for that still holds.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Literal, cast, get_args

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from dev.media.damage import NAMES, Coding, Damage, Kind, damage, encode
from dev.media.visible import Bytes, Seen, runs, seen
from dev.origin.origin import Canvas
from streammonitor_worker.detectors.base import Kind as Sense
from tests.accuracy.blocky import BLOCK_PX, NEGATIVES, copied, planes
from tests.accuracy.edits import Bench, PictureEdit, Span, Truth, unedited

KINDS: tuple[Kind, ...] = ("flip", "slice", "unit", "ts")
AREA_RATIO, PICTURES = 0.02, 3
APART_S = 2.5
"""Damage that comes again within this time belongs to the same episode, as it does for an alarm."""
MOST_UNITS = 8
CRFS = (20, 28, 35)
LOW_CRFS = (40, 45, 51)
"""Of every other clip with hard negatives."""
FILLED = 0.8
"""Share of the blocks of a cluster that are drawn."""
MIN_CODES = 14.0
"""By how much the luma of a drawn block must differ from what it hides, in the mean."""
Look = Literal["displaced", "frozen", "grey", "green", "smeared"]


class _Mosaic:
    """Makes edits that replace 4 to 20 % of the blocks of 16 pixels, in a cluster."""

    def __init__(self, look: Look) -> None:
        self._look = look

    def __call__(self, span: Span) -> PictureEdit:
        rng, before = span.rng, list[Canvas]()
        renewed = int(rng.choice([3, 8, 1000]))
        places = np.zeros((0, 2), int)

        def edit(canvas: Canvas, index: int) -> None:
            nonlocal places
            if not before:
                before.append(copied(canvas))
            if index % renewed == 0:
                places = _cluster(rng, canvas.y.shape)
            source = before[0] if self._look == "frozen" else copied(canvas)
            for top, left in places.tolist():
                _replace(canvas, source, (top, left), self._look, rng)

        return edit


def _cluster(rng: np.random.Generator, shape: Sequence[int]) -> NDArray[np.int64]:
    """Most of the blocks of some rows of blocks, or of a part of them: (n, 2) top and left."""
    rows, columns = (side // BLOCK_PX for side in shape)
    height = int(rng.integers(2, max(3, rows // 4)))
    width = max(4, round(float(rng.uniform(0.06, 0.22)) * rows * columns / height))
    width = min(width, columns)
    top, left = rng.integers(0, rows - height + 1), rng.integers(0, columns - width + 1)
    grid = np.argwhere(rng.random((height, width)) < FILLED) + np.array([top, left])
    places: NDArray[np.int64] = grid * BLOCK_PX
    return places


def _replace(
    canvas: Canvas, source: Canvas, place: tuple[int, int], look: Look, rng: np.random.Generator
) -> None:
    """Damage one block; if that would not be seen, from elsewhere or in another light."""
    was = _block(canvas.y, place, 1).copy()
    for (plane, part), (other, _) in zip(planes(canvas), planes(source), strict=True):
        hurt = _block(plane, place, part)
        np.copyto(hurt, _looks(other, place, part, look, rng if part == 1 else None))
    seen_block = _block(canvas.y, place, 1)
    if look != "green" and cv2.absdiff(was, seen_block).mean() < MIN_CODES:
        shift = 24 if was.mean() < 128 else -24
        np.copyto(seen_block, np.clip(seen_block.astype(int) + shift, 16, 235).astype(np.uint8))


def _block(plane: Bytes, place: tuple[int, int], part: int) -> Bytes:
    top, left, side = place[0] // part, place[1] // part, BLOCK_PX // part
    return plane[top : top + side, left : left + side]


def _looks(
    plane: Bytes,
    place: tuple[int, int],
    part: int,
    look: Look,
    rng: np.random.Generator | None,
) -> Bytes:
    block = _block(plane, place, part)
    if look == "grey":
        return np.full_like(block, 128)
    if look == "green":
        return np.full_like(block, 16 if part == 1 else 0)
    if look == "smeared":
        return np.broadcast_to(block[:1], block.shape).astype(np.uint8)
    if look == "displaced" and rng is not None:
        height, width = plane.shape
        top = int(np.clip(place[0] + rng.integers(-96, 97), 0, height - BLOCK_PX))
        left = int(np.clip(place[1] + rng.integers(-96, 97), 0, width - BLOCK_PX))
        return plane[top : top + BLOCK_PX, left : left + BLOCK_PX]
    return block


# ------------------------------------------------------------------------------- compressed side


def damaged(clip: Path, truths: tuple[Truth, ...], rng: np.random.Generator) -> list[Truth]:
    """Send a clip over both hops and damage it where the truths say."""
    data = clip.read_bytes()
    found = [one for one in truths if one.negative or one.variant in MOSAICS]
    poor = all(one.negative for one in truths) and rng.random() < 0.5
    if len(found) == len(truths) and not poor:
        return found
    coding = _coding(data, rng, LOW_CRFS if poor else CRFS)
    for hop in ("baked", "live"):
        own = [one for one in truths if one.variant.startswith(hop)]
        damages = [_damage_of(one, data, rng) for one in own]
        hurt = damage(data, damages)
        pictures: list[tuple[float, bool]] = []
        shown = _noted(seen(data, hurt), pictures)
        if hop == "baked":
            data = encode((one.picture for one in shown), coding)
        else:
            data = hurt
            for _ in shown:
                pass
        found += episodes(pictures, own, float(coding.rate))
    clip.write_bytes(data)
    return list(_told_apart(found))


def _told_apart(found: Sequence[Truth]) -> Iterator[Truth]:
    """Make what follows other damage too soon neutral."""
    until_s, variant = -APART_S, ""
    for truth in sorted(found, key=lambda one: one.start_s):
        near = truth.start_s < until_s + APART_S and truth.variant != variant
        yield truth if truth.negative else replace(truth, neutral=truth.neutral or near)
        if truth.end_s > until_s:
            until_s, variant = truth.end_s, truth.variant


def _noted(shown: Iterator[Seen], pictures: list[tuple[float, bool]]) -> Iterator[Seen]:
    for one in shown:
        pictures.append((one.area, one.differs))
        yield one


def _coding(data: bytes, rng: np.random.Generator, crfs: Sequence[int]) -> Coding:
    """Encode as before, but with other settings."""
    with av.open(io.BytesIO(data)) as container:
        video = container.streams.video[0]
        name = video.codec_context.name
        rate = Fraction(video.average_rate or 25)
    return Coding(
        rate=rate,
        crf=int(rng.choice(crfs)),
        gop=max(1, round(rate * int(rng.choice([1, 2])))),
        slices=int(rng.choice([1, 4, 9])),
        b_frames=int(rng.choice([0, 2])),
        codec=NAMES.get(name, name),
    )


def _damage_of(truth: Truth, data: bytes, rng: np.random.Generator) -> Damage:
    """Damage that begins with the first picture of a span, in coding order."""
    return Damage(
        cast(Kind, truth.variant.split()[-1]),
        first=truth.first,
        count=min(int(rng.integers(1, MOST_UNITS + 1)), truth.end - truth.first),
        share=float(rng.uniform(0.1, 0.9)),
        seed=int(rng.integers(1 << 31)),
    )


def episodes(
    pictures: Sequence[tuple[float, bool]], own: Sequence[Truth], rate_hz: float
) -> list[Truth]:
    """What is to be reported of the damage that was done, and what may be.

    Args:
        pictures: Of each picture the damaged share, and whether it differs at all.
        own: What was done, in order.
        rate_hz: Pictures a second.
    """
    found = []
    for first, end in _spells([differs for _, differs in pictures], own, APART_S * rate_hz):
        seen_much = [ratio >= AREA_RATIO for ratio, _ in pictures[first:end]]
        events = runs(seen_much, PICTURES)
        doer = [one for one in own if one.first <= first + MOST_UNITS] or [own[0]]
        start = first + events[0].start if events else end
        stop = first + events[-1].stop if events else end
        for one, after, event in ((first, start, False), (start, stop, True), (stop, end, False)):
            if one < after:
                truth = replace(doer[-1], first=one, end=after, neutral=not event)
                found.append(replace(truth, start_s=one / rate_hz, end_s=after / rate_hz))
    return found


def _spells(
    differs: Sequence[bool], own: Sequence[Truth], apart: float
) -> Iterator[tuple[int, int]]:
    """Stretches of pictures that differ, or were to; those less apart than so many are one."""
    marked = list(differs)
    for one in own:
        marked[one.first : one.first + 1] = [True] * len(marked[one.first : one.first + 1])
    joined: list[list[int]] = []
    for run in runs(marked):
        if joined and run.start - joined[-1][1] < apart:
            joined[-1][1] = run.stop
        else:
            joined.append([run.start, run.stop])
    yield from ((first, end) for first, end in joined)


MOSAICS = {f"{look} mosaic": _Mosaic(cast(Look, look)) for look in get_args(Look)}

BENCH = Bench(
    defect="blockCorruption",
    kind=Sense.VIDEO,
    variants={
        **{f"{hop} {kind}": unedited for hop in ("live", "baked") for kind in KINDS},
        **MOSAICS,
    },
    negatives=NEGATIVES,
    event_s=(0.2, 1.2),
    negative_s=4.0,
    after=damaged,
    # What is lost of AV1 is whole pictures, and their decoder shows others of other times instead.
    codecs=("h264", "hevc", "mpeg2"),
)
