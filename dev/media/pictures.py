"""Pictures that are hard for a detector though nothing is wrong with them."""

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dev.origin.origin import (
    Bytes,
    Canvas,
    Floats,
    Grain,
    Layer,
    Picture,
    Sound,
    Speech,
    Texture,
    Tones,
    Zoom,
    noise,
)


class Night:
    """A dim, bluish scene, mean luma about 30, with small lights that drift: dark, not black."""

    LIGHTS = 24

    def __init__(self, width_px: int, height_px: int, *, seed: int = 0) -> None:
        self._scene = Layer(height_px, width_px, seed=seed, slope=1.4).levels(18, 46)
        self._grain = Grain(height_px, width_px, seed=seed + 1, std=1.0)
        rng = np.random.default_rng(seed + 2)
        self._places = rng.uniform(0, 1, (self.LIGHTS, 2)) * (height_px, width_px)
        self._speeds = rng.uniform(-2, 2, (self.LIGHTS, 2))
        side = np.arange(17) - 8
        glow = np.exp(-(side[:, None] ** 2 + side[None] ** 2) / 18)
        self._glow: Bytes = (glow * 190).astype(np.uint8)

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        np.copyto(canvas.y, self._scene.window(index / 8, index / 4))
        limits = np.array(canvas.y.shape) - len(self._glow)
        for top, left in ((self._places + self._speeds * index) % limits).astype(int).tolist():
            light = canvas.y[top : top + len(self._glow), left : left + len(self._glow)]
            np.maximum(light, self._glow, out=light)
        self._grain.add(canvas.y, index)
        canvas.u.fill(140)
        canvas.v.fill(122)


class Studio:
    """A still set without grain in front of which one patch (a seventh of the width) moves."""

    def __init__(self, width_px: int, height_px: int, *, seed: int = 0) -> None:
        self._set = Layer(height_px, width_px, seed=seed, slope=1.5).levels(40, 200)
        self._patch = Layer(height_px // 2, width_px // 7, seed=seed + 1, slope=1.2)
        self._patch.levels(50, 220)

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        height_px, width_px = canvas.y.shape
        np.copyto(canvas.y, self._set.window(0, 0))
        left = round(width_px * (0.4 + 0.2 * np.sin(index / 20)))
        patch = self._patch.window(index / 3, index)
        canvas.y[height_px // 4 : height_px // 4 + patch.shape[0], left:][:, : patch.shape[1]] = (
            patch
        )
        canvas.u.fill(120)
        canvas.v.fill(134)


class Quiet:
    """Room tone at -48 dBFS: quiet, not silent."""

    def samples(self, index: NDArray[np.int64]) -> Floats:
        """Return (channels, n) samples."""
        return noise(index, level_dbfs=-48)


SOUNDS: dict[str, Callable[[], Sound]] = {"tones": Tones, "speech": Speech, "quiet": Quiet}
PICTURES = ("texture", "zoom", "night", "studio")


def make_picture(
    name: str, width_px: int, height_px: int, *, frame_rate: Fraction, seed: int
) -> Picture:
    """Return the picture of that name (see PICTURES)."""
    makers: dict[str, Callable[[], Picture]] = {
        "texture": lambda: Texture(width_px, height_px, seed=seed),
        "zoom": lambda: Zoom(width_px, height_px, frame_rate=float(frame_rate), seed=seed),
        "night": lambda: Night(width_px, height_px, seed=seed),
        "studio": lambda: Studio(width_px, height_px, seed=seed),
    }
    return makers[name]()
