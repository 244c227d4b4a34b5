"""Freeze: the same picture is shown again and again."""

from collections.abc import Iterator
from enum import Enum, auto
from typing import ClassVar

from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_worker.detectors.base import (
    Detector,
    DetectorParams,
    Kind,
    Measurement,
    Verdict,
)
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.picture import PictureMeasures

HOLD_S = 0.5
"""How long a picture must hold before it counts as frozen: shorter stills are everyday."""
CLEAR_FACTOR = 2.0
"""A change of this many times the threshold is surely motion."""
MAX_DRIFT_FACTOR = 2.0
"""How far, in thresholds, a picture may creep away from where it stood."""
MAX_POP = 0.04
"""A key frame codes a frozen picture anew: its worst tile moves by 2 to 9 codes. A cut, by more."""
MAX_KEY_DRIFT = 0.02
"""Key frames of one frozen picture resemble each other more than they resemble what is between."""


class FreezeParams(DetectorParams):
    """Parameters of the freeze detector."""

    min_duration: Duration = Field(default=3.0, ge=0.1, le=3600)
    """How long the picture must stand still before an incident is raised."""
    clear_duration: Duration = Field(default=1.0, ge=0.1, le=3600)
    """How long the picture must move again before the incident ends."""
    critical_after: Duration = Field(default=10.0, ge=0.1, le=86400)
    """How long the picture must stand still for the incident to become critical."""
    threshold: float = Field(default=0.005, ge=0.0005, le=0.05)
    """Largest change of the most changed part of the picture that counts as standing still, as a
    share of the way from black to white."""


class _Look(Enum):
    """What a picture looks like beside the one before it."""

    STILL = auto()
    POPPED = auto()
    UNSURE = auto()
    CREPT = auto()
    MOVED = auto()


class FreezeDetector(Detector[FreezeParams, PictureMeasures]):
    """Finds pictures that stand still, also after they were encoded again.

    The most changed tile decides, so that a small thing that moves is motion, which a mean over the
    picture would drown. Three comparisons: with the picture before (an encoder's residual is below
    the threshold, most repeats are exact); with the picture where it came to a halt, so that a very
    slow zoom, each of whose steps is too small, is not a freeze; and between key frames, because an
    encoder may code a creeping picture as repeats and catch up at each key frame. Key frames
    themselves change every tile a little and are exempt, unless they show another picture.

    Input: pictures of 8 to 16 bits, limited or full range, and whether they are key frames.

    Values: `change` (of the most changed tile since the picture before, share of the way from black
    to white), `drift` (the same since the picture stood still) and `exactRatio` (share of exact
    repeats since then).

    Source: tiles, exact repeats and key-frame exemption are our own; FFmpeg's freezedetect compares
    one mean over the picture with the first frozen frame, and so misses a freeze in a stream with a
    key frame each second and reports slow motion.

    Blind spots: a running clock or ticker hides a freeze; a slate or a still is one.
    """

    name: ClassVar[str] = "freeze"
    kind: ClassVar[Kind] = Kind.VIDEO
    summary: ClassVar[str] = "The picture stands still."
    params_type: ClassVar[type[DetectorParams]] = FreezeParams
    causes: ClassVar[tuple[str, ...]] = ("black",)
    cost: ClassVar[float] = 0.02

    def __init__(self, params: FreezeParams) -> None:
        super().__init__(params)
        self.reset()

    def reset(self) -> None:
        """Forget the picture that may be standing still."""
        self._anchor: Luma8 | None = None
        self._key: Luma8 | None = None
        self._drift = 0.0
        self._pictures = 0
        self._exact = 0
        self._held = False
        self._hold_s = HOLD_S
        # Pictures whose verdict waits until the candidate has held: start, arrival, end.
        self._pending: tuple[float, float, float] | None = None

    def observe(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """Compare one picture with those that it must resemble to be frozen."""
        look = self._look(measures)
        if look in (_Look.MOVED, _Look.CREPT):
            yield from self._release(Verdict.GOOD, measures, end_s=measures.view.time_s)
            self._restart(measures, crept=look is _Look.CREPT)
            return
        self._count(measures, look)
        if self._held:
            verdict = Verdict.BAD if look is _Look.STILL else Verdict.BETWEEN
            self._hold_back(measures)
            yield from self._release(verdict, measures)
            return
        self._hold_back(measures)
        if self._pending is not None and self._pending[2] - self._pending[0] >= self._hold_s:
            self._held = True
            yield from self._release(Verdict.BAD, measures)

    def flush(self) -> Iterator[Measurement]:
        """What has not held long enough cannot be told."""
        if self._pending is not None:
            start_s, arrived_at, end_s = self._pending
            self._pending = None
            yield Measurement(start_s, end_s, arrived_at, Verdict.UNKNOWN, confidence=0.0)

    def _look(self, measures: PictureMeasures) -> _Look:
        step = measures.step
        if self._anchor is None or step is None:
            return _Look.MOVED
        if step > 0.0:
            # An exact repeat cannot have drifted: most frozen pictures cost one comparison.
            self._drift = measures.change_from(self._anchor) or 0.0
        still = self.params.threshold
        if measures.view.key_frame and step <= max(MAX_POP, still):
            return self._look_of_key_frame(measures, step)
        if step > CLEAR_FACTOR * still or (step > still and not self._held):
            return _Look.MOVED
        if self._drift > MAX_DRIFT_FACTOR * still:
            return _Look.CREPT
        return _Look.STILL if step <= still else _Look.UNSURE

    def _look_of_key_frame(self, measures: PictureMeasures, step: float) -> _Look:
        if self._key is not None:
            if (measures.change_from(self._key) or 0.0) > MAX_KEY_DRIFT:
                return _Look.CREPT
        else:
            self._key = measures.reduced
        return _Look.STILL if step == 0.0 else _Look.POPPED

    def _restart(self, measures: PictureMeasures, *, crept: bool) -> None:
        self.reset()
        self._anchor = measures.reduced
        if crept:
            # What crept once will creep again: it must hold as long as a whole freeze does.
            self._hold_s = max(HOLD_S, self.params.min_duration)
        if measures.view.key_frame:
            self._key = measures.reduced
        self._hold_back(measures)

    def _count(self, measures: PictureMeasures, look: _Look) -> None:
        self._pictures += 1
        self._exact += measures.step == 0.0
        if look is _Look.POPPED:
            # The pictures that follow refer to the key frame, not to what stood before it.
            self._anchor = measures.reduced
            self._drift = 0.0

    def _hold_back(self, measures: PictureMeasures) -> None:
        view = measures.view
        start_s, arrived_at = view.time_s, view.arrived_at
        if self._pending is not None:
            start_s, arrived_at, _ = self._pending
        self._pending = start_s, arrived_at, view.time_s + view.duration_s

    def _release(
        self, verdict: Verdict, measures: PictureMeasures, end_s: float | None = None
    ) -> Iterator[Measurement]:
        if self._pending is None:
            return
        start_s, arrived_at, pending_end_s = self._pending
        self._pending = None
        exact_ratio = self._exact / self._pictures if self._pictures else 0.0
        yield Measurement(
            start_s=start_s,
            end_s=pending_end_s if end_s is None else end_s,
            arrived_at=arrived_at,
            verdict=verdict,
            # Exact repeats leave no doubt; a residual on every picture may be a very still scene.
            confidence=round(0.6 + 0.4 * exact_ratio, 3),
            values={
                "change": round(measures.step or 0.0, 5),
                "drift": round(self._drift, 5),
                "exactRatio": round(exact_ratio, 4),
            },
        )
