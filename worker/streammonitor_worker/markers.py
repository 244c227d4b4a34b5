"""Markers of sync: a white flash and a beep that begin together."""

import numpy as np
import numpy.typing as npt

from streammonitor_worker.facts import Marked
from streammonitor_worker.frames import AudioView
from streammonitor_worker.measures.picture import PictureMeasures

EVERY_S = 3.0
"""A marker comes so often."""
FLASH_S, BEEP_S = 0.08, 0.1
"""How long its halves last."""
BEEP_HZ = 1000.0
BEEP_AMPLITUDE = 0.5
DARK_RATIO, LIGHT_RATIO = 0.35, 0.65
"""Mean luma before a flash is below, and in it above: scaled, cropped and re-encoded ones, too."""
APART_S = 1.4
"""The halves of a marker are at most so far apart: less than half of the time between markers."""
HOP_S = 0.001
WINDOW_HOPS = 4
"""The beep's level is that of four periods."""
PEAK_HOPS = 20
"""It reaches its level within so many: codecs smear it."""
LEAST_AMPLITUDE, RISE, QUIETER = 0.01, 8.0, 0.98
"""A beep is louder than -40 dBFS, and so many times than what was before, which is forgotten by and
by."""
TONAL_RATIO = 0.5
"""In it, so much of the power is in its tone."""

Floats = npt.NDArray[np.float64]


class MarkerReader:
    """Finds markers, and how far the halves of each are apart."""

    def __init__(self) -> None:
        self._beeps = BeepFinder()
        self.jumped()

    def jumped(self) -> None:
        """What follows does not adjoin: halves of it belong to no half before."""
        self._dark = False
        self._flash_s: float | None = None
        self._beep_s: float | None = None
        self._beeps.reset()

    def show(self, measures: PictureMeasures) -> None:
        """Take a picture: a flash begins with the first one that is white."""
        light = measures.mean
        if light >= LIGHT_RATIO and self._dark:
            self._flash_s = measures.view.time_s
        if light >= LIGHT_RATIO or light <= DARK_RATIO:
            self._dark = light <= DARK_RATIO

    def play(self, view: AudioView) -> None:
        """Take sound."""
        beep_s = self._beeps.take(view)
        if beep_s is not None:
            self._beep_s = beep_s

    def tell(self, until_s: float) -> Marked | None:
        """The marker whose second half has come."""
        if self._flash_s is not None and self._beep_s is not None:
            flash_s, beep_s = self._flash_s, self._beep_s
            if abs(flash_s - beep_s) <= APART_S:
                self._flash_s = self._beep_s = None
                return Marked(flash_s - beep_s)
        # What came too long ago has no other half.
        if self._flash_s is not None and until_s - self._flash_s > 2 * APART_S:
            self._flash_s = None
        if self._beep_s is not None and until_s - self._beep_s > 2 * APART_S:
            self._beep_s = None
        return None


class BeepFinder:
    """Finds where beeps begin, to about a millisecond: by the level of one tone."""

    def __init__(self) -> None:
        self._rate = 0
        self.reset()

    def reset(self) -> None:
        """What follows does not adjoin."""
        self._rest: Floats = np.zeros(0)
        self._until_s: float | None = None
        self._quiet = 0.0
        self._sounding = True

    def take(self, view: AudioView) -> float | None:
        """Take sound; media time of the last beep that begins in it, in seconds."""
        mono = view.samples.mean(axis=0, dtype=np.float64)
        if view.sample_rate != self._rate or (
            self._until_s is not None and abs(view.time_s - self._until_s) > HOP_S
        ):
            self.reset()
            self._rate = view.sample_rate
        joined = np.concatenate((self._rest, mono))
        start_s = view.time_s - len(self._rest) / view.sample_rate
        self._until_s = view.time_s + view.duration_s
        hop = round(view.sample_rate * HOP_S)
        count = len(joined) // hop - WINDOW_HOPS + 1 - PEAK_HOPS
        if count < 1:
            self._rest = joined
            return None
        self._rest = joined[count * hop :]
        return self._onset(joined, hop, count, start_s)

    def _onset(self, samples: Floats, hop: int, count: int, start_s: float) -> float | None:
        """Where the last beep begins that begins in the first `count` windows."""
        levels, tonal = self._levels(samples[: (count + PEAK_HOPS + WINDOW_HOPS - 1) * hop], hop)
        found = None
        for index in range(count):
            level = float(levels[index])
            loud = level >= LEAST_AMPLITUDE and level >= RISE * self._quiet
            if loud and not self._sounding and tonal[index : index + PEAK_HOPS].any():
                # Half of its level is reached where the middle of the window is where it begins.
                ahead = levels[index : index + PEAK_HOPS]
                half = index + int(np.argmax(ahead >= ahead.max() / 2))
                found = start_s + (half + WINDOW_HOPS / 2) * hop / self._rate
                self._sounding = True
            elif level < LEAST_AMPLITUDE / 2:
                self._sounding = False
            if not loud:
                self._quiet = max(QUIETER * self._quiet, level)
        return found

    def _levels(self, samples: Floats, hop: int) -> tuple[Floats, npt.NDArray[np.bool_]]:
        """Amplitude of the tone in each window, and whether it is most of what is to be heard."""
        turn = np.exp(-2j * np.pi * BEEP_HZ / self._rate * np.arange(len(samples)))
        ones, size = np.ones(WINDOW_HOPS), hop * WINDOW_HOPS
        parts = np.convolve((samples * turn).reshape(-1, hop).sum(axis=1), ones, "valid")
        powers = np.convolve((samples**2).reshape(-1, hop).sum(axis=1), ones, "valid") / size
        amplitude = 2 * np.abs(parts) / size
        return amplitude, amplitude**2 / 2 >= TONAL_RATIO * np.maximum(powers, 1e-12)
