"""Loudness: the programme is too loud or too quiet, or its true peaks are too high."""

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
from streammonitor_worker.measures.loudness import LoudnessMeter

WARM_UP_S = 10.0
"""Loudness of less sound than this says little of a programme."""
EVERY_HOPS = 5
"""The gated loudness of a long window changes slowly: twice a second is enough."""


class LoudnessParams(DetectorParams):
    """Parameters of the loudness detector."""

    min_duration: Duration = Field(default=10.0, ge=0.1, le=3600)
    """How long loudness must be off target before an incident is raised."""
    clear_duration: Duration = Field(default=10.0, ge=0.1, le=3600)
    """How long loudness must be on target before the incident ends."""
    critical_after: Duration = Field(default=300.0, ge=0.1, le=86400)
    """How long loudness must be off target for the incident to become critical."""
    target: float = Field(default=-23.0, ge=-50.0, le=-5.0)
    """Target of the integrated loudness in LUFS: -23 in EBU R 128, -24 in ATSC A/85."""
    tolerance: float = Field(default=5.0, ge=0.1, le=30.0)
    """How far, in LU, the loudness of the window may be off target."""
    clear_margin: float = Field(default=0.5, ge=0.0, le=10.0)
    """How far, in LU or dB, it must be inside the limits to count as good again."""
    window: Duration = Field(default=60.0, ge=10, le=1800)
    """The stretch of programme whose integrated loudness is compared with the target."""
    max_true_peak: float = Field(default=-1.0, ge=-20.0, le=20.0)
    """Highest true peak allowed, in dBTP: -1 in EBU R 128."""

    units: ClassVar[Units] = {
        "target": "LUFS",
        "tolerance": "LU",
        "clearMargin": "LU",
        "maxTruePeak": "dBTP",
    }
    profiles: ClassVar[Profiles] = {
        "strict": {"tolerance": 3.0, "criticalAfter": "2m"},
        "relaxed": {"minDuration": "30s", "criticalAfter": "10m", "tolerance": 8.0},
    }


class LoudnessDetector(HopDetector[LoudnessParams]):
    """Finds programmes off their target loudness, and true peaks over their limit.

    Input: hops of 100 ms of one to eight channels. Layouts are assumed to be the usual ones of so
    many channels (5.1 is L R C LFE Ls Rs), as the sound itself does not tell. Until ten seconds
    were heard above the absolute gate of -70 LUFS, only true peaks are known.

    Values: `momentaryLufs` (400 ms), `shortTermLufs` (3 s), `integratedLufs` and `rangeLu` (gated,
    of the window), `truePeakDbtp` (of the last 3 s, which is how long a peak counts).

    Source: ITU-R BS.1770-5 Annexes 1 and 2; EBU R 128; EBU Tech 3341 and 3342 (its test signals
    are part of the tests).

    Blind spots: the integrated loudness is that of a sliding window, as a channel has no end; a
    quiet scene as long as the window is off target. A dual-mono voice in one channel counts as one
    channel. Layouts of an unusual order get wrong weights.
    """

    name: ClassVar[str] = "loudness"
    kind: ClassVar[Kind] = Kind.AUDIO
    summary: ClassVar[str] = "Audio is off its target loudness, or its true peaks are too high."
    params_type: ClassVar[type[DetectorParams]] = LoudnessParams
    cost: ClassVar[float] = 0.05
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(
            ("integratedLufs",),
            "LUFS",
            lambda p: p.target + p.tolerance,
            lambda p: p.target + p.tolerance - p.clear_margin,
        ),
        Trace(
            ("integratedLufs",),
            "LUFS",
            lambda p: p.target - p.tolerance,
            lambda p: p.target - p.tolerance + p.clear_margin,
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
        return Measurement(
            start_s=hop.start_s,
            end_s=hop.end_s,
            arrived_at=hop.arrived_at,
            verdict=self._verdict(),
            confidence=0.9 if self._warm else 0.5,
            values=self._values(),
        )

    def _verdict(self) -> Verdict:
        params = self.params
        peak_over_db = self._meter.peak_dbtp - params.max_true_peak
        if peak_over_db > 0:
            return Verdict.BAD
        if not self._warm:
            return Verdict.UNKNOWN
        over_lu = abs(self._integrated_lufs - params.target) - params.tolerance
        if over_lu > 0:
            return Verdict.BAD
        return (
            Verdict.GOOD if max(over_lu, peak_over_db) <= -params.clear_margin else Verdict.BETWEEN
        )

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
        return values
