"""The cadence in which pictures are repeated or left out on purpose, and what does not fit it."""

from enum import IntEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

REPEAT_RATIO, EXACT_RATIO = 0.35, 0.25
"""A repeat changes at most this share of what motion usually does, and hardly more than others."""
VALLEY = 3.0
"""Up to so many times what repeats change, there is next to nothing: else they are motion."""
EVEN_RATIO = 0.5
"""Motion is even where every picture changes at least this share of it."""
BACK_RATIO, ONWARD_RATIO = 0.4, 0.8
"""Behind a repeat, motion goes on, most of the time: what comes back turned round, and stood still
by chance."""
SHORT = 2
"""Nothing that turns round stands still for longer than so many pictures."""
FLANK = 2
"""So many pictures of even motion before and after tell a repeat from motion that pauses, and from
what is drawn on twos."""
JUMP, USUAL_JUMP = 1.5, 1.25
"""Behind a repeat, so much motion means that pictures were missed meanwhile; behind most of them,
less of it does."""
HELD = 1.4
"""Behind a gap in time, less motion than this means that nothing is missing: it was held longer."""
LONGEST_HOP = 3.6
"""Who loses pictures loses few at a time; a greater step is motion, light or another shot."""
HOP, HOP_SPREAD = 0.6, 0.16
"""A picture is missing where motion goes on by so much more than usual, if that deviates little."""
NEAR = 3
"""It stands out of so many pictures before and after it, too: motion may become faster."""
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
MIN_EVENTS = 3
"""Two misfits in a window are an accident, three are not."""
LONG_SPACE = 12
"""What recurs after so many pictures or more may come one early or late."""
MIN_SPACE = 4
"""Whatever recurs more often may be drawn like that."""

Flags = npt.NDArray[np.bool_]


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
        ratio: Change relative to the usual; None where that cannot be told.
        strong: Whether things move far enough for a repeat to be no matter of drawing or coding.
        cut: Whether it begins another shot.
        advance: Pictures of motion since the picture before; None where that cannot be told.
        onward: How far the picture is from the one before a hold that ends with it; see
            `motion.Step.onward`.
        gap: Whether time stamps show it.
        back: Whether it goes back to what was before the picture before: light that flashes does.
    """

    time_s: float
    arrived_at: float
    kind: Kind
    ratio: float | None = None
    strong: bool = False
    cut: bool = False
    advance: float | None = None
    onward: float = 1.0
    gap: bool = False
    back: bool = False


class Misfit(NamedTuple):
    """Pictures that were repeated or left out amid even motion.

    Attributes:
        at: Index of the first slot.
        slots: How many.
        lost: Whether they are missing rather than repeated.
        jumped: Whether motion goes on from where it would be without.
        ratio: Change relative to the usual, median of the slots.
        gap: Whether time stamps show it.
        onward: Whether motion goes on behind it; see `motion.Step.onward`.
        leap: Change behind it, relative to what the pictures around change.
    """

    at: int
    slots: int
    lost: bool
    jumped: bool
    ratio: float
    gap: bool = False
    onward: float = 1.0
    leap: float = 1.0


def misfits(slots: list[Slot]) -> tuple[list[Misfit], list[int]]:
    """What stands out of even motion; and where other holds begin, that do not."""
    found: list[Misfit] = []
    others: list[int] = []
    index = 0
    while index < len(slots):
        start, end, kind = index, index + 1, slots[index].kind
        index = end
        if kind is Kind.NEW:
            continue
        while end < len(slots) and slots[end].kind is kind:
            end += 1
        index = end
        if kind is Kind.REPEAT:
            start, end = _settling(slots, start, end)
        if (
            _is_even(slots[max(0, start - 8) : start][::-1])
            and _is_even(slots[end : end + 8])
            and (end - start > SHORT or slots[end].onward >= BACK_RATIO)
        ):
            one = _misfit(slots, start, end)
            if one.jumped or one.gap or slots[start].strong:
                found.append(one)
        elif start > FLANK and end + FLANK < len(slots):
            others.append(start)
    return found, others


def _settling(slots: list[Slot], start: int, end: int) -> tuple[int, int]:
    """A hold with the picture before and after it, if an encoder was still refining those."""
    before, after = slots[start - 1] if start else None, slots[end] if end < len(slots) else None
    return start - (before is not None and _is_doubtful(before)), end + (
        after is not None and _is_doubtful(after)
    )


def _is_doubtful(slot: Slot, limit: float = EVEN_RATIO) -> bool:
    """Whether a picture is neither a repeat nor even motion."""
    return slot.kind is Kind.NEW and not slot.cut and slot.ratio is not None and slot.ratio < limit


def _is_even(slots: list[Slot]) -> bool:
    """Whether the first of them moves on in the same shot, and FLANK of them are new."""
    new: list[float] = []
    for slot in slots:
        if slot.cut or slot.back or slot.kind is not Kind.NEW:
            return False
        if slot.ratio is not None:
            new.append(slot.ratio)
            if len(new) == FLANK:
                return new[0] >= EVEN_RATIO
    return False


def _misfit(slots: list[Slot], start: int, end: int) -> Misfit:
    held, landed = slots[start:end], slots[end]
    around = [*slots[max(0, start - 4) : start], *slots[end + 1 : end + 5]]
    usual = [slot.ratio for slot in around if slot.kind is Kind.NEW and slot.ratio is not None]
    leap = 1.0 if landed.ratio is None else landed.ratio / float(np.median(usual))
    return Misfit(
        at=start,
        slots=end - start,
        lost=held[0].kind is Kind.LOST,
        jumped=max(leap, landed.advance or 0.0) >= JUMP,
        ratio=float(np.median([slot.ratio or 0.0 for slot in held])),
        gap=held[0].gap,
        onward=landed.onward if len(held) <= SHORT else 1.0,
        leap=leap,
    )


def distinct(found: list[Misfit], slots: list[Slot], first: int) -> tuple[list[Misfit], int]:
    """Those repeats that are alike; and how many pictures are between them and even motion.

    Where there are many such pictures, repeats may be chance among them.
    """
    repeats = [one.ratio for one in found if not one.lost]
    usual = float(np.median(repeats)) if repeats else 0.0
    alike = [one for one in found if one.lost or one.ratio <= max(EXACT_RATIO, 2 * usual)]
    held = {index for one in alike for index in range(one.at, one.at + one.slots)}
    limit = max(EVEN_RATIO, VALLEY * usual)
    doubtful = [n for n in range(first, len(slots)) if _is_doubtful(slots[n], limit)]
    return alike, len([n for n in doubtful if n not in held])


def hops(slots: list[Slot]) -> list[Misfit]:
    """Where motion says that a picture is missing and nothing else does."""
    advances = np.array(
        [np.nan if slot.advance is None else slot.advance for slot in slots], np.float64
    )
    known = advances[np.isfinite(advances)]
    if len(known) < 2 * MIN_EVENTS:
        return []
    usual = float(np.median(known))
    if 1.48 * float(np.median(np.abs(known - usual))) > HOP_SPREAD:
        return []
    limit = HOP
    steps = advances > usual + limit
    if np.count_nonzero(advances > usual + HOP / 2) > 2 * np.count_nonzero(steps):
        return []
    found: list[Misfit] = []
    for index in np.flatnonzero(steps & (advances < LONGEST_HOP)).tolist():
        around = slice(max(0, index - NEAR), index + NEAR + 1)
        before, after = slots[max(0, index - 8) : index][::-1], slots[index + 1 : index + 9]
        # What flashes up, or stands out in one picture, steps there and back again.
        if (
            np.count_nonzero(steps[around]) == 1
            and advances[index] > np.nanmedian(advances[around]) + limit
            and slots[index].strong
            and _is_even(before)
            and _is_even(after)
        ):
            found.append(Misfit(index, 1, lost=True, jumped=False, ratio=0.0))
    return found


def period(slots: list[Slot]) -> int | None:
    """After how many pictures repeats, or pictures that are missing, recur.

    Returns:
        1 if all are even; None where they are many and follow no pattern.
    """
    odd: Flags = np.array([slot.kind is not Kind.NEW for slot in slots], np.bool_)
    for hop in hops(slots):
        odd[hop.at] = True
    share = float(odd.mean()) if len(odd) else 0.0
    if share < SMOOTH_RATIO:
        return 1
    found = _recurrence(odd, share)
    return 1 if found is None and share < IRREGULAR_RATIO else found


def _recurrence(odd: Flags, share: float) -> int | None:
    """The period after which what is odd recurs best, if it does so much better than by chance."""
    chance = 2 * share * (1 - share)
    best, found = 1.0, None
    for candidate in PERIODS:
        if not chance or share < 0.8 / candidate or len(odd) < 3 * candidate:
            continue
        relative = float((odd[candidate:] != odd[:-candidate]).mean()) / chance
        limit = RECURS_LONG if candidate == PERIODS[-1] else RECURS
        if relative <= limit and relative < best - RECURS_ABOUT:
            best, found = relative, candidate
    return found


def is_irregular(found: list[Misfit]) -> bool:
    """Whether misfits do not recur by themselves, as they do wherever one rate becomes another.

    Their spaces are then the next whole numbers of pictures below and above a constant ratio, or
    twice that where one was overlooked.
    """
    spaces = np.diff([one.at for one in found])
    usual = float(spaces.min()) + 0.5
    times = np.maximum(1, np.round(spaces / usual))
    # Over a long space, as of shots in which nothing is told, half a picture adds up.
    return not any(_recurs(spaces, one) for one in (usual, float(np.median(spaces / times))))


def _recurs(spaces: npt.NDArray[np.int64], usual: float) -> bool:
    """Whether these are spaces of so many pictures, or several times that."""
    times = np.maximum(1, np.round(spaces / usual))
    slack = np.minimum(0.5 * times, 1.0) + (1.0 if usual > LONG_SPACE else 0.0)
    return bool(np.all(np.abs(spaces - times * usual) <= slack))


def is_stutter(found: list[Misfit], smooth: bool) -> bool:
    """Whether misfits are a fault rather than a cadence.

    Who converts frame rates repeats pictures regularly, or leaves them out regularly, but never
    both: a repeat behind which motion jumps ahead hides a picture that was lost. Who animates may
    hold drawings irregularly, but does so from the beginning of a shot.

    Args:
        found: The misfits, in their order.
        smooth: Whether motion was even for a while before the first one.
    """
    if len(found) < MIN_EVENTS or np.median([one.onward for one in found]) < ONWARD_RATIO:
        return False
    jumped = sum(one.jumped for one in found if not one.lost) * 3 >= len(found) * 2
    jumped |= float(np.median([one.leap for one in found])) >= USUAL_JUMP
    if is_irregular(found):
        return smooth or jumped or 2 * sum(one.lost or one.gap for one in found) >= len(found)
    return jumped and int(np.diff([one.at for one in found]).min()) >= MIN_SPACE
