"""The peaks of a stream's sound: what is kept so that an incident can be shown later.

While all is well, the peaks of the last twenty seconds are kept, 8 kB for each channel. Those of an
incident grow coarser as it goes on.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streammonitor_worker.measures.hops import JITTER_S
from streammonitor_worker.measures.sound import SoundMeasures

BINS_PER_BLOCK = 2
"""Peaks of 10 ms: the shortest gap that a detector reports."""
TAPE_S = 20.0
MAX_BINS = 1200
"""More peaks than a strip has pixels."""
MAX_CHANNELS = 8
LEAD_S = 1.0
"""So much of what was before is shown, too."""

Peaks = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Waveform:
    """The peaks of a stretch of sound.

    Attributes:
        start_s: Media time at which it begins, in seconds.
        bin_s: How much sound each peak stands for, in seconds.
        peaks: Shape (channels, n), the greatest magnitude of a sample, full scale = 1.0; NaN where
            sound is missing.
    """

    start_s: float
    bin_s: float
    peaks: Peaks

    @property
    def end_s(self) -> float:
        """Media time at which it ends, in seconds."""
        count: int = self.peaks.shape[1]
        return self.start_s + count * self.bin_s

    def within(self, count: int) -> "Waveform":
        """The same in at most so many peaks."""
        each = -(-self.peaks.shape[1] // count)
        rest = np.full((self.peaks.shape[0], -self.peaks.shape[1] % each), np.nan, np.float32)
        peaks = _merged(np.concatenate((self.peaks, rest), axis=1), each)
        return Waveform(self.start_s, self.bin_s * each, peaks)


class Tape:
    """The peaks of one stream's latest sound."""

    def __init__(self) -> None:
        self._chunks: deque[Waveform] = deque()

    def take(self, measures: SoundMeasures) -> None:
        """Take the blocks that became complete."""
        if not measures.blocks:
            return
        self._chunks.append(_peaks_of(measures))
        until_s = self._chunks[-1].end_s
        while self._chunks[0].end_s < until_s - TAPE_S:
            self._chunks.popleft()

    def since(self, start_s: float) -> list[Waveform]:
        """What was heard from a point of media time on, in order."""
        found: list[Waveform] = []
        for chunk in reversed(self._chunks):
            if chunk.end_s <= start_s + chunk.bin_s / 2:
                break
            found.append(chunk)
        return found[::-1]


def _peaks_of(measures: SoundMeasures) -> Waveform:
    samples = measures.samples[:MAX_CHANNELS]
    length = samples.shape[1] // measures.blocks
    bins = BINS_PER_BLOCK if length % BINS_PER_BLOCK == 0 else 1
    cut = samples.reshape(samples.shape[0], measures.blocks * bins, length // bins)
    peaks: Peaks = np.maximum(cut.max(axis=2), -cut.min(axis=2))
    return Waveform(measures.start_s, measures.block_s / bins, peaks)


class Strip:
    """The peaks from shortly before a defect on, for as long as it lasts."""

    def __init__(self, tape: Tape, start_s: float) -> None:
        self._tape = tape
        self._start_s = start_s - LEAD_S
        self._until_s = self._start_s
        self._bin_s = 0.0
        self._peaks: Peaks | None = None
        self._rest: Peaks | None = None
        self.follow()

    def follow(self) -> None:
        """Take what was heard since the last time."""
        for chunk in self._tape.since(self._until_s):
            if self._peaks is None:
                self._start_s, self._bin_s = chunk.start_s, chunk.bin_s
                self._peaks = chunk.peaks[:, :0]
            elif chunk.peaks.shape[0] != self._peaks.shape[0]:
                # Another layout: what is known of this one stays as it is.
                return
            elif chunk.start_s - self._until_s > JITTER_S:
                self._skip(chunk.start_s)
            self._append(chunk)
            self._until_s = chunk.end_s

    def waveform(self) -> Waveform | None:
        """What is known by now; None if nothing was heard."""
        if self._peaks is None or not self._peaks.shape[1]:
            return None
        return Waveform(self._start_s, self._bin_s, self._peaks)

    def _append(self, chunk: Waveform) -> None:
        each = max(1, round(self._bin_s / chunk.bin_s))
        rest = self._rest
        peaks = chunk.peaks if rest is None else np.concatenate((rest, chunk.peaks), axis=1)
        whole = peaks.shape[1] // each * each
        self._rest = peaks[:, whole:]
        self._extend(_merged(peaks[:, :whole], each))

    def _skip(self, to_s: float) -> None:
        """Sound is missing."""
        if self._peaks is None:
            return
        self._rest = None
        while (to_s - self._start_s) / self._bin_s > MAX_BINS:
            self._halve()
        count = round((to_s - self._start_s) / self._bin_s) - self._peaks.shape[1]
        nothing = np.full((self._peaks.shape[0], max(0, count)), np.nan, np.float32)
        self._extend(nothing)

    def _extend(self, peaks: Peaks) -> None:
        before = peaks[:, :0] if self._peaks is None else self._peaks
        self._peaks = np.concatenate((before, peaks), axis=1)
        while self._peaks.shape[1] > MAX_BINS:
            self._halve()

    def _halve(self) -> None:
        if self._peaks is None:
            return
        peaks = self._peaks
        if peaks.shape[1] % 2:
            peaks = np.concatenate((peaks, peaks[:, -1:]), axis=1)
        self._peaks, self._bin_s = _merged(peaks, 2), self._bin_s * 2


def _merged(peaks: Peaks, each: int) -> Peaks:
    """The greatest of every so many; sound that is partly missing is what is there of it."""
    merged: Peaks = np.fmax.reduce(peaks.reshape(peaks.shape[0], -1, each), axis=2)
    return merged
