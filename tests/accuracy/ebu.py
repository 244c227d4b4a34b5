"""EBU's test signals for loudness meters, and what our meter makes of them.

EBU Tech 3341 (2023), cases 1 to 6 and 9 to 23, and Tech 3342 (2023), cases 1 to 4. The other cases
are recorded programmes, which are not ours to give. Every signal is synthesised here as the tables
of those documents describe it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dev.origin.origin import SAMPLE_RATE, Floats
from streammonitor_worker.measures.hops import Hop
from streammonitor_worker.measures.loudness import LoudnessMeter

HOP = SAMPLE_RATE // 10
MOMENTARY, SHORT_TERM, INTEGRATED = "momentary", "short-term", "integrated"
HIGHEST_MOMENTARY, HIGHEST_SHORT_TERM = "highest momentary", "highest short-term"
TRUE_PEAK, RANGE = "true peak", "range"
TOLERANCES = {TRUE_PEAK: (-0.4, 0.2), RANGE: (-1.0, 1.0)}
"""In dB and LU, below and above; of loudness it is 0.1 LU either way."""
Level = tuple[float, float]
"""dBFS of the peak of a 1 kHz sine, and seconds; -inf is digital silence."""


@dataclass(frozen=True)
class Signal:
    """One file of the test set, and what a meter must say of it.

    Attributes:
        case: Its number in the standard; one case may have many files.
        make: Its samples, shape (channels, n), at SAMPLE_RATE.
        expected: Figures by their names. Momentary and short-term loudness hold throughout, from
            `settled_s` on.
        settled_s: When the meter is filled.
    """

    case: str
    make: Callable[[], Floats]
    expected: dict[str, float]
    settled_s: float = 3.0


@dataclass(frozen=True)
class Reading:
    """One figure of one case: what was furthest off."""

    case: str
    figure: str
    expected: float
    measured: float

    @property
    def within(self) -> bool:
        """Whether it is within the tolerance of the standard."""
        low, high = TOLERANCES.get(self.figure, (-0.1, 0.1))
        return low <= self.measured - self.expected <= high


def tone(*levels: Level, channels: int = 2) -> Floats:
    """A sine of 1 kHz, the same in all channels, that changes its level."""
    gains = [np.full(round(s * SAMPLE_RATE), 10 ** (db / 20)) for db, s in levels]
    gain = np.concatenate(gains)
    wave = np.sin(2 * np.pi * 1000 / SAMPLE_RATE * np.arange(len(gain))) * gain
    return np.tile(wave.astype(np.float32), (channels, 1))


def surround(*levels_dbfs: float) -> Floats:
    """A sine in each of several channels at levels of their own."""
    return np.concatenate([tone((level, 20.0), channels=1) for level in levels_dbfs])


def peak_sine(divisor: int, amplitude: float, degrees: float) -> Floats:
    """A sine of fs / divisor that is faded in and out."""
    index = np.arange(SAMPLE_RATE)
    wave = amplitude * np.sin(2 * np.pi * index / divisor + np.deg2rad(degrees))
    wave *= np.clip(np.minimum(index, index[::-1]) / 4800, 0, 1)
    return np.tile(wave.astype(np.float32), (2, 1))


def between_samples(offset: int) -> Floats:
    """A sine of fs / 6, one period of which is twice as high, sampled at one of four phases.

    It is made at four times the rate, cut above fs / 2, and scaled to a true peak of 0 dBTP.
    """
    index = np.arange(SAMPLE_RATE * 4)
    wave: NDArray[np.float64] = 0.5 * np.sin(2 * np.pi * index / 24)
    middle = len(index) // 2 // 24 * 24
    wave[middle : middle + 24] *= 2
    wave *= np.clip(np.minimum(index, index[::-1]) / 19_200, 0, 1)
    spectrum = np.fft.rfft(wave)
    spectrum[len(spectrum) // 4 :] = 0
    wave = np.fft.irfft(spectrum, len(wave))
    wave /= np.abs(wave).max()
    return np.tile(wave[offset::4].astype(np.float32), (2, 1))


def _loudness(case: str, levels: list[Level], *figures: str, expected: float = -23.0) -> Signal:
    return Signal(case, lambda: tone(*levels), dict.fromkeys(figures, expected))


_QUIET = float("-inf")
SEGMENTS = range(20)


def signals() -> Iterator[Signal]:
    """Every signal that is one file; those that are sequences are in `sequences`."""
    everything = (MOMENTARY, SHORT_TERM, INTEGRATED)
    yield _loudness("3341-1", [(-23, 20)], *everything)
    yield _loudness("3341-2", [(-33, 20)], *everything, expected=-33.0)
    steps = [(-36.0, 10.0), (-23.0, 60.0), (-36.0, 10.0)]
    yield _loudness("3341-3", steps, INTEGRATED)
    yield _loudness("3341-4", [(-72, 10), *steps, (-72, 10)], INTEGRATED)
    yield _loudness("3341-5", [(-26, 20), (-20, 20.1), (-26, 20)], INTEGRATED)
    yield Signal("3341-6", lambda: surround(-28, -28, -24, _QUIET, -30, -30), {INTEGRATED: -23.0})
    yield _loudness("3341-9", [(-20, 1.34), (-30, 1.66)] * 5, SHORT_TERM)
    for i in SEGMENTS:
        yield _loudness("3341-10", [(_QUIET, 0.15 * i), (-23, 3), (_QUIET, 1)], HIGHEST_SHORT_TERM)
    twelve = [(-20.0, 0.18), (-30.0, 0.22)] * 25
    yield Signal("3341-12", lambda: tone(*twelve), {MOMENTARY: -23.0}, settled_s=1.0)
    for i in SEGMENTS:
        yield _loudness("3341-13", [(_QUIET, 0.02 * i), (-23, 0.4), (_QUIET, 1)], HIGHEST_MOMENTARY)
    yield from _peaks()
    for number, expected, levels in (
        (1, 10.0, (-20, -30)),
        (2, 5.0, (-20, -15)),
        (3, 20.0, (-40, -20)),
        (4, 15.0, (-50, -35, -20, -35, -50)),
    ):
        parts = [(float(level), 20.0) for level in levels]
        yield _loudness(f"3342-{number}", parts, RANGE, expected=expected)


def _peaks() -> Iterator[Signal]:
    for case, divisor, amplitude, degrees, expected in (
        ("3341-15", 4, 0.5, 0.0, -6.0),
        ("3341-16", 4, 0.5, 45.0, -6.0),
        ("3341-17", 6, 0.5, 60.0, -6.0),
        ("3341-18", 8, 0.5, 67.5, -6.0),
        ("3341-19", 4, 1.41, 45.0, 3.0),
    ):
        yield Signal(case, partial(peak_sine, divisor, amplitude, degrees), {TRUE_PEAK: expected})
    for offset in range(4):
        yield Signal(f"3341-{20 + offset}", partial(between_samples, offset), {TRUE_PEAK: 0.0})


def sequences() -> Iterator[tuple[str, str, list[Floats], list[float]]]:
    """Case, figure, segments that follow each other, and what each must reach at most."""
    levels = [float(-38 + i) for i in SEGMENTS]
    for case, figure, length_s, step_s in (
        ("3341-11", HIGHEST_SHORT_TERM, 3.0, 0.15),
        ("3341-14", HIGHEST_MOMENTARY, 0.4, 0.02),
    ):
        segments = [
            tone((_QUIET, step_s * i), (level, length_s), (_QUIET, length_s - step_s * i))
            for i, level in zip(SEGMENTS, levels, strict=True)
        ]
        yield case, figure, segments, levels


def readings() -> list[Reading]:
    """What our meter says of every signal: for each case and figure, what is furthest off."""
    worst: dict[tuple[str, str], Reading] = {}
    for one in (*_single(), *_in_sequence()):
        before = worst.get((one.case, one.figure))
        if before is None or abs(before.measured - before.expected) < abs(
            one.measured - one.expected
        ):
            worst[one.case, one.figure] = one
    return list(worst.values())


def _single() -> Iterator[Reading]:
    for signal in signals():
        metered = Metered(signal.make(), signal.settled_s)
        for figure, expected in signal.expected.items():
            for measured in metered.figure(figure):
                yield Reading(signal.case, figure, expected, measured)


def _in_sequence() -> Iterator[Reading]:
    for case, figure, segments, levels in sequences():
        metered = Metered(np.concatenate(segments, axis=1), 0.0)
        found = np.array(metered.every(figure)).reshape(len(segments), -1).max(axis=1)
        for expected, measured in zip(levels, found.tolist(), strict=True):
            yield Reading(case, figure, expected, measured)


class Metered:
    """What the meter said of a signal, hop by hop."""

    def __init__(self, samples: Floats, settled_s: float) -> None:
        self._meter = meter = LoudnessMeter(1800)
        self._first = round(settled_s * 10)
        self._momentary: list[float] = []
        self._momentary_max: list[float] = []
        self._short: list[float] = []
        self._peaks: list[float] = []
        for at in range(0, samples.shape[1], HOP):
            meter.take(_hop(samples[:, at : at + HOP], at))
            self._momentary.append(meter.momentary_lufs)
            self._momentary_max.append(meter.momentary_max_lufs)
            self._short.append(meter.short_term_lufs)
            self._peaks.append(meter.peak_dbtp)

    def every(self, figure: str) -> list[float]:
        """The values from which a figure is taken, one a hop."""
        values = {
            MOMENTARY: self._momentary,
            HIGHEST_MOMENTARY: self._momentary_max,
            SHORT_TERM: self._short,
            HIGHEST_SHORT_TERM: self._short,
            TRUE_PEAK: self._peaks,
        }
        return values[figure]

    def figure(self, figure: str) -> list[float]:
        """All values that must hold."""
        if figure == INTEGRATED:
            return [self._meter.integrated_lufs()]
        if figure == RANGE:
            return [self._meter.range_lu()]
        if figure in (MOMENTARY, SHORT_TERM):
            return self.every(figure)[self._first :]
        return [max(self.every(figure))]


def _hop(samples: Floats, first: int) -> Hop:
    start_s, end_s = first / SAMPLE_RATE, (first + samples.shape[1]) / SAMPLE_RATE
    return Hop(start_s, end_s, 0.0, samples, SAMPLE_RATE, adjoins=first > 0, finite=True)
