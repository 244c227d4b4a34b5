"""Short gaps in sound: what a lost packet leaves behind.

A gap is abrupt on both sides. Whether an edge is, its envelope tells where the sound is noise;
where it is a tone, whose envelope says nothing about a millisecond, what a model of the sound
beside it leaves unexplained tells. A rest, a closed consonant and a gate decay, or are followed by
another sound than the one that ended. Each of these is a hint; they are weighed together. And where
a room was heard all the time, nothing at all is a machine's doing: only a fade leads there as well.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import SampleArray
from streammonitor_worker.measures.prediction import Wave, coefficients, powers, residual
from streammonitor_worker.measures.recent import Stretch
from streammonitor_worker.measures.sound import FLOOR_DBFS, decibels

STEP_S = 0.00125
"""Length of a step of the envelope, in seconds: a gap's edges are known to within one."""
_SIDE_STEPS = 16
"""The level beside a gap is that of 20 ms."""
_SIDE_S = 0.03125
_LOUD_DBFS = -42.0
"""What interrupts softer sound than this, on either side, is hardly heard."""
_FEWEST_STEPS = 3
"""A low tone passes through zero for two."""
_SHORT_STEPS = 24
"""Up to 30 ms nothing in speech or music is as silent: longer, a mouth may have closed."""
_ENOUGH = 1.0
_ROOM_DB = 6.0
"""What falls no further than so much below what the room sounded like before is a pause."""
_DIGITAL_DBFS = -80.0
"""A softer room was made without a microphone, and says nothing."""
_EMPTY_DBFS = -70.0
"""What a decoder or a sender puts where there is nothing is softer; rooms are louder."""
_NOTHING_DBFS, _MISSING_DB = -75.0, 15.0
"""What is softer, and so far below the room, is no part of it: a machine put nothing there."""
_BARK_HZ = (
    *(0, 100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480),
    *(1720, 2000, 2320, 2700, 3150, 3700, 4400, 5300, 6400, 7700, 9500),
)
"""Edges of the critical bands (Zwicker 1961)."""


@dataclass(frozen=True, slots=True)
class GapRules:
    """What counts as a gap.

    Attributes:
        threshold_dbfs: Sound is gone at or below this level.
        depth_db: And this far below what came before.
        shortest_s: Shorter ones are not reported.
        longest_s: Longer ones are silence.
    """

    threshold_dbfs: float
    depth_db: float
    shortest_s: float
    longest_s: float


class _Fall(NamedTuple):
    """Where sound fell: the step, and what was before it."""

    step: int
    before_db: float
    still_db: float
    """Highest of the two steps just before, relative to that."""
    limit_db: float
    heard: SampleArray
    """From 31 ms before the edge to 4 ms after it."""


class _Weights(NamedTuple):
    """How much each hint counts.

    Fitted by logistic regression to the tuning half and to recorded speech, music and drums, and
    rounded; that it holds was tried with each half of these sources on the other.
    """

    usual: float
    still: float
    at_once: float
    cut_off: float
    cut_in: float
    unlike: float
    steep: float
    loud: float


_WHEN_SHORT = _Weights(0.5, 0.6, 0.3, 2.2, 1.1, -2.5, 2.2, 1.3)
_WHEN_LONG = _Weights(-0.3, 1.0, 0.4, 3.0, 0.8, -0.7, 1.4, 2.6)
_WHEN_EMPTY = _Weights(2.2, 1.5, 0.3, 2.7, 1.0, 0.0, 1.2, 1.5)
"""Where a room was heard all the time and nothing at all is left of it, it is a gap unless it was
faded, or what was heard decayed: another sound may follow."""
_UNPREDICTABLE_DB = -30.0
"""More of a noise is left unexplained everywhere: that says nothing about an edge."""


class GapFinder:
    """Follows the envelope of one stream's sound and finds gaps with abrupt edges on both sides."""

    def __init__(self, rules: GapRules) -> None:
        self.rules = rules
        self._powers: npt.NDArray[np.float64] = np.zeros(0)
        self._first = 0
        self._next = 0
        self._fall: _Fall | None = None
        self._fall_s = 0.0
        self._rise: int | None = None
        self.loudest_dbfs = FLOOR_DBFS
        """The highest level in what was taken last."""

    @property
    def pending_s(self) -> float | None:
        """Media time at which a gap began that may turn out to be one; None without."""
        return None if self._fall is None else self._fall_s

    def take(self, stretch: Stretch) -> list[tuple[float, float]]:
        """Take what is new; return start and end of the gaps that turned out to be some."""
        step = max(1, round(stretch.sample_rate * STEP_S))
        self._measure(stretch, step)
        found: list[tuple[float, float]] = []
        while True:
            if self._fall is None and not self._watch(stretch, step):
                break
            if self._rise is None and not self._look_for_the_end(stretch, step):
                break
            if self._fall is None or self._rise is None:
                continue
            after = stretch.part(*self._after(self._rise, step, stretch.sample_rate))
            if after is None:
                break
            gap = self._fall.step, self._rise
            length_s = (gap[1] - gap[0]) * step / stretch.sample_rate
            if length_s >= self.rules.shortest_s - 1e-6 and self._is_one(after, stretch):
                found.append((stretch.time_s(gap[0] * step), stretch.time_s(gap[1] * step)))
                # The silence of a gap is not that of the room.
                self._powers[gap[0] - self._first : gap[1] - self._first] = 1.0
            self._fall = self._rise = None
        return found

    def _measure(self, stretch: Stretch, step: int) -> None:
        """The powers of the steps that became complete; as many as a gap may last are kept."""
        done = self._first + len(self._powers)
        if done == 0:
            done = self._first = self._next = -(-stretch.first // step)
        count = stretch.end // step - done
        heard = stretch.part(done * step, (done + count) * step)
        if heard is None or count <= 0:
            return
        blocks = heard.reshape(heard.shape[0], count, step)
        power = np.einsum("cbn,cbn->cb", blocks, blocks, dtype=np.float64) / step
        keep = round((self.rules.longest_s + 1.0) / STEP_S)
        self._powers = np.concatenate((self._powers, power.max(axis=0)))
        self.loudest_dbfs = max(FLOOR_DBFS, 10 * float(np.log10(power.max() + 1e-20)))
        surplus = max(0, len(self._powers) - keep)
        self._powers, self._first = self._powers[surplus:], self._first + surplus

    def _watch(self, stretch: Stretch, step: int) -> bool:
        """Look for the beginning of a gap in the steps not looked at yet."""
        start = max(self._next, self._first + _SIDE_STEPS + 1)
        end = self._first + len(self._powers) - 2
        if end <= start:
            return False
        self._next = end
        power = self._powers[start - self._first - _SIDE_STEPS - 1 : end - self._first]
        total = np.concatenate(([0.0], np.cumsum(power)))
        before = (total[_SIDE_STEPS:-1] - total[: -_SIDE_STEPS - 1]) / _SIDE_STEPS
        low = power[_SIDE_STEPS:] <= before * 10 ** (-self.rules.depth_db / 10)
        falls = low[1:] & ~low[:-1] & (before[1:] > 10 ** (_LOUD_DBFS / 10))
        for at in np.flatnonzero(falls).tolist():
            level = 10 * float(np.log10(before[at + 1]))
            beside = power[at + _SIDE_STEPS - 1 : at + _SIDE_STEPS + 1].max()
            still = 10 * float(np.log10(beside + 1e-20)) - level
            number = start + at
            first = number * step - round(_SIDE_S * stretch.sample_rate)
            heard = stretch.part(first, number * step + 2 * step)
            if still < -12.0 or heard is None:
                continue
            limit = min(self.rules.threshold_dbfs, level - self.rules.depth_db)
            self._fall = _Fall(number, level, still, limit, heard.copy())
            self._fall_s = stretch.time_s(number * step)
            self._next = number + 1
            return True
        return False

    def _look_for_the_end(self, stretch: Stretch, step: int) -> bool:
        """Look for where sound returns; False while it did not. What is too long is given up."""
        fall = self._fall
        if fall is None:
            return False
        power = self._powers[self._next - self._first :]
        loud = np.flatnonzero(power > 10 ** (fall.limit_db / 10))
        end = self._next + (int(loud[0]) if len(loud) else len(power))
        self._next = end
        if (end - fall.step) * STEP_S > self.rules.longest_s:
            self._fall = None
            return True
        if not len(loud):
            return False
        if end - fall.step < _FEWEST_STEPS:
            self._fall = None
            return True
        self._rise = end
        return True

    def _room_and_rest(self, fall: int, rise: int) -> tuple[float, float]:
        """The softest 20 ms in the seconds before, and what is left of it in between, in dBFS."""
        before = self._powers[: fall - self._first]
        whole = before[: len(before) // _SIDE_STEPS * _SIDE_STEPS].reshape(-1, _SIDE_STEPS)
        room = float(np.log10(whole.mean(axis=1).min(initial=1.0) + 1e-20)) * 10
        left = float(np.median(self._powers[fall - self._first : rise - self._first]))
        return room, 10 * float(np.log10(left + 1e-20))

    def _after(self, rise: int, step: int, rate: int) -> tuple[int, int]:
        """The samples that tell whether sound returned at once."""
        return (rise - 2) * step, rise * step + max(round(_SIDE_S * rate), _SIDE_STEPS * step)

    def _is_one(self, after: SampleArray, stretch: Stretch) -> bool:
        """Weigh what speaks for a gap."""
        fall, rise = self._fall, self._rise
        if fall is None or rise is None:
            return False
        level = decibels(self._powers[fall.step - 2 - self._first :][: rise - fall.step + 4], 10.0)
        gap = rise - fall.step
        power = self._powers[rise - self._first :][:_SIDE_STEPS]
        after_db = 10 * float(np.log10(power.mean() + 1e-20))
        if after_db < _LOUD_DBFS:
            return False
        room_dbfs, left_dbfs = self._room_and_rest(fall.step, rise)
        if gap > _SHORT_STEPS and _is_pause(room_dbfs, left_dbfs):
            return False
        back = level[gap + 2 :][:2].max()
        steep = min(level[:2].max() - level[3], back - level[gap])
        weights = _WHEN_SHORT if gap <= _SHORT_STEPS else _WHEN_LONG
        if _is_empty(room_dbfs, left_dbfs):
            weights = _WHEN_EMPTY
        rate = stretch.sample_rate
        hints = (
            1.0,
            _within(fall.still_db, -12, 0) / 3,
            _within(back - after_db, -12, 0) / 3,
            (_within(_surprise_db(fall.heard, rate), -60, _UNPREDICTABLE_DB) + 40) / 10,
            (_within(_surprise_db(after[:, ::-1], rate), -60, _UNPREDICTABLE_DB) + 40) / 10,
            _within(_unlike_db(fall.heard, after, rate), 0, 16) / 5,
            (_within(steep, 0, 40) - 25) / 10,
            (min(fall.before_db, after_db) + 30) / 10,
        )
        return sum(a * b for a, b in zip(weights, hints, strict=True)) >= _ENOUGH


def _is_pause(room_dbfs: float, left_dbfs: float) -> bool:
    """Whether what is left is the room, as it was heard in the seconds before."""
    as_the_room = room_dbfs > _DIGITAL_DBFS and left_dbfs > room_dbfs - _ROOM_DB
    return left_dbfs > _EMPTY_DBFS or as_the_room


def _is_empty(room_dbfs: float, left_dbfs: float) -> bool:
    """Whether there was a room, and nothing is left of it."""
    return room_dbfs > _DIGITAL_DBFS and left_dbfs < min(_NOTHING_DBFS, room_dbfs - _MISSING_DB)


def _within(value: float, low: float, high: float) -> float:
    return float(min(max(value, low), high))


def _surprise_db(heard: SampleArray, rate: int) -> float:
    """What a model of the sound before an edge leaves unexplained at it, relative to that sound.

    The edge lies two steps of the envelope before the end. In dB.
    """
    edge = heard.shape[1] - 2 * max(1, round(rate * STEP_S))
    beside = heard[:, : edge - round(0.002 * rate)]
    loudest = int(np.argmax(np.einsum("cn,cn->c", beside, beside)))
    wave: Wave = heard[loudest].astype(np.float64)
    base = wave[: edge - round(0.002 * rate)]
    short = round(0.001 * rate)
    error = residual(wave, coefficients(base))[edge - round(0.002 * rate) :]
    energy = powers(error, short, max(1, short // 4)).max(initial=0.0) / short
    return 10 * float(np.log10((energy + 1e-14) / (float(np.mean(base**2)) + 1e-14)))


def _unlike_db(before: SampleArray, after: SampleArray, rate: int) -> float:
    """How much the spectra on both sides differ, whatever their levels: mean over bands, in dB."""
    step = max(1, round(rate * STEP_S))
    count = round(0.0213 * rate)
    ends = before.shape[1] - 3 * step
    one = _bands_db(before[:, ends - count : ends], rate)
    other = _bands_db(after[:, 3 * step : 3 * step + count], rate)
    difference = one - other
    return float(np.mean(np.abs(difference - np.median(difference))))


def _bands_db(heard: SampleArray, rate: int) -> npt.NDArray[np.float64]:
    """Levels in critical bands, shape (22,), in dB: windows of 10.7 ms, overlapping."""
    size = round(0.01067 * rate)
    pieces = np.lib.stride_tricks.sliding_window_view(heard, size, axis=1)[:, :: size // 4]
    spectra = np.abs(np.fft.rfft(pieces * np.hanning(size), axis=2)) ** 2
    power = spectra.mean(axis=1).sum(axis=0) * (8 / 1.5 / size**2)
    level: npt.NDArray[np.float64] = 10 * np.log10(_bands(size, rate) @ power + 1e-9)
    return level


@lru_cache(maxsize=8)
def _bands(size: int, rate: int) -> npt.NDArray[np.float64]:
    """Which frequencies belong to which band, shape (bands, frequencies)."""
    hz = np.fft.rfftfreq(size, 1 / rate)
    edges = np.array(_BARK_HZ, np.float64)
    inside = (hz >= edges[:-1, None]) & (hz < edges[1:, None])
    nearest = np.argmin(np.abs(hz - (edges[:-1, None] + edges[1:, None]) / 2), axis=1)
    inside[np.arange(len(nearest)), nearest] |= ~inside.any(axis=1)
    return inside.astype(np.float64)
