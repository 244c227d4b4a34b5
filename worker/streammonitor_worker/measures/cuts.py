"""Cuts and flashes in what was shown lately, from the change of every tile of small pictures."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streammonitor_worker.measures.tiles import Tiles

CUT_FACTOR, CUT_CODES, CUT_RATIO = 2.0, 6.0, 0.5
"""At a cut, half of the tiles change by so many times what is usual beside it, and so much more."""
BESIDE = 3
"""Pictures on either side that tell what is usual there: a cut is as short as a picture."""
SAME_RATIO = 0.5
"""A picture is that of the shot before if it differs by less than this share of the cut between."""
FLASH_PICTURES = 6
"""A flash is no longer than this: then it is enough that the light is back, whatever moved on."""
MOST_CUTS = 4
"""Cuts that are cuts within what is remembered."""


class Cuts(NamedTuple):
    """What was cut.

    Attributes:
        last: Number of the last picture before which there was a cut; 0 if there was none.
        flashes: Numbers of the pictures with which a flash begins, or the picture is back after it.
    """

    last: int
    flashes: tuple[int, ...] = ()


def find_cuts(
    steps: npt.NDArray[np.float64],
    where: npt.NDArray[np.bool_],
    until: int,
    light: npt.NDArray[np.float64],
    difference: Callable[[int, int], Tiles],
) -> Cuts:
    """Find the last cut up to a picture.

    A shot that is back a moment later, after a photographer's flash, was not cut. What seems to be
    cut again and again flickers or jumps: that is how it moves.

    Args:
        steps: Change of every tile towards picture 1, 2, and so on, in codes.
        where: Tiles that count.
        until: Number of the last picture that may begin a shot.
        light: Mean luma of every picture, in codes.
        difference: Of two pictures by their numbers, of every tile in codes.
    """
    kept: list[int] = []
    flashes: list[int] = []
    leaps = _leaps(steps[:, where], until)
    for number in leaps:
        if kept and (
            _is_flash(light, kept[-1], number)
            or _is_back(kept[-1], number, steps, where, difference)
        ):
            flashes += [kept.pop(), number]
        else:
            kept.append(number)
    last = kept[-1] if kept and len(leaps) <= MOST_CUTS else 0
    return Cuts(last, tuple(flashes))


def _leaps(steps: npt.NDArray[np.float64], until: int) -> list[int]:
    """Numbers of the pictures that differ from the one before as nothing beside them does."""
    found = []
    for index in np.flatnonzero((steps[:until] > CUT_CODES).mean(axis=1) >= CUT_RATIO):
        sides = steps[max(0, index - BESIDE) : index], steps[index + 1 : index + 1 + BESIDE]
        usual = np.zeros(steps.shape[1])
        for side in sides:
            usual = np.maximum(usual, np.median(side, axis=0)) if len(side) else usual
        if (steps[index] > CUT_FACTOR * usual + CUT_CODES).mean() >= CUT_RATIO:
            found.append(int(index) + 1)
    return found


def _is_flash(light: npt.NDArray[np.float64], first: int, second: int) -> bool:
    """Whether the light that changed with the first of two leaps is back soon, with the second."""
    leap = abs(light[first] - light[first - 1])
    back = abs(light[second] - light[first - 1]) < SAME_RATIO * leap
    return bool(second - first <= FLASH_PICTURES and leap > CUT_CODES and back)


def _is_back(
    first: int,
    second: int,
    steps: npt.NDArray[np.float64],
    where: npt.NDArray[np.bool_],
    difference: Callable[[int, int], Tiles],
) -> bool:
    """Whether the second of two leaps leads back to what was shown before the first."""
    gone = difference(first - 1, second)[where] >= SAME_RATIO * steps[first - 1][where]
    return bool(gone.mean() < CUT_RATIO)
