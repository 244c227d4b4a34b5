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
from streammonitor_worker.measures.detail import MIN_DETAIL, Detail, detail_of, share
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.picture import PictureMeasures
from streammonitor_worker.measures.shots import SAME_SHOT, likeness

LOOK_EVERY_S = 0.08
"""Each second picture: often enough to tell one step from a focus pull."""
BEFORE, MIN_BEFORE, AFTER = 12, 4, 6
"""A sudden loss is told from so many looks before it, or at least so many, and so many after."""
UNTOUCHED = 0.85
"""Before it, such a share of the detail is left."""
AT_ONCE = 0.6
"""Such a share of the loss is seen at the second look: an encoder may need half a second to show
all of it, and a focus pull takes longer than that."""
IN_PLACE = 0.75
"""So much may be left where it was: what leaves the picture takes its own detail only."""
SAME_SHAPES = 0.4
"""Likeness of what was shown before and is shown after: a pan leaves more, a dissolve less."""
BASELINE_S, LEARN_EVERY_S = 120.0, 0.24
BASELINE_PERCENT = 50
"""The stream's median is its baseline: single soft shots are everyday."""
WARM_UP_S = 2.5
CLEAR_FACTOR = 1.35
"""So many times the threshold is surely sharp again."""
MIN_CUT = 0.03
CUT_STEP = 1.4
"""A mean change of so much, and so many times that of the picture before, may be a cut."""
STRONG = 0.75
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
    """The detail of one picture, when it was seen, in which shot, and what it showed."""

    time_s: float
    arrived_at: float
    detail: Detail
    shot: int
    small: Luma8


class BlurDetector(Detector[BlurParams, PictureMeasures]):
    """Finds that the picture suddenly has far less detail than it had.

    Detail is how steep edges are: the greatest step from pixel to pixel as a share of the edge's
    height, in the busiest parts of a picture reduced to at most 640 pixels across. What is shown,
    its light, a fade and an encoder change it little; a blur lowers it everywhere. Half of these
    parts decide, so that a logo that stays sharp does not.

    Within a shot, detail that is lost from one look to the next and stays lost is a defect if it
    was lost where it was, and the shapes stayed: cameras take longer to lose focus, and a dissolve
    brings other shapes. What is soft from the first picture of a shot, or became so gradually, may
    be meant to be: it is compared with what is usual for the stream, and counts only if very little
    is left and the shots that follow are soft, too. A blurred stream is sharp again when the shot
    is, or another one has nearly what is usual.

    Input: pictures of 8 to 16 bits; it looks at each second one of 25 a second. That takes 0.3 ms
    for each picture of 1080p, measured on a busy machine.

    Values: `detail` (steepness of edges; 0 if nothing is finer than four pixels, 0.7 if edges are
    as sharp as pixels allow), `usualDetail` (the same of the shot before it was blurred, or the
    stream's median of two minutes) and `detailRatio` (their quotient, 1 is as usual).

    Source: the width of edges as in Marziliano et al., "A no-reference perceptual blur metric"
    (2002), as the quotient of steps at two scales, which needs no search for edges; the baseline is
    our own.

    Blind spots: blur from the very beginning, as of SD that was scaled up; a picture that has no
    detail to lose because it was soft before or shows no edges (unknown); blur that sets in
    together with a cut, or gradually, unless it is heavy and outlasts several shots; the loss of
    detail that is finer than a pixel of the reduced picture. Taken for blur: several soft shots in
    a row in a programme that is sharp; large lettering that vanishes from a soft background without
    a cut. A programme that is softer for good becomes the baseline
    after a minute, unless it was found blurred: then it stays so until it is sharp again.
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
        self._baseline: deque[float] = deque(maxlen=round(BASELINE_S / LEARN_EVERY_S))
        self._pending: list[float] = []
        self._learn_s = float("-inf")
        self._usual: float | None = None
        self._looks: deque[_Look] = deque(maxlen=BEFORE + AFTER)
        self._shot = 0
        self._sharp: Detail | None = None
        self._lost = False
        self._good = 0
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
            # A little earlier, so that it is each second picture whatever the clock rounds to.
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
            return Verdict.BETWEEN if self._lost else Verdict.UNKNOWN
        if cut and self._usual is not None:
            self._sharp = None
        self._looks.append(look)
        if not self._lost:
            self._seek()
        verdict = self._follow(look) if self._lost else self._compare(look, cut)
        self._learn(look)
        return verdict

    def _seek(self) -> None:
        """See whether the shot lost its detail at once, AFTER looks ago."""
        looks, limit = list(self._looks), self.params.threshold
        after = looks[-AFTER:]
        before = [look for look in looks[:-AFTER] if look.shot == after[1].shot]
        if len(before) < MIN_BEFORE:
            return
        last = before[-1].detail
        if share(after[-1].detail.best, last.best) > limit * CLEAR_FACTOR:
            return  # as nearly always: what follows costs more
        usual = _median(before)
        untouched = last.relative_to(usual)
        left = [look.detail.relative_to(usual) for look in after]
        settled = float(np.median(left[AFTER // 2 :]))
        if untouched < UNTOUCHED or untouched - left[1] < AT_ONCE * (untouched - settled):
            return
        if settled > limit or after[-1].detail.left_in_place(last) > IN_PLACE:
            return
        # A dissolve or a wipe brings other shapes, and may have begun before.
        if likeness(before[-3].small, after[-1].small) >= SAME_SHAPES:
            first = after[untouched - left[0] < AT_ONCE / 2 * (untouched - settled)]
            self._lost, self._good, self._sharp, self._since = True, 0, usual, first

    def _follow(self, look: _Look) -> Verdict:
        """Compare a blurred picture with what its shot was, or in another shot with the stream."""
        usual = self._usual or look.detail.best
        ratio = share(look.detail.best, usual)
        if self._sharp is not None:
            ratio, usual = look.detail.relative_to(self._sharp), self._sharp.best
        self._tell(look, usual, ratio)
        self._good = self._good + 1 if ratio > self.params.threshold * CLEAR_FACTOR else 0
        self._lost = self._good < AFTER
        if self._good:
            return Verdict.GOOD
        return Verdict.BAD if ratio <= self.params.threshold else Verdict.BETWEEN

    def _compare(self, look: _Look, cut: bool) -> Verdict:
        """Compare a picture with what is usual for the stream."""
        usual = self._usual
        if usual is None:
            self._values = {}
            return Verdict.UNKNOWN
        ratio = share(look.detail.best, usual)
        self._tell(look, usual, ratio)
        if usual < MIN_DETAIL:
            return Verdict.UNKNOWN
        limit = self.params.threshold
        self._good = self._good + 1 if ratio > limit else 0
        if self._soft is None:
            self._soft = None if self._good else look
        elif self._good >= AFTER:
            self._soft, self._cuts = None, 0
        else:
            self._cuts += cut
        if self._soft is None or self._cuts < MIN_CUTS or ratio > limit * STRONG:
            return Verdict.GOOD
        self._lost, self._good, self._sharp, self._since = True, 0, None, self._soft
        return Verdict.BAD

    def _tell(self, look: _Look, usual: float, ratio: float) -> None:
        self._values = {
            "detail": round(look.detail.best, 4),
            "usualDetail": round(usual, 4),
            "detailRatio": round(ratio, 4),
        }

    def _learn(self, look: _Look) -> None:
        """Soft shots enter the baseline once it is known that they are not a defect."""
        if self._lost:
            self._pending.clear()
            return
        if look.time_s < self._learn_s:
            return
        self._learn_s = look.time_s + LEARN_EVERY_S - 0.005
        self._pending.append(look.detail.best)
        adopted = len(self._pending) >= ADOPT_S / LEARN_EVERY_S
        if self._soft is None or adopted:
            self._baseline += self._pending
            self._pending.clear()
        if len(self._baseline) >= WARM_UP_S / LEARN_EVERY_S:
            self._usual = float(np.percentile(self._baseline, BASELINE_PERCENT))


def _median(looks: list[_Look]) -> Detail:
    """The usual detail of these pictures, and that of the last one's tiles."""
    across, down = (float(np.median([look.detail[way] for look in looks])) for way in (0, 1))
    return looks[-1].detail._replace(across=across, down=down)
