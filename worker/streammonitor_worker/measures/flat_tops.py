"""Flat tops: where waves were cut off rather than turned round, at whatever level.

A lossy codec makes of a flat top a rippled one that overshoots: no two samples are equal any more.
What stays is how long sound dwells near a ceiling that it never passes. A sine dwells at its peak
as long as it takes for the third below it; sound with several components dwells there for less.
"""

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Channel = npt.NDArray[np.float32]
_Counts = npt.NDArray[np.int64]

_OCTAVES, _PER_OCTAVE = 12, 32
_BINS = (_OCTAVES + 2) * _PER_OCTAVE
_EDGES = np.append(
    np.outer(2.0 ** np.arange(-_OCTAVES, 2), 1 + np.arange(_PER_OCTAVE) / _PER_OCTAVE).ravel(), 4.0
)
_DEEPEST_BINS = 48
"""The ceiling lies at most 9 dB below the highest overshoot."""
MIDDLE, TOP, OVER = 0.6, 0.9, 1.15
"""Limits of the zones, relative to the ceiling: what dwells, what leads there, what passes it."""
_MODE, _VALLEY, _SLOPE = (0.94, 1.06), (0.78, 0.92), (0.55, 0.70)
_PASSING = 0.12
SUSPICIOUS = 0.3
"""Where sound dwells less than this relative to the third below, single waves are not looked at."""
_SHARE = 0.002


@dataclass(frozen=True, slots=True)
class Ceiling:
    """Where the amplitudes of some sound pile up below an upper limit.

    Attributes:
        level: Amplitude, full scale = 1.0.
        dwell: Time near it relative to time in the third below it; a sine has about 1.5.
        mode: How much denser amplitudes are there than the density below lets expect; a sine has
            1.8, sound whose peaks vary less than 1.
    """

    level: float
    dwell: float
    mode: float


def amplitudes(channel: Channel) -> _Counts:
    """How often which amplitude occurs: 32 bins an octave, from 2^-12 to 4 times full scale."""
    # The exponent and the first five bits of the fraction of a float number its bin.
    bits = np.abs(channel).view(np.int32) >> 18
    return np.bincount(np.clip(bits - ((127 - _OCTAVES) << 5), 0, _BINS - 1), minlength=_BINS)


def find_ceiling(counts: _Counts) -> Ceiling | None:
    """The amplitude at which sound dwells most; None if there is no limit at all."""
    highest = int(np.flatnonzero(counts)[-1])
    level = _EDGES[max(0, highest - _DEEPEST_BINS) : highest + 1]
    below = np.concatenate(([0], np.cumsum(counts)))

    def within(first: float, last: float) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = np.interp(last * level, _EDGES, below) - np.interp(
            first * level, _EDGES, below
        )
        return found

    top = within(TOP, OVER)
    limited = below[-1] - np.interp(OVER * level, _EDGES, below) <= _PASSING * top
    limited &= top >= _SHARE * below[-1]
    if not limited.any():
        return None
    dwell = np.where(limited, top / np.maximum(within(MIDDLE, TOP), 1.0), 0.0)
    best = int(np.argmax(dwell))
    if dwell[best] < SUSPICIOUS:
        return None
    mode, valley, slope = (
        within(*zone) / (zone[1] - zone[0]) + 20.0 for zone in (_MODE, _VALLEY, _SLOPE)
    )
    modes = np.where(limited, mode / valley * np.clip(slope / valley, 0.5, 3.0), 0.0)
    return Ceiling(float(level[best]), float(dwell[best]), float(modes.max()))


@dataclass(frozen=True, slots=True)
class Tops:
    """The waves of a piece of sound that reach a ceiling.

    Attributes:
        waves: How many waves pass 0.6 of it.
        count: How many of them reach it.
        at: Samples in which they are near it.
        below: Samples in which they are in the third below it.
        first: Number of the first sample near it.
        last: Number of the sample after the last one.
    """

    waves: int = 0
    count: int = 0
    at: int = 0
    below: int = 0
    first: int = 0
    last: int = 0


def tops(channel: Channel, ceiling: float, shortest: int) -> Tops:
    """Find the waves of one channel, of so many samples at least, that reach a ceiling."""
    size = np.abs(channel)
    side = np.where(size >= MIDDLE * ceiling, np.sign(channel), 0).astype(np.int8)
    edges = np.flatnonzero(np.diff(side, prepend=0, append=0))
    first, last = edges[:-1], edges[1:]
    waves = (side[first] != 0) & (last - first >= shortest)
    first, last = first[waves], last[waves]
    near = (size >= TOP * ceiling) & (size <= OVER * ceiling)
    before = np.concatenate(([0], np.cumsum(near)))
    passing = np.concatenate(([0], np.cumsum(size > OVER * ceiling)))
    at = before[last] - before[first]
    reach = at > 0
    if not reach.any():
        return Tops()
    below = last - first - at - (passing[last] - passing[first])
    begins, ends = first[reach][0], last[reach][-1]
    where = np.flatnonzero(near[begins:ends]) + begins
    return Tops(
        waves=len(first),
        count=int(reach.sum()),
        at=int(at[reach].sum()),
        below=int(below[reach].sum()),
        first=int(where[0]),
        last=int(where[-1]) + 1,
    )


@dataclass(frozen=True, slots=True)
class Wraps:
    """Jumps of one channel from one end of full scale to the other.

    Attributes:
        jumps: How many there are.
        count: How many of them wrap round.
        first: Number of the first sample after one that wraps round.
        last: Number of the sample after the last one.
    """

    jumps: int = 0
    count: int = 0
    first: int = 0
    last: int = 0


_REACH, _APART = 16, 10


def wraps(channel: Channel) -> Wraps:
    """Find where integers overflowed.

    There a wave goes on at the other end with the slope that it had. An edge of a square wave has
    none on either side, and loud treble reaches the other end by itself, again and again.
    """
    if len(channel) <= 2 * _REACH:
        return Wraps()
    step = channel[_REACH + 2 : 2 - _REACH] - channel[_REACH - 1 : -_REACH - 1]
    size = np.abs(step)
    found = np.flatnonzero(size[1:-1] > 1.2) + 1
    peak = found[(size[found] >= size[found - 1]) & (size[found] >= size[found + 1])]
    if len(peak) == 0:
        return Wraps()
    # A wave that wraps round takes its time to come back.
    apart = np.concatenate(([True], np.diff(peak) > _APART, [True]))
    alone = peak[apart[1:] & apart[:-1]]
    at, side = alone + _REACH, -np.sign(step[alone])
    before, after = channel[at - 2], channel[at + 3]
    slopes = np.array(
        [
            side * (before - channel[at - 6]) / 4,
            side * (before - channel[at - 12]) / 10,
            side * (channel[at + 7] - after) / 4,
            side * (channel[at + 13] - after) / 10,
        ]
    )
    ends = (side * before > 0.4) & (-side * after > 0.4)
    expected = side * before + 2.5 * (slopes[0] + slopes[2])
    wrapped = at[ends & (slopes.min(axis=0) > 0.01) & (np.abs(side * after + 2 - expected) < 0.4)]
    if len(wrapped) == 0:
        return Wraps(jumps=len(peak))
    return Wraps(len(peak), len(wrapped), int(wrapped[0]), int(wrapped[-1]) + 1)


@dataclass(frozen=True, slots=True)
class Beyond:
    """What of a piece of sound lies beyond full scale.

    Attributes:
        count: How many waves pass it.
        samples: How many samples do.
        excess: Energy of what lies beyond.
        energy: Energy of the whole piece.
        fourth: Sum of the fourth powers of the whole piece.
        pure: It is one pure tone, and may be a test signal.
        first: Number of the first sample beyond.
        last: Number of the sample after the last one.
    """

    count: int = 0
    samples: int = 0
    excess: float = 0.0
    energy: float = 0.0
    fourth: float = 0.0
    pure: bool = False
    first: int = 0
    last: int = 0


def beyond(channel: Channel) -> Beyond:
    """Find what lies beyond full scale: an encoder was given no such samples, nor can be played.

    A lossy codec adds noise to what it codes. Where that noise leads beyond full scale again and
    again, many samples were at the limit; and a player cuts off what lies beyond.
    """
    power = channel * channel
    energy, fourth = float(power.sum()), float(power @ power)
    if max(float(channel.max()), -float(channel.min())) <= 1.0:
        return Beyond(energy=energy, fourth=fourth)
    over = np.clip(np.abs(channel) - 1, 0, None)
    where = np.flatnonzero(over)
    return Beyond(
        count=1 + int((np.diff(where) > _ONE_WAVE).sum()),
        samples=len(where),
        excess=float(over @ over),
        energy=energy,
        fourth=fourth,
        pure=_is_pure(channel),
        first=int(where[0]),
        last=int(where[-1]) + 1,
    )


def _is_pure(channel: Channel) -> bool:
    """Whether two samples tell the next: that is so of one sine (Prony), and of deep bass."""
    middle, sides = channel[1:-1], channel[2:] + channel[:-2]
    power = max(float(middle @ middle), 1e-12)
    left = sides - np.float32(float(middle @ sides) / power) * middle
    kurtosis = float(np.mean(middle**4)) * len(middle) ** 2 / power**2
    return float(left @ left) <= _PURE * power and abs(kurtosis - 1.5) <= _PURE_KURTOSIS


_ONE_WAVE = 8
_PURE, _PURE_KURTOSIS = 0.005, 0.08
EXCESS, MUCH_EXCESS = 10**-4.5, 10**-3.5
"""Energy beyond full scale, relative to all energy, that cut peaks leave behind a lossy codec. What
a limiter lets touch full scale leaves as much where bits are few; then it is not cut unless it also
piles up there, or is flatter than sound is, or leaves ten times as much."""
PILED_UP, FLAT = 0.25, 2.1
"""Samples above 0.85 relative to those in the quarter below; and kurtosis (a sine has 1.5)."""
_HOPS, _RECENT = 10, 3
_SAME = 0.12
_PAUSE_S = 0.6
_OWN_DWELL = 0.8
DWELL = 2.2
"""A wave that turns round by itself dwells near its peak for less: a sine, 1.7 at most."""
DWELL_OF_SOME, MODE, SOME = 1.35, 3.0, 0.7
"""Where only some waves (a share) are high enough to be cut, they dwell less, but pile up."""
SHORTEST_WAVE_S = 4 / 48_000
"""Shorter waves have no shape."""
SQUARE_DWELL, SQUARE_EDGE, SQUARE_TOP = 20.0, 2.2, 32.0
"""A square wave has edges without a slope (samples, at 48 kHz) and long tops."""
WRAPPING = 0.03
"""Share of jumps across full scale that wrap round; treble swings, which is told apart."""


@dataclass(slots=True)
class _Look:
    """One hop: where it was, what was found in it at which ceiling."""

    start_s: float
    level: float = 0.0
    mode: float = 0.0
    tops: Tops = Tops()
    wraps: Wraps = Wraps()
    beyond: Beyond = Beyond()


class CutPeaks:
    """Follows one channel hop by hop and tells whether its peaks are cut off.

    Attributes:
        count: Waves cut off or wrapped round in the last second; 0 where they turn by themselves.
        now: Whether some of them are in the last hop.
        level: Amplitude of the ceiling; 0 without.
        dwell: Time at the ceiling relative to the time just below it.
        samples_at: Samples at the ceiling in the last second; 0 without cut tops.
    """

    def __init__(self, lowest: float, sample_rate: int) -> None:
        self.count = self.samples_at = 0
        self.now = self._flat = self._wrapped = self._beyond = False
        self.level = self.dwell = 0.0
        self._lowest, self._rate = lowest, sample_rate
        self._shortest = max(3, round(SHORTEST_WAVE_S * sample_rate))
        self._counts: deque[_Counts] = deque(maxlen=_HOPS)
        self._total: _Counts = np.zeros(_BINS, np.int64)
        self._looks: deque[_Look] = deque(maxlen=_HOPS)
        self._recent: deque[Channel] = deque(maxlen=_RECENT)

    def take(self, channel: Channel, start_s: float) -> None:
        """Take the next hop, which began at this media time."""
        look = _Look(start_s, wraps=wraps(channel), beyond=beyond(channel))
        self._looks.append(look)
        self._recent.append(channel)
        if len(self._counts) == _HOPS:
            self._total -= self._counts[0]
        self._counts.append(amplitudes(channel))
        self._total += self._counts[-1]
        ceiling = find_ceiling(self._total)
        if ceiling is not None and ceiling.level >= self._lowest:
            # What came before the ceiling was known is looked at again.
            recent = zip(list(self._looks)[-len(self._recent) :], self._recent, strict=True)
            for one, samples in recent:
                if abs(one.level - ceiling.level) > _SAME * ceiling.level:
                    one.level, one.mode = ceiling.level, ceiling.mode
                    one.tops = tops(samples, ceiling.level, self._shortest)
        self._judge(look)

    def since_s(self) -> float:
        """Media time of the first of the tops, or jumps, to which those of the last hop belong."""
        since_s = self._looks[-1].start_s
        for number, one in enumerate(reversed(self._looks)):
            part = self._part(one)
            if part is None:
                continue
            if number and since_s - one.start_s - part.last / self._rate > _PAUSE_S:
                break
            since_s = one.start_s + part.first / self._rate
        return since_s

    def until_s(self) -> float:
        """Media time after the last of the tops, or jumps, that the last hop has."""
        last = self._looks[-1]
        part = self._part(last)
        return last.start_s + (part.last / self._rate if part else 0.0)

    def _part(self, look: _Look) -> Tops | Wraps | Beyond | None:
        """What a hop has of what is wrong."""
        if self._wrapped and look.wraps.count:
            return look.wraps
        if self._beyond and look.beyond.count:
            return look.beyond
        same = abs(look.level - self.level) <= _SAME * self.level
        dwells = look.tops.at > _OWN_DWELL * look.tops.below
        return look.tops if self._flat and same and dwells else None

    def _judge(self, look: _Look) -> None:
        self.level = look.level or next(
            (one.level for one in reversed(self._looks) if one.level), 0.0
        )
        same = [one for one in self._looks if abs(one.level - self.level) <= _SAME * self.level]
        waves, count, at, below = (
            sum(getattr(one.tops, name) for one in same)
            for name in ("waves", "count", "at", "below")
        )
        self.dwell = at / max(below, 1)
        jumps, wrapped = (
            sum(getattr(one.wraps, name) for one in self._looks) for name in ("jumps", "count")
        )
        piled_up = count <= SOME * waves and max((x.mode for x in same), default=0.0) >= MODE
        self._wrapped = wrapped > WRAPPING * jumps
        self._flat = self.level > 0 and self._is_flat(at, below, count, piled_up)
        passing, samples = self._judge_beyond()
        self.count = max(count * self._flat, wrapped * self._wrapped, passing)
        self.samples_at = max(at * self._flat, samples)
        self.now = self._part(look) is not None

    def _judge_beyond(self) -> tuple[int, int]:
        """How many waves, and samples, pass full scale if these are too many."""
        parts = [one.beyond for one in self._looks]
        excess, energy, fourth = (
            sum(getattr(one, name) for one in parts) for name in ("excess", "energy", "fourth")
        )
        pure = sum(one.pure for one in parts) > sum(one.count > 0 for one in parts) / 2
        self._beyond = excess > EXCESS * energy and not pure
        if self._beyond and excess < MUCH_EXCESS * energy:
            length = sum(len(one) for one in self._recent) * len(parts) / len(self._recent)
            piled_up = self._share(0.85, 4.0) > PILED_UP * self._share(0.6, 0.85)
            self._beyond = piled_up or fourth * length < FLAT * energy**2
        if not self._beyond:
            return 0, 0
        return sum(one.count for one in parts), sum(one.samples for one in parts)

    def _share(self, lowest: float, highest: float) -> int:
        """How many samples of the last second have such amplitudes."""
        first, last = np.searchsorted(_EDGES, (lowest, highest))
        return int(self._total[first:last].sum())

    def _is_flat(self, at: int, below: int, count: int, piled_up: bool) -> bool:
        scale = self._rate / 48_000
        if count == 0:
            return False
        edges_are_steep = below <= SQUARE_EDGE * scale * count
        if edges_are_steep and at >= SQUARE_TOP * scale * count and self.dwell >= SQUARE_DWELL:
            return False
        return self.dwell >= (DWELL_OF_SOME if piled_up else DWELL)
