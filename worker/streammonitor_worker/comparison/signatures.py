"""What is kept of a picture and of sound to recognise them in another feed.

Both survive what lies between two points of a distribution: another size, another codec, a logo,
another loudness. Neither is a hash: what is alike has signatures that are alike.
"""

from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import AudioView, SampleArray
from streammonitor_worker.measures.luma import Luma8

Vector = npt.NDArray[np.float32]

GRID = (9, 16)
"""Rows and columns of a picture's signature."""
PICTURE_SIZE = GRID[0] * GRID[1]
"""Length of that signature."""
FRAMES_PER_S = 200
"""How often sound is described: every 5 ms."""
WINDOW_FRAMES = 4
"""Each description is of so many of them, windowed: 20 ms."""
EDGES_HZ = (100.0, 300.0, 700.0, 1500.0, 3000.0, 6000.0)
"""Between them lie the bands of sound's signature: what every codec and loudspeaker keeps."""
BANDS = len(EDGES_HZ) - 1
FLOOR_POWER = 1e-8
"""Added to the power of a band, so that noise 80 dB below full scale says nothing."""


def picture_signature(active: Luma8) -> Vector:
    """Describe a picture: how bright each part of it is, beside the whole.

    Args:
        active: Luma without bars, 8-bit codes, shape (height, width).

    Returns:
        Shape (144,), float32, mean 0, in codes.
    """
    means = cv2.resize(active, GRID[::-1], interpolation=cv2.INTER_AREA).astype(np.float32)
    signature: Vector = (means - means.mean()).ravel()
    return signature


class SoundFrames(NamedTuple):
    """Descriptions of consecutive sound.

    Attributes:
        start_s: Media time of the first one's middle, in seconds.
        step_s: From one to the next, in seconds.
        bands: Shape (frames, BANDS), float32: the power of each band in dB, floored.
    """

    start_s: float
    step_s: float
    bands: Vector

    @property
    def times_s(self) -> npt.NDArray[np.float64]:
        """Media time of each one's middle, in seconds."""
        return self.start_s + self.step_s * np.arange(len(self.bands), dtype=np.float64)


class SoundSignatures:
    """Describes the sound of one feed, in order; what fills no frame waits for the next buffer."""

    def __init__(self) -> None:
        self._rest: npt.NDArray[np.float32] = np.zeros(0, np.float32)
        self._rate = 0
        self._until_s = 0.0
        self._weights: npt.NDArray[np.float32] = np.zeros((0, 0), np.float32)
        self._window: npt.NDArray[np.float32] = np.zeros(0, np.float32)

    def take(self, view: AudioView) -> SoundFrames | None:
        """Describe the frames that this buffer completes; None if there are none."""
        mono, start_s = self._joined(view)
        hop = view.sample_rate // FRAMES_PER_S
        size = hop * WINDOW_FRAMES
        count = (len(mono) - size) // hop + 1
        if count < 1:
            self._keep(mono, view)
            return None
        self._keep(mono[count * hop :], view)
        frames = np.lib.stride_tricks.sliding_window_view(mono, size)[: count * hop : hop]
        spectrum = np.fft.rfft(frames * self._window, axis=1)
        power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) @ self._weights
        bands: Vector = 10 * np.log10(power + np.float32(FLOOR_POWER))
        middle_s = start_s + size / 2 / view.sample_rate
        return SoundFrames(middle_s, hop / view.sample_rate, bands)

    def _joined(self, view: AudioView) -> tuple[npt.NDArray[np.float32], float]:
        mono = _mono(view.samples)
        if view.sample_rate != self._rate:
            self._prepare(view.sample_rate)
            return mono, view.time_s
        if abs(view.time_s - self._until_s) > 0.5 / FRAMES_PER_S:
            return mono, view.time_s
        start_s = view.time_s - len(self._rest) / view.sample_rate
        return np.concatenate((self._rest, mono)), start_s

    def _keep(self, rest: npt.NDArray[np.float32], view: AudioView) -> None:
        self._rest = rest.copy()
        self._until_s = view.time_s + view.duration_s

    def _prepare(self, rate: int) -> None:
        """The window and, for each bin of the spectrum, the band that it belongs to."""
        self._rate = rate
        size = rate // FRAMES_PER_S * WINDOW_FRAMES
        self._window = np.hanning(size).astype(np.float32)
        bins_hz = np.fft.rfftfreq(size, 1 / rate)
        inside = [(bins_hz >= low) & (bins_hz < high) for low, high in pairwise(EDGES_HZ)]
        scale = 2 / float((self._window**2).sum()) / size
        self._weights = (np.stack(inside, axis=1) * scale).astype(np.float32)


def _mono(samples: SampleArray) -> npt.NDArray[np.float32]:
    """One channel of all; what is not a number is silence."""
    mixed: npt.NDArray[np.float32] = samples.mean(axis=0, dtype=np.float32)
    return np.nan_to_num(mixed, copy=False, nan=0.0, posinf=0.0, neginf=0.0)
