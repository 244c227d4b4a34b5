"""Freeze: the same picture is shown again and again."""

from collections.abc import Iterator
from dataclasses import dataclass, field
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
from streammonitor_worker.measures.halt import Glimpse, Halt, Halted, Recent, small_change
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.picture import PictureMeasures
from streammonitor_worker.measures.standstill import Look, Moment, Standstill

HOLD_S = 0.5
"""How long a picture must hold before it is judged: shorter stills are everyday."""
CLEAR_FACTOR = 1.5
"""A change of this many times the threshold is surely motion."""
MIN_STOPPED = 0.01
"""Share of the picture that must have moved and stopped at once if something goes on over it."""
MIN_EXACT = 0.5
"""Share of exact repeats in a still: what moves very little repeats nothing."""
SAME_STILL, SAME_TILE, STILL_GAP_S = 0.05, 4.0, 1.0
"""Mean change, as of MAX_DRIFT, and that of a tile, in codes, of a still that an encoder's glitch
interrupted for so long."""


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
    still_after: Duration = Field(default=60.0, ge=0.5, le=86400)
    """How long a still that came with a cut, such as a slate, must stand to count as frozen."""
    overlay_ratio: float = Field(default=0.15, ge=0.0, le=0.5)
    """Share of the picture, along its upper and lower edge, in which a clock, a ticker or a logo
    may go on while the rest is frozen."""

    units: ClassVar[Units] = {"threshold": "ratio", "overlayRatio": "ratio"}
    profiles: ClassVar[Profiles] = {
        "strict": {"minDuration": "2s", "criticalAfter": "5s", "stillAfter": "20s"},
        "relaxed": {
            "minDuration": "10s",
            "clearDuration": "2s",
            "criticalAfter": "30s",
            "stillAfter": "5m",
        },
    }


class _Span(NamedTuple):
    """Pictures whose verdict is held back."""

    start_s: float
    end_s: float
    arrived_at: float


@dataclass(slots=True)
class _Still:
    """A still, for as long as its pictures may return.

    Attributes:
        small: What it looks like.
        start: Its first picture.
        end_s: The end of its last one.
    """

    small: Luma8
    start: Glimpse
    end_s: float


@dataclass(slots=True)
class _Candidate:
    """A picture that may be frozen.

    Attributes:
        picture: The picture, and what was shown since.
        halt: What was found when it had held long enough.
        frozen: It counts as frozen.
        span: The pictures whose verdict is held back.
    """

    picture: Standstill = field(default_factory=Standstill)
    halt: Halt | None = None
    frozen: bool = False
    span: _Span | None = None

    def extend(self, measures: PictureMeasures) -> None:
        """Hold back the verdict on a picture together with those before it."""
        view = measures.view
        start = self.span or _Span(view.time_s, view.time_s, view.arrived_at)
        self.span = start._replace(end_s=view.time_s + view.duration_s)

    def backdate(self, start: Glimpse | Moment) -> None:
        """Move the start of what is held back."""
        if self.span is not None:
            self.span = self.span._replace(start_s=start.time_s, arrived_at=start.arrived_at)

    def has_held(self) -> bool:
        """Whether it has stood still long enough to be judged."""
        return self.span is not None and self.span.end_s - self.span.start_s >= HOLD_S


class FreezeDetector(Detector[FreezeParams, PictureMeasures]):
    """Finds pictures that stopped, also after they were encoded again.

    The most changed tile decides whether a picture stands still, so that a small thing that moves
    is motion, which a mean over the picture would drown. It is compared with the picture before and
    with the one that came to a halt: an encoder's residual toggles about what stands still, by up
    to 8 codes at low bit rates, while even a slow zoom, each of whose steps is smaller, moves ever
    further away. A key frame and the picture after it change every tile a little more and are
    exempt; key frames are compared among themselves, because an encoder may code a creeping picture
    as repeats and catch up at each key frame. The drift of the whole is seen beside the contrast of
    the picture, so that what goes on under a dim light moves.

    What stands still is a freeze if it had moved just before and then stopped: see
    `measures.halt`. A still that a cut brought, a slate or a photograph, is good until it has stood
    for `stillAfter`; the incident then starts at the cut and says so by `still`. So is what stands
    from the first picture of a stream on.

    A clock, a ticker or a logo may go on over a freeze, along the upper and lower edge and in no
    more than `overlayRatio` of the picture, if at least a hundredth of the rest was seen to stop.
    A still under a clock never is a freeze.

    A measurement may reach back over pictures that were found good, because an encoder was still
    refining them after the picture had stopped, or frozen, because motion returned slowly.

    Input: pictures of 8 to 16 bits, limited or full range, and whether they are key frames.

    Values: `change` (of the most changed tile since the picture before, share of the way from black
    to white), `drift` (the same since the picture stood still), `exactRatio` (share of exact
    repeats since then), `overlayRatio` (share of the picture that goes on over it) and `still` (1:
    it came with a cut; 0: it had moved).

    Source: tiles, exact repeats, key-frame exemption and halts are our own; the onset is a change
    point by CUSUM (Page 1954). FFmpeg's freezedetect compares one mean over the picture with the
    first frozen frame, and so misses a freeze in a stream with a key frame each second and reports
    slow motion.

    Blind spots: a freeze that begins with a cut, or within half a second of one and before anything
    has moved, is taken for a still and missed until `stillAfter`; a still that is faded to counts
    as a freeze, and so does a fixed camera on something that stops moving, or that moves by less
    than a pixel of the reduced picture in the minimum duration. Under an overlay, a scene of which
    less than a hundredth moved before (somebody types) cannot be seen to freeze; nor can one under
    an overlay in the middle of the picture.
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
        self._recent = Recent()
        self._still: _Still | None = None
        self._frozen: Luma8 | None = None

    def reset(self) -> None:
        """Forget the picture that may be standing still, but what was frozen may still be so."""
        candidate = self._candidate
        self._frozen = candidate.picture.small if candidate.frozen else None
        self._candidate, self._still = _Candidate(), None
        self._recent.reset()

    def observe(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """Compare one picture with those that it must resemble to be frozen."""
        candidate, still = self._candidate, self.params.threshold
        moved = CLEAR_FACTOR * still if candidate.frozen else still
        look = candidate.picture.look(measures, still, moved)
        if look in (Look.MOVED, Look.CREPT):
            yield from self._go_on(measures)
            return
        candidate.picture.take(measures)
        candidate.extend(measures)
        self._recent.add(_glimpse(measures))
        if candidate.halt is None:
            if candidate.has_held():
                yield from self._judge(measures)
        elif candidate.halt.kind is Halted.STILL:
            yield from self._wait(measures, candidate.halt)
        else:
            unsure = look is Look.POPPED or candidate.picture.stirring is not None
            yield from self._release(Verdict.BETWEEN if unsure else Verdict.BAD, measures)

    def flush(self) -> Iterator[Measurement]:
        """What has not held long enough cannot be told."""
        span, self._candidate.span = self._candidate.span, None
        if span is not None:
            yield Measurement(
                span.start_s, span.end_s, span.arrived_at, Verdict.UNKNOWN, confidence=0.0
            )

    def _judge(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """Say what it is that has stood still for a while."""
        candidate, picture = self._candidate, self._candidate.picture
        halt = self._recent.halt(picture.shown(measures))
        if self._still is not None and self._returned(measures, self._still, halt.start):
            halt = Halt(Halted.STILL, self._still.start)
        elif halt.kind is Halted.STILL and not picture.creeps(measures, self._frozen, SAME_STILL):
            halt = halt._replace(kind=Halted.STOPPED, stopped_ratio=1.0)
        unseen = halt.stopped_ratio < MIN_STOPPED
        if halt.kind is Halted.MOVING or (
            halt.kind is Halted.STOPPED and unseen and picture.overlay is not None
        ):
            yield from self._go_on(measures)
            return
        candidate.halt, self._frozen = halt, None
        if halt.kind is Halted.STILL:
            yield from self._wait(measures, halt)
            return
        if unseen:
            # Too little stopped for anything to be taken for an overlay from now on.
            picture.most_overlay = 0.0
        candidate.frozen = True
        yield from self._release(Verdict.GOOD, measures, end_s=halt.start.time_s)
        candidate.extend(measures)
        candidate.backdate(halt.start)
        yield from self._release(Verdict.BAD, measures)

    def _returned(self, measures: PictureMeasures, still: _Still, start: Glimpse) -> bool:
        """Whether this is the still that an encoder's glitch interrupted a moment ago."""
        if start.time_s - still.end_s > STILL_GAP_S:
            return False
        if self._candidate.picture.creeps(measures, still.small, SAME_STILL):
            return False
        return float(small_change(measures.small, still.small).max()) <= SAME_TILE

    def _wait(self, measures: PictureMeasures, halt: Halt) -> Iterator[Measurement]:
        """A still is good until it has stood for too long."""
        candidate, view = self._candidate, measures.view
        end_s = view.time_s + view.duration_s
        if candidate.picture.overlay_stopped(view.time_s):
            # It was all that moved in a still scene, rather than something put over it.
            self._still = None
            yield from self._go_on(measures)
            return
        self._still = _Still(measures.small, halt.start, end_s)
        too_long = end_s - halt.start.time_s >= self.params.still_after
        stands = candidate.picture.overlay is None and candidate.picture.exact_ratio >= MIN_EXACT
        if not (too_long and stands):
            yield from self._release(Verdict.GOOD, measures)
            return
        if not candidate.frozen:
            candidate.frozen = True
            candidate.backdate(halt.start)
        yield from self._release(Verdict.BAD, measures)

    def _go_on(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """The picture moves: begin anew."""
        candidate = self._candidate
        if candidate.frozen:
            # Say where motion returned, even if the next picture stands still again: otherwise a
            # slide show, whose every picture holds, would be one long freeze.
            candidate.extend(measures)
            if candidate.picture.stirring is not None:
                candidate.backdate(candidate.picture.stirring)
        yield from self._release(Verdict.GOOD, measures, end_s=measures.view.time_s)
        self._candidate = _Candidate(Standstill.at(measures, self.params.overlay_ratio))
        self._candidate.extend(measures)
        self._recent.restart(_glimpse(measures))

    def _release(
        self, verdict: Verdict, measures: PictureMeasures, end_s: float | None = None
    ) -> Iterator[Measurement]:
        candidate, picture = self._candidate, self._candidate.picture
        span, candidate.span = candidate.span, None
        if span is None:
            return
        still = candidate.halt is not None and candidate.halt.kind is Halted.STILL
        yield Measurement(
            start_s=span.start_s,
            end_s=max(span.start_s, span.end_s if end_s is None else end_s),
            arrived_at=span.arrived_at,
            verdict=verdict,
            # Exact repeats leave no doubt; a residual on every picture may be a very still scene.
            confidence=round(0.7 + 0.3 * picture.exact_ratio, 3),
            values={
                "change": round(picture.step, 5),
                "drift": round(picture.drift, 5),
                "exactRatio": round(picture.exact_ratio, 4),
                "overlayRatio": round(picture.overlay_ratio, 4),
                "still": float(still),
            },
            tiles=picture.standing if verdict is Verdict.BAD else None,
        )


def _glimpse(measures: PictureMeasures) -> Glimpse:
    view = measures.view
    return Glimpse(view.time_s, view.arrived_at, measures.small, view.key_frame)
