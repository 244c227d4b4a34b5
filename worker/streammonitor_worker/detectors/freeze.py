"""Freeze: the same picture is shown again and again."""

import statistics
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import ClassVar, NamedTuple

from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_worker.detectors.base import (
    Detector,
    DetectorParams,
    Kind,
    Measurement,
    Profiles,
    Trace,
    Units,
    Verdict,
)
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.picture import PictureMeasures

HOLD_S = 0.5
"""How long a picture must hold before it counts as frozen: shorter stills are everyday."""
CLEAR_FACTOR = 1.5
"""A change of this many times the threshold is surely motion."""
MAX_POP = 0.08
"""Key frames code a frozen picture anew: its worst tile moves by 1 to 17 codes; a cut, by more."""
MAX_KEY_DRIFT = 0.05
"""Key frames of one frozen picture differ by up to 8 codes; those of a zoom differ ever more."""
SETTLING_PICTURES = 12
"""For so many pictures after it stopped, an encoder may still refine what it left coarse."""
MAX_SETTLING = 0.15
"""How much all those refinements together may change."""
SLOWING_PICTURES = 4
"""So many pictures of slow motion may resemble each other enough to begin a candidate."""
STIRRING = 0.01
"""By how much a picture must be further away than any before it to show that motion returns."""


class FreezeParams(DetectorParams):
    """Parameters of the freeze detector."""

    min_duration: Duration = Field(default=3.0, ge=0.1, le=3600)
    """How long the picture must stand still before an incident is raised."""
    clear_duration: Duration = Field(default=1.0, ge=0.1, le=3600)
    """How long the picture must move again before the incident ends."""
    critical_after: Duration = Field(default=10.0, ge=0.1, le=86400)
    """How long the picture must stand still for the incident to become critical."""
    threshold: float = Field(default=0.04, ge=0.0005, le=0.2)
    """Largest change of the most changed part of the picture since it stood still, as a share of
    the way from black to white."""

    units: ClassVar[Units] = {"threshold": "ratio"}
    profiles: ClassVar[Profiles] = {
        "strict": {"minDuration": "2s", "criticalAfter": "5s"},
        "relaxed": {"minDuration": "10s", "clearDuration": "2s", "criticalAfter": "30s"},
    }


class _Look(Enum):
    """What a picture looks like beside the one before it."""

    STILL = auto()
    POPPED = auto()
    UNSURE = auto()
    CREPT = auto()
    MOVED = auto()


_VERDICTS = {
    _Look.STILL: Verdict.BAD,
    _Look.POPPED: Verdict.BETWEEN,
    _Look.UNSURE: Verdict.BETWEEN,
}


class _Step(NamedTuple):
    """A picture that differed from the one before it."""

    time_s: float
    arrived_at: float
    change: float


class _Span(NamedTuple):
    """Pictures whose verdict is held back."""

    start_s: float
    end_s: float
    arrived_at: float


@dataclass(slots=True)
class _Candidate:
    """A picture that may be standing still.

    Attributes:
        anchor: The picture that came to a halt, or the one after the last key frame.
        key: The first key frame since then.
        after_key: The picture before was a key frame.
        drift: How much the last picture differs from `anchor`.
        pictures: How many resembled the one before them.
        exact: How many repeated it exactly.
        hold_s: How long it must hold to count as frozen.
        held: It has.
        span: The pictures whose verdict is held back.
        steps: The first changes within it.
        reach: The greatest drift so far.
        stirring: Where the pictures began to be further away, one after the other, than any before.
    """

    anchor: Luma8 | None = None
    key: Luma8 | None = None
    after_key: bool = False
    drift: float = 0.0
    pictures: int = 0
    exact: int = 0
    hold_s: float = HOLD_S
    held: bool = False
    span: _Span | None = None
    steps: list[_Step] = field(default_factory=list)
    reach: float = 0.0
    stirring: _Step | None = None

    def take(self, measures: PictureMeasures) -> None:
        """Count a picture that resembles the one before it."""
        step = _step_of(measures)
        self.pictures += 1
        self.exact += step.change == 0.0
        if len(self.steps) < SLOWING_PICTURES:
            self.steps.append(step)
        self.watch(step)
        self.extend(measures)

    def watch(self, step: _Step) -> None:
        """Notice motion that returns slowly."""
        if self.drift <= self.reach + STIRRING:
            self.stirring = None
        elif self.stirring is None:
            self.stirring = step
        self.reach = max(self.reach, self.drift)

    def extend(self, measures: PictureMeasures) -> None:
        """Hold back the verdict on a picture together with those before it."""
        view = measures.view
        start = self.span or _Span(view.time_s, view.time_s, view.arrived_at)
        self.span = start._replace(end_s=view.time_s + view.duration_s)

    def has_held(self) -> bool:
        """Whether it has stood still long enough to count as frozen."""
        return self.span is not None and self.span.end_s - self.span.start_s >= self.hold_s

    def backdate(self, before: Sequence[_Step], still: float) -> None:
        """Move the start to where motion stopped.

        Slow motion may have begun the candidate too early, an encoder that was still refining what
        it had left coarse, too late.

        Args:
            before: The changes that led to it.
            still: The change up to which a picture may belong to it.
        """
        stop = _last_of_slow_motion(before, self.steps, still) or _first_of_refinement(before)
        if stop is not None and self.span is not None:
            self.span = self.span._replace(start_s=stop.time_s, arrived_at=stop.arrived_at)


def _step_of(measures: PictureMeasures) -> _Step:
    view = measures.view
    return _Step(view.time_s, view.arrived_at, 1.0 if measures.step is None else measures.step)


def _last_of_slow_motion(
    before: Sequence[_Step], own: Sequence[_Step], still: float
) -> _Step | None:
    """The last picture that still moved at least half as much as those before it."""
    usual = statistics.median(step.change for step in before) if before else 1.0
    if usual > still:
        # Motion as fast as that cannot have begun a candidate.
        return None
    moving = [step for step in own if step.change >= usual / 2 > 0.0]
    return moving[-1] if moving else None


def _first_of_refinement(before: Sequence[_Step]) -> _Step | None:
    """The picture of the last great change; what follows it is refinement."""
    greatest = max((step.change for step in before), default=0.0)
    refined = 0.0
    for step in reversed(before):
        if refined > MAX_SETTLING:
            return None
        if step.change >= greatest / 2 or step.change > MAX_POP:
            return step
        refined += step.change
    return None


class FreezeDetector(Detector[FreezeParams, PictureMeasures]):
    """Finds pictures that stand still, also after they were encoded again.

    The most changed tile decides, so that a small thing that moves is motion, which a mean over the
    picture would drown. It is compared with the picture before and with the one that came to a
    halt: an encoder's residual toggles about what stands still, by up to 8 codes at low bit rates,
    while even a slow zoom, each of whose steps is smaller, moves ever further away. A key frame and
    the picture after it change every tile a little more and are exempt; key frames are compared
    among themselves, because an encoder may code a creeping picture as repeats and catch up at each
    key frame.

    A measurement may reach back over pictures that were found good, because an encoder was still
    refining them after the picture had stopped, or frozen, because motion returned slowly.

    Input: pictures of 8 to 16 bits, limited or full range, and whether they are key frames.

    Values: `change` (of the most changed tile since the picture before, share of the way from black
    to white), `drift` (the same since the picture stood still) and `exactRatio` (share of exact
    repeats since then).

    Source: tiles, exact repeats and key-frame exemption are our own; FFmpeg's freezedetect compares
    one mean over the picture with the first frozen frame, and so misses a freeze in a stream with a
    key frame each second and reports slow motion.

    Blind spots: a running clock or ticker hides a freeze; a slate, a still, a fixed camera on
    something that does not move, or one that moves by less than a pixel of the reduced picture in
    the minimum duration is one.
    """

    name: ClassVar[str] = "freeze"
    kind: ClassVar[Kind] = Kind.VIDEO
    summary: ClassVar[str] = "The picture stands still."
    params_type: ClassVar[type[DetectorParams]] = FreezeParams
    causes: ClassVar[tuple[str, ...]] = ("black",)
    cost: ClassVar[float] = 0.02
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(
            ("change",), "", lambda p: p.threshold, lambda p: CLEAR_FACTOR * p.threshold, below=True
        ),
    )

    def __init__(self, params: FreezeParams) -> None:
        super().__init__(params)
        self._candidate = _Candidate()
        self._steps: deque[_Step] = deque(maxlen=SETTLING_PICTURES)

    def reset(self) -> None:
        """Forget the picture that may be standing still."""
        self._candidate = _Candidate()
        self._steps.clear()

    def observe(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """Compare one picture with those that it must resemble to be frozen."""
        candidate = self._candidate
        look = self._look(measures)
        if look in (_Look.MOVED, _Look.CREPT):
            if candidate.held:
                self._unfreeze(measures)
            yield from self._release(Verdict.GOOD, measures, end_s=measures.view.time_s)
            self._restart(measures, crept=look is _Look.CREPT)
            return
        candidate.take(measures)
        if candidate.held:
            yield from self._release(_VERDICTS[look], measures)
        elif candidate.has_held():
            candidate.held = True
            candidate.backdate(self._steps, self.params.threshold)
            yield from self._release(Verdict.BAD, measures)

    def flush(self) -> Iterator[Measurement]:
        """What has not held long enough cannot be told."""
        span, self._candidate.span = self._candidate.span, None
        if span is not None:
            yield Measurement(
                span.start_s, span.end_s, span.arrived_at, Verdict.UNKNOWN, confidence=0.0
            )

    def _look(self, measures: PictureMeasures) -> _Look:
        candidate, step = self._candidate, measures.step
        if candidate.anchor is None or step is None:
            return _Look.MOVED
        key_frame, after_key = measures.view.key_frame, candidate.after_key
        candidate.after_key = key_frame
        if (key_frame or after_key) and step <= MAX_POP:
            return self._look_at_key_frame(measures, step)
        still = self.params.threshold
        moved = CLEAR_FACTOR * still if candidate.held else still
        if step > moved:
            return _Look.MOVED
        if step > 0.0:
            # An exact repeat has not drifted: most frozen pictures cost one comparison.
            candidate.drift = measures.change_from(candidate.anchor) or 0.0
        if candidate.drift > moved:
            return _Look.CREPT
        return _Look.STILL if max(step, candidate.drift) <= still else _Look.UNSURE

    def _look_at_key_frame(self, measures: PictureMeasures, step: float) -> _Look:
        """A key frame, or the picture after it: both may differ from what stands still."""
        candidate = self._candidate
        if not measures.view.key_frame:
            # The pictures that follow resemble this one rather than what stood before.
            candidate.anchor, candidate.drift = measures.reduced, 0.0
        elif candidate.key is None:
            candidate.key = measures.reduced
        elif (measures.change_from(candidate.key) or 0.0) > MAX_KEY_DRIFT:
            return _Look.CREPT
        return _Look.STILL if step <= self.params.threshold else _Look.POPPED

    def _unfreeze(self, measures: PictureMeasures) -> None:
        """Say where motion returned, even if the next picture stands still again.

        Otherwise a slide show, whose every picture holds, would be one long freeze.
        """
        candidate = self._candidate
        candidate.extend(measures)
        if candidate.span is not None and candidate.stirring is not None:
            first = candidate.stirring
            candidate.span = candidate.span._replace(
                start_s=first.time_s, arrived_at=first.arrived_at
            )

    def _restart(self, measures: PictureMeasures, *, crept: bool) -> None:
        view = measures.view
        self._steps.extend(self._candidate.steps)
        self._candidate = _Candidate(
            anchor=measures.reduced,
            key=measures.reduced if view.key_frame else None,
            after_key=view.key_frame,
            # What crept once will creep again: it must hold as long as a whole freeze does.
            hold_s=max(HOLD_S, self.params.min_duration) if crept else HOLD_S,
        )
        self._candidate.extend(measures)
        self._steps.append(_step_of(measures))

    def _release(
        self, verdict: Verdict, measures: PictureMeasures, end_s: float | None = None
    ) -> Iterator[Measurement]:
        candidate = self._candidate
        span, candidate.span = candidate.span, None
        if span is None:
            return
        exact_ratio = candidate.exact / candidate.pictures if candidate.pictures else 0.0
        yield Measurement(
            start_s=span.start_s,
            end_s=span.end_s if end_s is None else end_s,
            arrived_at=span.arrived_at,
            verdict=verdict,
            # Exact repeats leave no doubt; a residual on every picture may be a very still scene.
            confidence=round(0.7 + 0.3 * exact_ratio, 3),
            values={
                "change": round(measures.step or 0.0, 5),
                "drift": round(candidate.drift, 5),
                "exactRatio": round(exact_ratio, 4),
            },
        )
