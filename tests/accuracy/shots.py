"""What the scenes of generated pictures share, and how one follows another."""

from collections.abc import Callable

import numpy as np

from dev.origin.origin import Canvas, Picture

MakePicture = Callable[[int, int, int], Picture]
"""Width, height, seed."""
Families = dict[str, tuple[MakePicture, float]]
"""What makes a scene of each family, and for how many seconds a scene is shown."""


class Shots:
    """A new scene every so many frames, as cameras are changed."""

    def __init__(self, make: MakePicture, width: int, height: int, seed: int, frames: int) -> None:
        self._make, self._size, self._seed, self._frames = make, (width, height), seed, frames
        self._shot = -1
        self._picture: Picture | None = None

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        shot, at = divmod(index, self._frames)
        if shot != self._shot or self._picture is None:
            self._shot, self._picture = shot, self._make(*self._size, self._seed * 1009 + shot)
        self._picture.draw(canvas, at)


class Scene:
    """Size, randomness and chroma of a scene. Speeds are pixels a frame at 25 frames a second."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        self.width, self.height = width, height
        self.rng = np.random.default_rng([seed, 77])
        self.tint: list[int] = self.rng.integers(112, 145, 2).tolist()

    def colour(self, canvas: Canvas) -> None:
        """Fill the chroma with the scene's tint."""
        canvas.u.fill(self.tint[0])
        canvas.v.fill(self.tint[1])
