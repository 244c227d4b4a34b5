"""Sound whose peaks are cut off, and what is merely loud."""

from collections.abc import Callable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from dev.origin.origin import SAMPLE_RATE, Floats
from streammonitor_worker.detectors.base import Kind
from tests.accuracy.edits import Bench, SoundEdit, Span, decibels, seconds

_BLOCK = SAMPLE_RATE // 50
_RELEASE = 0.98  # of a block of 20 ms: 9 dB a second
_FAINTEST = 1e-3

Change = Callable[[Floats], Floats]


class _Drive:
    """Turns sound up so that its peaks reach a level again and again, whatever it is.

    An automatic gain as every programme chain has: at once when it becomes louder, slowly when it
    becomes softer. Truth can be exact only where peaks are cut from the first moment to the last.
    """

    def __init__(self, peak_db: float) -> None:
        self._target = decibels(peak_db)
        self._peak = self._gain = 0.0

    def __call__(self, samples: Floats) -> Floats:
        out = samples.copy()
        for first in range(0, samples.shape[1], _BLOCK):
            piece = out[:, first : first + _BLOCK]
            peak = max(float(np.abs(piece).max()), _FAINTEST)
            self._peak = max(peak, self._peak * _RELEASE)
            gain = self._target / self._peak
            piece *= np.linspace(self._gain or gain, gain, piece.shape[1], dtype=np.float32)
            self._gain = gain
        return out


class _Cut:
    """Makes edits that drive sound beyond full scale and let something happen to it there."""

    def __init__(self, drive_db: float, change: Change, channels: slice = slice(None)) -> None:
        self._drive_db, self._change, self._channels = drive_db, change, channels

    def __call__(self, span: Span) -> SoundEdit:
        drive = _Drive(self._drive_db)

        def edit(samples: Floats, first: int) -> None:
            driven = drive(samples)
            samples[:] = driven * np.float32(decibels(-self._drive_db))
            samples[self._channels] = self._change(driven)[self._channels]

        return edit


def hard(samples: Floats) -> Floats:
    """Cut off at full scale."""
    out: Floats = np.clip(samples, -1, 1)
    return out


def turned_down(samples: Floats) -> Floats:
    """Cut off at full scale, and turned down by 3 dB afterwards."""
    return hard(samples) * np.float32(decibels(-3))


def wrapped(samples: Floats) -> Floats:
    """Beyond full scale, 16-bit integers begin again at the other end."""
    out: Floats = (samples + 1) % 2 - 1
    return out


class _Limited:
    """Makes edits that drive sound into a limiter with 4 ms of look-ahead: a hot master."""

    REACH = SAMPLE_RATE // 500

    def __init__(self, drive_db: float, ceiling_db: float) -> None:
        self._drive_db, self._ceiling = drive_db, decibels(ceiling_db)

    def __call__(self, span: Span) -> SoundEdit:
        drive, reach = _Drive(self._drive_db), self.REACH
        window = np.hanning(2 * reach + 1).astype(np.float32)
        window /= window.sum()
        held: Floats | None = None

        def edit(samples: Floats, first: int) -> None:
            nonlocal held
            driven = drive(samples)
            if held is None:
                held = driven[:, 4 * reach : 0 : -1]
            joined = np.concatenate((held, driven), axis=1)
            held = joined[:, -4 * reach :]
            wanted = np.minimum(1, self._ceiling / np.maximum(np.abs(joined).max(axis=0), 1e-9))
            lowest = sliding_window_view(wanted, 2 * reach + 1).min(axis=1)
            gain = np.convolve(lowest, window, "valid").astype(np.float32)
            samples[:] = joined[:, 2 * reach : -2 * reach] * gain

        return edit


def _notes(first: int, count: int, notes_s: float, seed: int) -> tuple[NDArray[np.float64], ...]:
    """Frequency, and time since the note began, of a melody of random notes."""
    time_s = seconds(first, count)
    number = np.floor(time_s * notes_s).astype(np.int64)
    pitch = np.random.default_rng(seed).integers(0, 24, 512)[number % 512]
    return 110 * 2 ** (pitch / 12), time_s - number / notes_s


def square_synth(span: Span) -> SoundEdit:
    """A melody of square waves without aliases, which peaks at -0.5 dBFS."""

    def edit(samples: Floats, first: int) -> None:
        pitch_hz, since_s = _notes(first, samples.shape[1], 4, 21)
        total = np.zeros(samples.shape[1])
        for harmonic in range(1, 150, 2):
            heard = harmonic * pitch_hz < 18_000
            total += heard * np.sin(2 * np.pi * harmonic * pitch_hz * since_s) / harmonic
        # The sum overshoots its plateau of pi / 4 by 18 %.
        samples[:] = (total * np.exp(-since_s * 2) / (np.pi / 4 * 1.18) * decibels(-0.5)).astype(
            np.float32
        )

    return edit


def chip_tune(span: Span) -> SoundEdit:
    """Two plain square waves of an old games console, which peak at -1 dBFS together."""

    def edit(samples: Floats, first: int) -> None:
        total = np.zeros(samples.shape[1])
        for notes_s, seed in ((6, 22), (2, 23)):
            pitch_hz, since_s = _notes(first, samples.shape[1], notes_s, seed)
            total += np.where(pitch_hz * since_s % 1 < 0.5, 0.5, -0.5)
        samples[:] = (total * decibels(-1)).astype(np.float32)

    return edit


def full_scale_sine(span: Span) -> SoundEdit:
    """997 Hz at full scale, as test equipment sends it."""

    def edit(samples: Floats, first: int) -> None:
        samples[:] = np.sin(2 * np.pi * 997 * seconds(first, samples.shape[1]))

    return edit


def sweep(span: Span) -> SoundEdit:
    """From 30 Hz to 15 kHz at -0.1 dBFS."""
    length_s = span.length / SAMPLE_RATE
    octaves = np.log(15_000 / 30)

    def edit(samples: Floats, first: int) -> None:
        turned = np.exp(seconds(first, samples.shape[1]) / length_s * octaves) - 1
        samples[:] = decibels(-0.1) * np.sin(2 * np.pi * 30 * length_s / octaves * turned)

    return edit


BENCH = Bench(
    defect="clipping",
    kind=Kind.AUDIO,
    variants={
        "+6 dB": _Cut(6, hard),
        "+12 dB": _Cut(12, hard),
        "+20 dB": _Cut(20, hard),
        "turned down by 3 dB": _Cut(12, turned_down),
        "wrapped": _Cut(6, wrapped),
        "left only": _Cut(12, hard, slice(0, 1)),
    },
    negatives={
        "limited to -0.3 dBFS": _Limited(9, -0.3),
        "limited to 0 dBFS": _Limited(6, 0.0),
        "square synth": square_synth,
        "chip tune": chip_tune,
        "full-scale sine": full_scale_sine,
        "sweep": sweep,
    },
    event_s=(3.0, 5.0),
    negative_s=6.0,
    # Noise: cut off, it is noise again, to the ear as to its spectrum.
    unseen_in=("quiet", "speech", "wind", "rain", "applause", "engine"),
)
