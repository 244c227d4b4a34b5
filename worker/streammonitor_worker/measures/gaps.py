"""Short gaps in sound and clicks: what a lost packet or a wrong splice leaves behind."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import SampleArray
from streammonitor_worker.measures.sound import Levels, decibels

STEP_S = 0.00125
"""Length of a step of the envelope, in seconds: a gap's edges are known to within one."""
_NEAR_S = 0.0005
GUARD_S = 0.006
"""Sound that a click is compared with, before it and after it, in seconds."""
_MASK_S = 0.01
_SMALLEST = 1e-3
_SMALLEST_RATIO = 0.3


def envelope(samples: SampleArray, step: int) -> Levels:
    """Levels in dBFS of the loudest channel in steps of `step` samples; a rest is left out."""
    count = samples.shape[1] // step
    blocks = samples[:, : count * step].reshape(samples.shape[0], count, step)
    power = np.einsum("cbn,cbn->cb", blocks, blocks, dtype=np.float64) / step
    return decibels(power.max(axis=0), 10.0)


@dataclass(frozen=True, slots=True)
class Clicks:
    """The clicks in a piece of sound.

    Attributes:
        positions: Numbers of their samples.
        height_db: How far the highest stands out of what is round it, in dB; 0 without samples.
    """

    positions: npt.NDArray[np.intp]
    height_db: float


def clicks(samples: SampleArray, sample_rate: int, height_db: float) -> Clicks:
    """Find isolated discontinuities in samples of shape (channels, n).

    The third difference takes out what is smooth. A sample of it is a click when it is higher by
    `height_db` than everything from 0.5 to 6 ms before it and after it: a drum or a syllable is
    followed by its own sound, a click by nothing of its kind. Samples within 6 ms of either end
    are not judged; a click before which or after which there is digital silence is none.
    """
    found = [_of_channel(channel, sample_rate, height_db) for channel in samples]
    positions = np.unique(np.concatenate([one.positions for one in found]))
    return Clicks(positions, max(one.height_db for one in found))


def _of_channel(channel: npt.NDArray[np.float32], sample_rate: int, height_db: float) -> Clicks:
    near, far = max(4, round(_NEAR_S * sample_rate)), max(16, round(GUARD_S * sample_rate))
    size = np.abs(np.diff(channel, n=3))
    inner = size[far : len(size) - far]
    if len(inner) == 0:
        return Clicks(np.zeros(0, np.intp), 0.0)
    ratio = 10 ** (height_db / 20)
    # Most sound has no sample that stands out of the whole piece: nothing more is looked at then.
    rms = float(np.sqrt(np.mean(np.square(channel), dtype=np.float64)))
    limit = max(ratio * float(np.median(size)), _SMALLEST_RATIO * rms, _SMALLEST)
    candidates = np.flatnonzero(inner > limit) + far
    candidates = candidates[np.argsort(-size[candidates], kind="stable")][:32]
    heights = {int(at): _height(size, int(at), near, far) for at in candidates}
    last = -_MASK_S * sample_rate
    positions: list[int] = []
    for at in sorted(heights):
        if heights[at] >= ratio and at - last > _MASK_S * sample_rate:
            positions.append(at + 1)
            last = at
    top = max(heights.values(), default=1.0)
    return Clicks(np.array(positions, np.intp), 20 * float(np.log10(max(top, 1.0))))


def _height(size: npt.NDArray[np.float32], at: int, near: int, far: int) -> float:
    """How many times higher a sample is than the highest before and after it."""
    before, after = size[at - far : at - near], size[at + near + 1 : at + far + 1]
    beside = (float(before.max()), float(after.max()))
    if min(beside) < 1e-6:
        return 0.0
    return float(size[at]) / max(beside)


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


_BEFORE_STEPS = 40
_FALL_STEPS = 3
_RISE_STEPS = 4
_LOUD_DBFS = -40.0
_STILL_DB = 7.0
_AGAIN_DB = 14.0
_RISE_DB = 6.0


class GapFinder:
    """Follows an envelope and finds gaps with abrupt edges on both sides.

    A gap begins where sound that had a level falls by the depth within 4 ms, and ends where it
    returns within 5 ms to about that level. What decays, as drums and rooms do, or swells, as
    syllables and fades do, is none.
    """

    def __init__(self, rules: GapRules) -> None:
        self.rules = rules
        self._recent: list[float] = []
        self._limit_db = 0.0
        self._again_db = 0.0
        self._gap_s: float | None = None
        self._rise_s: float | None = None
        self._quiet = False

    @property
    def pending_s(self) -> float | None:
        """Media time at which a gap began that may turn out to be one; None without."""
        return self._gap_s

    def take(self, levels: Levels, start_s: float, step_s: float) -> list[tuple[float, float]]:
        """Take the next steps; return start and end of the gaps that ended in them."""
        threshold = self.rules.threshold_dbfs
        idle = self._gap_s is None
        if idle and (levels.min() > threshold or (self._quiet and levels.max() <= threshold)):
            self._recent = [*self._recent, *levels.tolist()][-_BEFORE_STEPS:]
            self._quiet = bool(levels[-1] <= threshold)
            return []
        found: list[tuple[float, float]] = []
        for index, level in enumerate(levels.tolist()):
            time_s = start_s + index * step_s
            if self._gap_s is None:
                self._watch(level, time_s)
            elif self._ends(level, time_s, step_s):
                found.append((self._gap_s, self._rise_s or time_s))
                self._gap_s = self._rise_s = None
            self._recent = [*self._recent[1 - _BEFORE_STEPS :], level]
        return [one for one in found if one[1] - one[0] >= self.rules.shortest_s - 1e-6]

    def _watch(self, level: float, time_s: float) -> None:
        """Look for the beginning of a gap."""
        if level > self.rules.threshold_dbfs:
            self._quiet = False
            return
        if self._quiet or len(self._recent) < _BEFORE_STEPS:
            return
        before_db = float(np.mean(np.sort(self._recent)[_BEFORE_STEPS // 2 :]))
        limit_db = min(self.rules.threshold_dbfs, before_db - self.rules.depth_db)
        if level > limit_db:
            return
        self._quiet = True
        if before_db >= _LOUD_DBFS and max(self._recent[-_FALL_STEPS:]) >= before_db - _STILL_DB:
            self._gap_s, self._rise_s = time_s, None
            self._limit_db = limit_db + _RISE_DB
            self._again_db = max(_LOUD_DBFS, before_db - _AGAIN_DB)

    def _ends(self, level: float, time_s: float, step_s: float) -> bool:
        """Whether sound is back at once; a gap that is none is given up."""
        if level <= self._limit_db:
            # A single step above the limit was a crackle, not the end.
            self._rise_s = None
            if time_s - (self._gap_s or 0.0) > self.rules.longest_s:
                self._gap_s = None
            return False
        if self._rise_s is None:
            self._rise_s = time_s
        if level >= self._again_db:
            self._quiet = False
            return True
        if time_s - self._rise_s > (_RISE_STEPS - 0.5) * step_s:
            self._gap_s = self._rise_s = None
        return False
