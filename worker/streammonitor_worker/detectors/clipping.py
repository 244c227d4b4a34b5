"""Clipping: the tops of the waves are cut off."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
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
from streammonitor_worker.measures.flat_tops import flat_tops
from streammonitor_worker.measures.hops import Hop

WINDOW_S = 1.0
"""Flat tops are counted over the last second."""
PAUSE_S = 0.3
"""A flat top that lies further back than this belongs to what was before."""


class ClippingParams(DetectorParams):
    """Parameters of the clipping detector."""

    min_duration: Duration = Field(default=1.0, ge=0.1, le=3600)
    """How long sound must be clipped before an incident is raised."""
    clear_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long sound must be unclipped before the incident ends."""
    critical_after: Duration = Field(default=10.0, ge=0.1, le=86400)
    """How long sound must be clipped for the incident to become critical."""
    threshold: float = Field(default=-1.0, ge=-40.0, le=0.0)
    """Level in dBFS that sound must reach for its flat tops to count."""
    tops_per_second: float = Field(default=10.0, ge=1.0, le=1000.0)
    """How many flat tops a second, in one channel, are clipping."""
    clear_ratio: float = Field(default=0.25, ge=0.0, le=1.0)
    """Share of that number at or below which sound counts as unclipped."""

    units: ClassVar[Units] = {"threshold": "dBFS", "topsPerSecond": "1/s", "clearRatio": "ratio"}
    profiles: ClassVar[Profiles] = {
        "strict": {"minDuration": "500ms", "criticalAfter": "5s"},
        "relaxed": {"minDuration": "10s", "clearDuration": "5s", "criticalAfter": "1m"},
    }


@dataclass(frozen=True, slots=True)
class _Found:
    start_s: float
    count: int
    first_s: float
    last_s: float
    share: float


class ClippingDetector(HopDetector[ClippingParams]):
    """Finds sound whose peaks were cut off at full scale, by any stage before the last encoder.

    Input: hops of 100 ms of any number of channels; the worst channel counts.

    Values: `topsPerSecond` (flat tops in the last second) and `clippedRatio` (share of its samples
    that lie in flat tops).

    Source: Essentia's SaturationDetector (runs of near-equal samples near full scale), with the
    slope made relative: a run counts when it rises far less than a parabola with its length and
    entry slopes, so that deep bass, a full-scale sine and a limited master do not count, and what
    a lossy codec left of a flat top does.

    Blind spots: clipping that was turned down afterwards (see `threshold`) or that touches less
    than about 6 dB of the peaks before a lossy codec; square waves at full scale and synthesizers
    that sound like them count; soft saturation does not, until it is nearly hard.
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
        self._found: deque[_Found] = deque()
        self._last_s: float | None = None

    def _judge(self, hop: Hop) -> Measurement:
        if not hop.adjoins or not hop.finite:
            self._forget()
        if not hop.finite:
            return Measurement(hop.start_s, hop.end_s, hop.arrived_at, Verdict.UNKNOWN)
        tops = flat_tops(hop.samples, 10 ** (self.params.threshold / 20))
        while self._found and self._found[0].start_s <= hop.end_s - WINDOW_S - 0.001:
            self._found.popleft()
        if tops.count:
            first_s = hop.start_s + tops.first / hop.sample_rate
            last_s = hop.start_s + tops.last / hop.sample_rate
            self._found.append(_Found(hop.start_s, tops.count, first_s, last_s, tops.share))
            self._last_s = last_s
        rate = sum(one.count for one in self._found) / WINDOW_S
        verdict = self._verdict(rate, tops.count)
        return Measurement(
            start_s=self._start_s(hop, verdict),
            end_s=hop.end_s,
            arrived_at=hop.arrived_at,
            verdict=verdict,
            confidence=self._confidence(rate),
            values={"topsPerSecond": round(rate, 1), "clippedRatio": round(self._share(hop), 5)},
        )

    def _verdict(self, rate: float, count: int) -> Verdict:
        if rate >= self.params.tops_per_second:
            # The second that follows clipping holds its tops, but is not clipped itself.
            return Verdict.BAD if count else Verdict.BETWEEN
        if rate > self.params.tops_per_second * self.params.clear_ratio:
            return Verdict.BETWEEN
        return Verdict.GOOD

    def _start_s(self, hop: Hop, verdict: Verdict) -> float:
        """Where this began: with the first flat top, or after the last."""
        if verdict is Verdict.BETWEEN:
            return hop.start_s
        if verdict is Verdict.GOOD:
            last_s, self._last_s = self._last_s, None
            return hop.start_s if last_s is None else last_s
        start_s = hop.end_s
        for one in reversed(self._found):
            if start_s - one.last_s > PAUSE_S:
                break
            start_s = one.first_s
        return start_s

    def _share(self, hop: Hop) -> float:
        total_s = sum(one.share for one in self._found) * (hop.end_s - hop.start_s)
        return min(1.0, total_s / WINDOW_S)

    def _confidence(self, rate: float) -> float:
        """Half at the threshold, full at four times as many flat tops."""
        return round(
            min(1.0, max(0.5, 0.5 + 0.5 * (rate / self.params.tops_per_second - 1) / 3)), 3
        )
