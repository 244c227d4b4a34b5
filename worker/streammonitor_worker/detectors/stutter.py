"""Stutter: pictures are repeated or left out against the stream's own cadence."""

import statistics
from collections import deque
from collections.abc import Iterator
from enum import IntEnum
from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
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
from streammonitor_worker.measures.picture import PictureMeasures

MIN_MOTION = 0.03
"""Change of the most changed tile between pictures, 6 codes: below it a repeat cannot be told."""
REPEAT_STEP = 0.35
"""A repeat changes its most changed tile by at most this share of what motion usually does."""
REPEAT_MEAN = 0.6
"""The same for the mean change: what an encoder leaves over weighs more in it."""
UNSURE_STEP = 0.65
"""Between the two it may be either: an encoder refines repeats, and motion is not steady."""
MIN_CUT = 0.2
PAUSE_STEP = 0.5
"""Next to a picture that changes less, a repeat may be a pause."""
CUT_STEP = 3.0
"""A picture that changes so many times more than usual begins another shot."""
STANDSTILL_S = 0.4
"""A longer repeat or gap is a freeze or a stall, or nothing moves."""
USUAL_PICTURES = 16
"""Usual motion and frame interval are learnt from so many pictures."""
MIN_USUAL_PICTURES = 8
NEW_PERCENT = 80
"""Even on fours, a fifth of the pictures are new: they tell what motion usually does."""
LATE = 1.75
"""An interval of so many usual ones lacks a picture; soft telecine alternates at 1.5."""
WINDOW_S = 3.0
"""What is judged at once; two events in it are an accident, three are not."""
MIN_EVENTS = 3
WARM_UP_S = 1.5
LEARN_S = 5.0
LEARN_EVERY = 10
"""A cadence is learnt from so many seconds, anew at every so many pictures."""
PERIODS = (*range(2, 13), 25)
"""Pictures after which a cadence recurs: 2 for 25-in-50, 5 for 3:2 and 24-in-30, 25 for 24-in-25.
Animation on twos or threes and any mixture of these recur after 2 to 12 as well."""
SMOOTH_RATIO = 0.03
"""Up to this share of repeats the cadence is one picture after the other."""
IRREGULAR_RATIO = 1 / 3
"""From this share of repeats on that do not recur, no cadence can be assumed."""
RECURS_ABOUT = 0.05
"""Of periods that fit about as well, the shortest is the cadence."""
JUDGE_EVERY = 4
"""A verdict holds for so many pictures."""
RECURS = 0.4
RECURS_LONG = 0.3
"""Share of the mismatches of chance that a cadence may have, and one with the longest period."""


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


class _Kind(IntEnum):
    NEW = 0
    REPEAT = 1
    DROPPED = 2


class _Slot(NamedTuple):
    """One place in the cadence, shown or left out."""

    time_s: float
    arrived_at: float
    kind: _Kind
    sure: bool = True
    cut: bool = False


class _Judgement(NamedTuple):
    """What a window says.

    Attributes:
        repeated: Share of repeats against the cadence.
        dropped: Share of pictures that were left out.
        first: The first slot that does not fit; None when all do.
        last: The last one.
        uneven: Whether they are several and do not recur by themselves.
    """

    repeated: float
    dropped: float
    first: _Slot | None
    last: _Slot | None
    uneven: bool


class _Cadence:
    """Learns after how many pictures repeats recur.

    Attributes:
        period: In pictures; 1 without repeats; None while unknown.
    """

    def __init__(self) -> None:
        self.period: int | None = None
        self._doubtful = True

    def doubt(self) -> None:
        """Another shot begins; it may have another cadence."""
        self._doubtful = True

    def learn(self, slots: list[_Slot]) -> None:
        """Take the latest pictures."""
        repeats = np.array([slot.kind is _Kind.REPEAT for slot in slots])
        sure = np.array([slot.sure for slot in slots])
        share = float(repeats.mean())
        period = 1 if share < SMOOTH_RATIO else _recurrence(repeats, sure, share)
        if period is not None:
            self.period, self._doubtful = period, False
        elif share < IRREGULAR_RATIO:
            self.period = 1
        elif self._doubtful:
            self.period = None

    def misfits(self, slots: list[_Slot], judged: int) -> npt.NDArray[np.float64]:
        """How far each of the last `judged` slots is off the cadence, 0..1.

        A picture that does not fit differs from the one a period before and from the one after.
        """
        kinds = np.array([slot.kind for slot in slots], np.uint8)
        sure = np.array([slot.sure for slot in slots])
        off = ((kinds == _Kind.REPEAT) & sure).astype(np.float64)
        if self.period is not None and self.period > 1:
            period = self.period
            repeats = kinds == _Kind.REPEAT
            off[:] = 0.0
            off[period:] = (repeats[period:] != repeats[:-period]) / 2
            for index, slot in enumerate(slots):
                if slot.cut:
                    off[index : index + period] = 0.0
                elif not slot.sure:
                    off[index::period][:2] = 0.0
        off[kinds == _Kind.DROPPED] = 1.0
        judged_off: npt.NDArray[np.float64] = off[-judged:]
        return judged_off


def _recurrence(
    repeats: npt.NDArray[np.bool_], sure: npt.NDArray[np.bool_], share: float
) -> int | None:
    """The period after which repeats recur best, if they do so much better than by chance."""
    chance = 2 * share * (1 - share)
    best, period = 1.0, None
    for candidate in PERIODS:
        if not chance or share < 0.8 / candidate or len(repeats) < 3 * candidate:
            continue
        both = sure[candidate:] & sure[:-candidate]
        differ = (repeats[candidate:] != repeats[:-candidate]) & both
        relative = float(differ.sum()) / max(1, int(both.sum())) / chance
        limit = RECURS_LONG if candidate == PERIODS[-1] else RECURS
        if relative <= limit and relative < best - RECURS_ABOUT:
            best, period = relative, candidate
    return period


class StutterDetector(Detector[StutterParams, PictureMeasures]):
    """Finds motion that is not shown evenly.

    A picture is a repeat when both its most changed tile and the whole changed far less than
    between the pictures before it; one is missing where the timestamps leave room for it. Which
    repeats belong is learnt: they recur after a fixed number of pictures in film that was
    converted and in animation. What does not recur is stutter. Where nothing moves, nothing can be
    told.

    Input: pictures of 8 to 16 bits with their timestamps.

    Values: `repeatedRatio` (repeats against the cadence, share of all pictures of the last 3 s),
    `droppedRatio` (pictures that are missing, same unit) and `cadence` (pictures after which the
    repeats that belong recur; 1 without any).

    Source: our own; that a repeat is told by the most changed block is from FFmpeg's mpdecimate.

    Blind spots: pictures that were left out and whose neighbours were given even timestamps; motion
    of less than 6 codes in its most changed tile; repeats that an encoder blended with their
    neighbours at very low bit rates; animation whose holds follow no pattern (it is unknown); a
    stutter that recurs as regularly as a cadence; the first seconds of each stream.
    """

    name: ClassVar[str] = "stutter"
    kind: ClassVar[Kind] = Kind.VIDEO
    summary: ClassVar[str] = "Pictures are repeated or left out against the stream's own cadence."
    params_type: ClassVar[type[DetectorParams]] = StutterParams
    causes: ClassVar[tuple[str, ...]] = ("black", "freeze")
    cost: ClassVar[float] = 0.02
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
        self._cadence = _Cadence()
        self._intervals: deque[float] = deque(maxlen=USUAL_PICTURES)
        self._seen: float | None = None
        self._bad = False
        self._stand_still()

    def _stand_still(self) -> None:
        """Nothing moves: what follows begins anew, with the cadence that was learnt."""
        self._slots: list[_Slot] = []
        self._held: list[_Slot] = []
        self._moved = False
        self._motion: deque[tuple[float, float]] = deque(maxlen=USUAL_PICTURES)
        self._until_learning = LEARN_EVERY
        self._since_judged = 0
        self._judged: _Judgement | None = None

    def observe(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """Place one picture in the cadence and judge the last seconds."""
        self._place(measures)
        view = measures.view
        if self._since_judged % JUDGE_EVERY == 0:
            self._judged = self._judge()
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
        if verdict is not Verdict.BETWEEN:
            self._bad = verdict is Verdict.BAD
        yield Measurement(
            start_s=view.time_s if start is None else min(view.time_s, start.time_s),
            end_s=view.time_s + view.duration_s,
            arrived_at=view.arrived_at if start is None else start.arrived_at,
            verdict=verdict,
            confidence=self._confidence(judged),
            values=values,
        )

    def _turned(self, verdict: Verdict, judged: _Judgement) -> _Slot | None:
        """Where a verdict that was just reached began to hold."""
        if verdict is Verdict.BAD and not self._bad:
            return judged.first
        if verdict is Verdict.GOOD and self._bad:
            return judged.last
        return None

    def _verdict(self, judged: _Judgement) -> Verdict:
        share = judged.repeated + judged.dropped
        if judged.uneven and share >= self.params.threshold:
            return Verdict.BAD
        if judged.uneven and share > self.params.threshold / 2:
            return Verdict.BETWEEN
        return Verdict.GOOD

    def _confidence(self, judged: _Judgement | None) -> float:
        """Half at the threshold, full at three times that."""
        if judged is None:
            return 0.0
        share = (judged.repeated + judged.dropped) / self.params.threshold
        return round(min(1.0, max(0.5, 0.25 + share / 4)), 3)

    def _place(self, measures: PictureMeasures) -> None:
        view, step, mean = measures.view, measures.step, measures.mean_step
        missing = self._missing(view.time_s)
        if step is None or mean is None or missing is None:
            self._stand_still()
            return
        usual_step, usual_mean = self._usual()
        slot = _Slot(view.time_s, view.arrived_at, _Kind.NEW)
        self._motion.append((step, mean))
        if step <= REPEAT_STEP * usual_step and mean <= REPEAT_MEAN * usual_mean:
            self._held.append(slot._replace(kind=_Kind.REPEAT))
            if view.time_s - self._held[0].time_s >= STANDSTILL_S:
                self._stand_still()
            return
        if usual_step and step > max(MIN_CUT, CUT_STEP * usual_step):
            slot = slot._replace(cut=True)
            self._cadence.doubt()
        lost = [slot._replace(kind=_Kind.DROPPED)] * missing
        sure = step > UNSURE_STEP * usual_step
        # Between slow pictures, a repeat may be a pause of what moves.
        moved = step > PAUSE_STEP * usual_step
        moving = moved and self._moved
        held = [repeat._replace(sure=moving) for repeat in self._held]
        self._take([*held, *lost, slot._replace(sure=sure)])
        self._held, self._moved = [], moved

    def _usual(self) -> tuple[float, float]:
        """Usual change of the most changed tile and of the whole from one new picture to the next.

        They are unknown, and 0, for the first pictures.
        """
        if len(self._motion) < MIN_USUAL_PICTURES:
            return 0.0, 0.0
        steps = sorted(self._motion)
        fast = steps[len(steps) * NEW_PERCENT // 100][0]
        new = [motion for motion in steps if motion[0] >= fast / 2]
        return new[len(new) // 2][0], statistics.median(mean for _, mean in new)

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

    def _take(self, slots: list[_Slot]) -> None:
        self._slots += slots
        rate = 1 / statistics.median(self._intervals) if self._intervals else 25.0
        del self._slots[: -max(1, round(LEARN_S * rate))]
        self._until_learning -= len(slots)
        if self._until_learning <= 0 and len(self._slots) >= rate * WARM_UP_S:
            self._until_learning = LEARN_EVERY
            self._cadence.learn(self._slots)

    def _judge(self) -> _Judgement | None:
        if self._cadence.period is None or self._usual()[0] < MIN_MOTION:
            return None
        newest = self._slots[-1].time_s if self._slots else 0.0
        recent = [slot for slot in self._slots if slot.time_s > newest - WINDOW_S]
        if not recent or newest - recent[0].time_s < WARM_UP_S:
            return None
        off = self._cadence.misfits(self._slots, len(recent))
        where = np.flatnonzero(off)
        lost = sum(slot.kind is _Kind.DROPPED for slot in recent)
        return _Judgement(
            repeated=max(0.0, float(off.sum()) - lost) / len(recent),
            dropped=lost / len(recent),
            first=recent[where[0]] if len(where) else None,
            last=recent[where[-1]] if len(where) else None,
            uneven=_uneven(where, float(off.sum())),
        )


def _uneven(where: npt.NDArray[np.intp], total: float) -> bool:
    """Whether misfits are several and not evenly spaced, as a cadence that is yet unknown is."""
    starts = where[np.diff(where, prepend=-2) > 1]
    if len(starts) < 3 or total < MIN_EVENTS:
        return False
    spaces = np.diff(starts)
    return int(spaces.max() - spaces.min()) > 1
