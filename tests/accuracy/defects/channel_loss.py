"""A channel that is lost, and stereo that is meant."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from dev.origin.origin import SAMPLE_RATE, Floats, Sound
from streammonitor_worker.detectors.base import Kind
from tests.accuracy.edits import Bench, MakeSoundEdit, SoundEdit, Span, Truth, decibels, seconds
from tests.accuracy.sounds import Drums, Music, Voice

BEFORE_S = 12.0
"""Every event comes after so much of the programme as it is: only then it is known for stereo."""
RELATED = 1 / 3
"""Channels that correlate less than this lose less than 3 dB, added up, when one is turned over."""
SHOWN = 0.5
"""Inverted channels are heard as such where they correlate, not in a pause between two sounds."""
LOST = 10**1.2
"""A channel that has lost less than 12 dB of its power is softer, but not lost."""
BLOCK = SAMPLE_RATE // 50


def _late(make: MakeSoundEdit) -> MakeSoundEdit:
    """The edit without the first BEFORE_S of its span."""
    skip = round(BEFORE_S * SAMPLE_RATE)

    def made(span: Span) -> SoundEdit:
        inner = make(replace(span, length=span.length - skip))

        def edit(samples: Floats, first: int) -> None:
            start = max(0, skip - first)
            if start < samples.shape[1]:
                inner(samples[:, start:], max(0, first - skip))

        return edit

    return made


class _Gone:
    """Makes edits that leave nothing of a channel but noise of an RMS level."""

    def __init__(self, channel: int, level_dbfs: float | None = None) -> None:
        self._channel, self._level_dbfs = channel, level_dbfs

    def __call__(self, span: Span) -> SoundEdit:
        def edit(samples: Floats, first: int) -> None:
            samples[self._channel] = 0
            if self._level_dbfs is not None:
                noise = span.rng.standard_normal(samples.shape[1], dtype=np.float32)
                samples[self._channel] = noise * np.float32(decibels(self._level_dbfs))

        return edit


def hum(span: Span) -> SoundEdit:
    """Left has mains hum of -58 dBFS and nothing else: a cable with an open shield."""

    def edit(samples: Floats, first: int) -> None:
        time_s = seconds(first, samples.shape[1])
        wave = np.sin(2 * np.pi * 50 * time_s) + 0.3 * np.sin(2 * np.pi * 150 * time_s)
        samples[0] = (wave * decibels(-58) * 2**0.5).astype(np.float32)

    return edit


class _Twice:
    """Makes edits that put one channel on both."""

    def __init__(self, channel: int) -> None:
        self._channel = channel

    def __call__(self, span: Span) -> SoundEdit:
        def edit(samples: Floats, first: int) -> None:
            samples[1 - self._channel] = samples[self._channel]

        return edit


class _Inverted:
    """Makes edits that turn one channel upside down."""

    def __init__(self, channel: int) -> None:
        self._channel = channel

    def __call__(self, span: Span) -> SoundEdit:
        def edit(samples: Floats, first: int) -> None:
            samples[self._channel] *= -1

        return edit


class _Programme:
    """Makes edits that cut to another programme, the same on both channels."""

    def __init__(self, sound: Sound) -> None:
        self._sound = sound

    def __call__(self, span: Span) -> SoundEdit:
        def edit(samples: Floats, first: int) -> None:
            index = np.arange(first, first + samples.shape[1], dtype=np.int64)
            samples[:] = self._sound.samples(index)[0]

        return edit


def panned(span: Span) -> SoundEdit:
    """Two voices in turn, one hard left and one hard right, over room tone of -58 dBFS."""
    voices = [
        Voice(seed, pitch_hz=pitch_hz, level=0.1, room=-90)
        for seed, pitch_hz in ((3, 120), (4, 210))
    ]

    def edit(samples: Floats, first: int) -> None:
        index = np.arange(first, first + samples.shape[1], dtype=np.int64)
        turn = (seconds(first, samples.shape[1]) % 4.4 >= 2.2).astype(np.float32)
        samples[:] = span.rng.standard_normal(samples.shape, dtype=np.float32) * decibels(-58)
        samples[0] += voices[0].samples(index)[0] * (1 - turn)
        samples[1] += voices[1].samples(index)[0] * turn

    return edit


def dialogue(span: Span) -> SoundEdit:
    """The programme sinks by 34 dB within a second, and a voice in the middle speaks over it."""
    voice = Voice(5, pitch_hz=130, level=0.12, room=-90)

    def edit(samples: Floats, first: int) -> None:
        index = np.arange(first, first + samples.shape[1], dtype=np.int64)
        at = seconds(first, samples.shape[1])
        left_s = span.length / SAMPLE_RATE - at
        samples *= (10 ** (-34 / 20 * np.minimum(at, left_s).clip(0, 1))).astype(np.float32)
        samples += voice.samples(index)[0]

    return edit


def wide(span: Span) -> SoundEdit:
    """A stereo widener: 15 ms late on one side, later and upside down on the other."""
    delay = round(0.015 * SAMPLE_RATE)
    before = np.zeros(delay, np.float32)

    def edit(samples: Floats, first: int) -> None:
        nonlocal before
        joined = np.concatenate((before, samples.sum(axis=0) / 2))
        middle, side, before = joined[delay:] * 0.65, joined[:-delay], joined[-delay:]
        # Left and right correlate at (0.65^2 - 1) / (0.65^2 + 1) = -0.4.
        samples[0], samples[1] = (middle + side) * 0.7, (middle - side) * 0.7

    return edit


def silent(span: Span) -> SoundEdit:
    """Nothing at all."""

    def edit(samples: Floats, first: int) -> None:
        samples[:] = 0

    return edit


def narrowing(span: Span) -> SoundEdit:
    """Stereo that closes to mono within two seconds, and opens again."""

    def edit(samples: Floats, first: int) -> None:
        at = seconds(first, samples.shape[1])
        left_s = span.length / SAMPLE_RATE - at
        width = (1 - np.minimum(at, left_s) / 2).clip(0, 1).astype(np.float32)
        middle = samples.sum(axis=0) / 2
        samples[:] = middle + (samples - middle) * width

    return edit


def lost(clip: Path, truths: tuple[Truth, ...], rng: np.random.Generator) -> Sequence[Truth]:
    """The events begin late in their spans, and where the clip shows that something is lost."""
    events = [one for one in truths if not one.negative]
    if not events:
        return truths
    measures = _measures(clip)
    return sorted(
        [one for one in truths if one.negative]
        + [part for one in events for part in _late_truth(measures, one)],
        key=lambda one: one.start_s,
    )


def _measures(clip: Path) -> NDArray[np.float64]:
    """Powers of left and right and their product in blocks of 20 ms, shape (3, blocks)."""
    with av.open(str(clip)) as container:
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    samples = np.concatenate(frames, axis=1).astype(np.float64)
    count = samples.shape[1] // BLOCK
    left, right = samples[:, : count * BLOCK].reshape(2, count, BLOCK)
    return np.stack([(left**2).mean(1), (right**2).mean(1), (left * right).mean(1)]) + 1e-12


def _late_truth(measures: NDArray[np.float64], truth: Truth) -> list[Truth]:
    """The event, and before it what nobody can tell from the programme as it was."""
    first = truth.first + round(BEFORE_S * SAMPLE_RATE)
    before = measures[:, truth.first // BLOCK + 1 : first // BLOCK]
    during = measures[:, -(-first // BLOCK) : truth.end // BLOCK]
    neutral, shows = _audible(truth.variant, before, during)
    late = first if neutral or not shows.any() else (-(-first // BLOCK) + shows.argmax()) * BLOCK
    if late - first < 2 * BLOCK:
        return [_part(truth, first, truth.end, neutral)]
    return [_part(truth, first, int(late), True), _part(truth, int(late), truth.end, False)]


def _part(truth: Truth, first: int, end: int, neutral: bool) -> Truth:
    return replace(
        truth,
        start_s=truth.start_s + (first - truth.first) / SAMPLE_RATE,
        end_s=truth.end_s + (end - truth.end) / SAMPLE_RATE,
        first=first,
        end=end,
        neutral=neutral,
    )


def _audible(
    variant: str, before: NDArray[np.float64], during: NDArray[np.float64]
) -> tuple[bool, NDArray[np.bool_]]:
    """Whether the event is too small to be asked for, and in which blocks it shows."""
    if "inverted" in variant:
        correlation = during[2] / np.sqrt(during[0] * during[1])
        left, right, product = before.sum(axis=1)
        return bool(abs(product) < RELATED * np.sqrt(left * right)), correlation <= -SHOWN
    if "both" in variant:
        return False, np.ones(during.shape[1], np.bool_)
    own, other = (0, 1) if "left" in variant else (1, 0)
    usual = before[own].sum() / before[other].sum()
    softer = during[own].mean() > before[own].mean() / LOST
    return bool(softer), during[own] < during[other] * usual / 4


EDITS: dict[str, MakeSoundEdit] = {
    "left gone": _Gone(0),
    "right gone": _Gone(1),
    "right at -75 dBFS": _Gone(1, -75),
    "left at -60 dBFS": _Gone(0, -60),
    "left hums": hum,
    "left on both": _Twice(0),
    "right on both": _Twice(1),
    "left inverted": _Inverted(0),
    "right inverted": _Inverted(1),
}

BENCH = Bench(
    defect="channelLoss",
    kind=Kind.AUDIO,
    variants={name: _late(make) for name, make in EDITS.items()},
    negatives={
        "mono speech": _Programme(Voice(11, pitch_hz=125, level=0.1, room=-60)),
        "mono music": _Programme(Music(12, notes_s=3.0, decay_s=0.5, level=0.25, bed=-60)),
        "mono commercial": _Programme(Drums(13, tempo=120)),
        "panned dialogue": panned,
        "dialogue in the middle": dialogue,
        "wide": wide,
        "silence": silent,
        "narrowing": narrowing,
    },
    event_s=(BEFORE_S + 6.0, BEFORE_S + 8.0),
    negative_s=12.0,
    after=lost,
    # They are mono.
    unseen_in=(
        "asterisk-moh-opsound-g722",
        "asterisk-core-sounds-en-g722",
        "asterisk-core-sounds-fr-g722",
    ),
)
