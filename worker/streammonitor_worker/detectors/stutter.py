"""Stutter: pictures are repeated or left out against the stream's own cadence."""

import statistics
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
from streammonitor_worker.measures import cadence
from streammonitor_worker.measures.cadence import Misfit, Slot
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.motion import Motion, Moved, Past, Step, tile_changes, tile_moves
from streammonitor_worker.measures.picture import PictureMeasures
from streammonitor_worker.measures.shots import SAME_SHOT, likeness

CUT_CODES = 4.4
CUT_STEP = 1.35
"""A mean change of so many codes, and so many times what two pictures do, may be a cut."""
BACK = 0.7
"""What moves on is no nearer to the picture before the last one than to the last one."""
STANDSTILL_S = 0.4
"""A longer repeat or gap is a freeze or a stall, or nothing moves."""
USUAL_PICTURES = 16
"""The usual frame interval and change are learnt from so many pictures."""
MIN_USUAL_PICTURES = 8
LATE = 1.75
"""An interval of so many usual ones lacks a picture; soft telecine alternates at 1.5."""
WINDOW_S = 3.0
"""What is judged at once."""
FRESH_S = 1.5
"""What is still going on misfitted so lately; misfits further apart are accidents by themselves."""
CALM_S = 2.0
"""What has fitted for so long is over."""
WARM_UP_S = 1.5
SMOOTH_S = 1.0
"""Holds of drawings are irregular from the beginning of a shot, not after so much even motion."""
LEARN_S = 5.0
"""A cadence is learnt from so many seconds."""
APART = 3.0
"""What lies apart by so many times the distance of those that follow was an accident."""
ONSET_S, ALIKE = 1.3, 0.1
"""It began with the first hold from which each follows so soon and changes as little as others."""
JUDGE_EVERY = 4
"""A verdict holds for so many pictures."""


class StutterParams(DetectorParams):
    """Parameters of the stutter detector."""

    min_duration: Duration = Field(default=1.0, ge=0.1, le=3600)
    """How long it must stutter before an incident is raised."""
    clear_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long it must run smoothly again before the incident ends."""
    critical_after: Duration = Field(default=10.0, ge=0.1, le=86400)
    """How long it must stutter for the incident to become critical."""
    threshold: float = Field(default=0.03, ge=0.005, le=0.5)
    """Share of the pictures that are repeated or left out against the cadence."""

    units: ClassVar[Units] = {"threshold": "ratio"}
    profiles: ClassVar[Profiles] = {
        "strict": {"minDuration": "500ms", "criticalAfter": "5s"},
        "relaxed": {
            "minDuration": "10s",
            "clearDuration": "5s",
            "criticalAfter": "30s",
            "threshold": 0.06,
        },
    }


class _Judgement(NamedTuple):
    """What a window says.

    Attributes:
        repeated: Share of repeats against the cadence.
        dropped: Share of pictures that were left out.
        first: The first slot that does not fit; None when all do.
        last: The last one.
        calm_s: How long all has fitted since.
        stutters: Whether they are several and no cadence.
        period: Pictures after which the repeats that belong recur; None without any pattern.
        told: Share of the pictures of which it could be told whether they are repeats.
    """

    repeated: float
    dropped: float
    first: Slot | None
    last: Slot | None
    calm_s: float
    stutters: bool
    period: int | None
    told: float


class StutterDetector(Detector[StutterParams, PictureMeasures]):
    """Finds motion that is not shown evenly.

    A picture that is repeated changes next to nothing, everywhere at once, while the pictures
    beside it move on as usual; and behind it motion goes on: with the next step, or with a double
    one over what was missed. That much is measured in tiles, each against what it usually does
    there, so that it needs no threshold in codes. It is stutter if there are several within 3 s,
    next to no pictures between those that stand still and those that move (where motion is uneven,
    some pictures stand still by chance), and no cadence: repeats that recur after a fixed number of
    pictures are how film is converted, unless motion jumps behind each. Pictures that are missing
    are told from time stamps, or from steps of twice the usual length in motion that is very even.

    Where nothing moves further than a pixel from one picture to the next, slow things are drawn and
    coded in steps of their own: only holds behind which motion jumps count there, and silence is
    `unknown` rather than `ok`. So is animation whose holds follow no pattern.

    Input: pictures of 8 to 16 bits with their timestamps. It tells six pictures late, and takes
    0.6 ms for a picture of 1080p, measured on a busy machine.

    Values: `repeatedRatio` (repeats against the cadence, share of all pictures of the last 3 s),
    `droppedRatio` (pictures that are missing, same unit) and `cadence` (pictures after which the
    repeats that belong recur; 1 without any, 0 where they follow no pattern).

    Source: our own. That repeats are told by blocks rather than by the whole is from FFmpeg's
    mpdecimate.

    Blind spots: motion of less than a code in the tenth of the picture that moves most; slow motion
    that is delayed rather than skipped; repeats that an encoder blended with their neighbours at
    very low bit rates; pictures left out with even timestamps, where motion is not very even; all
    stutter in what is shown on twos, or 25 in 50; stutter that begins within a second of a cut and
    delays pictures rather than skips them; the first seconds of each stream. It takes for stutter:
    drawings that are held irregularly in the middle of a shot on ones.
    """

    name: ClassVar[str] = "stutter"
    kind: ClassVar[Kind] = Kind.VIDEO
    summary: ClassVar[str] = "Pictures are repeated or left out against the stream's own cadence."
    params_type: ClassVar[type[DetectorParams]] = StutterParams
    causes: ClassVar[tuple[str, ...]] = ("black", "freeze")
    cost: ClassVar[float] = 0.13
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(
            ("repeatedRatio", "droppedRatio"), "", lambda p: p.threshold, lambda p: p.threshold / 2
        ),
    )

    def __init__(self, params: StutterParams) -> None:
        super().__init__(params)
        self.reset()

    def reset(self) -> None:
        """Forget the cadence: what follows may have another."""
        self._intervals: deque[float] = deque(maxlen=USUAL_PICTURES)
        self._seen: float | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        """What follows does not adjoin what was."""
        self._motion, self._past = Motion(), Past()
        self._changes: deque[float] = deque(maxlen=USUAL_PICTURES)
        self._before: Luma8 | None = None
        self._bad_since: float | None = None
        self._last: Slot | None = None
        self._stand_still()

    def _stand_still(self) -> None:
        """Nothing moves: what follows begins anew."""
        self._slots: list[Slot] = []
        self._held: list[Slot] = []
        self._still_since: float | None = None
        self._over_s = float("-inf")
        self._since_judged = 0
        self._judged: _Judgement | None = None

    def observe(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """Place one picture in the cadence and judge the last seconds."""
        self._take(measures)
        view = measures.view
        if self._since_judged % JUDGE_EVERY == 0:
            self._judged = self._judge()
        self._since_judged += 1
        judged = self._judged
        verdict, start = Verdict.UNKNOWN, None
        values: dict[str, float] = {}
        if judged is not None:
            verdict = self._verdict(judged)
            self._last = judged.last or self._last
            values = {
                "repeatedRatio": round(judged.repeated, 4),
                "droppedRatio": round(judged.dropped, 4),
                "cadence": float(judged.period or 0),
            }
            start = self._turned(verdict, judged)
        if verdict is Verdict.BAD and self._bad_since is None:
            self._bad_since = view.time_s
        elif verdict is Verdict.GOOD:
            self._bad_since = None
        yield Measurement(
            start_s=view.time_s if start is None else min(view.time_s, start.time_s),
            end_s=view.time_s + view.duration_s,
            arrived_at=view.arrived_at if start is None else start.arrived_at,
            verdict=verdict,
            confidence=self._confidence(judged),
            values=values,
        )

    def _turned(self, verdict: Verdict, judged: _Judgement) -> Slot | None:
        """Where a verdict that was just reached began to hold."""
        if verdict is Verdict.BAD and self._bad_since is None:
            return judged.first
        if verdict is Verdict.GOOD and self._bad_since is not None and self._last is not None:
            self._over_s = self._last.time_s
            return self._last
        return None

    def _verdict(self, judged: _Judgement) -> Verdict:
        share = judged.repeated + judged.dropped
        if self._bad_since is not None:
            if judged.calm_s >= CALM_S:
                return Verdict.GOOD
            still = judged.stutters and share >= self.params.threshold
            return Verdict.BAD if still and judged.calm_s <= FRESH_S else Verdict.BETWEEN
        if judged.stutters and share >= self.params.threshold and judged.calm_s <= FRESH_S:
            return Verdict.BAD
        if judged.period is None or judged.told < 0.5:
            return Verdict.UNKNOWN
        return Verdict.GOOD

    def _confidence(self, judged: _Judgement | None) -> float:
        """Half at the threshold, full at three times that."""
        if judged is None:
            return 0.0
        share = (judged.repeated + judged.dropped) / self.params.threshold
        return round(min(1.0, max(0.5, 0.25 + share / 4)), 3)

    def _take(self, measures: PictureMeasures) -> None:
        view, previous, before = measures.view, measures.previous, self._before
        missing = self._missing(view.time_s)
        if previous is None or missing is None:
            self._begin_anew()
            return
        self._before = previous
        if before is None or before.shape != previous.shape:
            return
        near, far = (tile_changes(measures.reduced, other) for other in (previous, before))
        changes = float(near.mean()), float(far.mean())
        step = Step(
            time_s=view.time_s,
            arrived_at=view.arrived_at,
            near=near,
            far=far,
            beyond=tile_moves(measures.reduced, previous),
            level=changes[0],
            key_frame=view.key_frame,
            cut=self._is_cut(*changes, measures.reduced, previous),
            missing=missing,
            onward=self._past.take(measures.reduced, changes[0]),
        )
        self._follow(step)

    def _follow(self, step: Step) -> None:
        for moved in self._motion.take(step):
            self._place(moved)

    def _is_cut(self, near: float, far: float, picture: Luma8, previous: Luma8) -> bool:
        usual = statistics.median(self._changes) if self._changes else far
        self._changes.append(far)
        if near <= max(CUT_CODES, CUT_STEP * usual):
            return False
        return likeness(picture, previous) < SAME_SHOT

    def _missing(self, time_s: float) -> int | None:
        """How many pictures were left out before this one; None if it does not adjoin the last."""
        before, self._seen = self._seen, time_s
        if before is None:
            return None
        interval = time_s - before
        usual = statistics.median(self._intervals) if self._intervals else interval
        if not 0 < interval < STANDSTILL_S + usual:
            return None
        self._intervals.append(interval)
        if len(self._intervals) < MIN_USUAL_PICTURES or interval < LATE * usual:
            return 0
        return round(interval / usual) - 1

    def _place(self, moved: Moved) -> None:
        """Put a picture into its place; of repeats it is known only later what they were."""
        step, ratio = moved.step, moved.ratio
        slot = Slot(
            time_s=step.time_s,
            arrived_at=step.arrived_at,
            kind=cadence.Kind.NEW,
            ratio=None if step.key_frame else ratio,
            strong=moved.strong,
            cut=step.cut,
            advance=moved.advance,
            onward=step.onward,
            back=float(step.far.mean()) < BACK * step.level,
        )
        if ratio is not None and ratio <= cadence.REPEAT_RATIO and not step.missing:
            self._held.append(slot._replace(kind=cadence.Kind.REPEAT))
            if step.time_s - self._held[0].time_s >= STANDSTILL_S:
                self._stand_still()
            return
        if self._rests(moved):
            return
        meant = moved.advance is not None and moved.advance < cadence.HELD
        lost = slot._replace(
            kind=cadence.Kind.REPEAT if meant else cadence.Kind.LOST, ratio=0.0, gap=True
        )
        self._slots += [*self._held, *[lost] * step.missing, slot]
        self._held = []
        del self._slots[: -max(1, round(LEARN_S * self._rate_hz))]

    def _rests(self, moved: Moved) -> bool:
        """Whether nothing moved for so long that what follows begins anew."""
        time_s = moved.step.time_s
        if moved.ratio is not None or moved.step.cut:
            self._still_since = None
        elif self._still_since is None:
            self._still_since = time_s
        elif time_s - self._still_since >= STANDSTILL_S:
            self._stand_still()
            self._still_since = time_s
            return True
        return False

    def _onset(self, found: list[Misfit], odd: set[int]) -> Slot:
        """Where it began: such holds close before the first misfit belong to it, even or not."""
        first = self._slots[found[0].at]
        later_s = np.diff([self._slots[n].time_s for n in sorted(odd) if n >= found[0].at])
        usual_s = float(np.median(later_s)) if len(later_s) else 0.0
        limit = ALIKE + 2 * float(np.median([one.ratio for one in found]))
        for index in sorted(odd, reverse=True):
            before = self._slots[index]
            ahead_s = first.time_s - before.time_s
            if ahead_s > min(ONSET_S, APART * usual_s) or before.time_s <= self._over_s:
                break
            if ahead_s > 0 and (before.gap or (before.ratio or 0.0) <= limit):
                first = before
        return first

    @property
    def _rate_hz(self) -> float:
        return 1 / statistics.median(self._intervals) if self._intervals else 25.0

    def _judge(self) -> _Judgement | None:
        slots = self._slots
        if not slots or slots[-1].time_s - slots[0].time_s < WARM_UP_S:
            return None
        newest = slots[-1].time_s
        count = sum(slot.time_s > newest - WINDOW_S for slot in slots)
        since_s = max(newest - WINDOW_S, self._over_s)
        every, others = cadence.misfits(slots)
        found = _dense([one for one in every if slots[one.at].time_s > since_s], slots)
        found, doubts = cadence.distinct(found, slots, len(slots) - count)
        doubts += sum(index >= len(slots) - count for index in others)
        if len(found) < cadence.MIN_EVENTS:
            hops = [one for one in cadence.hops(slots) if slots[one.at].time_s > since_s]
            found = max(found, _dense(hops, slots), key=len)
        lost = sum(one.slots for one in found if one.lost)
        last = slots[found[-1].at] if found else None
        smooth = _begins_smoothly(every, slots)
        told = sum(slot.ratio is not None and slot.strong for slot in slots[-count:])
        return _Judgement(
            repeated=sum(one.slots for one in found if not one.lost) / count,
            dropped=lost / count,
            first=self._onset(found, {*others, *(one.at for one in every)}) if found else None,
            last=last,
            calm_s=WINDOW_S if last is None else newest - last.time_s,
            stutters=2 * doubts <= len(found) and cadence.is_stutter(found, smooth),
            period=cadence.period(slots),
            told=told / count,
        )


def _dense(found: list[Misfit], slots: list[Slot]) -> list[Misfit]:
    """The latest of them that follow close on one another: what lies before was an accident."""
    gaps_s = np.diff([slots[one.at].time_s for one in found])
    first = max((index + 1 for index in np.flatnonzero(gaps_s > CALM_S).tolist()), default=0)
    while first + 1 < len(gaps_s) and gaps_s[first] > APART * np.median(gaps_s[first + 1 :]):
        first += 1
    return found[first:]


def _begins_smoothly(every: list[Misfit], slots: list[Slot]) -> bool:
    """Whether even motion in the same shot leads up to the first misfit of the last run."""
    dense = _dense(every, slots)
    if not dense:
        return False
    lead = slots[: dense[0].at]
    start_s = next((slot.time_s for slot in reversed(lead) if slot.cut), slots[0].time_s)
    return slots[dense[0].at].time_s - start_s >= SMOOTH_S
