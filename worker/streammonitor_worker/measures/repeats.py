"""Packets of sound that are played again: what a buffer that runs dry sounds like.

What is repeated equals what was there one packet earlier, noise and all. Music and voices repeat
themselves too, but at their own pitch, over and over, and never in their noise: so both are
compared in the second difference, in which noise weighs most, and a repetition counts only if it
begins and ends, and if no other distance fits about as well.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streammonitor_worker.measures.recent import Stretch

PACKETS = (960, 1024, 1152, 1536)
"""Samples of a packet of Opus, AAC, MPEG-1 layers II and III, and AC-3."""
_WINDOW = 192
_SMOOTHED = 4
_ALIKE = 0.6
"""Correlation from which on two windows are the same sound, coded twice."""
_SHORTEST, _LONGEST = 0.75, 6.4
"""How long a repetition lasts, in packets."""
_UNIQUE = 0.4
"""By so much every other distance fits worse."""
_NEIGHBOURS = 12
_SOFTEST = 1e-4
"""Mean square of the sound: below -40 dBFS nobody hears it."""

Sums = npt.NDArray[np.float64]


class Repeat(NamedTuple):
    """Which samples are those of a packet before: the first, and the one after the last."""

    first: int
    end: int


class RepeatFinder:
    """Compares the sound of one stream with itself, a packet earlier."""

    def __init__(self) -> None:
        self._told = 0
        self._begun: dict[int, int | None] = dict.fromkeys(PACKETS)
        self._sums: dict[int, Sums] = {lag: np.zeros((3, _SMOOTHED - 1)) for lag in PACKETS}

    def take(self, stretch: Stretch) -> list[Repeat]:
        """The repetitions that ended in what is new."""
        if self._told == 0:
            self._told = -(-(stretch.first + max(PACKETS) + 2) // _WINDOW) * _WINDOW
        count = (stretch.end - self._told) // _WINDOW
        if count <= 0:
            return []
        back = self._told - max(PACKETS) - 2
        heard = stretch.part(back, self._told + count * _WINDOW)
        if heard is None:
            return []
        size = np.diff(heard.sum(axis=0), n=2)
        found: list[Repeat] = []
        for lag in PACKETS:
            found += self._at(lag, size, count, stretch)
        self._told += count * _WINDOW
        return found

    def _at(
        self, lag: int, size: npt.NDArray[np.float32], count: int, stretch: Stretch
    ) -> list[Repeat]:
        start = max(PACKETS)
        now = size[start : start + count * _WINDOW].reshape(count, _WINDOW)
        then = size[start - lag :][: count * _WINDOW].reshape(count, _WINDOW)
        sums = np.empty((3, _SMOOTHED - 1 + count))
        sums[:, : _SMOOTHED - 1] = self._sums[lag]
        for row, (one, other) in enumerate(((now, then), (now, now), (then, then))):
            sums[row, _SMOOTHED - 1 :] = np.einsum("bn,bn->b", one, other)
        self._sums[lag] = sums[:, count:]
        total = np.cumsum(np.pad(sums, ((0, 0), (1, 0))), axis=1)
        product, own, others = total[:, _SMOOTHED:] - total[:, :-_SMOOTHED]
        alike = product > _ALIKE * np.sqrt(np.maximum(own * others, 0)) + 1e-9
        found: list[Repeat] = []
        begun = self._begun[lag]
        before = np.concatenate(([begun is not None], alike[:-1]))
        for number in np.flatnonzero(alike != before).tolist():
            at = self._told + (number + 1 - _SMOOTHED // 2) * _WINDOW
            if alike[number]:
                begun = at
            elif begun is not None:
                if self._is_one(lag, begun, at, stretch):
                    found.append(Repeat(begun, at))
                begun = None
        self._begun[lag] = begun
        return found

    def _is_one(self, lag: int, first: int, end: int, stretch: Stretch) -> bool:
        length = end - first
        if not _SHORTEST * lag <= length <= _LONGEST * lag:
            return False
        count = min(length - 200, lag)
        heard = stretch.part(first + 100 - 2 * lag, first + 100 + count)
        if heard is None or float(np.mean(np.square(heard))) < _SOFTEST:
            return False
        return 1 - _next_best(np.diff(heard.sum(axis=0), n=2), lag, count) >= _UNIQUE


def _next_best(size: npt.NDArray[np.float32], lag: int, count: int) -> float:
    """How well the second best distance fits, as a share of how well a packet does."""
    wave = size.astype(np.float64)
    piece = wave[2 * lag :][: count - 2]
    length = 1 << (len(wave) + count).bit_length()
    product = np.fft.irfft(np.fft.rfft(wave, length) * np.conj(np.fft.rfft(piece, length)))
    total = np.concatenate(([0.0], np.cumsum(np.square(wave))))
    starts = 2 * lag - 200
    energy = total[len(piece) : len(piece) + starts] - total[:starts]
    fit = product[:starts] / np.sqrt(energy * float(piece @ piece) + 1e-20)
    best = float(fit[lag - 3 : lag + 4].max())
    fit[lag - _NEIGHBOURS : lag + _NEIGHBOURS + 1] = 0
    return float(fit.max()) / best if best > 0 else 1.0
