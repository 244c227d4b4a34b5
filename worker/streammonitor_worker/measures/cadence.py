"""The cadence in which pictures are repeated or left out on purpose, and what does not fit it."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

LONGEST_HOP = 3.6
"""Who loses pictures loses few at a time; a greater step is motion, light or another shot."""
HOP = 0.55
HOP_SPREADS = 3.5
"""A picture is missing where motion goes on by so much more than usual, and by so many times the
usual deviation."""
NEAR = 3
"""It stands out of so many pictures before and after it, too: motion may become faster."""
JUMP = 1.5
"""Behind a repeat, so much motion means that pictures were missed meanwhile."""
HOP_WEIGHT = 0.75
"""A missing picture that no time stamp betrays weighs a little less: motion is not quite even."""
PERIODS = (*range(2, 13), 25)
"""Pictures after which a cadence recurs: 2 for 25-in-50, 5 for 3:2 and 24-in-30, 25 for 24-in-25.
Animation on twos or threes and any mixture of these recur after 2 to 12 as well."""
SMOOTH_RATIO = 0.03
"""Up to this share of odd pictures the cadence is one picture after the other."""
IRREGULAR_RATIO = 1 / 3
"""From this share of odd pictures on that do not recur, no cadence can be assumed."""
RECURS_ABOUT = 0.05
"""Of periods that fit about as well, the shortest is the cadence."""
RECURS = 0.4
RECURS_LONG = 0.3
"""Share of the mismatches of chance that a cadence may have, and one with the longest period."""
SHOT_S = 1.2
MIN_EVENTS = 3
"""Two misfits in a window are an accident, three are not."""
LONG_SPACE = 12
"""What recurs after so many pictures or more may come one early or late."""
MIN_SPACE = 4
"""Whatever recurs more often may be drawn like that."""

Flags = npt.NDArray[np.bool_]
Weights = npt.NDArray[np.float64]


class Kind(IntEnum):
    """What is in a place of the cadence."""

    NEW = 0
    REPEAT = 1
    LOST = 2


class Slot(NamedTuple):
    """One place in the cadence, shown or left out.

    Attributes:
        time_s: Media time in seconds.
        arrived_at: Unix time at which it had arrived.
        kind: What is there; LOST is known from time stamps.
        sure: Whether it can be told whether it is a repeat.
        cut: Whether it begins another shot.
        advance: Pictures of motion since the picture before; None where that cannot be told.
    """

    time_s: float
    arrived_at: float
    kind: Kind
    sure: bool = True
    cut: bool = False
    advance: float | None = None


class Train:
    """Slots in their order, with what is odd about each.

    Attributes:
        slots: The slots.
        kinds: What is in them.
        hops: Where motion says that a picture is missing and nothing else does.
        odd: Repeats and hops.
        sure: Where it can be told.
    """

    def __init__(self, slots: list[Slot]) -> None:
        self.slots = slots
        self.kinds = np.array([slot.kind for slot in slots], np.uint8)
        self.sure: Flags = np.array([slot.sure for slot in slots])
        advances = [np.nan if slot.advance is None else slot.advance for slot in slots]
        self._advances = np.array(advances, np.float64)
        self.hops = self._hops()
        self.odd: Flags = (self.kinds == Kind.REPEAT) | self.hops

    def _hops(self) -> Flags:
        known = self._advances[np.isfinite(self._advances)]
        hops: Flags = np.zeros(len(self.slots), bool)
        if len(known) < 2 * MIN_EVENTS:
            return hops
        usual = float(np.median(known))
        spread = 1.48 * float(np.median(np.abs(known - usual)))
        limit = max(HOP, HOP_SPREADS * spread)
        hops[:] = (self._advances > usual + limit) & (self._advances < LONGEST_HOP)
        for index in np.flatnonzero(hops).tolist():
            around = self._advances[max(0, index - NEAR) : index + NEAR + 1]
            hops[index] = self._advances[index] > np.nanmedian(around) + limit
        # What flashes up, or stands out in one picture, steps there and back again.
        steps = hops | (self._advances >= LONGEST_HOP)
        hops[:-1] &= ~steps[1:]
        hops[1:] &= ~steps[:-1] & (self.kinds[:-1] == Kind.NEW)
        return hops

    def caught_up(self, where: npt.NDArray[np.intp]) -> bool:
        """Whether most of these repeats are followed by a jump over what was missed."""
        jumps = 0
        for index in where.tolist():
            after = index
            while after + 1 < len(self.slots) and self.kinds[after] != Kind.NEW:
                after += 1
            jumps += bool(self._advances[after] >= JUMP)
        return jumps * 3 >= len(where) * 2


class Cadence:
    """Learns after how many pictures repeats, or hops, recur.

    Attributes:
        period: In pictures; 1 if all are even; None while unknown.
    """

    def __init__(self) -> None:
        self.period: int | None = None
        self._doubtful = True

    def doubt(self) -> None:
        """Another shot begins; it may have another cadence."""
        self._doubtful = True

    def learn(self, train: Train, rate_hz: float) -> None:
        """Take the latest pictures; of another shot, those since the cut if they tell enough."""
        cuts = [index for index, slot in enumerate(train.slots) if slot.cut]
        if self._doubtful and cuts and len(train.slots) - cuts[-1] >= SHOT_S * rate_hz:
            train = Train(train.slots[cuts[-1] :])
        share = float(train.odd.mean())
        period = 1 if share < SMOOTH_RATIO else _recurrence(train.odd, train.sure, share)
        if period is not None:
            self.period, self._doubtful = period, False
        elif share < IRREGULAR_RATIO:
            self.period = 1
        elif self._doubtful:
            self.period = None

    def misfits(self, train: Train) -> Weights:
        """How far each slot is off the cadence, 0..1.

        A picture that does not fit differs from the one a period before and from the one after.
        """
        kinds, sure = train.kinds, train.sure
        off: Weights = ((kinds == Kind.REPEAT) & sure).astype(np.float64)
        off[train.hops] = HOP_WEIGHT
        if self.period is not None and self.period > 1:
            period = self.period
            off[:] = 0.0
            off[period:] = (train.odd[period:] != train.odd[:-period]) / 2
            for index, slot in enumerate(train.slots):
                if slot.cut:
                    off[index : index + period] = 0.0
                elif not slot.sure:
                    off[index::period][:2] = 0.0
        off[kinds == Kind.LOST] = 1.0
        return off


def _recurrence(odd: Flags, sure: Flags, share: float) -> int | None:
    """The period after which what is odd recurs best, if it does so much better than by chance."""
    chance = 2 * share * (1 - share)
    best, period = 1.0, None
    for candidate in PERIODS:
        if not chance or share < 0.8 / candidate or len(odd) < 3 * candidate:
            continue
        both = sure[candidate:] & sure[:-candidate]
        differ = (odd[candidate:] != odd[:-candidate]) & both
        if np.count_nonzero(odd[candidate:] & both) < 2:
            continue
        relative = float(differ.sum()) / max(1, int(both.sum())) / chance
        limit = RECURS_LONG if candidate == PERIODS[-1] else RECURS
        if relative <= limit and relative < best - RECURS_ABOUT:
            best, period = relative, candidate
    return period


def events(off: Weights) -> npt.NDArray[np.intp]:
    """Where misfits begin; several in a row are one."""
    where = np.flatnonzero(off)
    return where[np.diff(where, prepend=-2) > 1]


def is_uneven(starts: npt.NDArray[np.intp], sure: Flags) -> bool:
    """Whether misfits do not recur by themselves, as a cadence does that is yet unknown.

    Args:
        starts: Where they begin.
        sure: Where it can be told; elsewhere one may have been overlooked.
    """
    space = int(np.diff(starts).min())
    slack = space >= LONG_SPACE
    at = int(starts[0])
    for start in starts[1:].tolist():
        while start - at > space + slack:
            at += space
            if sure[max(0, at - slack) : at + 1 + slack].all():
                return True
        if abs(start - at - space) > slack:
            return True
        at = start
    return False
