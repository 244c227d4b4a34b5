"""What an injection is, and what edits pictures and sound before they are encoded.

An edit is made anew for each span, so that it may remember what it saw there. It gets every picture
(or piece of sound) of its span in order and changes it in place.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from dev.origin.origin import SAMPLE_RATE, Bytes, Canvas, Floats
from streammonitor_worker.detectors.base import Kind


@dataclass(frozen=True)
class Span:
    """Where an edit applies.

    Attributes:
        length: Pictures or samples in the span.
        rate_hz: Pictures or samples a second.
        rng: The only source of randomness.
    """

    length: int
    rate_hz: float
    rng: np.random.Generator


class Fate(Enum):
    """What becomes of a picture that is not shown."""

    LEFT_OUT = "left out"
    """It is missing, and the time stamps show it."""
    SKIPPED = "skipped"
    """It is missing, and what follows moves up: the time stamps stay even."""


class PictureEdit(Protocol):
    """Edits pictures."""

    def __call__(self, canvas: Canvas, index: int) -> Fate | None:
        """Edit picture `index` of the span; returns None if it is to be shown."""


class SoundEdit(Protocol):
    """Edits sound."""

    def __call__(self, samples: Floats, first: int) -> None:
        """Edit (channels, n) samples; `first` is the number of the first one within the span."""


MakePictureEdit = Callable[[Span], PictureEdit]
MakeSoundEdit = Callable[[Span], SoundEdit]


@dataclass(frozen=True)
class Truth:
    """One edit as written, in media time from the first presented frame.

    `first` and `end` (excluded) count pictures, or samples for a sound defect. A `negative` only
    looks like the defect: nothing must be reported. A `neutral` span may be reported or not: what
    is there is too little to be an event and too much to be clean.
    """

    defect: str
    variant: str
    negative: bool
    start_s: float
    end_s: float
    first: int
    end: int
    neutral: bool = False


AfterEncoding = Callable[[Path, tuple[Truth, ...], np.random.Generator], Sequence[Truth]]
"""Changes an encoded clip in place where the truths say; returns what is then to be seen where."""


JudgeEdits = Callable[[Path, Path, tuple[Truth, ...]], tuple[Truth, ...]]
"""Compares an encoded clip with the same one unedited; makes `neutral` what nobody could notice."""


@dataclass(frozen=True)
class Rival:
    """The filter of ffmpeg that looks for the same defect.

    Attributes:
        filter: Its name and parameters. Thresholds are its defaults, the duration is ours.
        start_key: Frame metadata that says where the defect began.
        end_key: Frame metadata that says where it ended.
        shortest_s: What is shorter is no alarm. For blackdetect, whose duration holds for its log
            but not for its metadata.
    """

    filter: str
    start_key: str
    end_key: str
    shortest_s: float = 0.0


@dataclass(frozen=True)
class Bench:
    """How one defect is put into media, and what must not be taken for it.

    Attributes:
        defect: Canonical name of the detector.
        kind: Picture or sound.
        variants: Edits that are the defect.
        negatives: Edits that look like it and are not: the paired hard negatives.
        event_s: Shortest and longest event, in seconds; longer than the detector's minDuration.
        negative_s: Length of a hard negative, in seconds.
        rival: ffmpeg's filter; None where it has none.
        holds_picture: The truth begins with the first picture that equals the held one (a source
            may stand still by itself just before) and ends where the picture changes.
        after: Makes the defect in the encoded clip; its variants are then `unedited`, or edits
            besides. Parts of what is seen then may be `neutral`.
        judge: Tells which edits came out too small to be asked for; None where all of them count.
        codecs: Codecs in which the defect can be made, of those in `encode.ENCODERS`; all of them
            if empty.
        unseen_in: Families in whose pictures nobody could see the defect: no event is put there.
        lead_s: How long a clip is clean before the first edit.
        gaps_s: Shortest and longest clean stretch after each edit, in seconds.
        reels: Clips with defects for each family of sources; None for as many as usual.
        onset_tolerance_s: How far off the beginning of an alarm may be for it to find an event.
    """

    defect: str
    kind: Kind
    variants: Mapping[str, MakePictureEdit | MakeSoundEdit]
    negatives: Mapping[str, MakePictureEdit | MakeSoundEdit]
    event_s: tuple[float, float]
    negative_s: float
    rival: Rival | None = None
    holds_picture: bool = False
    after: AfterEncoding | None = None
    judge: JudgeEdits | None = None
    unseen_in: tuple[str, ...] = ()
    codecs: tuple[str, ...] = ()
    lead_s: float = 3.0
    gaps_s: tuple[float, float] = (3.2, 4.4)
    reels: int | None = None
    onset_tolerance_s: float = 0.5


@dataclass(frozen=True)
class Injection:
    """One edit of a clip, in seconds from its first picture and sample."""

    defect: str
    variant: str
    start_s: float
    end_s: float
    negative: bool = False

    def ticks(self, rate_hz: float) -> range:
        """The pictures or samples concerned."""
        return range(round(self.start_s * rate_hz), round(self.end_s * rate_hz))


def unedited(span: Span) -> PictureEdit:
    """Leave the pictures alone: what happens to them happens after encoding."""

    def edit(canvas: Canvas, index: int) -> None:
        pass

    return edit


def decibels(level_dbfs: float) -> float:
    """The amplitude of a level in dBFS."""
    return float(10 ** (level_dbfs / 20))


def seconds(first: int, count: int) -> NDArray[np.float64]:
    """Times of samples, in seconds."""
    return np.arange(first, first + count) / SAMPLE_RATE


def add_noise(luma: Bytes, rng: np.random.Generator, std: float) -> None:
    """Add Gaussian noise of `std` codes in place."""
    noise: NDArray[np.int16] = np.empty(luma.shape, np.int16)
    cv2.setRNGSeed(int(rng.integers(1 << 31)))
    cv2.randn(noise, np.zeros(1), np.full(1, std))
    np.copyto(luma, cv2.add(luma, noise, dtype=cv2.CV_8U))
