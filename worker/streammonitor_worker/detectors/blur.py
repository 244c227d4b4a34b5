"""Blur: the picture suddenly lost its detail."""

from collections import deque
from collections.abc import Iterator
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
from streammonitor_worker.measures.picture import PictureMeasures
from streammonitor_worker.measures.shots import SAME_SHOT, likeness

LOOK_EVERY_S = 0.25
"""Looking rarely is what makes full resolution affordable."""
BEFORE, MIN_BEFORE, AFTER = 6, 2, 3
"""A sudden loss is told from so many looks before it, or at least so many, and so many after."""
STEADY = 0.8
UNTOUCHED = 0.95
FURTHER = 0.25
"""Before it, such a share of the detail is left, or so much if a look shows half of it; after it,
so little of the loss follows, on a logarithmic scale. A focus pull takes longer."""
NOTHING_LEFT = 0.001
"""The least share of detail that is told from none."""
BASELINE_S = 120.0
BASELINE_PERCENT = 20
"""The stream's soft shots are its baseline, so that one more of them is nothing new."""
WARM_UP_S = 2.5
CLEAR_FACTOR = 1.35
"""So many times the threshold is surely sharp again."""
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


class BlurDetector(Detector[BlurParams, PictureMeasures]):
    """Finds that the picture suddenly has far less detail than it had.

    Detail is what changes from pixel to pixel at the two finest scales, relative to the contrast of
    shapes, in the sharpest parts of the full picture but for the very sharpest: fades change all of
    them alike, a soft background is not among the sharpest, and a logo stays sharp when the
    programme does not.

    Within a shot, detail that is lost from one look to the next while it was steady before and
    stays lost is a defect: cameras take longer to lose focus. What is soft from the first picture
    of a shot, or became so gradually, may be meant to be: it is compared with the stream's own soft
    shots, and counts only if next to nothing is left in the shots that follow, too. A blurred
    stream is sharp again when the shot is, or another one is as sharp as the soft shots before.

    Input: pictures of 8 to 16 bits; it looks at four a second. That takes 0.4 ms for each picture
    of 1080p, measured on a busy machine, and at most 10 ms for one of them.

    Values: `detail` (contrast of fine structures relative to that of shapes), `usualDetail` (the
    same of the shot before it was blurred, or of the stream's soft shots) and `detailRatio` (their
    quotient, 1 is as usual).

    Source: a ratio of gradient energies between scales, as in no-reference sharpness metrics since
    Marziliano et al., "A no-reference perceptual blur metric" (2002); the baseline is our own.

    Blind spots: blur from the very beginning, as of SD that was scaled up; a picture that was soft
    before; blur that sets in together with a cut, or gradually, unless it is heavy and outlasts
    several shots; one whose logo, clock and ticker fill more than a fortieth of the picture and
    stay sharp; pictures with almost no contrast and the first second of a shot (both unknown).
    Taken for blur: large lettering that vanishes from a soft background without a cut, a shot that
    is smeared in both directions at once and stays so. A programme that is softer for good becomes
    the baseline after a minute, unless it was found blurred: then it stays so until it is sharp
    again.
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
        self._looks: deque[_Look] = deque(maxlen=BEFORE + 1 + AFTER)
        self._shot = 0
        self._sharp: Detail | None = None
        self._lost = False
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
            self._next_s = view.time_s + LOOK_EVERY_S
            found = detail_of(measures)
            cut, self._cut = self._cut, False
            self._shot += cut
            look = found and _Look(view.time_s, view.arrived_at, found, self._shot)
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
            return Verdict.BETWEEN if self._lost else Verdict.UNKNOWN
        if cut and len(self._baseline) >= WARM_UP_S / LOOK_EVERY_S:
            self._sharp = None
        self._looks.append(look)
        self._seek()
        verdict = self._follow(look) if self._lost else self._compare(look, cut)
        self._learn(look.detail.both)
        return verdict

    def _seek(self) -> None:
        """See whether the shot lost its detail AFTER looks ago, or got it back.

        An encoder may need a look until it shows all of it.
        """
        looks, limit = list(self._looks), self.params.threshold
        after = looks[-AFTER:]
        between = looks[-AFTER - 1 : -AFTER]
        before = [look for look in looks[: -AFTER - 1] if look.shot == after[0].shot]
        if len(before) < MIN_BEFORE:
            return
        usual = _median(before)
        sharp = between[0].detail.relative_to(usual) >= STEADY
        steady = before[-1].detail.relative_to(usual) >= (STEADY if sharp else UNTOUCHED)
        left = [max(NOTHING_LEFT, look.detail.relative_to(usual)) for look in after]
        if before[-1].shot == after[-1].shot and max(left) <= limit:
            further, whole = np.log(left[0] / left[-1]), np.log(1 / left[-1])
            steady &= bool(further <= FURTHER * whole)
        first = after[0] if sharp else between[0]
        if not self._lost and steady and max(left) <= limit:
            self._lost, self._sharp, self._since = True, usual, first
        elif self._lost and usual.relative_to(_median(after)) <= limit:
            self._lost, self._since = False, first

    def _follow(self, look: _Look) -> Verdict:
        """Compare a blurred picture with what its shot was, or in another shot with the stream."""
        usual = self._usual() or look.detail.both
        ratio = look.detail.both / usual
        if self._sharp is not None:
            ratio = look.detail.relative_to(self._sharp)
            usual = look.detail.both / max(ratio, 1e-6)
        self._tell(look, usual, ratio)
        if ratio <= self.params.threshold:
            return Verdict.BAD
        if ratio <= self.params.threshold * CLEAR_FACTOR:
            return Verdict.BETWEEN
        self._lost = False
        return Verdict.GOOD

    def _compare(self, look: _Look, cut: bool) -> Verdict:
        """Compare a picture with the stream's soft shots."""
        usual = self._usual()
        if usual is None:
            self._values = {}
            return Verdict.UNKNOWN
        ratio = look.detail.both / usual
        self._tell(look, usual, ratio)
        if ratio > self.params.threshold:
            self._soft, self._cuts = None, 0
            return Verdict.GOOD
        if self._soft is None:
            self._soft = look
        else:
            self._cuts += cut
        if self._cuts < MIN_CUTS or ratio > self.params.threshold * STRONG:
            return Verdict.GOOD
        self._lost, self._sharp, self._since = True, None, self._soft
        return Verdict.BAD

    def _usual(self) -> float | None:
        """The detail of the stream's soft shots; None until it is known.

        Until then, what a shot was before it was blurred stands for them.
        """
        if len(self._baseline) < WARM_UP_S / LOOK_EVERY_S:
            return self._sharp and self._sharp.both
        return max(1e-6, float(np.percentile(self._baseline, BASELINE_PERCENT)))

    def _tell(self, look: _Look, usual: float, ratio: float) -> None:
        self._values = {
            "detail": round(look.detail.both, 4),
            "usualDetail": round(usual, 4),
            "detailRatio": round(ratio, 4),
        }

    def _learn(self, detail: float) -> None:
        """Soft shots enter the baseline once it is known that they are not a defect."""
        if self._lost:
            self._pending.clear()
            return
        self._pending.append(detail)
        adopted = len(self._pending) >= ADOPT_S / LOOK_EVERY_S
        if self._soft is None or adopted:
            self._baseline += self._pending
            self._pending.clear()


def _median(looks: list[_Look]) -> Detail:
    """The usual detail of these pictures."""
    across, down = np.median([look.detail for look in looks], axis=0).tolist()
    return Detail(across, down)
