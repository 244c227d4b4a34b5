"""Silence, and what is quiet without being silent."""

import numpy as np

from dev.origin.origin import SAMPLE_RATE, Floats
from streammonitor_worker.detectors.base import Kind
from tests.accuracy.edits import Bench, Rival, SoundEdit, Span, decibels, seconds


def _noise(span: Span, shape: tuple[int, ...], level_dbfs: float) -> Floats:
    noise = span.rng.standard_normal(shape, dtype=np.float32)
    noise *= np.float32(decibels(level_dbfs))
    return noise


class _Floor:
    """Makes edits that leave noise of an RMS level, or nothing at all."""

    def __init__(self, level_dbfs: float | None) -> None:
        self._level_dbfs = level_dbfs

    def __call__(self, span: Span) -> SoundEdit:
        def edit(samples: Floats, first: int) -> None:
            samples[:] = 0
            if self._level_dbfs is not None:
                samples += _noise(span, samples.shape, self._level_dbfs)

        return edit


def hum(span: Span) -> SoundEdit:
    """Mains hum at -72 dBFS: what an open, unused input sends."""

    def edit(samples: Floats, first: int) -> None:
        time_s = seconds(first, samples.shape[1])
        wave = np.sin(2 * np.pi * 50 * time_s) + 0.3 * np.sin(2 * np.pi * 150 * time_s)
        samples[:] = (wave * decibels(-72) * 2**0.5).astype(np.float32)

    return edit


def whisper(span: Span) -> SoundEdit:
    """Breathy syllables at -50 dBFS, three a second, over room tone of -66 dBFS."""

    def edit(samples: Floats, first: int) -> None:
        time_s = seconds(first, samples.shape[1])
        syllables = np.sin(2 * np.pi * 3 * time_s).clip(0) * (time_s % 2.7 < 2.0)
        voice = _noise(span, samples.shape, -44) * syllables.astype(np.float32)
        samples[:] = voice + _noise(span, samples.shape, -66)

    return edit


def pause(span: Span) -> SoundEdit:
    """Eight seconds of digital silence: less than an alarm takes."""

    def edit(samples: Floats, first: int) -> None:
        samples[:, seconds(first, samples.shape[1]) % 11 < 8] = 0

    return edit


def quiet_drama(span: Span) -> SoundEdit:
    """Room tone of -64 dBFS in which something stirs every four seconds."""

    def edit(samples: Floats, first: int) -> None:
        time_s = seconds(first, samples.shape[1])
        rustle = np.exp(-(time_s % 4.0) / 0.25)
        stir = _noise(span, samples.shape, -38) * rustle.astype(np.float32)
        samples[:] = stir + _noise(span, samples.shape, -64)

    return edit


def fade(span: Span) -> SoundEdit:
    """Out over five seconds, one second of nothing, and in again."""

    def edit(samples: Floats, first: int) -> None:
        at = seconds(first, samples.shape[1])
        end_s = span.length / SAMPLE_RATE
        gain = np.maximum(1 - at / 5, 1 - (end_s - at) / 5)
        gain = np.where((at < 5) | (at > end_s - 5), gain, np.abs(at - end_s / 2) / end_s * 0.1)
        samples *= gain.clip(0, 1).astype(np.float32)

    return edit


BENCH = Bench(
    defect="silence",
    kind=Kind.AUDIO,
    variants={
        "digital": _Floor(None),
        "floor -90 dBFS": _Floor(-90),
        "floor -75 dBFS": _Floor(-75),
        "floor -65 dBFS": _Floor(-65),
        "floor -61 dBFS": _Floor(-61),
        "hum -72 dBFS": hum,
    },
    negatives={
        "whisper": whisper,
        "pause": pause,
        "quiet drama": quiet_drama,
        "fade": fade,
        "room tone -57 dBFS": _Floor(-57),
    },
    event_s=(11.0, 15.0),
    negative_s=14.0,
    rival=Rival("silencedetect=n=-60dB:d=10", "lavfi.silence_start", "lavfi.silence_end"),
)
