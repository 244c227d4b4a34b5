"""Tells that a channel has nothing of the programme any more."""

from dataclasses import dataclass

import numpy as np

from streammonitor_worker.measures.sound import Levels, decibels
from streammonitor_worker.measures.stereo import HISTORY_BLOCKS, MEMORY_S, Flags, History

LEAK_DB = 35.0
"""So far below the others, a channel may have what a codec that joins channels leaks into it."""
_FLOOR_BLOCKS, _FLOOR_RANK = 75, 18
_STEADY_DB, _DEVIATES_DB = 3.0, 3.0
_PROOF_BLOCKS, _SETTLED_BLOCKS = 10, 25
_DEVIATING_SHARE = 0.3
_RARE = 0.02
_LAG_BLOCKS = 75
_LEARN_S = 4.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What a user set, in dBFS and dB; as in the parameters of the detector."""

    threshold: float
    difference: float
    clear_margin: float
    active: float


class Gone:
    """Follows one channel beside the loudest of the others.

    A lost channel has a steady floor, or none: noise, hum, or what leaks into it. The programme
    beside it rises and falls, and the lost channel does not follow. Where it always did follow,
    half of the difference suffices; in a pause both may be equally soft, and a pause tells nothing.

    Attributes:
        since_s: Media time from which on the channel is gone; None while it is not.
        back_s: Media time from which on it was back; None while it is gone.
    """

    def __init__(self, limits: Limits) -> None:
        self.since_s: float | None = None
        self.back_s: float | None = None
        self._limits = limits
        self._floor_db = 0.0
        self._energy: Levels = np.zeros(2)
        self._active_s = self._apart_s = 0.0
        self._wait = 0

    def take(
        self, history: History, channel: int, others: Flags, count: int, block_s: float
    ) -> None:
        """Take what was appended to the history; `others` are the channels to compare with."""
        own = history.level_dbfs[channel]
        other = history.level_dbfs[others].max(axis=0)
        if self.since_s is None:
            self._look(history, own, other)
        else:
            self._follow(history, own, other, count)
            self._wait = _LAG_BLOCKS + count
        if self.since_s is None:
            self._learn(own, other, count, block_s)

    @property
    def _known(self) -> bool:
        return self._active_s >= _LEARN_S and self._apart_s <= _RARE * self._active_s

    def _balance_db(self) -> float:
        """How far the channel usually is below the loudest of the others."""
        other, own = decibels(self._energy + 1e-12, 10.0)
        return float(other - own)

    def _look(self, history: History, own: Levels, other: Levels) -> None:
        limits = self._limits
        floor_db = float(np.partition(own[-_FLOOR_BLOCKS:], _FLOOR_RANK)[_FLOOR_RANK])
        if floor_db > limits.threshold or not (other[-_FLOOR_BLOCKS:] > limits.active).any():
            return
        dead = (own <= floor_db + _STEADY_DB) | (own <= other - LEAK_DB)
        if not self._known:
            dead = own <= np.minimum(limits.threshold, other - limits.difference)
        alive = np.flatnonzero(~dead)
        first = int(alive[-1]) + 1 if len(alive) else 0
        if self._known:
            # In a pause, both channels fall to the same floor; that is no loss yet.
            deviates = other - own >= self._balance_db() + _DEVIATES_DB
            found = np.flatnonzero(deviates[first:])
            if len(found) < _DEVIATING_SHARE * (HISTORY_BLOCKS - first):
                return
            first += int(found[0]) if len(found) else 0
        settled = HISTORY_BLOCKS - first >= _SETTLED_BLOCKS
        if settled and self._is_proven(own[first:], other[first:]):
            self.since_s, self.back_s = float(history.at_s[first]), None
            self._floor_db = floor_db

    def _is_proven(self, own: Levels, other: Levels) -> bool:
        """Whether there was programme in the others, which the channel should have had."""
        limits = self._limits
        needed_db = limits.difference
        if self._known:
            needed_db = limits.difference / 2 + max(0.0, self._balance_db())
        proof = (other >= limits.active) & (other - own >= needed_db)
        if not self._known:
            return bool(proof.sum() >= _SETTLED_BLOCKS)
        mean_db = decibels(np.array([(10 ** (one / 10)).mean() for one in (other, own)]), 10.0)
        return bool(proof.sum() >= _PROOF_BLOCKS and mean_db[0] - mean_db[1] >= needed_db)

    def _follow(self, history: History, own: Levels, other: Levels, count: int) -> None:
        margin = self._limits.clear_margin
        alive = own > np.maximum(self._floor_db, self._limits.threshold - 20) + margin
        alive &= own > other - self._limits.difference + margin
        alive[:-count] = False
        if alive.any():
            self.back_s = float(history.at_s[int(np.argmax(alive))])
            self.since_s = None

    def _learn(self, own: Levels, other: Levels, count: int, block_s: float) -> None:
        """Learn from where the new blocks lie back by now, before a loss is noticed."""
        if self._wait > 0:
            self._wait -= count
            return
        where = slice(HISTORY_BLOCKS - _LAG_BLOCKS - count, HISTORY_BLOCKS - _LAG_BLOCKS)
        own, other = own[where], other[where]
        heard = other >= self._limits.active
        seconds = float(heard.sum()) * block_s
        keep = np.exp(-seconds / MEMORY_S)
        self._energy = self._energy * keep
        self._energy += [(10 ** (one[heard] / 10)).sum() for one in (other, own)]
        self._active_s = self._active_s * keep + seconds
        apart = heard & (own <= self._limits.threshold)
        apart &= other - own >= self._limits.difference / 2
        self._apart_s = self._apart_s * keep + float(apart.sum()) * block_s
