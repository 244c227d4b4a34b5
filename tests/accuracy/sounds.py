"""Clean sounds of many kinds. Each is a pure function of seed and sample number; none is silent."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from dev.origin.origin import SAMPLE_RATE, Floats, Sound, noise

Index = NDArray[np.int64]
Times = NDArray[np.float64]


class Seeded:
    """Random numbers that depend on a count, so that any sample can be made alone."""

    def __init__(self, seed: int) -> None:
        self._table = np.random.default_rng([seed, 5]).random(8191)
        self.seed = seed

    def draw(self, number: NDArray[np.int64], stream: int = 0) -> Times:
        """Uniform numbers, one for each count; other streams are other numbers."""
        picked: Times = self._table[(number * 7919 + stream * 104_729 + self.seed * 31) % 8191]
        return picked


def _mix(mono: Times, index: Index, bed_dbfs: float, seed: int, width: float = 0.8) -> Floats:
    """Two channels that differ a little, over noise."""
    out = noise(index, level_dbfs=bed_dbfs, seed=seed)
    out[0] += mono.astype(np.float32)
    out[1] += (mono * width).astype(np.float32)
    return out


class Music:
    """Notes of a scale that ring and decay, some at once."""

    def __init__(
        self, seed: int, *, notes_s: float, decay_s: float, level: float, bed: float
    ) -> None:
        self._random = Seeded(seed)
        self._notes_s, self._decay_s, self._level, self._bed = notes_s, decay_s, level, bed

    def samples(self, index: Index) -> Floats:
        """Return (channels, n) samples."""
        time_s = index / SAMPLE_RATE
        number = np.floor(time_s * self._notes_s).astype(np.int64)
        total = np.zeros(len(index))
        for back in range(3):
            since = time_s - (number - back) / self._notes_s
            pitch = np.floor(self._random.draw(number - back, 1) * 24)
            turn = 2 * np.pi * 110 * 2 ** (pitch / 12) * since
            # A note that were cut off when the third one after it begins would click.
            left = 3 / self._notes_s - since
            edge = np.minimum(np.minimum(since * 200, left * 50), 1)
            envelope = edge * np.exp(-since / self._decay_s)
            total += np.sin(turn) * envelope * (0.3 + 0.7 * self._random.draw(number - back, 2))
        return _mix(total * self._level, index, self._bed, self._random.seed)


class Drums:
    """Beats of shaped noise at a tempo, with a bass below."""

    def __init__(self, seed: int, *, tempo: float) -> None:
        self._random, self._tempo = Seeded(seed), tempo

    def samples(self, index: Index) -> Floats:
        """Return (channels, n) samples."""
        time_s = index / SAMPLE_RATE
        beat = time_s * self._tempo / 60 * 2
        number = np.floor(beat).astype(np.int64)
        since = (beat - number) * 30 / self._tempo
        hit = (self._random.draw(number, 1) < 0.7) * (0.3 + 0.7 * self._random.draw(number, 2))
        snare = noise(index, level_dbfs=-12, seed=self._random.seed)[0]
        bar = beat / 4 - number // 4
        bass = 0.15 * np.sin(2 * np.pi * (45 + 20 * self._random.draw(number // 4, 3)) * time_s)
        bass *= np.clip(np.minimum(bar, 1 - bar) * 40, 0.0, 1.0)
        return _mix(snare * hit * np.exp(-since * 18) + bass, index, -58, self._random.seed)


class Voice:
    """Syllables of a pitched, formant-like buzz, in phrases with pauses."""

    def __init__(self, seed: int, *, pitch_hz: float, level: float, room: float) -> None:
        self._random = Seeded(seed)
        self._pitch_hz, self._level, self._room = pitch_hz, level, room

    def samples(self, index: Index) -> Floats:
        """Return (channels, n) samples."""
        time_s = index / SAMPLE_RATE
        syllable = np.floor(time_s * 4.3).astype(np.int64)
        shape = np.sin(np.pi * (time_s * 4.3 - syllable)) ** 0.7
        spoken = self._random.draw(syllable // 3, 1) < 0.8
        turn = 2 * np.pi * self._pitch_hz * (1 + 0.1 * self._random.draw(syllable, 2)) * time_s
        formant = 3 + np.floor(9 * self._random.draw(syllable, 3))
        buzz = np.sin(turn) + 0.6 * np.sin(formant * turn) + 0.3 * np.sin(2 * formant * turn)
        return _mix(buzz * shape * spoken * self._level, index, self._room, self._random.seed)


class Weather:
    """Noise that swells: wind, rain, applause, a motorway, an engine."""

    def __init__(self, seed: int, *, level: float, swell_s: float, hum_hz: float = 0.0) -> None:
        self._random = Seeded(seed)
        self._level, self._swell_s, self._hum_hz = level, swell_s, hum_hz

    def samples(self, index: Index) -> Floats:
        """Return (channels, n) samples."""
        time_s = index / SAMPLE_RATE
        at = time_s / self._swell_s
        number = np.floor(at).astype(np.int64)
        blend = (1 - np.cos(np.pi * (at - number))) / 2
        gain = self._random.draw(number) * (1 - blend) + self._random.draw(number + 1) * blend
        out = noise(index, level_dbfs=self._level, seed=self._random.seed)
        out *= (0.15 + 0.85 * gain).astype(np.float32)
        if self._hum_hz:
            out += (0.02 * np.sin(2 * np.pi * self._hum_hz * time_s)).astype(np.float32)
        return out


class Sparse:
    """Room tone in which something is heard now and then: steps, birds, a door."""

    def __init__(self, seed: int, *, every_s: float, pitch_hz: float, room: float) -> None:
        self._random = Seeded(seed)
        self._every_s, self._pitch_hz, self._room = every_s, pitch_hz, room

    def samples(self, index: Index) -> Floats:
        """Return (channels, n) samples."""
        time_s = index / SAMPLE_RATE
        number = np.floor(time_s / self._every_s).astype(np.int64)
        since = time_s - (number + 0.6 * self._random.draw(number, 1)) * self._every_s
        pitch = self._pitch_hz * (0.7 + 0.6 * self._random.draw(number, 2))
        ring = np.where(since > 0, np.exp(-since.clip(0) * 12), 0.0)
        call = np.sin(2 * np.pi * pitch * since * (1 + since)) * ring * 0.15
        return _mix(call, index, self._room, self._random.seed)


MakeSound = Callable[[int], Sound]
"""From a seed."""

SOUNDS: dict[str, MakeSound] = {
    "piano": lambda n: Music(n, notes_s=2.2, decay_s=0.6, level=0.16, bed=-56),
    "plucked": lambda n: Music(n, notes_s=5.0, decay_s=0.12, level=0.2, bed=-58),
    "organ": lambda n: Music(n, notes_s=1.0, decay_s=4.0, level=0.1, bed=-55),
    "drums": lambda n: Drums(n, tempo=96.0 + 7 * (n % 5)),
    "dance": lambda n: Drums(n, tempo=128.0 + 3 * (n % 4)),
    "man": lambda n: Voice(n, pitch_hz=110, level=0.09, room=-52),
    "woman": lambda n: Voice(n, pitch_hz=205, level=0.07, room=-56),
    "commentary": lambda n: Voice(n, pitch_hz=150, level=0.12, room=-34),
    "wind": lambda n: Weather(n, level=-26, swell_s=2.5),
    "rain": lambda n: Weather(n, level=-32, swell_s=6.0),
    "applause": lambda n: Weather(n, level=-18, swell_s=0.8),
    "engine": lambda n: Weather(n, level=-30, swell_s=4.0, hum_hz=86),
    "birds": lambda n: Sparse(n, every_s=0.7, pitch_hz=2900, room=-50),
    "steps": lambda n: Sparse(n, every_s=1.1, pitch_hz=180, room=-53),
    "night sounds": lambda n: Sparse(n, every_s=3.0, pitch_hz=900, room=-55),
}
