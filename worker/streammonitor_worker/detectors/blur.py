"""Blur: the picture suddenly lost its detail."""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

import numpy as np
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
from streammonitor_worker.measures.detail import Detail, detail_of
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.picture import PictureMeasures
from streammonitor_worker.measures.shots import SAME_SHOT, likeness

LOOK_EVERY_S = 0.16
"""Each fourth picture: looking rarely is what makes full resolution affordable."""
BEFORE, MIN_BEFORE, AFTER = 8, 3, 4
"""A sudden loss is told from so many looks before it, or at least so many, and so many after."""
LONG_BEFORE, UPPER_PERCENT = 25, 75
"""What the shot had before it went soft: this percentile of so many looks."""
SUDDEN = 0.7
"""Such a share of the loss, on a logarithmic scale, is seen within two looks: an encoder may need
both of them to show it, and a focus pull takes far longer."""
NOTABLE = 0.25
"""So much of it dates a loss back to the first of the two."""
UNTOUCHED = 0.95
"""No look since the loss shows such a share of the detail again."""
FADED = 0.6
"""If so little of the contrast of shapes is left, it is a fade or fog that takes the detail."""
SAME_SHAPES = 0.4
"""Shapes before and after are at least so much as alike as in motion before: not in a dissolve."""
NOTHING_LEFT = 0.001
"""The least share of detail that is told from none."""
LEAST_USUAL = 1e-6
"""Detail that can be divided by."""
BASELINE_S = 120.0
SOFT_PERCENT, MEDIAN_PERCENT = 20, 50
"""The stream's soft shots, of which one more is nothing new, and its usual ones."""
WARM_UP_S = 2.5
CLEAR_FACTOR = 1.35
"""So many times the threshold is surely sharp again."""
MOST_RISE = 2.0
"""Detail that rises by such a factor within a shot is back, however little was left."""
SPREAD, CERTAIN = 0.5, 1.0
"""Shots of a programme differ in detail by a factor of e to the power of SPREAD. The odds that
those behind a cut are sharp are a logarithm, and from shot to shot at most CERTAIN either way."""
MIN_CUT = 0.03
CUT_STEP = 1.4
"""A mean change of so much, and so many times that of the picture before, may be a cut."""
STRONG = 0.6
MIN_CUTS = 3
"""What is soft from the first picture of a shot may be meant to be. It is a defect if it falls
below so many thresholds, and still does after so many cuts."""
ADOPT_S = 60.0
"""A programme that is softer than the one before becomes the baseline after so long."""


class BlurParams(DetectorParams):
    """Parameters of the blur detector."""

    min_duration: Duration = Field(default=10.0, ge=0.1, le=3600)
    """How long the picture must lack detail before an incident is raised."""
    clear_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long the picture must be sharp again before the incident ends."""
    critical_after: Duration = Field(default=3600.0, ge=0.1, le=86400)
    """How long the picture must lack detail for the incident to become critical."""
    threshold: float = Field(default=0.6, ge=0.05, le=0.95)
    """Share of the stream's usual detail up to which the picture counts as blurred."""

    units: ClassVar[Units] = {"threshold": "ratio"}
    profiles: ClassVar[Profiles] = {
        "strict": {"minDuration": "5s", "criticalAfter": "30m"},
        "relaxed": {"minDuration": "30s", "clearDuration": "5s", "criticalAfter": "2h"},
    }


class _Look(NamedTuple):
    """The detail of one picture, when it was seen, and in which shot."""

    time_s: float
    arrived_at: float
    detail: Detail
    shot: int
    small: Luma8


@dataclass
class _Loss:
    """A loss of detail that was found, and what tells whether it lasts.

    Attributes:
        since: The first look at it.
        left: The share of the detail that is left, above 0.
        was: What there was before: that of the shot, or of the stream if it set in with a cut.
        sharp: The detail of the shot before it; None in another shot.
        shots: Logarithm of the odds that the stream is sharp again, of all shots but this one.
        shot: The same of the shot that is on.
        looks: Looks at that shot.
    """

    since: _Look
    left: float
    was: float
    sharp: Detail | None
    shots: float = field(init=False)
    shot: float = 0.0
    looks: int = 0

    def __post_init__(self) -> None:
        self.shots = -self.certain

    @property
    def certain(self) -> float:
        """The odds that say enough: where little was lost, no shot says much."""
        return min(CERTAIN, math.log(self.left) ** 2 / (6 * SPREAD**2))

    def cut(self) -> None:
        """Another shot follows."""
        self.sharp = None
        self.shots = max(-self.certain, min(self.certain, self.shots + self.shot))
        self.shot, self.looks = 0.0, 0

    def weigh(self, ratio: float) -> float:
        """The odds after another look at a shot that has such a share of the usual detail.

        Sharp shots lie around the usual, blurred ones around what is left of it: both spread alike.
        """
        self.looks += 1
        less, found = -math.log(self.left), math.log(max(ratio, NOTHING_LEFT))
        self.shot += (less * (found + less / 2) / SPREAD**2 - self.shot) / self.looks
        return self.shots + self.shot


class BlurDetector(Detector[BlurParams, PictureMeasures]):
    """Finds that the picture suddenly has far less detail than it had.

    Detail is what changes from pixel to pixel at the two finest scales, relative to the contrast of
    shapes, in the sharpest parts of the full picture but for the very sharpest: fades change all of
    them alike, a soft background is not among the sharpest, and a logo stays sharp when the
    programme does not.

    Within a shot, detail that is lost from one look to the next and stays lost, while the shapes
    keep their contrast, is a defect: cameras take longer to lose focus. Behind a cut, a blurred
    stream is taken for sharp again as soon as its shots are liker to what was there before than to
    what was left of it, or when the detail comes back within a shot. What is soft from the first
    picture of a shot, or became so gradually, may be meant to be: it is compared with the stream's
    own soft shots, and counts only if next to nothing is left in the shots that follow, too.

    Input: pictures of 8 to 16 bits; it looks at six a second. That takes 0.5 ms for each picture
    of 1080p at 25 a second, measured on a busy machine, and up to 10 ms for one of them.

    Values: `detail` (contrast of fine structures relative to that of shapes), `usualDetail` (the
    same of the shot before it was blurred, or of the stream) and `detailRatio` (their quotient, 1
    is as usual).

    Source: a ratio of gradient energies between scales, as in no-reference sharpness metrics since
    Marziliano et al., "A no-reference perceptual blur metric" (2002); a sequential test of two
    hypotheses (Wald, 1945) for the shots behind a cut; the baseline is our own.

    Blind spots: blur from the very beginning, as of SD that was scaled up; a picture that was soft
    before; blur that sets in together with a cut or in the half second around it, or gradually,
    unless it is heavy and outlasts several shots; one that an encoder shows bit by bit until its
    next key frame; a logo, clock and ticker that fill more than a fortieth of the picture and stay
    sharp; pictures with almost no contrast and the first seconds of a stream (both unknown). Taken
    for blur: large lettering that vanishes from a soft background without a cut, a shot that is
    smeared and stays so. A programme that is softer for good becomes the baseline after a minute,
    unless it was found blurred: then it stays so until it is sharp again.
    """

    name: ClassVar[str] = "blur"
    kind: ClassVar[Kind] = Kind.VIDEO
    summary: ClassVar[str] = "The picture lost its detail."
    params_type: ClassVar[type[DetectorParams]] = BlurParams
    causes: ClassVar[tuple[str, ...]] = ("black", "freeze")
    cost: ClassVar[float] = 0.07
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(
            ("detailRatio",), "", lambda p: p.threshold, lambda p: p.threshold * CLEAR_FACTOR, True
        ),
    )

    def __init__(self, params: BlurParams) -> None:
        super().__init__(params)
        self.reset()

    def reset(self) -> None:
        """Forget the baseline: another format has another."""
        self._baseline: deque[float] = deque(maxlen=round(BASELINE_S / LOOK_EVERY_S))
        self._pending: list[float] = []
        self._looks: deque[_Look] = deque(maxlen=LONG_BEFORE + AFTER)
        self._shot = 0
        self._loss: _Loss | None = None
        self._soft: _Look | None = None
        self._cuts = 0
        self._step = 0.0
        self._cut = False
        self._next_s = float("-inf")
        self._verdict = Verdict.UNKNOWN
        self._since: _Look | None = None
        self._values: dict[str, float] = {}

    def observe(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """Look at the picture if it is time to; otherwise what was last seen holds."""
        view = measures.view
        self._watch(measures)
        self._since = None
        if view.time_s >= self._next_s:
            # A little earlier, so that it is each fourth picture whatever the clock rounds to.
            self._next_s = view.time_s + LOOK_EVERY_S - 0.005
            found = detail_of(measures)
            cut, self._cut = self._cut, False
            self._shot += cut
            look = found and _Look(view.time_s, view.arrived_at, found, self._shot, measures.small)
            self._verdict = self._look(look, cut)
        ratio = self._values.get("detailRatio", 1.0)
        depth = max(0.0, 1.0 - ratio / self.params.threshold)
        since = self._since
        yield Measurement(
            start_s=view.time_s if since is None else since.time_s,
            end_s=view.time_s + view.duration_s,
            arrived_at=view.arrived_at if since is None else since.arrived_at,
            verdict=self._verdict,
            confidence=round(min(1.0, 0.5 + 0.7 * depth), 3),
            values=self._values,
        )

    def _watch(self, measures: PictureMeasures) -> None:
        """Notice a cut: the picture changes suddenly, and its shapes with it."""
        step, before = measures.mean_step or 0.0, self._step
        self._step = step
        if measures.previous is not None and step > max(MIN_CUT, CUT_STEP * before):
            self._cut |= likeness(measures.previous, measures.reduced) < SAME_SHOT

    def _look(self, look: _Look | None, cut: bool) -> Verdict:
        if look is None:
            self._looks.clear()
            self._values = {}
            return Verdict.BETWEEN if self._loss is not None else Verdict.UNKNOWN
        if cut:
            self._looks.clear()
            if self._loss is not None:
                self._loss.cut()
        self._looks.append(look)
        if self._loss is None:
            self._loss = self._sudden()
            self._since = None if self._loss is None else self._loss.since
        elif self._is_back(self._loss):
            self._loss, self._since = None, self._looks[0]
        verdict = self._compare(look, cut) if self._loss is None else self._follow(look, self._loss)
        self._learn(look.detail.both)
        return verdict

    def _sudden(self) -> _Loss | None:
        """Whether the shot lost its detail at once, AFTER looks ago or beginning one before."""
        looks, limit = list(self._looks), self.params.threshold
        at, last = len(looks) - AFTER, looks[-1].detail
        if last.both > limit * CLEAR_FACTOR * max(look.detail.both for look in looks):
            return None  # as nearly always: what follows costs more
        for first in (at, at - 1):
            if first < MIN_BEFORE:
                continue
            usual = _median(looks[max(0, first - BEFORE) : first])
            shares = [look.detail.relative_to(usual) for look in looks[first:]]
            left = float(np.median(shares[-AFTER:]))
            if left > limit or max(shares[-AFTER:]) > limit * CLEAR_FACTOR:
                continue
            if max(shares) > UNTOUCHED or last.contrast < FADED * looks[first - 1].detail.contrast:
                continue
            at_once = _is_at_once([look.detail.both for look in looks], first)
            if at_once and _is_same_scene(looks, first):
                return _Loss(looks[first], max(NOTHING_LEFT, left), usual.both, usual)
        return None

    def _is_back(self, loss: _Loss) -> bool:
        """Whether the detail came back within the shot AFTER looks ago; forget what was before."""
        looks = list(self._looks)
        before = [look for look in looks[:-AFTER] if look.time_s >= loss.since.time_s]
        if len(before) < MIN_BEFORE:
            return False
        # Nearer to what it was than to what was left.
        rise = min(max(CLEAR_FACTOR, loss.left**-0.5), MOST_RISE)
        blurred = _median(before[-BEFORE:])
        if blurred.relative_to(_median(looks[-AFTER:])) > 1 / rise:
            return False
        sharp = blurred.both * CLEAR_FACTOR
        self._restart([look for look in looks[-AFTER:] if look.detail.both > sharp] or looks[-1:])
        return True

    def _restart(self, looks: list[_Look]) -> None:
        """What was before these looks was blurred."""
        self._looks.clear()
        self._looks += looks

    def _follow(self, look: _Look, loss: _Loss) -> Verdict:
        """Compare a blurred picture with what its shot was, or in another shot with the stream."""
        if loss.sharp is not None:
            ratio, limit = look.detail.relative_to(loss.sharp), self.params.threshold
            self._tell(look, look.detail.both / max(ratio, 1e-6), ratio)
            back, soft = ratio > limit * CLEAR_FACTOR, ratio <= limit
        else:
            # Lines that run one way have no detail in the other way, and so none in both.
            usual = max(LEAST_USUAL, min(loss.was, self._usual(MEDIAN_PERCENT) or loss.was))
            self._tell(look, usual, look.detail.both / usual)
            odds = loss.weigh(look.detail.both / usual)
            back, soft = odds > loss.certain and loss.looks > 1, odds <= 0
        if back:
            self._loss = None
            self._restart([look])
            return Verdict.GOOD
        return Verdict.BAD if soft else Verdict.BETWEEN

    def _compare(self, look: _Look, cut: bool) -> Verdict:
        """Compare a picture with the stream's soft shots."""
        usual = self._usual(SOFT_PERCENT)
        if usual is None:
            self._values = {}
            return Verdict.UNKNOWN
        ratio, limit = look.detail.both / usual, self.params.threshold
        self._tell(look, usual, ratio)
        if ratio > limit:
            self._soft, self._cuts = None, 0
            return Verdict.GOOD
        if self._soft is None:
            self._soft = look
        else:
            self._cuts += cut
        if self._cuts < MIN_CUTS or ratio > limit * STRONG:
            return Verdict.GOOD
        self._loss = _Loss(self._soft, max(NOTHING_LEFT, ratio), usual, None)
        self._since = self._soft
        return Verdict.BAD

    def _usual(self, percent: float) -> float | None:
        """A percentile of the stream's detail; None until it is known."""
        if len(self._baseline) < WARM_UP_S / LOOK_EVERY_S:
            return None
        return max(LEAST_USUAL, float(np.percentile(self._baseline, percent)))

    def _tell(self, look: _Look, usual: float, ratio: float) -> None:
        self._values = {
            "detail": round(look.detail.both, 4),
            "usualDetail": round(usual, 4),
            "detailRatio": round(ratio, 4),
        }

    def _learn(self, detail: float) -> None:
        """Soft shots enter the baseline once it is known that they are not a defect."""
        if self._loss is not None:
            self._pending.clear()
            return
        self._pending.append(detail)
        adopted = len(self._pending) >= ADOPT_S / LOOK_EVERY_S
        if self._soft is None or adopted:
            self._baseline += self._pending
            self._pending.clear()


def _is_at_once(details: list[float], first: int) -> bool:
    """Whether nearly all that was lost was lost at look `first`, or there and at the next one."""
    level = np.log(np.maximum(details, NOTHING_LEFT))
    before, at = level[max(0, first - LONG_BEFORE) : first], len(level) - AFTER
    whole = np.percentile(before, UPPER_PERCENT) - np.median(level[-AFTER:])
    ground = before[-2:].mean()
    if ground - level[at] < SUDDEN * whole:
        return False
    return bool(first == at or ground - level[first] >= NOTABLE * whole)


def _is_same_scene(looks: list[_Look], first: int) -> bool:
    """Whether shapes change around look `first` as they did before it: not so in a dissolve."""
    before, after = first - 2, len(looks) - AFTER + 1
    earlier = max(0, before - (after - before))
    usual = likeness(looks[earlier].small, looks[before].small)
    return likeness(looks[before].small, looks[after].small) >= SAME_SHAPES * usual


def _median(looks: list[_Look]) -> Detail:
    """The usual detail of these pictures."""
    return Detail(*np.median([look.detail for look in looks], axis=0).tolist())
