"""What is learnt of a stream's channels: which are in use, whether they differ, their phase."""

from collections import deque

import numpy as np
import numpy.typing as npt

from streammonitor_worker.measures.channels import timbre
from streammonitor_worker.measures.hops import Hop
from streammonitor_worker.measures.sound import Levels

SAME_DB = -42.0
"""A side signal this far below the whole is none but what a lossy codec made."""
DIFFERENT_DB = -34.0
"""Above this, the channels differ."""
_LEARN_S = 10.0
_MEMORY_S = 30.0
_RARE = 0.02
_OFTEN = 0.9
_EDGE_HOPS = 10
_TIMBRE_DB = 6.0
_FADE_DB = 15.0
_SOFTEST_DBFS = -70.0

Flags = npt.NDArray[np.bool_]


class Usage:
    """Which channels nearly always sound when any does.

    The surround channels of a film are silent for minutes; those of a concert never are.
    """

    def __init__(self) -> None:
        self._heard_s: Levels = np.zeros(0)
        self._active_s = 0.0

    def learn(self, sounding: Flags, active: Flags, block_s: float) -> None:
        """Take blocks: which channels sound, shape (channels, blocks), and whether any does."""
        if len(self._heard_s) != len(sounding):
            self._heard_s = np.zeros(len(sounding))
            self._active_s = 0.0
        seconds = float(active.sum()) * block_s
        keep = np.exp(-seconds / _MEMORY_S)
        self._heard_s = self._heard_s * keep + (sounding & active).sum(axis=1) * block_s
        self._active_s = self._active_s * keep + seconds

    def in_use(self) -> Flags:
        """Which channels must sound, shape (channels,): left, right, and what always did."""
        learnt = self._active_s >= _LEARN_S * 0.8
        used = learnt & (self._heard_s >= _OFTEN * max(self._active_s, 1e-9))
        used[:2] = True
        return used


class Width:
    """Tells that both channels became the same although the programme went on.

    A programme that turns to a voice in the middle also loses its side signal; but then it sounds
    different before and after, or the side signal fades. What was always the same is mono.

    Attributes:
        since_s: Media time from which on the channels are duplicated; None while they are not.
    """

    def __init__(self) -> None:
        self.since_s: float | None = None
        self._active_s = 0.0
        self._same_s = 0.0
        # Their timbre is looked at only where the channels become the same, which is rare.
        self._before: deque[Hop] = deque(maxlen=_EDGE_HOPS)
        self._after: list[Hop] = []
        self._edge_s: float | None = None
        self._side_db: deque[float] = deque(maxlen=50)

    def take(self, hop: Hop, active: Flags, side_db: Levels, block_s: float) -> None:
        """Take the blocks of a hop: whether they sound, and their side signal."""
        same = active & (side_db <= SAME_DB)
        if (active & (side_db > DIFFERENT_DB)).any() and not same[active][-1:].any():
            self._edge_s, self.since_s, self._after = None, None, []
        if self.since_s is None and self._edge_s is None:
            first = int(np.argmax(same))
            if same.any() and self._learnt() and self._is_edge(active, side_db, first):
                self._edge_s = hop.start_s + first * block_s
            else:
                self._learn(hop, active, side_db, block_s)
        elif self.since_s is None:
            self._compare(hop, active)

    def _learnt(self) -> bool:
        return self._active_s >= _LEARN_S * 0.8 and self._same_s <= _RARE * self._active_s

    def _is_edge(self, active: Flags, side_db: Levels, first: int) -> bool:
        """Whether the side signal vanished at once and for good, as far as this hop tells."""
        rest = side_db[first:][active[first:]]
        before = [*self._side_db, *side_db[:first][active[:first]]]
        # The block before may hold the edge; in a fade the one before that is faint already.
        abrupt = len(before) > 1 and before[-2] >= float(np.median(before)) - _FADE_DB
        return abrupt and bool((rest <= SAME_DB).all())

    def _learn(self, hop: Hop, active: Flags, side_db: Levels, block_s: float) -> None:
        same = active & (side_db <= SAME_DB)
        seconds = float(active.sum()) * block_s
        keep = np.exp(-seconds / _MEMORY_S)
        self._active_s = self._active_s * keep + seconds
        self._same_s = self._same_s * keep + float(same.sum()) * block_s
        self._side_db.extend(side_db[active].tolist())
        if active.all():
            self._before.append(hop)

    def _compare(self, hop: Hop, active: Flags) -> None:
        if active.all():
            self._after.append(hop)
        if len(self._after) < _EDGE_HOPS or not self._before:
            return
        before, after = (
            np.mean([_timbres(one) for one in hops], axis=0) for hops in (self._before, self._after)
        )
        if np.abs(before - after).mean(axis=1).min() <= _TIMBRE_DB:
            self.since_s = self._edge_s
        # Otherwise another programme began: what it is like must be learnt anew.
        self._edge_s, self._after = None, []
        self._before.clear()
        self._side_db.clear()
        self._active_s = self._same_s = 0.0


def _timbres(hop: Hop) -> Levels:
    both = [timbre(hop.samples[channel], hop.sample_rate) for channel in (0, 1)]
    return np.maximum(np.array(both), _SOFTEST_DBFS + 60)


class Phase:
    """Follows the correlation of the first two channels.

    Attributes:
        correlation: Mean over the sounding blocks of the last second, -1..1.
    """

    def __init__(self) -> None:
        self.correlation = 0.0
        self._sum = 0.0
        self._active_s = 0.0
        self._blocks: deque[tuple[float, float]] = deque(maxlen=100)

    @property
    def usual(self) -> float:
        """Mean correlation over the last half minute; 0 until it is learnt."""
        return self._sum / self._active_s if self._active_s >= _LEARN_S * 0.8 else 0.0

    @property
    def blocks(self) -> int:
        """How many sounding blocks are known."""
        return len(self._blocks)

    def take(self, start_s: float, correlation: Levels, active: Flags, block_s: float) -> None:
        """Take the blocks of a hop."""
        for index in np.flatnonzero(active):
            self._blocks.append((start_s + int(index) * block_s, float(correlation[index])))
        recent = [value for _, value in list(self._blocks)[-50:]]
        self.correlation = float(np.mean(recent)) if recent else 0.0

    def learn(self, correlation: Levels, active: Flags, block_s: float) -> None:
        """Count these blocks as usual."""
        seconds = float(active.sum()) * block_s
        keep = np.exp(-seconds / _MEMORY_S)
        self._active_s = self._active_s * keep + seconds
        self._sum = self._sum * keep + float(correlation[active].sum()) * block_s

    def turned_s(self, *, upwards: bool = False) -> float:
        """Media time at which the correlation turned negative, or positive."""
        total = np.cumsum([0.0] + [value for _, value in self._blocks]) * (-1 if upwards else 1)
        turn = min(len(self._blocks) - 1, int(np.argmax(total)))
        return self._blocks[turn][0]
