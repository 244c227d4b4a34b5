"""What never came of a coded stream: reference pictures, and slices of pictures that did come.

Slices say where they begin, and most encoders divide all pictures alike: where one of them is
missing, so is all up to the next.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from streammonitor_worker.ingest.references import References, references_of

MACROBLOCK_PX = 16
ALIKE = 3
"""So many pictures divided alike tell what is missing from the next ones."""
FEWER = 25
"""After so many with fewer slices, that is how they are divided."""
HELD = 64
"""Pictures that a decoder holds back, at most."""

Blocks = npt.NDArray[np.bool_]


class Losses:
    """Follows the coded pictures of one stream.

    Args:
        references: What reads them.
        size: Width and height in pixels.
    """

    def __init__(self, references: References, size: tuple[int, int]) -> None:
        self._references = references
        self._coverage = Coverage(*(-(-side // MACROBLOCK_PX) for side in size))
        self._lost: dict[int | None, Blocks] = {}

    def take(self, unit: bytes, pts: int | None) -> bool:
        """Take the next access unit; tell whether reference pictures before it never came."""
        missing = self._references.missing(unit)
        lost = self._coverage.lost(self._references.slices)
        if lost is not None:
            self._lost[pts] = lost
            if len(self._lost) > HELD:
                del self._lost[next(iter(self._lost))]
        return missing

    def of(self, pts: int | None) -> Blocks | None:
        """Which macroblocks of the picture with this time never came; see Coverage.lost."""
        return self._lost.pop(pts, None)


def losses_of(codec: str, extradata: bytes | None, size: tuple[int, int]) -> Losses | None:
    """What follows the losses of a stream; None where nothing can."""
    references = references_of(codec, extradata, -(-size[0] // MACROBLOCK_PX))
    return None if references is None else Losses(references, size)


class Coverage:
    """Tells which macroblocks never came.

    Args:
        columns: Macroblocks of 16 pixels beside each other.
        rows: Macroblocks one below the other.
    """

    def __init__(self, columns: int, rows: int) -> None:
        self._shape = rows, columns
        self._usual: list[int] = []
        self._alike = self._fewer = 0

    def lost(self, slices: Sequence[int]) -> Blocks | None:
        """Take where the slices of a picture begin; tell which of the usual ones are missing.

        Returns:
            Shape (rows, columns) of macroblocks; None if none are, or pictures differ in slices.
        """
        slices = list(slices)
        if slices == self._usual:
            self._alike, self._fewer = self._alike + 1, 0
            return None
        self._fewer += 1
        if self._alike < ALIKE or self._fewer > FEWER or not set(slices) < set(self._usual):
            self._usual, self._alike, self._fewer = slices, 1, 0
            return None
        lost = np.zeros(self._shape[0] * self._shape[1], np.bool_)
        for first, end in pairwise([*self._usual, lost.size]):
            lost[first:end] = first not in slices
        return lost.reshape(self._shape)
