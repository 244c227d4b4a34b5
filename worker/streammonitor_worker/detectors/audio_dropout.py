"""Audio dropout: sound is interrupted for a moment, or clicks."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
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
from streammonitor_worker.frames import SampleArray
from streammonitor_worker.measures.gaps import (
    GUARD_S,
    STEP_S,
    GapFinder,
    GapRules,
    clicks,
    envelope,
)
from streammonitor_worker.measures.hops import Hop

LONGEST_MISSING_S = 1.0
"""Samples that are missing for longer belong to a stream that jumped."""
CLICK_S = 0.02
"""A click is reported as this long, so that `minDuration` tells clicks from longer gaps."""


class AudioDropoutParams(DetectorParams):
    """Parameters of the audioDropout detector."""

    min_duration: Duration = Field(default=0.008, ge=0.005, le=3.5)
    """How long sound must be interrupted before an incident is raised; a click counts as 20 ms."""
    clear_duration: Duration = Field(default=1.0, ge=0.1, le=3600)
    """How long sound must go on before the incident ends; dropouts in between belong to it."""
    critical_after: Duration = Field(default=5.0, ge=0.01, le=86400)
    """How long dropouts must recur for their incident to become critical."""
    max_gap: Duration = Field(default=3.5, ge=0.05, le=10)
    """The longest interruption that is a dropout; what lasts longer is silence."""
    threshold: float = Field(default=-50.0, ge=-100.0, le=-20.0)
    """Level in dBFS at or below which every channel must be within a gap."""
    depth: float = Field(default=30.0, ge=10.0, le=90.0)
    """How far, in dB, sound must fall for a gap."""
    click_height: float = Field(default=17.0, ge=6.0, le=80.0)
    """How far, in dB, a click must stand out of the sound before and after it."""

    units: ClassVar[Units] = {"threshold": "dBFS", "depth": "dB", "clickHeight": "dB"}
    profiles: ClassVar[Profiles] = {
        "strict": {"criticalAfter": "2s"},
        "relaxed": {"minDuration": "100ms", "clearDuration": "5s", "criticalAfter": "30s"},
    }


class AudioDropoutDetector(HopDetector[AudioDropoutParams]):
    """Finds gaps of 8 ms to 3.5 s with abrupt edges, missing packets, and clicks.

    Input: hops of 100 ms of any number of channels. A gap must be in all of them at once; a click
    may be in any. Time stamps that leave up to a second without samples are a gap too, whatever
    sounds beside it. Until there was any sound, the detector is unknown.

    Values: `gapMilliseconds` (0 for a click), `levelDbfs` (loudest 2.5 ms of the hop),
    `clickHeightDb` (how far the highest sample stands out; 0 where nothing does).

    Source: Essentia's GapsDetector (energy before the gap, silence inside, 10 to 3500 ms) with
    abrupt edges on both sides; its ClickDetector with a third difference for the prediction.

    Blind spots: gaps that were concealed by repetition or faded by the decoder; packets that are
    missing without a trace in the time stamps; gaps of less than 10 ms, and clicks that the sound
    around them masks, after most lossy codecs; a gap in one channel of several. Music that is cut
    and gated by hand counts, and so does the crackle of an old record.
    """

    name: ClassVar[str] = "audioDropout"
    kind: ClassVar[Kind] = Kind.AUDIO
    summary: ClassVar[str] = "Audio has short gaps or clicks."
    params_type: ClassVar[type[DetectorParams]] = AudioDropoutParams
    cost: ClassVar[float] = 0.03
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(("gapMilliseconds",), "ms", lambda p: p.min_duration * 1000),
        Trace(("clickHeightDb",), "dB", lambda p: p.click_height),
    )

    def flush(self) -> Iterator[Measurement]:
        """Judge what is left: a gap that did not end is none."""
        yield from self._give_up()

    def _forget(self) -> None:
        params = self.params
        rules = GapRules(params.threshold, params.depth, params.min_duration, params.max_gap)
        self._gaps = GapFinder(rules)
        self._tail: SampleArray | None = None
        self._rest: SampleArray | None = None
        self._heard = False
        self._told_s: float | None = None
        self._until_s = 0.0
        self._arrived_at = 0.0
        self._spans: list[tuple[float, float, float]] = []

    def _give_up(self) -> Iterator[Measurement]:
        if self._told_s is not None and self._told_s < self._until_s:
            yield Measurement(self._told_s, self._until_s, self._arrived_at, Verdict.UNKNOWN)
        self._told_s = None

    def _take(self, hop: Hop) -> Iterator[Measurement]:
        if not hop.adjoins or not hop.finite:
            yield from self._give_up()
            heard, until_s = self._heard, self._until_s
            self._forget()
            missing_s = min(hop.missing_s, hop.start_s - until_s)
            if heard and self.params.min_duration <= missing_s <= LONGEST_MISSING_S:
                self._heard = True
                values = {"gapMilliseconds": round(missing_s * 1000, 1)}
                begins_s = hop.start_s - missing_s
                yield Measurement(begins_s, hop.start_s, hop.arrived_at, Verdict.BAD, 1.0, values)
        if not hop.finite:
            yield Measurement(hop.start_s, hop.end_s, hop.arrived_at, Verdict.UNKNOWN)
            return
        if self._told_s is None:
            self._told_s, self._arrived_at = hop.start_s, hop.arrived_at
        self._until_s = hop.end_s
        levels = self._find_gaps(hop)
        height_db = self._find_clicks(hop)
        self._heard |= bool(levels.max(initial=-200.0) > self.params.threshold)
        if self._gaps.pending_s is None:
            values = {
                "levelDbfs": round(float(levels.max(initial=-200.0)), 1),
                "clickHeightDb": round(height_db, 1),
            }
            yield from self._tell(hop, values)

    def _find_gaps(self, hop: Hop) -> SampleArray:
        step = max(1, round(hop.sample_rate * STEP_S))
        rest = self._rest
        samples = hop.samples if rest is None else np.concatenate((rest, hop.samples), axis=1)
        start_s = hop.end_s - samples.shape[1] / hop.sample_rate
        levels = envelope(samples, step)
        self._rest = samples[:, len(levels) * step :].copy()
        if len(levels):
            found = self._gaps.take(levels, start_s, step / hop.sample_rate)
            self._spans += [(start, end, (end - start) * 1000) for start, end in found]
        return levels.astype(np.float32)

    def _find_clicks(self, hop: Hop) -> float:
        tail = self._tail
        samples = hop.samples if tail is None else np.concatenate((tail, hop.samples), axis=1)
        guard = max(16, round(GUARD_S * hop.sample_rate))
        self._tail = samples[:, -2 * guard :].copy()
        found = clicks(samples, hop.sample_rate, self.params.click_height)
        first_s = hop.end_s - samples.shape[1] / hop.sample_rate
        for position in found.positions.tolist():
            start_s = first_s + position / hop.sample_rate
            self._spans.append((start_s, start_s + CLICK_S, 0.0))
        return found.height_db if len(found.positions) else 0.0

    def _tell(self, hop: Hop, values: dict[str, float]) -> Iterator[Measurement]:
        """Everything up to the end of the hop: what was interrupted, and what went on."""
        told_s = self._told_s if self._told_s is not None else hop.start_s
        arrived_at = self._arrived_at
        usual = Verdict.GOOD if self._heard else Verdict.UNKNOWN
        for start_s, end_s, gap_ms in _without_edges(self._spans):
            if start_s > told_s:
                yield Measurement(told_s, start_s, arrived_at, usual, 1.0, values)
            told_s = max(told_s, end_s)
            damage = {**values, "gapMilliseconds": round(gap_ms, 1)}
            yield Measurement(start_s, told_s, arrived_at, Verdict.BAD, 0.9, damage)
        self._spans = []
        if told_s < hop.end_s:
            usual_values = {**values, "gapMilliseconds": 0.0}
            yield Measurement(told_s, hop.end_s, arrived_at, usual, 1.0, usual_values)
        self._told_s, self._arrived_at = max(told_s, hop.end_s), hop.arrived_at


def _without_edges(spans: list[tuple[float, float, float]]) -> list[tuple[float, float, float]]:
    """The spans in order, less the clicks that are the edges of a gap."""
    gaps = [one for one in spans if one[2] > 0]
    return sorted(
        one
        for one in spans
        if one[2] > 0 or not any(gap[0] - GUARD_S <= one[0] <= gap[1] + GUARD_S for gap in gaps)
    )
