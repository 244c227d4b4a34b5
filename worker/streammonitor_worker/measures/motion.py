"""How far motion goes on from one picture to the next, in pictures."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

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
OUTLIERS = 3
MOST_RATIO = 0.7
"""So many of them may change more when the picture is repeated; the next one counts like this."""
STILL_GAIN_RATIO = 0.15
"""Tiles that gain so little of what the moving ones do stand still: what changes in them all the
same is light, or an encoder's key frame."""

Tiles = npt.NDArray[np.float32]


class Step(NamedTuple):
    """What one picture changed.

    Attributes:
        time_s: Media time of the picture.
        arrived_at: Unix time at which it had arrived.
        near: Mean absolute difference of luma from the picture before, in codes, shape (240,).
        far: The same from the picture before that.
        level: Mean of `near`.
        key_frame: Whether it was coded without reference to others.
        cut: Whether it begins another shot.
        missing: Pictures that are missing before it, by its time stamp.
    """

    time_s: float
    arrived_at: float
    near: Tiles
    far: Tiles
    level: float
    key_frame: bool
    cut: bool
    missing: int


class Moved(NamedTuple):
    """What is known of the motion up to a picture.

    Attributes:
        step: What it changed.
        ratio: Change where things move, relative to what is usual there; near 0 for a repeat. None
            where nothing moves.
        spread: Standard deviation of the ratio of the new pictures around.
        advance: Pictures of motion since the picture before, 1.0 in even motion; None where that
            cannot be told.
    """

    step: Step
    ratio: float | None
    spread: float
    advance: float | None


def tile_changes(picture: Luma8, other: Luma8) -> Tiles:
    """Mean absolute difference of two pictures in each tile, in codes, shape (240,)."""
    difference = cv2.absdiff(picture, other)
    # Whole pixels in a tile: OpenCV averages those several times faster.
    height, width = (
        size // tiles * tiles or size
        for size, tiles in zip(difference.shape, GRID[::-1], strict=True)
    )
    means = cv2.resize(difference[:height, :width], GRID, interpolation=cv2.INTER_AREA)
    return means.ravel().astype(np.float32)


class Motion:
    """Follows the motion of one stream, REACH pictures behind.

    In even motion a picture differs by f(1) from the one before and by f(2) from the one before
    that; if one was lost between them, it differs by f(2) from the one before. So what its
    neighbours do one and two pictures on is the scale on which it is measured. What is the same in
    both, as noise and the distance of things that do not overlap, takes no part.
    """

    def __init__(self) -> None:
        self._steps: deque[Step] = deque(maxlen=2 * REACH + 1)
        self._usual: Tiles | None = None
        self._spread = 0.0

    def take(self, step: Step) -> Iterator[Moved]:
        """Take the next picture; tell of the one REACH pictures before."""
        self._steps.append(step)
        if len(self._steps) > REACH:
            yield self._moved(len(self._steps) - 1 - REACH)

    def _moved(self, index: int) -> Moved:
        steps = list(self._steps)
        step = steps[index]
        if step.cut:
            self._usual = None
            return Moved(step, None, 0.0, None)
        shot = _same_shot(steps, index)
        new = _new(steps, shot)
        others = [n for n in new if n != index and not steps[n].key_frame]
        changes = np.array([steps[n].near for n in others])
        if len(others) >= MIN_NEW:
            self._usual = _median(changes)
        usual = self._usual
        if usual is None:
            return Moved(step, None, 0.0, None)
        busiest = np.argpartition(usual, -TOP)[-TOP:]
        change = float(usual[busiest].mean())
        if change < MIN_CHANGE:
            return Moved(step, None, 0.0, None)
        if len(others) >= MIN_NEW:
            levels = changes[:, busiest].mean(axis=1) / change
            self._spread = 1.48 * float(_median(np.abs(levels - _median(levels))))
        ratio = _ratio(step.near[busiest], usual[busiest])
        if step.key_frame or ratio < NEW_RATIO:
            return Moved(step, None if step.key_frame else ratio, self._spread, None)
        pairs = [n for n in others if n - 1 in new and abs(n - index - 0.5) > 1]
        return Moved(step, ratio, self._spread, _advance(steps, index, usual, pairs))


def _median(values: Tiles) -> Tiles:
    """The upper median along the first axis, in a fraction of the time of NumPy's."""
    middle: Tiles = np.sort(values, axis=0)[len(values) // 2]
    return middle


def _ratio(near: Tiles, usual: Tiles) -> float:
    """Change relative to the usual; of a picture that stands still, it does so everywhere."""
    mean = float(near.mean()) / float(usual.mean())
    most = float(np.partition(near / np.maximum(usual, 0.1), -OUTLIERS)[-OUTLIERS])
    return max(mean, min(NEW_RATIO, MOST_RATIO * most))


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
