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
from streammonitor_worker.measures.cadence import Cadence, Slot, Train
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.motion import Motion, Moved, Step, tile_changes
from streammonitor_worker.measures.picture import PictureMeasures
from streammonitor_worker.measures.shots import SAME_SHOT, likeness

REPEAT_RATIO = 0.4
"""Where things move, a repeat changes at most this share of what motion usually does there."""
SPREADS = 3.0
SAME_RATIO = 0.1
"""Motion is not even itself: a repeat stands out of it by so many deviations, or is the same."""
SETTLED_S = 0.15
"""The first pictures of a shot are often coded as repeats of the very first."""
UNSURE_RATIO = 0.55
"""Next to a picture that changes less, a repeat may be a pause of what moves."""
CUT_CODES = 4.4
CUT_STEP = 1.35
"""A mean change of so many codes, and so many times what two pictures do, may be a cut."""
STANDSTILL_S = 0.4
"""A longer repeat or gap is a freeze or a stall, or nothing moves."""
USUAL_PICTURES = 16
"""The usual frame interval and change are learnt from so many pictures."""
MIN_USUAL_PICTURES = 8
LATE = 1.75
"""An interval of so many usual ones lacks a picture; soft telecine alternates at 1.5."""
HELD = 1.4
"""Behind a gap in time, less motion than this means that nothing is missing: it was held longer."""
WINDOW_S = 3.0
"""What is judged at once."""
LASTED = 0.8
"""Misfits that lie closer together than this share of the duration are one accident."""
FRESH_S = 1.5
"""What is still going on misfitted so lately."""
CALM_S = 2.0
"""What has fitted for so long is over."""
WARM_UP_S = 1.5
SMOOTH_S = 1.0
"""What begins to recur after so much even motion in the same shot is no cadence."""
LEARN_S = 5.0
LEARN_EVERY = 10
"""A cadence is learnt from so many seconds, anew at every so many pictures."""
ADOPT_S = 30.0
"""What recurs for so long is a cadence, however it began."""
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
        uneven: Whether they are several and no cadence that is yet unknown.
    """

    repeated: float
    dropped: float
    first: Slot | None
    last: Slot | None
    calm_s: float
    uneven: bool


class StutterDetector(Detector[StutterParams, PictureMeasures]):
    """Finds motion that is not shown evenly.

    How far motion goes on from one picture to the next is measured where there is most of it,
    against what the pictures around do: near nothing for a repeat, two pictures' worth where one
    is missing, whether or not the time stamps show it. Which repeats (or gaps) belong is learnt:
    they recur after a fixed number of pictures in film that was converted and in animation. What
    does not recur is stutter, and so is what begins to recur in the middle of a shot and jumps over
    what it missed. Where nothing moves, nothing can be told.

    Input: pictures of 8 to 16 bits with their timestamps. It tells six pictures late, and takes
    0.5 ms for a picture of 1080p, measured on a busy machine.

    Values: `repeatedRatio` (repeats against the cadence, share of all pictures of the last 3 s),
    `droppedRatio` (pictures that are missing, same unit) and `cadence` (pictures after which the
    repeats that belong recur; 1 without any).

    Source: our own. That repeats are told by blocks rather than by the whole is from FFmpeg's
    mpdecimate.

    Blind spots: motion of less than a code in the tenth of the picture that moves most; repeats
    that an encoder blended with their neighbours at very low bit rates; pictures left out with even
    timestamps, where motion is itself uneven (a shaken camera, sparse small things), decorrelates
    within two pictures, or is shown on twos; animation whose holds follow no pattern (it is
    unknown); a stutter that recurs as regularly as a cadence from the first picture of a shot; the
    first seconds of each stream.
    """

    name: ClassVar[str] = "stutter"
    kind: ClassVar[Kind] = Kind.VIDEO
    summary: ClassVar[str] = "Pictures are repeated or left out against the stream's own cadence."
    params_type: ClassVar[type[DetectorParams]] = StutterParams
    causes: ClassVar[tuple[str, ...]] = ("black", "freeze")
    cost: ClassVar[float] = 0.08
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
        self._cadence = Cadence()
        self._intervals: deque[float] = deque(maxlen=USUAL_PICTURES)
        self._seen: float | None = None
        self._begin_anew()

    def _begin_anew(self) -> None:
        """What follows does not adjoin what was."""
        self._motion = Motion()
        self._changes: deque[float] = deque(maxlen=USUAL_PICTURES)
        self._before: Luma8 | None = None
        self._bad_since: float | None = None
        self._stand_still()

    def _stand_still(self) -> None:
        """Nothing moves: what follows begins anew, with the cadence that was learnt."""
        self._slots: list[Slot] = []
        self._held: list[Slot] = []
        self._still_since: float | None = None
        self._moved = False
        self._cut_s = float("-inf")
        self._until_learning = LEARN_EVERY
        self._since_judged = 0
        self._judged: _Judgement | None = None

    def observe(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """Place one picture in the cadence and judge the last seconds."""
        self._take(measures)
        view = measures.view
        if self._since_judged % JUDGE_EVERY == 0:
            self._judged = self._judge(view.time_s)
        self._since_judged += 1
        judged = self._judged
        verdict, start = Verdict.UNKNOWN, None
        values: dict[str, float] = {}
        if judged is not None:
            verdict = self._verdict(judged)
            values = {
                "repeatedRatio": round(judged.repeated, 4),
                "droppedRatio": round(judged.dropped, 4),
                "cadence": float(self._cadence.period or 0),
            }
            start = self._turned(verdict, judged)
        if verdict is Verdict.BAD and self._bad_since is None:
            self._bad_since = view.time_s
        elif verdict in (Verdict.GOOD, Verdict.UNKNOWN):
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
        if verdict is Verdict.GOOD and self._bad_since is not None:
            return judged.last
        return None

    def _verdict(self, judged: _Judgement) -> Verdict:
        share = judged.repeated + judged.dropped
        if self._bad_since is not None and judged.calm_s >= CALM_S:
            return Verdict.GOOD
        if judged.uneven and share >= self.params.threshold and judged.calm_s <= FRESH_S:
            return Verdict.BAD
        if self._bad_since is not None or (judged.uneven and share > self.params.threshold / 2):
            return Verdict.BETWEEN
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
            level=changes[0],
            key_frame=view.key_frame,
            cut=self._is_cut(*changes, measures.reduced, previous),
            missing=missing,
        )
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
        step, ratio = moved.step, moved.ratio
        slot = Slot(step.time_s, step.arrived_at, cadence.Kind.NEW, advance=moved.advance)
        if step.cut:
            self._cadence.doubt()
            self._cut_s = step.time_s
        elif ratio is None and not step.key_frame:
            self._rest(slot)
            return
        elif ratio is not None and ratio <= REPEAT_RATIO:
            settled = step.time_s - self._cut_s > SETTLED_S
            sure = settled and ratio <= max(SAME_RATIO, 1 - SPREADS * moved.spread)
            self._held.append(slot._replace(kind=cadence.Kind.REPEAT, sure=sure))
            if step.time_s - self._held[0].time_s >= STANDSTILL_S:
                self._stand_still()
            return
        self._still_since = None
        moves = ratio is not None and ratio > UNSURE_RATIO
        # Between slow pictures, a repeat may be a pause of what moves.
        even = moves and self._moved
        held = [repeat._replace(sure=even and repeat.sure) for repeat in self._held]
        meant = moved.advance is not None and moved.advance < HELD
        lost = slot._replace(kind=cadence.Kind.REPEAT if meant else cadence.Kind.LOST, advance=None)
        self._add([*held, *[lost] * step.missing, slot._replace(sure=moves, cut=step.cut)])
        self._held = []
        self._moved = moves or ratio is None

    def _rest(self, slot: Slot) -> None:
        """Nothing moves that could be told."""
        if self._still_since is None:
            self._still_since = slot.time_s
        self._add([*self._held, slot._replace(sure=False)])
        self._held, self._moved = [], False
        if slot.time_s - self._still_since >= STANDSTILL_S:
            self._stand_still()

    def _add(self, slots: list[Slot]) -> None:
        self._slots += slots
        rate = 1 / statistics.median(self._intervals) if self._intervals else 25.0
        del self._slots[: -max(1, round(LEARN_S * rate))]
        self._until_learning -= len(slots)
        if self._until_learning <= 0 and len(self._slots) >= rate * WARM_UP_S:
            self._until_learning = LEARN_EVERY
            bad_s = 0.0 if self._bad_since is None else slots[-1].time_s - self._bad_since
            if not 0 < bad_s < ADOPT_S:
                self._cadence.learn(Train(self._slots), rate)

    def _judge(self, now_s: float) -> _Judgement | None:
        if self._cadence.period is None or not self._slots:
            return None
        newest = self._slots[-1].time_s
        count = sum(slot.time_s > newest - WINDOW_S for slot in self._slots)
        if newest - self._slots[-count].time_s < WARM_UP_S:
            return None
        train = Train(self._slots)
        if 2 * np.count_nonzero(train.sure[-count:]) < count:
            return None
        off = self._cadence.misfits(train)
        start = len(off) - count
        recent = off[start:]
        where = np.flatnonzero(recent) + start
        dropped = (train.kinds == cadence.Kind.LOST) | train.hops
        lost = float(off[start:][dropped[start:]].sum())
        last = self._slots[where[-1]] if len(where) else None
        return _Judgement(
            repeated=max(0.0, float(recent.sum()) - lost) / count,
            dropped=lost / count,
            first=self._slots[where[0]] if len(where) else None,
            last=last,
            calm_s=WINDOW_S if last is None else newest - last.time_s,
            uneven=self._is_uneven(train, off, start),
        )

    def _is_uneven(self, train: Train, off: cadence.Weights, start: int) -> bool:
        """Whether the misfits from slot `start` on are no cadence of their own."""
        starts = cadence.events(off[start:]) + start
        weight = float(off[start:].sum()) / cadence.HOP_WEIGHT
        if len(starts) < cadence.MIN_EVENTS or weight < cadence.MIN_EVENTS:
            return False
        lasted_s = self._slots[starts[-1]].time_s - self._slots[starts[0]].time_s
        if lasted_s < min(self.params.min_duration, WINDOW_S / 2) * LASTED:
            return False
        if self._bad_since is not None or cadence.is_uneven(starts, train.sure):
            return True
        if int(np.diff(starts).min()) < cadence.MIN_SPACE or not train.caught_up(starts):
            return False
        first = int(np.flatnonzero(off)[0])
        cuts = [index for index, slot in enumerate(self._slots[:first]) if slot.cut]
        began = self._slots[cuts[-1] if cuts else 0].time_s
        return self._slots[first].time_s - began >= SMOOTH_S
