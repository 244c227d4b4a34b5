"""More clean sound, as programmes mix it: speech over music, crowds, choirs, bands, effects.

Where a note changes its level is zero: a jump would be a click, which is no clean sound.
"""

import numpy as np
from numpy.typing import NDArray

from dev.origin.origin import SAMPLE_RATE, Floats, noise
from tests.accuracy.sounds import Index, MakeSound, Music, Seeded, Sparse, Times, Voice, Weather


def _count(at: Times) -> NDArray[np.int64]:
    return np.floor(at).astype(np.int64)


class Sum:
    """Several sounds at once."""

    def __init__(self, *parts: Music | Voice | Weather | Sparse) -> None:
        self._parts = parts

    def samples(self, index: Index) -> Floats:
        """Return (channels, n) samples."""
        total = self._parts[0].samples(index)
        for part in self._parts[1:]:
            total += part.samples(index)
        return total


class Choir:
    """Many voices on a chord that changes every few seconds, each a little off and apart."""

    def __init__(self, seed: int) -> None:
        self._random = Seeded(seed)

    def samples(self, index: Index) -> Floats:
        """Return (channels, n) samples."""
        time_s = index / SAMPLE_RATE
        bar = _count(time_s / 4)
        swell = np.sin(np.pi * (time_s / 4 - bar))
        out = noise(index, level_dbfs=-58, seed=self._random.seed)
        for voice in range(5):
            pitch = 130.8 * 2 ** (np.floor(self._random.draw(bar, voice) * 20) / 12)
            vibrato = 0.4 * np.sin(2 * np.pi * (4.7 + voice / 5) * time_s)
            turn = 2 * np.pi * pitch * time_s + vibrato
            tone = (np.sin(turn) + 0.4 * np.sin(2 * turn)) * swell * 0.05
            out[0] += (tone * (0.4 + 0.15 * voice)).astype(np.float32)
            out[1] += (tone * (1.0 - 0.15 * voice)).astype(np.float32)
        return out


class Band:
    """A bass that walks, brushes, and a lead that leaves room: left, middle and right."""

    def __init__(self, seed: int, *, tempo: float, swing: float) -> None:
        self._random, self._beat_hz, self._swing = Seeded(seed), tempo / 60, swing

    def samples(self, index: Index) -> Floats:
        """Return (channels, n) samples."""
        time_s = index / SAMPLE_RATE
        at = time_s * self._beat_hz
        beat = _count(at)
        since = at - beat
        out = noise(index, level_dbfs=-52, seed=self._random.seed)
        pitch = 55 * 2 ** (np.floor(self._random.draw(beat, 1) * 12) / 12)
        bass = 0.16 * np.sin(2 * np.pi * pitch * since / self._beat_hz) * (1 - since)
        late = (since - self._swing).clip(0)
        brush = out[0] * 20 * (np.exp(-since * 25) + (late > 0) * np.exp(-late * 30))
        lead_pitch = 330 * 2 ** (np.floor(self._random.draw(beat, 2) * 14) / 12)
        played = self._random.draw(beat // 4, 3) < 0.7
        lead = 0.1 * np.sin(2 * np.pi * lead_pitch * time_s) * played * np.sin(np.pi * since)
        left = 0.9 * brush + bass + 0.3 * lead
        out[1] += (0.3 * brush + bass + lead).astype(np.float32)
        out[0] += left.astype(np.float32)
        return out


class Electronic:
    """Saw-like chords that a gate opens sixteen times a bar, over a kick."""

    def __init__(self, seed: int, *, tempo: float) -> None:
        self._random, self._beat_hz = Seeded(seed), tempo / 60

    def samples(self, index: Index) -> Floats:
        """Return (channels, n) samples."""
        time_s = index / SAMPLE_RATE
        at = time_s * self._beat_hz
        step = at * 4 - np.floor(at * 4)
        gate = np.clip(np.minimum(step * 30, (0.7 - step) * 30), 0.0, 1.0)
        root = 110 * 2 ** (np.floor(self._random.draw(_count(at / 8), 1) * 7) / 12)
        chord = np.zeros(len(index))
        for ratio in (1.0, 1.5, 2.52):
            for part in (1, 2, 3, 4):
                chord += np.sin(2 * np.pi * root * ratio * part * time_s) / part
        since = at - np.floor(at)
        kick = 0.3 * np.sin(2 * np.pi * 50 * since / self._beat_hz) * np.exp(-since * 9)
        other = np.clip(np.minimum(step * 30, (0.5 - step) * 30), 0.0, 1.0)
        out = noise(index, level_dbfs=-60, seed=self._random.seed)
        out[0] += (chord * gate * 0.04 + kick).astype(np.float32)
        out[1] += (chord * other * 0.03 + kick).astype(np.float32)
        return out


class Orchestra:
    """Chords that grow for half a minute from very soft to loud, and begin again."""

    def __init__(self, seed: int) -> None:
        self._random = Seeded(seed)

    def samples(self, index: Index) -> Floats:
        """Return (channels, n) samples."""
        time_s = index / SAMPLE_RATE
        gain = 10 ** ((-34 + 28 * (time_s % 32 / 32)) / 20)
        bar = _count(time_s / 2)
        since = time_s - 2.0 * bar
        gain *= np.clip(np.minimum(since, 2.0 - since) * 10, 0.0, 1.0)
        out = noise(index, level_dbfs=-58, seed=self._random.seed)
        for player in range(6):
            pitch = (
                65.4 * (player // 2 + 1) * 2 ** (np.floor(self._random.draw(bar, player) * 8) / 12)
            )
            bow = 0.7 + 0.3 * np.sin(2 * np.pi * (5 + player / 7) * time_s)
            tone = np.sin(2 * np.pi * pitch * time_s + player) * bow * gain * 0.12
            out[player % 2] += tone.astype(np.float32)
            out[1 - player % 2] += (0.4 * tone).astype(np.float32)
        return out


class Telephone:
    """A voice as a telephone passes it: no lows, no highs, the same in both channels."""

    def __init__(self, seed: int) -> None:
        self._random = Seeded(seed)

    def samples(self, index: Index) -> Floats:
        """Return (channels, n) samples."""
        time_s = index / SAMPLE_RATE
        syllable = _count(time_s * 3.9)
        shape = np.sin(np.pi * (time_s * 3.9 - syllable)) ** 0.6
        spoken = self._random.draw(syllable // 4, 1) < 0.85
        pitch = 190 * (1 + 0.15 * self._random.draw(syllable, 2))
        voice = np.zeros(len(index))
        for part in range(2, 14, 2):
            weight = 0.3 + 0.7 * self._random.draw(syllable, part)
            voice += np.sin(2 * np.pi * pitch * part * time_s) * weight / part
        line = noise(index, level_dbfs=-50, seed=self._random.seed)
        mono = line[0] + (voice * shape * spoken * 0.12).astype(np.float32)
        return np.stack([mono, mono])


class Podcast:
    """Two who take turns, close to the microphone, with pauses of up to two seconds."""

    def __init__(self, seed: int) -> None:
        self._random = Seeded(seed)
        self._voices = (
            Voice(seed, pitch_hz=118, level=0.1, room=-62),
            Voice(seed + 1, pitch_hz=197, level=0.08, room=-62),
        )

    def samples(self, index: Index) -> Floats:
        """Return (channels, n) samples."""
        time_s = index / SAMPLE_RATE
        turn = _count(time_s / 7)
        since = time_s - turn * 7.0
        left = 7.0 - 2.0 * self._random.draw(turn, 1) - since
        # A last breath: nobody is cut off.
        talks = np.clip(np.minimum(since, left) * 12, 0.0, 1.0)
        first = self._random.draw(turn, 2) < 0.5
        out = noise(index, level_dbfs=-60, seed=self._random.seed)
        for voice, chosen in zip(self._voices, (first, ~first), strict=True):
            out += voice.samples(index) * (chosen * talks).astype(np.float32)
        return out


class Effects:
    """Shots, blows and explosions with long tails over a low rumble, as in a film."""

    def __init__(self, seed: int) -> None:
        self._random = Seeded(seed)

    def samples(self, index: Index) -> Floats:
        """Return (channels, n) samples."""
        time_s = index / SAMPLE_RATE
        out = noise(index, level_dbfs=-40, seed=self._random.seed)
        hiss = out * 100
        total = np.zeros(len(index))
        for every_s, decay, level in ((0.9, 22.0, 0.5), (4.7, 2.2, 0.35)):
            number = _count(time_s / every_s)
            since = time_s - (number + 0.5 * self._random.draw(number, 1)) * every_s
            loud = level * self._random.draw(number, 2)
            total += np.where(since > 0, np.exp(-since.clip(0) * decay) * loud, 0.0)
        rumble = 0.03 * np.sin(2 * np.pi * 38 * time_s + np.sin(time_s))
        out += hiss * (total * 0.25).astype(np.float32) + rumble.astype(np.float32)
        limited: Floats = np.tanh(out).astype(np.float32) * np.float32(0.9)
        return limited


def _bed(seed: int) -> Music:
    return Music(seed, notes_s=1.6, decay_s=1.2, level=0.035, bed=-56)


SOUNDS: dict[str, MakeSound] = {
    "news with music": lambda n: Sum(Voice(n, pitch_hz=128, level=0.1, room=-58), _bed(n)),
    "sports crowd": lambda n: Sum(
        Weather(n, level=-22, swell_s=3.0), Voice(n, pitch_hz=165, level=0.1, room=-50)
    ),
    "choir": Choir,
    "jazz trio": lambda n: Band(n, tempo=140.0 + n % 40, swing=0.66),
    "rock band": lambda n: Band(n, tempo=120.0 + n % 30, swing=0.5),
    "electronic": lambda n: Electronic(n, tempo=124.0 + n % 12),
    "orchestra": Orchestra,
    "telephone": Telephone,
    "podcast": Podcast,
    "film effects": Effects,
    "nature film": lambda n: Sum(
        Sparse(n, every_s=0.9, pitch_hz=2300, room=-50),
        Weather(n, level=-38, swell_s=5.0),
        Voice(n, pitch_hz=105, level=0.06, room=-60),
    ),
    "street market": lambda n: Sum(
        Weather(n, level=-34, swell_s=1.5),
        Voice(n, pitch_hz=140, level=0.04, room=-50),
        Voice(n + 9, pitch_hz=220, level=0.04, room=-50),
    ),
}
