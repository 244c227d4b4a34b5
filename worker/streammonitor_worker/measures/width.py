"""Tells that both channels became the same although the programme went on."""

from collections import deque

import numpy as np

from streammonitor_worker.measures.channels import side_db
from streammonitor_worker.measures.sound import Levels, decibels
from streammonitor_worker.measures.stereo import (
    HISTORY_BLOCKS,
    LEARN_S,
    MEMORY_S,
    Flags,
    History,
    change_point,
)

SAME_DB, NEARLY_DB = -25.0, -22.0
"""The side signal in the middle one of the bands, and in the last but one, of sound that is the
same in both channels, as MPEG-1 Layer II leaves it when its bits are few."""
CLEARLY_DB = 5.0
"""How much less side signal there must be than ever before."""
_BACK_DB = 5.0
_RISE_DB_S = 0.1
_WINDOW, _LEAST = 25, 12
_DECIDE_S = 2.5
_FADE_HOPS, _FADE_DB = 25, 1.0
_TIMBRE_DB = 3.8
_MOMENTS, _SEAMLESS_DB = (12, 25), 2.0
_FAINTEST_DB = -90.0


class Width:
    """Follows the side signal: what left and right do not share.

    A programme that turns to a voice in the middle also loses its side signal; but then it sounds
    different before and after, or the side signal fades. What was always the same is mono.

    Attributes:
        since_s: Media time from which on the channels are duplicated; None while they are not.
        back_s: Media time from which on they last differed again; None while they do not.
        side_db: What the channels do not share, in dB relative to both: the median of the bands
            over the last half second in which there was sound.
    """

    def __init__(self) -> None:
        self.since_s: float | None = None
        self.back_s: float | None = None
        self.side_db = 0.0
        self._next_db = 0.0
        self._edge_s: float | None = None
        self._side: Levels = np.zeros(HISTORY_BLOCKS)
        self._forget()

    def _forget(self) -> None:
        self._lowest_db = self._active_s = 0.0
        self._before: deque[float] = deque(maxlen=_FADE_HOPS)

    @property
    def suspicious(self) -> bool:
        """Whether the channels may be duplicated: what is heard now may not be usual."""
        return self.since_s is not None or self._edge_s is not None

    def take(self, history: History, active: Flags, count: int, block_s: float) -> None:
        """Take the blocks that were appended to the history; `active` tells of all that sound."""
        self._side[:-count] = self._side[count:]
        self._side[-count:] = np.median(side_db(history.cross[:, :, -count:]), axis=0)
        if not self._measure(history, active):
            return
        end_s = float(history.at_s[-1]) + block_s
        if not self._is_same():
            self._end(history, active)
            self._learn(active[-count:], block_s)
        elif self._edge_s is None and self.since_s is None:
            self._begin(history, active, count, block_s)
        elif self._edge_s is not None and end_s - self._edge_s >= _DECIDE_S:
            if self._goes_on(history, active):
                self.since_s = self._edge_s
            else:
                # Another programme began: what it is like must be learnt anew.
                self._forget()
            self._edge_s = None

    def _measure(self, history: History, active: Flags) -> bool:
        """Measure the last half second, or say that there was too little sound in it."""
        heard = active[-_WINDOW:]
        if heard.sum() < _LEAST:
            return False
        bands = np.sort(side_db(history.cross[:, :, -_WINDOW:][:, :, heard].sum(axis=2)))
        self.side_db, self._next_db = float(np.median(bands)), float(bands[-2])
        return True

    def _is_same(self) -> bool:
        room_db = _BACK_DB if self.suspicious else 0.0
        limit_db = min(SAME_DB, self._lowest_db - CLEARLY_DB)
        return self.side_db <= limit_db + room_db and self._next_db <= NEARLY_DB + room_db

    def _learn(self, heard: Flags, block_s: float) -> None:
        seconds = float(heard.sum()) * block_s
        self._active_s = self._active_s * np.exp(-seconds / MEMORY_S) + seconds
        self._lowest_db = min(self._lowest_db + _RISE_DB_S * seconds, self.side_db)
        self._before.append(self._lowest_db)

    def _begin(self, history: History, active: Flags, count: int, block_s: float) -> None:
        if self._active_s < LEARN_S:
            self._learn(active[-count:], block_s)
            return
        edge = self._changed(active, 1.0)
        if edge < _WINDOW or self._fades(history, active, edge):
            self._forget()
            return
        self._edge_s = float(history.at_s[edge])

    def _fades(self, history: History, active: Flags, edge: int) -> bool:
        """Whether the side signal was softer than ever already before it vanished."""
        where = np.arange(edge - _WINDOW, edge - 1)
        where = where[active[where]]
        if len(where) < _LEAST:
            return False
        before_db = np.median(side_db(history.cross[:, :, where].sum(axis=2)))
        return bool(before_db < self._before[0] - _FADE_DB)

    def _end(self, history: History, active: Flags) -> None:
        if self.since_s is not None:
            self.back_s = float(history.at_s[self._changed(active, -1.0)])
        self.since_s = self._edge_s = None

    def _changed(self, active: Flags, sign: float) -> int:
        """The block with which the side signal went (sign 1) or came back (-1)."""
        limit_db = min(SAME_DB, self._lowest_db - CLEARLY_DB) + _BACK_DB / 2
        return change_point(sign * (self._side - limit_db).clip(-10, 10), active, 6 * _WINDOW)

    def _goes_on(self, history: History, active: Flags) -> bool:
        """Whether one channel, or both together, sound as before.

        Over seconds they do, or within a quarter and half a second of the edge they change no more
        than they usually do in such a time: music changes over seconds, another programme at once.
        """
        sound = history.cross[:, :, active]
        edge = int((active & (history.at_s < (self._edge_s or 0.0))).sum())
        if min(edge, sound.shape[2] - edge) < _LEAST:
            return False
        if _changes_db(sound, 0, edge, sound.shape[2]) <= _TIMBRE_DB:
            return True
        return all(
            _changes_db(sound, edge - moment, edge, edge + moment)
            <= min(_SEAMLESS_DB, _usual_db(sound, edge, moment))
            for moment in _MOMENTS
        )


def _changes_db(sound: Levels, start: int, edge: int, end: int) -> float:
    """How far the left channel after an edge is from the most alike of left, right and middle.

    Args:
        sound: Shape (3, bands, blocks), as of `ChannelMeasures.cross`.
        start: First block that counts before the edge.
        edge: First block after it.
        end: The block at which what counts after it ends.
    """
    now = _timbre(sound[0, :, edge:end])
    left, right, product = sound[:, :, max(0, start) : edge]
    middle = (left + right + 2 * product) / 4
    return float(min(np.median(np.abs(_timbre(one) - now)) for one in (left, right, middle)))


def _usual_db(sound: Levels, edge: int, moment: int) -> float:
    """How far the left channel usually is, before an edge, from what it was a moment ago."""
    places = range(moment, edge - moment + 1, moment // 2)
    timbres = ((sound[0, :, at - moment : at], sound[0, :, at : at + moment]) for at in places)
    found = [np.median(np.abs(_timbre(one) - _timbre(other))) for one, other in timbres]
    return float(np.median(found)) if found else 0.0


def _timbre(power: Levels) -> Levels:
    """How loud each band is: shape (bands,), in dB."""
    return np.maximum(decibels(power.mean(axis=1) + 1e-12, 10.0), _FAINTEST_DB)
