"""A stream and its reference feed, side by side: how late one is against the other."""

import threading
from dataclasses import dataclass, field

import numpy as np

from streammonitor_worker.comparison.alignment import PICTURES, SOUND, Alignment, Lag
from streammonitor_worker.comparison.feed import Track
from streammonitor_worker.comparison.signatures import (
    BANDS,
    PICTURE_SIZE,
    SoundSignatures,
    picture_signature,
)
from streammonitor_worker.facts import Compared, Outcome
from streammonitor_worker.frames import AudioView, Discontinuity, FormatChange, FrameView, MediaItem
from streammonitor_worker.measures.picture import PictureMeasures, PictureMeter

EVERY_S = 0.5
"""How often the two are compared, in media time of the stream."""
MOST_SKEW_S = 2.0
"""Sound and pictures that seem to be further apart are not both where they seem to be."""
MISMATCH_AFTER_S = 10.0
"""Feeds that are alike nowhere for so long show different things."""


@dataclass(slots=True)
class _Feed:
    """What is kept of one feed."""

    pictures: Track = field(default_factory=lambda: Track(PICTURE_SIZE))
    sound: Track = field(default_factory=lambda: Track(BANDS))
    listener: SoundSignatures = field(default_factory=SoundSignatures)

    def show(self, measures: PictureMeasures) -> None:
        """Take a picture."""
        signature = picture_signature(measures.active.of(measures.reduced))
        self.pictures.add(np.array([measures.view.time_s]), signature[np.newaxis])

    def play(self, view: AudioView) -> None:
        """Take sound."""
        frames = self.listener.take(view)
        if frames is not None:
            self.sound.add(frames.times_s, frames.bands)

    def clear(self) -> None:
        """What follows does not adjoin."""
        self.pictures.clear()
        self.sound.clear()


class Comparison:
    """Finds how late the pictures and the sound of a stream are against a reference feed.

    The reference may be fed from another thread. The stream's own media time says when they are
    compared; neither feed waits for the other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._main, self._reference = _Feed(), _Feed()
        self._meter = PictureMeter()
        self._pictures, self._sound = Alignment(PICTURES), Alignment(SOUND)
        self._due_s = 0.0
        self._unlike_s: float | None = None
        self._lost: str | None = None

    def show(self, measures: PictureMeasures) -> None:
        """Take a picture of the stream."""
        self._main.show(measures)

    def play(self, view: AudioView) -> None:
        """Take sound of the stream."""
        self._main.play(view)

    def jumped(self) -> None:
        """The stream does not continue."""
        with self._lock:
            self._main.clear()
            self._restart()

    def refer(self, item: MediaItem) -> None:
        """Take the next item of the reference; from any one thread."""
        if isinstance(item, FrameView):
            measures = self._meter.measure(item)
            with self._lock:
                self._lost = None
                self._reference.show(measures)
        elif isinstance(item, AudioView):
            with self._lock:
                self._lost = None
                self._reference.play(item)
        elif isinstance(item, Discontinuity | FormatChange):
            self._meter.reset()
            with self._lock:
                self._reference.clear()
                self._restart()

    def lose(self, why: str) -> None:
        """The reference is gone, or cannot be had.

        Args:
            why: A sentence for people.
        """
        with self._lock:
            self._lost = why
            self._reference.clear()
            self._restart()

    def tell(self, until_s: float) -> Compared | None:
        """What is known by now; None until a second of the stream has passed since the last time.

        Args:
            until_s: How far the stream came, in seconds of media time.
        """
        if until_s < self._due_s:
            return None
        self._due_s = until_s + EVERY_S
        with self._lock:
            if self._lost is not None:
                return Compared(Outcome.NO_REFERENCE, detail=self._lost)
            pictures = self._pictures.follow(self._main.pictures, self._reference.pictures)
            sound = self._sound.follow(self._main.sound, self._reference.sound)
            return self._compared(pictures, sound, until_s)

    def _compared(self, pictures: Lag | None, sound: Lag | None, until_s: float) -> Compared:
        if pictures and sound and abs(pictures.lag_s - sound.lag_s) > MOST_SKEW_S:
            pictures = sound = None
        known = [lag for lag in (pictures, sound) if lag is not None]
        if not known:
            return Compared(self._unlike(until_s))
        self._unlike_s = None
        return Compared(
            Outcome.ALIKE,
            from_s=min(lag.from_s for lag in known),
            until_s=min(lag.until_s for lag in known),
            picture_lag_s=None if pictures is None else pictures.lag_s,
            sound_lag_s=None if sound is None else sound.lag_s,
            likeness=min(lag.score for lag in known),
        )

    def _unlike(self, until_s: float) -> Outcome:
        """Whether both show something that could be recognised, and it is not the same."""
        if not (self._pictures.telling or self._sound.telling):
            self._unlike_s = None
            return Outcome.UNKNOWN
        if self._unlike_s is None:
            self._unlike_s = until_s
        return Outcome.MISMATCH if until_s - self._unlike_s >= MISMATCH_AFTER_S else Outcome.UNKNOWN

    def _restart(self) -> None:
        self._unlike_s = None
        self._pictures.reset()
        self._sound.reset()
