"""Rectangles of pixels."""

from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

Array = TypeVar("Array", bound=npt.NDArray[np.generic])


class Box(NamedTuple):
    """A rectangle of pixels; `right` and `bottom` are exclusive."""

    left: int
    top: int
    right: int
    bottom: int

    def union(self, other: "Box") -> "Box":
        """The smallest box that holds both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )

    def within(self, other: "Box") -> "Box":
        """What lies inside another box, measured from that one's corner; may be empty."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right, bottom = min(self.right, other.right), min(self.bottom, other.bottom)
        return Box(left - other.left, top - other.top, right - other.left, bottom - other.top)

    @property
    def empty(self) -> bool:
        """Whether no pixel lies inside."""
        return self.left >= self.right or self.top >= self.bottom

    def of(self, picture: Array) -> Array:
        """The part of a picture that lies inside, as a view."""
        part: Array = picture[self.top : self.bottom, self.left : self.right]  # type: ignore[assignment]
        return part
