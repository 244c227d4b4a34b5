"""How a picture came to a halt: whether it had moved before, and since when it stands.

A freeze repeats what moved a moment ago. A still or a slate stands from the cut on that brings it.
What creeps, or goes on under a dim light, has not halted at all. All three are told apart by what
was to be seen just before, in small pictures that cost little to keep.
"""

from collections import deque
from collections.abc import Sequence
from enum import Enum, auto
from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streammonitor_worker.measures.cuts import find_cuts
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.tiles import Tiles, tile_means

BEFORE_S = 1.6
"""What is remembered of the time before the picture came to a halt."""
AFTER_PICTURES = 40
"""Pictures that are remembered of the time since then: so many of the first and of the last."""
MOST_PICTURES = 120
TILE_PX = 4
"""Side of a tile in a small picture: 16 pixels or more of the source."""
LAG = 3
"""Motion adds up over so many pictures, noise does not."""
STOPPED_FACTOR, STOPPED_CODES = 2.5, 0.5
"""A tile has stopped that changed by so many times more before, and so much more."""
GOING_CODES = 1.0
"""A tile that changed by more than this, and more than noise does, and has not stopped, goes on."""
STRONG_CODES, BROAD_RATIO = 9.0, 0.5
"""What stopped must have moved by so much somewhere, or in so much of the picture."""
SETTLING = ((0.5, 0.08), (1.5, 0.03))
"""For so many seconds after a cut, an encoder may change the picture that it brought by as much, as
a share of the picture's standard deviation; motion changes it by more."""
SETTLED_CODES, SETTLED_RATIO = 12.0, 0.01
"""And no more than this share of its tiles by so much: refining changes a tile by up to 6 codes, an
edge that moves by dozens."""
NOISE_FACTOR = 2.0
"""What changes by more than so many times what it does when it stands, moves."""
POP_WEIGHT = 0.7
"""What motion at a key frame, which codes every tile anew, counts beside that at others."""
BUSIEST, STEADY_RATIO = 4, 0.5
"""A small part goes on as long as so many tiles change by this share of what is usual for them."""


class Glimpse(NamedTuple):
    """A small picture and when it was shown."""

    time_s: float
    arrived_at: float
    small: Luma8
    key_frame: bool


class Halted(Enum):
    """What a picture that stands still is."""

    STOPPED = auto()
    """It had moved, and then stopped."""
    STILL = auto()
    """It stood from the cut on that brought it, or for as long as is remembered."""
    MOVING = auto()
    """It moves as it did before, if only a little."""


class Halt(NamedTuple):
    """What is known of a picture that came to a halt.

    Attributes:
        kind: What it is.
        start: Its first picture.
        stopped_ratio: Share of the picture that had moved and stopped, 0..1.
    """

    kind: Halted
    start: Glimpse
    stopped_ratio: float = 0.0


class Recent:
    """The last pictures before one that may have come to a halt, and those since."""

    def __init__(self) -> None:
        self._before: deque[Glimpse] = deque(maxlen=MOST_PICTURES)
        self._first: list[Glimpse] = []
        self._last: deque[Glimpse] = deque(maxlen=AFTER_PICTURES)

    def reset(self) -> None:
        """Forget everything: what follows does not adjoin it."""
        self._before.clear()
        self._first.clear()
        self._last.clear()

    def restart(self, glimpse: Glimpse) -> None:
        """This picture moved: whatever stands from now on began with it at the earliest."""
        seen = (one for one in (*self._first, *self._last) if one.time_s < glimpse.time_s)
        self._before.extend(seen)
        while self._before and self._before[0].time_s < glimpse.time_s - BEFORE_S:
            self._before.popleft()
        self._first = [glimpse]
        self._last.clear()

    def add(self, glimpse: Glimpse) -> None:
        """This picture may stand still."""
        if len(self._first) < AFTER_PICTURES:
            self._first.append(glimpse)
        else:
            self._last.append(glimpse)

    def halt(self, shown: Luma8) -> Halt:
        """Judge what has stood still since the last restart.

        Args:
            shown: 255 where the small picture counts.
        """
        pictures = [*self._before, *self._first, *self._last]
        same = [one for one in pictures if one.small.shape == shown.shape]
        return _judge(same, max(0, len(same) - len(self._first) - len(self._last)), shown)


def _judge(pictures: Sequence[Glimpse], anchor: int, shown: Luma8) -> Halt:
    """Judge pictures of which the one at `anchor` was the last that surely moved."""
    first = pictures[anchor]
    if anchor == 0:
        return Halt(Halted.STILL, first)
    steps = np.stack([small_change(a.small, b.small) for a, b in pairwise(pictures)])
    where = tile_means(shown, TILE_PX) > 127.0
    light = np.array([cv2.mean(one.small, shown)[0] for one in pictures])
    cut, flashes = find_cuts(
        *(steps, where, anchor, light),
        lambda a, b: small_change(pictures[a].small, pictures[b].small),
    )
    if cut and _settles(pictures[cut], first, pictures[-1], shown, where):
        return Halt(Halted.STILL, pictures[cut])
    keys = [one.key_frame for one in pictures]
    pops = np.array(keys) | np.array([False, *keys[:-1]])
    pops[list(flashes)] = True
    before, rest = _motion(pictures, cut, anchor, pops)
    stopped = where & (before > STOPPED_FACTOR * rest + STOPPED_CODES)
    going = where & ~stopped & (before > GOING_CODES)
    # Under a dim light or at a low bit rate, an encoder may drop what little motion there is.
    broad = np.count_nonzero(stopped) > BROAD_RATIO * np.count_nonzero(where)
    strong = broad or bool((before[stopped] > STRONG_CODES).any())
    if not strong or np.count_nonzero(stopped) <= np.count_nonzero(going):
        quiet = not steps[anchor + 1 :][:, where].any()
        return Halt(Halted.STILL if quiet else Halted.MOVING, first)
    start = _last_of_motion(steps[:, stopped], pops[1:], cut, anchor)
    return Halt(Halted.STOPPED, pictures[start], np.count_nonzero(stopped) / max(1, where.sum()))


def _settles(
    cut: Glimpse, anchor: Glimpse, last: Glimpse, shown: Luma8, where: npt.NDArray[np.bool_]
) -> bool:
    """Whether all that changed since a cut is what an encoder refines."""
    after_s = anchor.time_s - cut.time_s
    most = next((most for until_s, most in SETTLING if after_s <= until_s), -1.0)
    moved = small_change(cut.small, last.small)[where] > SETTLED_CODES
    if float(moved.mean()) > SETTLED_RATIO:
        return False
    return relative_change(cut.small, last.small, shown, spread_of(last.small, shown)) <= most


def small_change(one: Luma8, other: Luma8) -> Tiles:
    """Mean difference of every tile of two small pictures, in codes."""
    return tile_means(cv2.absdiff(one, other), TILE_PX)


def spread_of(small: Luma8, shown: Luma8) -> float:
    """Standard deviation where a small picture counts, in codes; at least 1."""
    return max(1.0, float(cv2.meanStdDev(small, mask=shown)[1][0, 0]))


def relative_change(one: Luma8, other: Luma8, shown: Luma8, spread: float) -> float:
    """Mean difference of two small pictures where they count, as a share of their spread."""
    count = max(1, cv2.countNonZero(shown))
    return cv2.norm(one, other, cv2.NORM_L1, mask=shown) / count / spread


def _motion(
    pictures: Sequence[Glimpse], cut: int, anchor: int, pops: npt.NDArray[np.bool_]
) -> tuple[Tiles, Tiles]:
    """How much every tile changed before, and lately.

    Args:
        pictures: What was shown.
        cut: The first picture of the scene.
        anchor: The last picture of which it is known that it moved.
        pops: Pictures in which a key frame has a part.
    """
    # What comes right after the halt may still be refined.
    settled = (anchor + len(pictures)) // 2
    lag = max(1, min(LAG, len(pictures) - 1 - settled, anchor - cut))
    before = _greatest(pictures, range(cut + lag, anchor + 1), lag, pops)
    return before, _greatest(pictures, range(settled + lag, len(pictures)), lag, pops)


def _greatest(
    pictures: Sequence[Glimpse], ends: range, lag: int, pops: npt.NDArray[np.bool_]
) -> Tiles:
    """The greatest change of every tile over so many pictures, beside key frames if possible."""
    calm = [end for end in ends if not pops[end - lag + 1 : end + 1].any()] or list(ends)
    greatest = small_change(pictures[0].small, pictures[0].small)
    for end in calm:
        change = small_change(pictures[end].small, pictures[end - lag].small)
        greatest = np.maximum(greatest, change)
    return greatest


def _last_of_motion(
    steps: npt.NDArray[np.float64], pops: npt.NDArray[np.bool_], cut: int, anchor: int
) -> int:
    """The picture after which neither the whole nor a small part of it moved any more.

    When a camera comes to rest, something small may go on before it.

    Args:
        steps: Change of every tile that stopped towards picture 1, 2, and so on, shape (n, tiles).
        pops: Which of these a key frame has a part in.
        cut: The first picture of the scene.
        anchor: The last picture of which it is known that it moved.
    """
    start = _last_of_whole(steps.mean(axis=1), pops, cut, anchor)
    busiest = min(BUSIEST, steps.shape[1])
    peaks = np.partition(steps, -busiest, axis=1)[:, -busiest:].mean(axis=1)
    noise = NOISE_FACTOR * float(np.median(peaks[(anchor + len(peaks)) // 2 :]))
    moving = peaks[cut:start][peaks[cut:start] > noise]
    while (
        moving.size
        and start < len(peaks)
        and peaks[start] > max(noise, STEADY_RATIO * float(np.median(moving)))
    ):
        start += 1
    return start


def _last_of_whole(
    changes: npt.NDArray[np.float64], pops: npt.NDArray[np.bool_], cut: int, anchor: int
) -> int:
    """The picture after which motion, as usual as it was before, was not seen again.

    It is where the sum of what exceeds half of the usual motion is greatest (a change point by
    CUSUM, Page 1954): one picture that an encoder refines later does not weigh as much as those
    that stood still before it.

    Args:
        changes: Change towards picture 1, 2, and so on.
        pops: Which of these a key frame has a part in.
        cut: The first picture of the scene.
        anchor: The last picture of which it is known that it moved.
    """
    noise = NOISE_FACTOR * float(np.median(changes[(anchor + len(changes)) // 2 :]))
    earlier, scene = changes[: max(0, cut - 1)], changes[cut:anchor]
    of_earlier = _level(earlier, noise)
    # Between a cut and the halt there may be little more than what the encoder refined.
    level = max(_level(scene, noise), of_earlier / 2)
    usual = np.minimum(np.concatenate([scene / level, earlier / of_earlier]), 1.0)
    excess = np.minimum(changes[cut:] / level, 1.0) - usual.mean() / 2
    excess[pops[cut:] & (excess > 0)] *= POP_WEIGHT
    return cut + int(np.argmax(np.cumsum(excess))) + 1


def _level(changes: npt.NDArray[np.float64], noise: float) -> float:
    """The change of pictures that surely moved: three quarters of those that did are below it."""
    moving = changes[changes > noise]
    return max(1e-3, float(np.percentile(moving, 75)) if moving.size else 0.0)
