"""A/V sync: sound comes earlier or later than the pictures it belongs to."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_worker.detectors.base import (
    Detector,
    DetectorParams,
    Kind,
    Measurement,
    Profiles,
    Trace,
    Trouble,
    Units,
    Verdict,
)
from streammonitor_worker.facts import Compared, Fact, Marked, Outcome, Seam
from streammonitor_worker.frames import TransportView
from streammonitor_worker.markers import MarkerReader
from streammonitor_worker.onlookers import Onlooker

CLEAR_RATIO = 0.75
"""An error is gone below this share of what raises it."""
STEADY_S = 0.02
"""Two looks that differ by less found the same place."""
UNMARKED_S = 10.0
"""Markers come every three seconds; without any for so long nothing can be told."""
BEHIND_S = 5.0
"""What is known is known of so long ago, or a little less: feeds are aligned by stretches."""


class AvSyncParams(DetectorParams):
    """Parameters of the avSync detector."""

    min_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long sound must be early or late before an incident is raised."""
    clear_duration: Duration = Field(default=3.0, ge=0.1, le=3600)
    """How long sound must be in time again before the incident ends."""
    critical_after: Duration = Field(default=60.0, ge=0.1, le=86400)
    """How long sound must be early or late for the incident to become critical."""
    early: float = Field(default=45.0, ge=10.0, le=10_000.0)
    """How much earlier than its pictures sound may come."""
    late: float = Field(default=125.0, ge=10.0, le=10_000.0)
    """How much later than its pictures sound may come."""
    critical_early: float = Field(default=90.0, ge=10.0, le=10_000.0)
    """From where on sound that is early is critical at once."""
    critical_late: float = Field(default=185.0, ge=10.0, le=10_000.0)
    """From where on sound that is late is critical at once."""

    markers: bool = False
    """Whether the stream shows markers, a white flash and a beep that begin together every three
    seconds, as streammonitor marker writes them; then they are what is judged by."""

    units: ClassVar[Units] = {
        "early": "ms",
        "late": "ms",
        "criticalEarly": "ms",
        "criticalLate": "ms",
    }
    profiles: ClassVar[Profiles] = {
        "strict": {"early": 40, "late": 60, "criticalAfter": "30s"},
        "relaxed": {"minDuration": "10s", "early": 90, "late": 185, "criticalEarly": 180,
                    "criticalLate": 360, "criticalAfter": "5m"},
    }  # fmt: skip


class AvSyncDetector(Detector[AvSyncParams, TransportView]):
    """Finds sound that is early or late against a reference feed of the same programme.

    The stream and the reference that its `referenceUrl` names are aligned, pictures and sound each
    by itself; if sound is later than in the reference by more than the pictures are, it became late
    between the two. That holds through another codec, size, frame rate, logo, loudness, and a delay
    of up to a minute. What cannot be told is unknown: nothing moves, all is silent, what is played
    comes again and again, or the two show different things, as in advertisements.

    With `markers`, flashes and beeps in the stream itself are judged by, and no reference is
    needed: for a channel that shows nothing else, or a test before a programme.

    Input: pictures and sound of both feeds, or of the stream with markers.

    Values: `skewMilliseconds`, how much earlier sound comes than its pictures, against the
    reference (negative: later); `pictureDelayMilliseconds` and `soundDelayMilliseconds`, by how
    much later than in the reference each comes on the feeds' own media time; `likeness`, 0 to 1.

    Source: thresholds of ITU-R BT.1359-1: detectable beyond +45 and -125 ms, unacceptable beyond
    +90 and -185 ms.

    Blind spots: an error that the reference has, too. Without `referenceUrl` and markers,
    everything.
    """

    name: ClassVar[str] = "avSync"
    kind: ClassVar[Kind] = Kind.TRANSPORT
    summary: ClassVar[str] = "Sound comes earlier or later than its pictures."
    params_type: ClassVar[type[DetectorParams]] = AvSyncParams
    causes: ClassVar[tuple[str, ...]] = ("stall",)
    cost: ClassVar[float] = 0.05
    self_contained: ClassVar[bool] = False
    compares: ClassVar[bool] = True
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(("skewMilliseconds",), "ms", lambda p: p.early, lambda p: CLEAR_RATIO * p.early,
              critical_at=lambda p: p.critical_early),
        Trace(("skewMilliseconds",), "ms", lambda p: -p.late, lambda p: -CLEAR_RATIO * p.late,
              below=True, critical_at=lambda p: -p.critical_late),
    )  # fmt: skip

    def __init__(self, params: AvSyncParams) -> None:
        super().__init__(params)
        self._trouble: Trouble | None = None
        if not params.markers:
            self._trouble = Trouble(
                "NoReference",
                "there is nothing to compare the stream with: give it a referenceUrl",
            )
        self.reset()

    def reset(self) -> None:
        """Forget what was seen of the feeds."""
        self._until_s: float | None = None
        self._seen_s = self._arrived_at = 0.0
        self._marked_s: float | None = None
        self._before_s: float | None = None

    def flush(self) -> Iterator[Measurement]:
        """Of the last seconds nothing is known."""
        if self._until_s is not None:
            yield from self._span(self._seen_s, Verdict.UNKNOWN, 1.0, {})

    def onlooker(self) -> Onlooker | None:
        """Who finds markers, if there are to be any."""
        return MarkerReader() if self.params.markers else None

    def trouble(self) -> Trouble | None:
        """Why there is nothing to compare with."""
        return self._trouble

    def observe(self, measures: TransportView) -> Iterator[Measurement]:
        """Judge what comparing brought."""
        fact = measures.fact
        self._seen_s, self._arrived_at = measures.time_s, measures.arrived_at
        if self._until_s is None:
            self._until_s = measures.time_s
        if isinstance(fact, Seam):
            self._before_s = None
        if self.params.markers:
            yield from self._judge_marker(measures.time_s, fact)
        elif isinstance(fact, Compared):
            yield from self._judge(measures, fact)

    def _judge_marker(self, time_s: float, fact: Fact) -> Iterator[Measurement]:
        """Judge by a marker: what it says holds until the next."""
        before_s = self._until_s if self._marked_s is None else self._marked_s
        if isinstance(fact, Marked):
            self._trouble, self._marked_s = None, time_s
            values = {"skewMilliseconds": round(fact.skew_s * 1000, 1)}
            yield from self._span(time_s, self._verdict(fact.skew_s * 1000), 1.0, values)
        elif before_s is not None and time_s - before_s >= UNMARKED_S:
            self._trouble = Trouble("NoMarkers", "no flash and beep came for 10 s")
            yield from self._span(time_s, Verdict.UNKNOWN, 1.0, {})

    def _judge(self, measures: TransportView, fact: Compared) -> Iterator[Measurement]:
        self._trouble = _trouble(fact)
        if fact.picture_lag_s is None or fact.sound_lag_s is None:
            self._before_s = None
            yield from self._span(measures.time_s - BEHIND_S, Verdict.UNKNOWN, 1.0, {})
            return
        skew_s = fact.picture_lag_s - fact.sound_lag_s
        before_s, self._before_s = self._before_s, skew_s
        steady = before_s is not None and abs(skew_s - before_s) <= STEADY_S
        verdict = self._verdict(skew_s * 1000) if steady else Verdict.UNKNOWN
        # What was aligned is a stretch: its middle is where the error is known to be.
        middle_s = (fact.from_s + fact.until_s) / 2
        yield from self._span(middle_s, verdict, fact.likeness, _values(fact, skew_s))

    def _span(
        self, end_s: float, verdict: Verdict, confidence: float, values: dict[str, float]
    ) -> Iterator[Measurement]:
        start_s = self._until_s or 0.0
        if end_s >= start_s:
            self._until_s = end_s
            yield Measurement(start_s, end_s, self._arrived_at, verdict, confidence, values)

    def _verdict(self, skew_ms: float) -> Verdict:
        limit_ms = self.params.early if skew_ms > 0 else self.params.late
        if abs(skew_ms) >= limit_ms:
            return Verdict.BAD
        return Verdict.GOOD if abs(skew_ms) < CLEAR_RATIO * limit_ms else Verdict.BETWEEN


def _trouble(fact: Compared) -> Trouble | None:
    if fact.outcome is Outcome.NO_REFERENCE:
        return Trouble("ReferenceLost", fact.detail)
    if fact.outcome is Outcome.MISMATCH:
        return Trouble("Mismatch", "the stream and its reference show different things")
    return None


def _values(fact: Compared, skew_s: float) -> dict[str, float]:
    return {
        "skewMilliseconds": round(skew_s * 1000, 1),
        "pictureDelayMilliseconds": round((fact.picture_lag_s or 0.0) * 1000, 1),
        "soundDelayMilliseconds": round((fact.sound_lag_s or 0.0) * 1000, 1),
        "likeness": round(fact.likeness, 3),
    }
