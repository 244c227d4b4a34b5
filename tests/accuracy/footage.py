"""Pictures and sound before they are encoded: generated, or decoded from a clip."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol, cast

import av
import numpy as np

from dev.origin.origin import SAMPLE_RATE, Canvas, Floats, Picture, Sound

CHUNK = 24_000  # samples


class Footage(Protocol):
    """What is to be edited and encoded: 8-bit 4:2:0 pictures, stereo sound at SAMPLE_RATE."""

    name: str
    frame_rate: Fraction
    size: tuple[int, int] | None
    """Width and height; None without pictures."""

    @property
    def has_sound(self) -> bool:
        """Whether there is sound."""

    def frames(self) -> Iterator[Canvas]:
        """The pictures; a canvas may be used again for the next one."""

    def samples(self) -> Iterator[Floats]:
        """The sound, in pieces of any length."""

    def sha256(self) -> str | None:
        """The digest of the file; None for what was generated."""


@dataclass
class Generated:
    """Pictures, sound or both from a function of the frame or sample number."""

    name: str
    duration_s: float
    frame_rate: Fraction
    size: tuple[int, int] | None
    picture: Picture | None
    sound: Sound | None
    interlaced: bool = False
    """Each frame is woven of two pictures half a frame apart, the upper field first."""

    @property
    def has_sound(self) -> bool:
        """Whether there is sound."""
        return self.sound is not None

    def frames(self) -> Iterator[Canvas]:
        """Draw."""
        if self.size is None or self.picture is None:
            return
        canvas, later = Canvas(*self.size), Canvas(*self.size)
        for index in range(round(self.duration_s * self.frame_rate)):
            if self.interlaced:
                self.picture.draw(canvas, index * 2)
                self.picture.draw(later, index * 2 + 1)
                for plane, other in ((canvas.y, later.y), (canvas.u, later.u), (canvas.v, later.v)):
                    plane[1::2] = other[1::2]
            else:
                self.picture.draw(canvas, index)
            yield canvas

    def samples(self) -> Iterator[Floats]:
        """Play."""
        total = round(self.duration_s * SAMPLE_RATE) if self.sound else 0
        for first in range(0, total, CHUNK):
            index = np.arange(first, min(first + CHUNK, total), dtype=np.int64)
            yield cast(Sound, self.sound).samples(index)

    def sha256(self) -> str | None:
        """Generated: its digest is that of what it draws and plays."""
        return None


class Clip:
    """A media file. Pictures are numbered evenly at its mean frame rate."""

    def __init__(self, path: Path) -> None:
        self.path, self.name = path, path.name
        with av.open(str(path)) as container:
            video = container.streams.video[0] if container.streams.video else None
            self._has_sound = bool(container.streams.audio)
            self.frame_rate = Fraction(25)
            self.size: tuple[int, int] | None = None
            if video is not None:
                self.frame_rate = video.average_rate or self.frame_rate
                self.size = video.width // 2 * 2, video.height // 2 * 2

    @property
    def has_sound(self) -> bool:
        """Whether there is sound."""
        return self._has_sound

    def frames(self) -> Iterator[Canvas]:
        """Decode the pictures."""
        if self.size is None:
            return
        canvas = Canvas(*self.size)
        width, height = self.size
        with av.open(str(self.path)) as container:
            for frame in container.decode(video=0):
                planes = frame.to_ndarray(width=width, height=height, format="yuv420p")
                np.copyto(canvas.data, planes.reshape(-1))
                yield canvas

    def samples(self) -> Iterator[Floats]:
        """Decode the sound, mixed to stereo."""
        if not self.has_sound:
            return
        resampler = av.AudioResampler(format="fltp", layout="stereo", rate=SAMPLE_RATE)
        with av.open(str(self.path)) as container:
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    yield piece.to_ndarray().astype(np.float32)
            for piece in resampler.resample(None):
                yield piece.to_ndarray().astype(np.float32)

    def sha256(self) -> str | None:
        """The digest of the file."""
        return hashlib.sha256(self.path.read_bytes()).hexdigest()
