"""Loudness: the programme is suddenly or lastingly too loud or too quiet, or its peaks too high."""

from collections import deque
from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_worker.detectors.base import (
    DetectorParams,
    HopDetector,
    Kind,
    Measurement,
    Profiles,
    Trace,
    Units,
    Verdict,
)
from streammonitor_worker.measures.hops import Hop
from streammonitor_worker.measures.loudness import FLOOR, LoudnessMeter, OwnRange

WARM_UP_S = 10.0
"""Loudness of less sound than this says little of a programme."""
RANGE_S = 45.0
"""What is usual is not known from less sound than this."""
EVERY_HOPS = 5
"""The gated loudness of a long window changes slowly: twice a second is enough."""
HOPS_A_SECOND = 10
SHORT_HOPS = 30
"""Hops of the window of short-term loudness."""
SILENT_LUFS = -60.0
"""What is less loud than this is no quiet programme but silence."""
NO_TARGET, NO_LIMIT = 0.0, 20.0


class LoudnessParams(DetectorParams):
    """Parameters of the loudness detector."""

    min_duration: Duration = Field(default=10.0, ge=0.1, le=3600)
    """How long loudness must be wrong before an incident is raised."""
    clear_duration: Duration = Field(default=10.0, ge=0.1, le=3600)
    """How long loudness must be right before the incident ends."""
    critical_after: Duration = Field(default=300.0, ge=0.1, le=86400)
    """How long loudness must be wrong for the incident to become critical."""
    max_step: float = Field(default=4.0, ge=0.5, le=60.0)
    """How far, in LU, short-term loudness may lie beyond the range that is usual in the stream."""
    quiet_after: Duration = Field(default=30.0, ge=1, le=3600)
    """How long it must be that far below the usual range: a quiet scene is shorter."""
    baseline: Duration = Field(default=300.0, ge=60, le=3600)
    """The stretch of programme that says what is usual; what lasts as long becomes usual."""
    target: float = Field(default=NO_TARGET, ge=-50.0, le=NO_TARGET)
    """Target of the integrated loudness in LUFS: -23 in EBU R 128, -24 in ATSC A/85. 0 is none:
    then only what departs from the usual is wrong."""
    tolerance: float = Field(default=5.0, ge=0.1, le=30.0)
    """How far, in LU, the loudness of the window may be off target, if there is one."""
    window: Duration = Field(default=60.0, ge=10, le=1800)
    """The stretch of programme whose integrated loudness is compared with the target."""
    max_true_peak: float = Field(default=NO_LIMIT, ge=-20.0, le=NO_LIMIT)
    """Highest true peak allowed, in dBTP: -1 in EBU R 128. 20 is none: no peak is as high."""
    clear_margin: float = Field(default=0.5, ge=0.0, le=10.0)
    """How far, in LU or dB, it must be inside the limits to count as good again."""

    units: ClassVar[Units] = {
        "maxStep": "LU",
        "target": "LUFS",
        "tolerance": "LU",
        "clearMargin": "LU",
        "maxTruePeak": "dBTP",
    }
    profiles: ClassVar[Profiles] = {
        "strict": {"tolerance": 3.0, "maxStep": 3.0, "criticalAfter": "2m"},
        "relaxed": {
            "minDuration": "30s",
            "criticalAfter": "10m",
            "tolerance": 8.0,
            "maxStep": 6.0,
            "quietAfter": "60s",
        },
    }


def _lowest(params: LoudnessParams) -> float:
    """The lowest integrated loudness allowed, in LUFS."""
    return FLOOR if params.target == NO_TARGET else params.target - params.tolerance


class LoudnessDetector(HopDetector[LoudnessParams]):
    """Finds sound that is suddenly too loud or too quiet, off a target, or of too high peaks.

    Input: hops of 100 ms of one to eight channels. Layouts are assumed to be the usual ones of so
    many channels (5.1 is L R C LFE Ls Rs), as the sound itself does not tell.

    Three things are wrong. Short-term loudness is `maxStep` beyond the range (10th to 95th
    percentile) that was usual in the last `baseline`: an advertisement that is too loud, a gain
    that was changed. Integrated loudness of the last `window` is off the `target`, if there is one.
    A true peak is above `maxTruePeak`, if there is such a limit. EBU R 128 is `target: -23`,
    `maxTruePeak: -1`.

    What is usual is known from 45 s of sound on, the integrated loudness from 10 s on.

    Values: `momentaryLufs` (400 ms), `shortTermLufs` (3 s), `integratedLufs` and `rangeLu` (gated,
    of the window), `truePeakDbtp` (of the last 3 s, which is how long a peak counts),
    `beyondRangeLu` (how far short-term loudness is outside the usual range, either way).

    Source: ITU-R BS.1770-5 Annexes 1 and 2; EBU R 128; EBU Tech 3341 and 3342 (its test signals
    are part of the tests).

    Blind spots: without a target, a stream that was too loud or too quiet all along, what changes
    gradually, and a step that stays within the stream's own range (speech and drama have one of 10
    LU and more), which then becomes usual. A quiet scene longer than `quietAfter` is reported, and
    with a target one as long as the window. A dual-mono voice in one channel counts as one channel.
    Layouts of an unusual order get wrong weights.
    """

    name: ClassVar[str] = "loudness"
    kind: ClassVar[Kind] = Kind.AUDIO
    summary: ClassVar[str] = (
        "Audio is suddenly too loud or too quiet, off its target loudness, or its peaks are high."
    )
    params_type: ClassVar[type[DetectorParams]] = LoudnessParams
    cost: ClassVar[float] = 0.05
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(
            ("beyondRangeLu",), "LU", lambda p: p.max_step, lambda p: p.max_step - p.clear_margin
        ),
        Trace(
            ("integratedLufs",),
            "LUFS",
            lambda p: p.target + p.tolerance,
            lambda p: p.target + p.tolerance - p.clear_margin,
        ),
        Trace(
            ("integratedLufs",),
            "LUFS",
            _lowest,
            lambda p: _lowest(p) + p.clear_margin,
            below=True,
        ),
        Trace(
            ("truePeakDbtp",),
            "dBTP",
            lambda p: p.max_true_peak,
            lambda p: p.max_true_peak - p.clear_margin,
        ),
    )

    def _take(self, hop: Hop) -> Iterator[Measurement]:
        yield self._judge(hop)

    def _forget(self) -> None:
        self._meter = LoudnessMeter(self.params.window)
        self._steps = _Steps(self.params)
        self._count = 0
        self._warm = False
        self._integrated_lufs = self._range_lu = 0.0

    def _judge(self, hop: Hop) -> Measurement:
        if not hop.adjoins or not hop.finite:
            self._forget()
        if not hop.finite:
            return Measurement(hop.start_s, hop.end_s, hop.arrived_at, Verdict.UNKNOWN)
        meter = self._meter
        meter.take(hop)
        if self._count % EVERY_HOPS == 0:
            self._warm = meter.gated_s() >= WARM_UP_S - 0.5
            self._integrated_lufs, self._range_lu = meter.integrated_lufs(), meter.range_lu()
        self._count += 1
        step, start_s = self._steps.judge(hop, meter)
        # Until it is known what is usual, a target says enough.
        judged = step if self._steps.known or self.params.target == NO_TARGET else None
        return Measurement(
            start_s=start_s,
            end_s=hop.end_s,
            arrived_at=hop.arrived_at,
            verdict=_worst(judged, self._against_target(), self._against_peak()),
            confidence=0.9 if self._warm else 0.5,
            values=self._values(),
        )

    def _against_target(self) -> Verdict | None:
        """What the target says; None without a target."""
        params = self.params
        if params.target == NO_TARGET:
            return None
        if not self._warm:
            return Verdict.UNKNOWN
        over_lu = abs(self._integrated_lufs - params.target) - params.tolerance
        return _graded(over_lu, params.clear_margin)

    def _against_peak(self) -> Verdict | None:
        """What the limit of true peaks says; None without a limit."""
        limit_db = self.params.max_true_peak
        if limit_db == NO_LIMIT:
            return None
        return _graded(self._meter.peak_dbtp - limit_db, self.params.clear_margin)

    def _values(self) -> dict[str, float]:
        meter = self._meter
        values = {
            "momentaryLufs": round(meter.momentary_lufs, 1),
            "shortTermLufs": round(meter.short_term_lufs, 1),
            "truePeakDbtp": round(meter.peak_dbtp, 1),
        }
        if self._warm:
            values["integratedLufs"] = round(self._integrated_lufs, 1)
            values["rangeLu"] = round(self._range_lu, 1)
        if self._steps.known:
            values["beyondRangeLu"] = round(abs(self._steps.beyond_lu), 1)
        return values


class _Steps:
    """Judges short-term loudness by what is usual in the stream.

    What is beyond the limits is not learnt, so that an incident does not become usual while it
    lasts, unless it lasts as long as the baseline.
    """

    def __init__(self, params: LoudnessParams) -> None:
        self._params = params
        self._usual = OwnRange(params.baseline, RANGE_S)
        self._recent: deque[tuple[float, float]] = deque(maxlen=SHORT_HOPS)
        """Start and momentary loudness of the hops in the window of short-term loudness."""
        self._quiet_since_s: float | None = None
        self._outside_hops = self._hops = 0
        self._bad = False
        self.beyond_lu = 0.0

    @property
    def known(self) -> bool:
        """Whether it is known what is usual."""
        return self._usual.known

    def judge(self, hop: Hop, meter: LoudnessMeter) -> tuple[Verdict, float]:
        """The verdict, and since when it holds."""
        self._recent.append((hop.start_s, meter.momentary_lufs))
        self._hops += 1
        short_lufs = meter.short_term_lufs
        if short_lufs == FLOOR or short_lufs < SILENT_LUFS:
            self._quiet_since_s = None
            return Verdict.UNKNOWN, hop.start_s
        if not self.known:
            self._learn(short_lufs)
            return Verdict.UNKNOWN, hop.start_s
        self.beyond_lu = self._usual.beyond_lu(short_lufs)
        verdict, start_s = self._grade(hop)
        self._learn(short_lufs)
        self._bad = verdict is Verdict.BAD
        return verdict, start_s

    def _grade(self, hop: Hop) -> tuple[Verdict, float]:
        limit_lu = self._params.max_step
        if self.beyond_lu > limit_lu:
            return Verdict.BAD, hop.start_s if self._bad else self._loud_since(hop)
        if self.beyond_lu >= -limit_lu:
            self._quiet_since_s = None
            return _graded(abs(self.beyond_lu) - limit_lu, self._params.clear_margin), hop.start_s
        if self._quiet_since_s is None:
            self._quiet_since_s = self._quiet_from(hop)
        if hop.end_s - self._quiet_since_s < self._params.quiet_after:
            return Verdict.BETWEEN, hop.start_s
        return Verdict.BAD, hop.start_s if self._bad else self._quiet_since_s

    def _loud_since(self, hop: Hop) -> float:
        """When momentary loudness first rose above the limit, within the short-term window."""
        limit_lufs = self._usual.high_lufs + self._params.max_step
        loud = (start_s for start_s, lufs in self._recent if lufs > limit_lufs)
        return next(loud, hop.start_s)

    def _quiet_from(self, hop: Hop) -> float:
        """Since when momentary loudness is below the limit, within the short-term window."""
        limit_lufs = self._usual.low_lufs - self._params.max_step
        since_s = hop.start_s
        for start_s, lufs in reversed(self._recent):
            if lufs > limit_lufs:
                break
            since_s = start_s
        return since_s

    def _learn(self, short_lufs: float) -> None:
        outside = self.known and abs(self.beyond_lu) > self._params.max_step
        self._outside_hops = self._outside_hops + 1 if outside else 0
        if self._outside_hops >= self._params.baseline * HOPS_A_SECOND:
            self._usual.forget()
            self._outside_hops = 0
        elif not outside and self._hops % HOPS_A_SECOND == 0:
            self._usual.take(short_lufs)


def _graded(over: float, margin: float) -> Verdict:
    if over > 0:
        return Verdict.BAD
    return Verdict.GOOD if over <= -margin else Verdict.BETWEEN


def _worst(*verdicts: Verdict | None) -> Verdict:
    """The verdict of all that are asked: good only if each of them is."""
    for verdict in (Verdict.BAD, Verdict.UNKNOWN, Verdict.BETWEEN):
        if verdict in verdicts:
            return verdict
    return Verdict.GOOD
