"""Sound that is interrupted for a moment, and sound that begins and ends abruptly by itself."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from dev.origin.origin import SAMPLE_RATE, Floats
from streammonitor_worker.detectors.base import Kind
from tests.accuracy.audible import ADDED_DB, DISTURBED_DB, added_db, disturbance_db
from tests.accuracy.edits import Bench, MakeSoundEdit, SoundEdit, Span, Truth, decibels, seconds
from tests.accuracy.sounds import Seeded, Voice

AT_S = 0.1
"""How far into its span that happens which lasts a moment only."""
SHORTEST_S = 0.02
"""What is shorter counts as this long, so that an alarm can overlap it."""
HEARD_DBFS = -40.0
"""What interrupts softer sound than this, on either side, is hardly heard: it may be reported."""
DELAY = 512
"""Samples by which a decoder may be late."""
PACKET = 1024
LOST_PACKETS = 3

Times = NDArray[np.float64]


class _Gap:
    """Makes edits that set sound to zero for a moment."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s

    def __call__(self, span: Span) -> SoundEdit:
        def edit(samples: Floats, first: int) -> None:
            at = seconds(first, samples.shape[1])
            samples[:, (at >= AT_S) & (at < AT_S + self._length_s)] = 0

        return edit


class _Replayed:
    """Makes edits that play what was played before; `source` tells which sample for which."""

    def __init__(self, source: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> None:
        self._source = source

    def __call__(self, span: Span) -> SoundEdit:
        heard = np.zeros((2, 0), np.float32)

        def edit(samples: Floats, first: int) -> None:
            nonlocal heard
            heard = np.concatenate((heard, samples), axis=1)
            index = np.arange(first, first + samples.shape[1], dtype=np.int64)
            back = np.clip((index - AT_S * SAMPLE_RATE) / SAMPLE_RATE - 0.3, 0, 0.5) * 2
            back[index < round(AT_S * SAMPLE_RATE)] = 1
            samples *= back.astype(np.float32)
            samples += heard[:, self._source(index)] * (1 - back).astype(np.float32)

        return edit


def _again(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """Four packets of 21 ms play what the one before them played: a buffer that ran dry."""
    begin = round(AT_S * SAMPLE_RATE)
    within = (index >= begin) & (index < begin + 4 * PACKET)
    return np.where(within, begin - PACKET + (index - begin) % PACKET, index)


def _late(index: NDArray[np.int64]) -> NDArray[np.int64]:
    """From one sample to the next, back by 61 ms: a wrong splice."""
    return np.where(index >= round(AT_S * SAMPLE_RATE), index - 2944, index)


class _Clicks:
    """Makes edits with single samples that jump half as high again as the sound round them."""

    def __init__(self, count: int, every_s: float) -> None:
        self._count, self._every_s = count, every_s

    def __call__(self, span: Span) -> SoundEdit:
        signs = span.rng.choice([-1, 1], self._count)
        at = [round((AT_S + number * self._every_s) * SAMPLE_RATE) for number in range(self._count)]

        def edit(samples: Floats, first: int) -> None:
            height = min(1.0, max(0.1, 1.5 * float(np.abs(samples).max(initial=0.0))))
            for sign, position in zip(signs, at, strict=True):
                if first <= position < first + samples.shape[1]:
                    samples[:, position - first] = sign * height

        return edit


def unedited(span: Span) -> SoundEdit:
    """Leave the sound alone: what happens to it happens after encoding."""

    def edit(samples: Floats, first: int) -> None:
        pass

    return edit


# ---------------------------------------------------------------------------------- hard negatives


def _hits(time_s: Times, every_s: float, seed: int) -> tuple[Times, Times]:
    """Time since the last of irregular hits, and a random number of that hit."""
    random = Seeded(seed)
    number = np.floor(time_s / every_s).astype(np.int64)
    since = time_s - (number + 0.5 * random.draw(number)) * every_s
    return np.where(since > 0, since, 9.0), random.draw(number, 1)


class _Hits:
    """Makes edits of short noises between which there is little or nothing."""

    def __init__(self, every_s: float, decay_s: float, room_dbfs: float | None) -> None:
        self._every_s, self._decay_s, self._room_dbfs = every_s, decay_s, room_dbfs

    def __call__(self, span: Span) -> SoundEdit:
        def edit(samples: Floats, first: int) -> None:
            since, strength = _hits(seconds(first, samples.shape[1]), self._every_s, 31)
            shape = np.minimum(since / 0.0005, 1) * np.exp(-since / self._decay_s)
            noise = span.rng.standard_normal(samples.shape, dtype=np.float32)
            samples[:] = noise * (shape * (0.1 + 0.1 * strength)).astype(np.float32)
            samples[np.abs(samples) < 1e-5] = 0
            if self._room_dbfs is not None:
                room = span.rng.standard_normal(samples.shape, dtype=np.float32)
                samples += room * np.float32(decibels(self._room_dbfs))

        return edit


def _blended(make: MakeSoundEdit) -> MakeSoundEdit:
    """The edit, into which the source blends within 50 ms: no cut, which would be a defect."""

    def made(span: Span) -> SoundEdit:
        inner = make(span)

        def edit(samples: Floats, first: int) -> None:
            at = seconds(first, samples.shape[1])
            left_s = span.length / SAMPLE_RATE - at
            share = np.clip(np.minimum(at, left_s) / 0.05, 0, 1).astype(np.float32)
            before = samples * (1 - share)
            inner(samples, first)
            samples *= share
            samples += before

        return edit

    return made


def plosives(span: Span) -> SoundEdit:
    """A voice that closes for 70 ms five times a second, and opens with a burst."""
    voice = Voice(33, pitch_hz=120, level=0.15, room=-62)

    def edit(samples: Floats, first: int) -> None:
        index = np.arange(first, first + samples.shape[1], dtype=np.int64)
        at = seconds(first, samples.shape[1]) % 0.2
        opened = np.minimum(np.minimum(np.abs(at - 0.13) / 0.012, 1), (at < 0.13) | (at >= 0.2))
        burst = (at < 0.012) * np.exp(-at / 0.004) * 0.15
        noise = span.rng.standard_normal(samples.shape, dtype=np.float32)
        samples[:] = voice.samples(index) * opened.astype(np.float32)
        samples += noise * (burst + decibels(-66)).astype(np.float32)

    return edit


def gated_synth(span: Span) -> SoundEdit:
    """Chords that a gate opens and closes eight times a second, within 5 ms each."""

    def edit(samples: Floats, first: int) -> None:
        time_s = seconds(first, samples.shape[1])
        at = time_s % 0.125
        gate = np.clip(np.minimum(at, 0.07 - at) / 0.005, 0, 1)
        chord = sum(np.sin(2 * np.pi * hz * time_s + hz) for hz in (220, 277, 330, 440))
        samples[:] = (chord * gate * 0.12).astype(np.float32)

    return edit


def plucked(span: Span) -> SoundEdit:
    """Notes that begin within 2 ms and have gone after 80."""

    def edit(samples: Floats, first: int) -> None:
        since, pitch = _hits(seconds(first, samples.shape[1]), 0.3, 35)
        wave = sum(np.sin(2 * np.pi * k * 150 * 4**pitch * since) / k for k in range(1, 8))
        shape = np.minimum(since / 0.002, 1) * np.exp(-since / 0.02)
        samples[:] = (wave * shape * 0.25).astype(np.float32)

    return edit


def fade(span: Span) -> SoundEdit:
    """Out within 80 ms, a moment of nothing, and in again, every 1.5 s."""

    def edit(samples: Floats, first: int) -> None:
        at = seconds(first, samples.shape[1]) % 1.5
        samples *= np.clip(np.abs(at - 0.9) / 0.08 - 1, 0, 1).astype(np.float32)

    return edit


def takes(span: Span) -> SoundEdit:
    """Cuts between this and another programme, each blended over 3 ms, every 0.8 s."""
    other = Voice(36, pitch_hz=190, level=0.12, room=-58)

    def edit(samples: Floats, first: int) -> None:
        index = np.arange(first, first + samples.shape[1], dtype=np.int64)
        at = seconds(first, samples.shape[1]) % 1.6
        blend = np.clip((0.4 - np.abs(at - 0.8)) / 0.003, 0, 1).astype(np.float32)
        samples *= 1 - blend
        samples += other.samples(index) * blend

    return edit


# ------------------------------------------------------------------------------ the encoded clip


def judged(clip: Path, clean: Path, truths: tuple[Truth, ...]) -> tuple[Truth, ...]:
    """Edits that nobody could hear are neutral: see `tests.accuracy.audible`."""
    damaged, undamaged = _decoded(clip), _decoded(clean)
    return tuple(replace(one, neutral=_is_masked(one, damaged, undamaged)) for one in truths)


def _is_masked(truth: Truth, damaged: Floats, clean: Floats) -> bool:
    if truth.negative or "packets" in truth.variant:
        return False
    first = truth.first + round(AT_S * SAMPLE_RATE)
    if truth.variant == "wrong splice":
        return added_db(damaged, first + DELAY // 2) < ADDED_DB
    length = round(LASTING_S.get(truth.variant, 0.0) * SAMPLE_RATE)
    near = slice(max(0, first - DELAY), first + length + 2 * DELAY)
    return disturbance_db(damaged[:, near], clean[:, near]) < DISTURBED_DB


def interrupted(clip: Path, truths: tuple[Truth, ...], rng: np.random.Generator) -> Sequence[Truth]:
    """Lose packets where that is the event; then state when what is to be heard."""
    sound = _decoded(clip)
    placed = [one if one.negative else _placed(one, sound) for one in truths]
    shift = _lose_packets(clip, [one for one in placed if "packets" in one.variant])
    return _blended_cuts(clip, [shift(one) for one in placed])


def _blended_cuts(clip: Path, truths: Sequence[Truth]) -> Sequence[Truth]:
    """Cuts that the decoder blended are neutral: so does an editor, and nobody hears of it."""
    sound = _decoded(clip)
    found: list[Truth] = []
    missing = 0  # Samples that time stamps count and the decoder did not put out.
    for one in truths:
        if "cut out" in one.variant and added_db(sound, one.first - missing) < ADDED_DB:
            found.append(replace(one, neutral=True))
            continue
        found.append(one)
        missing += one.end - one.first if "lost" in one.variant else 0
    return found


def _placed(truth: Truth, sound: Floats) -> Truth:
    start_s = truth.start_s + AT_S
    end_s = start_s + max(SHORTEST_S, LASTING_S.get(truth.variant, 0.0))
    first, end = round(start_s * SAMPLE_RATE), round(end_s * SAMPLE_RATE)
    neutral = truth.neutral or not _is_heard(sound, first, end)
    return replace(truth, start_s=start_s, end_s=end_s, first=first, end=end, neutral=neutral)


def _decoded(clip: Path) -> NDArray[np.float32]:
    with av.open(str(clip)) as container:
        return np.concatenate([one.to_ndarray() for one in container.decode(audio=0)], axis=1)


def _is_heard(sound: Floats, first: int, end: int) -> bool:
    near = round(0.03 * SAMPLE_RATE)
    sides = sound[:, first - near : first], sound[:, end : end + near]
    return all(float(np.sqrt(np.mean(side**2))) >= decibels(HEARD_DBFS) for side in sides)


def _lose_packets(clip: Path, events: Sequence[Truth]) -> Callable[[Truth], Truth]:
    """Write the clip without some packets; return what that makes of each truth.

    Where packets are cut out, what follows comes earlier: no timestamp tells that any is missing.
    """
    cuts: list[tuple[float, float]] = []
    lost: dict[float, tuple[float, float]] = {}
    damaged = clip.with_name(f"damaged-{clip.name}")
    with av.open(str(clip)) as source, av.open(str(damaged), "w") as out:
        audio = source.streams.audio[0]
        streams = {one.index: out.add_stream_from_template(one) for one in source.streams}
        base, origin = audio.time_base or Fraction(1, SAMPLE_RATE), None
        for packet in source.demux():
            written = streams[packet.stream.index]
            if packet.pts is None:
                continue
            if packet.stream is not audio:
                packet.stream = written
                out.mux(packet)
                continue
            origin = packet.pts if origin is None else origin
            time_s = float((packet.pts - origin) * base)
            length_s = float((packet.duration or 0) * base)
            due = [one for one in events if one.start_s <= time_s + 1e-6]
            due = [one for one in due if time_s < one.start_s + (LOST_PACKETS - 0.01) * length_s]
            if due:
                start_s, _ = lost.setdefault(due[0].start_s, (time_s, 0.0))
                lost[due[0].start_s] = (start_s, time_s + length_s)
                if "cut out" in due[0].variant:
                    cuts.append((time_s, length_s))
                continue
            packet.pts -= round(_before(cuts, time_s) / base)
            packet.dts, packet.stream = packet.pts, written
            out.mux(packet)
    damaged.replace(clip)

    def shifted(truth: Truth) -> Truth:
        start_s, end_s = lost.get(truth.start_s, (truth.start_s, truth.end_s))
        earlier_s = _before(cuts, start_s)
        start_s, end_s = start_s - earlier_s, end_s - earlier_s
        if "cut out" in truth.variant:
            end_s = start_s + SHORTEST_S
        first, end = round(start_s * SAMPLE_RATE), round(end_s * SAMPLE_RATE)
        return replace(truth, start_s=start_s, end_s=end_s, first=first, end=end)

    return shifted


def _before(cuts: Sequence[tuple[float, float]], time_s: float) -> float:
    """How much was cut out before this, in seconds."""
    return sum(length_s for start_s, length_s in cuts if start_s < time_s - 1e-6)


GAPS_S = {"5 ms": 0.005, "10 ms": 0.01, "20 ms": 0.02, "50 ms": 0.05, "200 ms": 0.2, "1 s": 1.0}
EDITS: dict[str, MakeSoundEdit] = {
    "repeated packet": _Replayed(_again),
    "wrong splice": _Replayed(_late),
    "click": _Clicks(1, 0),
    "crackle": _Clicks(12, 0.017),
}
LASTING_S = {
    "repeated packet": 4 * PACKET / SAMPLE_RATE,
    "crackle": 0.2,
    **{f"gap of {name}": length_s for name, length_s in GAPS_S.items()},
}
"""How long what is injected lasts, where that is more than a moment."""

BENCH = Bench(
    defect="audioDropout",
    kind=Kind.AUDIO,
    variants={
        **{f"gap of {name}": _Gap(length_s) for name, length_s in GAPS_S.items()},
        **EDITS,
        "packets lost": unedited,
        "packets cut out": unedited,
    },
    negatives={
        "dry drums": _blended(_Hits(0.25, 0.02, None)),
        "claps": _blended(_Hits(0.2, 0.005, -66)),
        "plosives": _blended(plosives),
        "gated synth": _blended(gated_synth),
        "plucked": _blended(plucked),
        "fade": fade,
        "takes": takes,
    },
    event_s=(1.3, 1.5),
    negative_s=6.0,
    after=interrupted,
    judge=judged,
)
