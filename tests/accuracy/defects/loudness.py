"""Gain that changes in the middle of a programme, and programmes that change by themselves."""

import numpy as np

from dev.origin.origin import SAMPLE_RATE, Floats
from streammonitor_worker.detectors.base import Kind
from tests.accuracy.edits import Bench, SoundEdit, Span, decibels, seconds

FULL_SCALE = 1.0


class _Step:
    """Makes edits that change the gain at once; what exceeds full scale is cut."""

    def __init__(self, gain_db: float) -> None:
        self._gain = np.float32(decibels(gain_db))

    def __call__(self, span: Span) -> SoundEdit:
        def edit(samples: Floats, first: int) -> None:
            np.clip(samples * self._gain, -FULL_SCALE, FULL_SCALE, out=samples)

        return edit


class _Scene:
    """Makes edits that change the gain for a while in the middle of the span, not at once.

    Args:
        gain_db: By how much.
        length_s: For how long.
        fade_s: How long it takes, at either end.
    """

    def __init__(self, gain_db: float, length_s: float, fade_s: float) -> None:
        self._gain_db, self._length_s, self._fade_s = gain_db, length_s, fade_s

    def __call__(self, span: Span) -> SoundEdit:
        middle_s = span.length / SAMPLE_RATE / 2

        def edit(samples: Floats, first: int) -> None:
            away_s = np.abs(seconds(first, samples.shape[1]) - middle_s) - self._length_s / 2
            share = np.clip(1 - away_s / self._fade_s, 0.0, 1.0)
            gain = (10 ** (self._gain_db * share / 20)).astype(np.float32)
            np.clip(samples * gain, -FULL_SCALE, FULL_SCALE, out=samples)

        return edit


def applause(span: Span) -> SoundEdit:
    """Eight seconds of applause over the programme, which swells and fades."""
    middle_s = span.length / SAMPLE_RATE / 2

    def edit(samples: Floats, first: int) -> None:
        away_s = np.abs(seconds(first, samples.shape[1]) - middle_s) - 3.0
        share = np.clip(1 - away_s, 0.0, 1.0).astype(np.float32)
        claps = span.rng.standard_normal(samples.shape, dtype=np.float32)
        claps *= np.float32(decibels(-20)) * share
        np.clip(samples + claps, -FULL_SCALE, FULL_SCALE, out=samples)

    return edit


def drift(span: Span) -> SoundEdit:
    """Up by 3 dB and down again within the span: another speaker, further from the microphone."""

    def edit(samples: Floats, first: int) -> None:
        turn = seconds(first, samples.shape[1]) * SAMPLE_RATE / span.length
        gain = (10 ** (3 * np.sin(np.pi * turn) / 20)).astype(np.float32)
        np.clip(samples * gain, -FULL_SCALE, FULL_SCALE, out=samples)

    return edit


BENCH = Bench(
    defect="loudness",
    kind=Kind.AUDIO,
    variants={
        "+6 LU": _Step(6),
        "+10 LU": _Step(10),
        "-6 LU": _Step(-6),
        "-10 LU": _Step(-10),
    },
    negatives={
        "quiet scene": _Scene(-14, 20, 2),
        "loud effect": _Scene(10, 2, 0.3),
        "applause": applause,
        "drift": drift,
    },
    event_s=(45.0, 50.0),
    negative_s=40.0,
    # What is usual must be known first, and an incident must end before the next begins.
    lead_s=60.0,
    gaps_s=(25.0, 30.0),
    reels=1,
    onset_tolerance_s=3.0,
)
