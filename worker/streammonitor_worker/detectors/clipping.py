"""Clipping: the tops of the waves are cut off."""

import math
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
from streammonitor_worker.measures.flat_tops import CutPeaks
from streammonitor_worker.measures.hops import Hop


class ClippingParams(DetectorParams):
    """Parameters of the clipping detector."""

    min_duration: Duration = Field(default=1.0, ge=0.1, le=3600)
    """How long sound must be clipped before an incident is raised."""
    clear_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long sound must be unclipped before the incident ends."""
    critical_after: Duration = Field(default=10.0, ge=0.1, le=86400)
    """How long sound must be clipped for the incident to become critical."""
    threshold: float = Field(default=-20.0, ge=-40.0, le=0.0)
    """Level in dBFS that tops must reach to count: what was cut off may have been turned down."""
    tops_per_second: float = Field(default=10.0, ge=1.0, le=1000.0)
    """How many cut tops a second, in one channel, are clipping."""
    clear_ratio: float = Field(default=0.25, ge=0.0, le=1.0)
    """Share of that number at or below which sound counts as unclipped."""

    units: ClassVar[Units] = {"threshold": "dBFS", "topsPerSecond": "1/s", "clearRatio": "ratio"}
    profiles: ClassVar[Profiles] = {
        "strict": {"minDuration": "500ms", "criticalAfter": "5s"},
        "relaxed": {"minDuration": "10s", "clearDuration": "5s", "criticalAfter": "1m"},
    }


class ClippingDetector(HopDetector[ClippingParams]):
    """Finds sound whose peaks were cut off, by any stage before the last encoder.

    Input: hops of 100 ms of any number of channels; the worst channel counts.

    Values: `topsPerSecond` (waves cut off, or wrapped round, in the last second; 0 where they turn
    round by themselves), `clippedRatio` (share of that second in which they are at the ceiling),
    `ceilingDbfs` (its level) and `dwell` (time at the ceiling relative to the time just below it).

    Source: the amplitude histogram, as in restoration (Esquef and Biscainho, clipping level from
    the rightmost mode), with the dwell of single waves, so that a sine, deep bass and a limited
    master do not count, and what a lossy codec left of a cut wave does. What a codec's noise leads
    beyond full scale was at the limit before, and is cut off by the player: its energy counts
    relative to all, together with how much piles up below the limit and the kurtosis. Integers
    that overflow are found as jumps across full scale with the same slope on both sides.

    Blind spots: fewer than about 3 dB cut off before a lossy codec; noise that was cut and turned
    down afterwards, which sounds the same when it is clipped; square waves, and tones that were cut
    until they are square waves; soft saturation, until it is nearly hard. Synthesizers that sound
    like cut tones count, and so does what an encoder was given beyond full scale.
    """

    name: ClassVar[str] = "clipping"
    kind: ClassVar[Kind] = Kind.AUDIO
    summary: ClassVar[str] = "Audio peaks are cut off at full scale."
    params_type: ClassVar[type[DetectorParams]] = ClippingParams
    cost: ClassVar[float] = 0.02
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(
            ("topsPerSecond",),
            "1/s",
            lambda p: p.tops_per_second,
            lambda p: p.tops_per_second * p.clear_ratio,
        ),
    )

    def _take(self, hop: Hop) -> Iterator[Measurement]:
        yield self._judge(hop)

    def _forget(self) -> None:
        self._channels: list[CutPeaks] = []
        self._last_s: float | None = None

    def _judge(self, hop: Hop) -> Measurement:
        if not hop.adjoins or not hop.finite:
            self._forget()
        if not hop.finite:
            return Measurement(hop.start_s, hop.end_s, hop.arrived_at, Verdict.UNKNOWN)
        if not self._channels:
            lowest = 10 ** (self.params.threshold / 20)
            self._channels = [CutPeaks(lowest, hop.sample_rate) for _ in hop.samples]
        for channel, samples in zip(self._channels, hop.samples, strict=True):
            channel.take(samples, hop.start_s)
        worst = max(self._channels, key=lambda one: one.count)
        verdict = self._verdict(worst.count, worst.now)
        if worst.now:
            self._last_s = worst.until_s()
        return Measurement(
            start_s=self._start_s(hop, verdict, worst),
            end_s=hop.end_s,
            arrived_at=hop.arrived_at,
            verdict=verdict,
            confidence=self._confidence(worst.count),
            values={
                "topsPerSecond": float(worst.count),
                "clippedRatio": round(min(1.0, worst.samples_at / hop.sample_rate), 5),
                "ceilingDbfs": round(20 * math.log10(max(worst.level, 1e-10)), 1),
                "dwell": round(worst.dwell, 2),
            },
        )

    def _verdict(self, rate: float, now: bool) -> Verdict:
        if rate >= self.params.tops_per_second:
            # The second that follows clipping holds its tops, but is not clipped itself.
            return Verdict.BAD if now else Verdict.BETWEEN
        if rate > self.params.tops_per_second * self.params.clear_ratio:
            return Verdict.BETWEEN
        return Verdict.GOOD

    def _start_s(self, hop: Hop, verdict: Verdict, worst: CutPeaks) -> float:
        """Where this began: with the first cut top, or after the last."""
        if verdict is Verdict.BETWEEN:
            return hop.start_s
        if verdict is Verdict.GOOD:
            last_s, self._last_s = self._last_s, None
            return hop.start_s if last_s is None else last_s
        return worst.since_s()

    def _confidence(self, rate: float) -> float:
        """Half at the threshold, full at four times as many flat tops."""
        return round(
            min(1.0, max(0.5, 0.5 + 0.5 * (rate / self.params.tops_per_second - 1) / 3)), 3
        )
