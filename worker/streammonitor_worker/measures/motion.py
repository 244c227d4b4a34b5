"""How far motion goes on from one picture to the next, in pictures."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from cv2.typing import MatLike

from streammonitor_worker.measures.luma import Luma8

GRID = (20, 12)
"""Changes are averaged over so many tiles across and down."""
TOP = 24
"""Motion is measured where there is most of it: in a tenth of the tiles."""
REACH = 6
"""A picture is compared with so many before and after it."""
MIN_NEW, MIN_PAIRS = 3, 4
"""What motion usually does is known from so many pictures, and so many that follow one another."""
MIN_CHANGE = 0.8
"""Mean change of the moving tiles, in codes: with less, nothing moves."""
MIN_GAIN_RATIO = 0.12
"""Two pictures on, moving tiles must differ by so much more than one picture on."""
NEW_PERCENT, NEW_RATIO = 80, 0.5
"""Even on fours, a fifth of the pictures are new: the others change less than half as much."""
OUTLIERS = 12
"""Wherever a picture changes most must stand still, too."""
HOLD_RATIO, LONGEST_HOLD = 0.5, 10
"""A hold may be one where the picture changes by less than this share of what comes next."""
LEAST_CHANGE, RESTLESS_PERCENT = 0.7, 85
"""And so must nearly all tiles that usually change at all, by so many codes."""
STRONG_CHANGE = 0.7
"""Somewhere things must move further than a pixel, by so many codes: what is slower is drawn, and
coded, in steps of its own."""
STILL_GAIN_RATIO = 0.15
"""Tiles that gain so little of what the moving ones do stand still: what changes in them all the
same is light, or an encoder's key frame."""

_NEIGHBOURS = np.ones((3, 3), np.uint8)
_SCALE = 32
"""OpenCV averages integers: so many steps in a code."""

Tiles = npt.NDArray[np.float32]


class Step(NamedTuple):
    """What one picture changed.

    Attributes:
        time_s: Media time of the picture.
        arrived_at: Unix time at which it had arrived.
        near: Mean absolute difference of luma from the picture before, in codes, shape (240,).
        far: The same from the picture before that.
        beyond: By how much luma leaves the range that it had within a pixel's distance in the
            picture before, same unit and shape: 0 where nothing moved further than a pixel.
        level: Mean of `near`.
        key_frame: Whether it was coded without reference to others.
        cut: Whether it begins another shot.
        missing: Pictures that are missing before it, by its time stamp.
        onward: Behind a hold: how far the picture is from the one before the held one, relative to
            what the pictures beside the hold changed. Where motion turned round, next to nothing.
    """

    time_s: float
    arrived_at: float
    near: Tiles
    far: Tiles
    beyond: Tiles
    level: float
    key_frame: bool
    cut: bool
    missing: int
    onward: float = 1.0


class Moved(NamedTuple):
    """What is known of the motion up to a picture.

    Attributes:
        step: What it changed.
        ratio: Change where things move, relative to what is usual there; near 0 for a repeat. None
            where nothing moves.
        strong: Whether things usually move further than a pixel, and by enough codes.
        advance: Pictures of motion since the picture before, 1.0 in even motion; None where that
            cannot be told.
    """

    step: Step
    ratio: float | None
    strong: bool = False
    advance: float | None = None


def tile_changes(picture: Luma8, other: Luma8) -> Tiles:
    """Mean absolute difference of two pictures in each tile, in codes, shape (240,)."""
    return _tile_means(cv2.absdiff(picture, other))


def tile_moves(picture: Luma8, other: Luma8) -> Tiles:
    """What a motion by up to a pixel does not explain, mean of each tile in codes, shape (240,)."""
    above = cv2.subtract(picture, cv2.dilate(other, _NEIGHBOURS))
    below = cv2.subtract(cv2.erode(other, _NEIGHBOURS), picture)
    return _tile_means(cv2.max(above, below))


def _tile_means(difference: MatLike) -> Tiles:
    # Whole pixels in a tile: OpenCV averages those several times faster.
    height, width = (
        size // tiles * tiles or size
        for size, tiles in zip(difference.shape, GRID[::-1], strict=True)
    )
    scaled = difference[:height, :width].astype(np.uint16)
    scaled *= _SCALE
    means = cv2.resize(scaled, GRID, interpolation=cv2.INTER_AREA)
    return means.ravel().astype(np.float32) / np.float32(_SCALE)


class Past:
    """The last pictures, to see whether motion goes on behind a hold or turned round there."""

    def __init__(self) -> None:
        self._pictures: deque[Luma8] = deque(maxlen=LONGEST_HOLD + 2)
        self._levels: deque[float] = deque(maxlen=LONGEST_HOLD + 2)

    def take(self, picture: Luma8, level: float) -> float:
        """How far a picture leads on; see `Step.onward`.

        Args:
            picture: The next picture, of the same size as those before.
            level: Mean change from the picture before, in codes.
        """
        held = 0
        for before in reversed(self._levels):
            if before > HOLD_RATIO * level:
                break
            held += 1
        onward = 1.0
        if held and len(self._pictures) >= held + 2:
            distance = float(cv2.norm(picture, self._pictures[-held - 2], cv2.NORM_L1))
            beside = max(level, self._levels[-held - 1])
            onward = distance / picture.size / max(beside, LEAST_CHANGE)
        self._pictures.append(picture)
        self._levels.append(level)
        return onward


class Motion:
    """Follows the motion of one stream, REACH pictures behind.

    In even motion a picture differs by f(1) from the one before and by f(2) from the one before
    that; if one was lost between them, it differs by f(2) from the one before. So what its
    neighbours do one and two pictures on is the scale on which it is measured. What is the same in
    both, as noise and the distance of things that do not overlap, takes no part.
    """

    def __init__(self) -> None:
        self._steps: deque[Step] = deque(maxlen=2 * REACH + 1)

    def take(self, step: Step) -> Iterator[Moved]:
        """Take the next picture; tell of the one REACH pictures before."""
        self._steps.append(step)
        if len(self._steps) > REACH:
            yield self._moved(len(self._steps) - 1 - REACH)

    def _moved(self, index: int) -> Moved:
        steps = list(self._steps)
        step = steps[index]
        if step.cut:
            return Moved(step, None)
        new = _new(steps, _same_shot(steps, index))
        others = [n for n in new if n != index and not steps[n].key_frame]
        if len(others) < MIN_NEW:
            return Moved(step, None)
        usual = _median(np.array([steps[n].near for n in others]))
        busiest = np.argpartition(usual, -TOP)[-TOP:]
        change = float(usual[busiest].mean())
        if change < MIN_CHANGE:
            return Moved(step, None)
        ratio = max(float(step.near[busiest].mean()) / change, _most(step.near) / _most(usual))
        if ratio < NEW_RATIO:
            ratio = max(ratio, _restless(step.near, usual))
        strong = _most(_median(np.array([steps[n].beyond for n in others]))) >= STRONG_CHANGE
        if step.key_frame or ratio < NEW_RATIO:
            return Moved(step, ratio, strong)
        pairs = [n for n in others if n - 1 in new and abs(n - index - 0.5) > 1]
        return Moved(step, ratio, strong, _advance(steps, index, usual, pairs))


def _restless(near: Tiles, usual: Tiles) -> float:
    """Change relative to the usual of those tiles, of all that usually change, that rest least."""
    alive = usual >= LEAST_CHANGE
    ratios: Tiles = near[alive] / usual[alive]
    rank = len(ratios) * RESTLESS_PERCENT // 100
    return float(np.partition(ratios, rank)[rank]) if len(ratios) else 0.0


def _most(changes: Tiles) -> float:
    """Mean of the tiles that change most."""
    return float(np.partition(changes, -OUTLIERS)[-OUTLIERS:].mean())


def _median(values: Tiles) -> Tiles:
    """The upper median along the first axis, in a fraction of the time of NumPy's."""
    middle: Tiles = np.sort(values, axis=0)[len(values) // 2]
    return middle


def _same_shot(steps: list[Step], index: int) -> range:
    """The pictures around one that belong to its shot and whose change lies within it."""
    first = last = index
    while first > 0 and not steps[first - 1].cut:
        first -= 1
    while last + 1 < len(steps) and not steps[last + 1].cut:
        last += 1
    return range(first, last + 1)


def _new(steps: list[Step], shot: range) -> set[int]:
    """Those of them that are no repeats of the picture before."""
    levels = sorted(steps[n].level for n in shot)
    limit = NEW_RATIO * levels[len(levels) * NEW_PERCENT // 100]
    return {n for n in shot if steps[n].level > limit}


def _advance(steps: list[Step], index: int, usual: Tiles, pairs: list[int]) -> float | None:
    """Pictures of motion up to one, from what its neighbours do two pictures on."""
    if len(pairs) < MIN_PAIRS:
        return None
    gain = _median(np.array([steps[n].far for n in pairs])) - usual
    moving = np.argpartition(gain, -TOP)[-TOP:]
    per_picture = float(gain[moving].mean())
    if per_picture < MIN_GAIN_RATIO * float(usual[moving].mean()) or per_picture <= 0:
        return None
    excess = steps[index].near - usual
    still = gain < STILL_GAIN_RATIO * per_picture
    more = float(excess[moving].mean())
    if np.count_nonzero(still) >= TOP:
        more -= max(0.0, float(excess[still].mean()))
    return 1 + more / per_picture
