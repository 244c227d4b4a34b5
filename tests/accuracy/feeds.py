"""Two feeds of one programme: the reference, and what became of it on its way, with exact truth."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from dev.origin.origin import SAMPLE_RATE, Canvas, Floats
from tests.accuracy.encode import Encoding, Writer
from tests.accuracy.sources import SIZE, Source


@dataclass(frozen=True)
class Change:
    """What happened to a feed on its way.

    Attributes:
        skew_s: How much earlier its sound is than its pictures (negative: later).
        from_s: From when on it is.
        behind_frames: So many pictures, and their sound, were shown before it begins.
        size: Of its pictures.
        gain: Its sound is driven by so much into a soft limiter.
        logo: Something bright stands in a corner.
    """

    skew_s: float = 0.0
    from_s: float = 0.0
    behind_frames: int = 0
    size: tuple[int, int] = SIZE
    gain: float = 1.0
    logo: bool = False


def write_feed(
    path: Path,
    programme: tuple[Source, Source],
    duration_s: float,
    encoding: Encoding,
    change: Change | None = None,
) -> None:
    """Encode a feed.

    Args:
        path: Where to.
        programme: What it shows, and what it plays.
        duration_s: How long, from the programme's beginning on.
        encoding: How it is encoded.
        change: What happened to it; None: it is the reference.
    """
    (pictures, sound), change = programme, change or Change()
    footage = pictures.footage(duration_s)
    rate = footage.frame_rate
    samples = _samples(sound, duration_s, change, round(change.behind_frames * SAMPLE_RATE / rate))
    with Writer(path, encoding, size=change.size, frame_rate=rate, sound=True) as writer:
        played = 0
        for index, canvas in enumerate(footage.frames()):
            if index < change.behind_frames:
                continue
            writer.show(_resized(canvas, change))
            until = round(writer.frames * SAMPLE_RATE / rate)
            writer.play(samples[:, played:until])
            played = until


def _samples(sound: Source, duration_s: float, change: Change, first: int) -> Floats:
    """The sound from sample `first` on, moved from `from_s` on, and limited."""
    whole = np.concatenate(list(sound.footage(duration_s + abs(change.skew_s)).samples()), axis=1)
    if whole.shape[0] == 1:
        whole = np.repeat(whole, 2, axis=0)
    count = round(duration_s * SAMPLE_RATE) - first
    at = np.arange(first, first + count)
    moved = at >= first + round(change.from_s * SAMPLE_RATE)
    at = np.clip(at + moved * round(change.skew_s * SAMPLE_RATE), 0, whole.shape[1] - 1)
    samples: Floats = np.tanh(whole[:, at] * change.gain).astype(np.float32)
    return samples


def _resized(canvas: Canvas, change: Change) -> Canvas:
    resized = Canvas(*change.size)
    for plane, before in ((resized.y, canvas.y), (resized.u, canvas.u), (resized.v, canvas.v)):
        cv2.resize(before, plane.shape[::-1], dst=plane, interpolation=cv2.INTER_AREA)
    if change.logo:
        resized.y[8:32, -72:-16] = 220
    return resized
