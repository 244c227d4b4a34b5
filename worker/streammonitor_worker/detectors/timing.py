"""Timing: timestamps have gaps, overlap, go back, jump or drift."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_worker.deliveries import Begun, Connected, Container, Delivered, Missed
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
from streammonitor_worker.facts import Fact, Packet, Seam, Track, Waiting
from streammonitor_worker.frames import TransportView
from streammonitor_worker.measures.drift import Drift, Slope
from streammonitor_worker.measures.stamps import JUMP_S, Fault, Stamps, Step
from streammonitor_worker.mpegts.packets import Framer

SEAM_S = 20.0
"""What is announced follows within so much media: a demultiplexer reads ahead."""
SEAMS = 8
"""So many announcements may be ahead."""
HELD_S = 5.0
"""A transport stream's bytes are told of after its packets, later by at most so much media."""
AFTER_S = 1.0
"""For so long after a fault nothing is told to be well: faults come in groups."""
TOGETHER_S = 0.5
"""A gap in sound and in pictures that differs by less is the same one, if they come together."""
SHORTEST_S = 0.1
"""A fault without a length of its own counts as long."""
SURE_ERRORS = 3.0
"""A drift is told from none if it is so many standard errors beyond the limit."""
_LENGTHS = {
    Fault.GAP: "gapMilliseconds",
    Fault.OVERLAP: "overlapMilliseconds",
    Fault.BACKWARD: "backwardMilliseconds",
}


class TimingParams(DetectorParams):
    """Parameters of the timing detector."""

    min_duration: Duration = Field(default=0.1, ge=0.1, le=3600)
    """How long timestamps must be wrong, or media be missing, before an incident is raised."""
    clear_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long timestamps must be right again before the incident ends."""
    critical_after: Duration = Field(default=10.0, ge=0.1, le=86400)
    """How long timestamps must be wrong for the incident to become critical."""
    tolerance: Duration = Field(default=0.03, ge=0.005, le=10)
    """How far a timestamp may be off from the end of what came before; where the source's own
    jitter is more than a third of it, three times the jitter."""
    drift: float = Field(default=50.0, ge=5.0, le=100_000.0)
    """How much faster or slower the timestamps of the sound may run than its samples."""

    units: ClassVar[Units] = {"drift": "ppm"}
    profiles: ClassVar[Profiles] = {
        "strict": {"tolerance": "15ms", "drift": 25, "criticalAfter": "5s"},
        "relaxed": {"minDuration": "500ms", "tolerance": "100ms", "drift": 200,
                    "criticalAfter": "30s"},
    }  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Held:
    """A fault that may yet turn out to have been announced."""

    view: TransportView
    packet: Packet
    step: Step
    since_s: float | None


class TimingDetector(Detector[TimingParams, TransportView]):
    """Finds timestamps that do not fit what they are the timestamps of.

    Input: the timestamps of packets, before they are decoded, of pictures and sound each by itself.
    Each packet should begin where the one before ended. What a source may rightly do is no fault:
    a clock that wraps at 33 bits, the seams that a playlist or the discontinuity indicator of a
    transport stream announces, a connection that is made anew. Pictures of no constant rate may
    pause for a second.

    Values: `gapMilliseconds`, `overlapMilliseconds` and `backwardMilliseconds`, of one fault: how
    much is missing, is there twice, or how far decoding times go back; `jumpSeconds`, for steps of
    more than a minute, of which nobody knows what they mean; `driftPpm`, how much faster the
    timestamps of the sound run than its samples (negative: slower), which is how fast sound and
    pictures come apart in a player that plays all samples; and `sound`, 1 if it is in the sound's
    timestamps.

    Source: timestamps are those of ISO/IEC 13818-1 clause 2.4.3.7, the discontinuity indicator is
    that of 2.4.3.5; the tolerance is about a frame of sound.

    Blind spots: a drift is told after one to two minutes, from 5 ppm on if timestamps do not
    jitter. Sound and pictures that were put together wrongly but evenly look right, and so does a
    drift of both together. Sound whose packets do not say exactly how long they are (Vorbis, PCM in
    some containers) has no drift.
    """

    name: ClassVar[str] = "timing"
    kind: ClassVar[Kind] = Kind.TRANSPORT
    summary: ClassVar[str] = "Timestamps have gaps, overlap, go back, jump or drift."
    params_type: ClassVar[type[DetectorParams]] = TimingParams
    causes: ClassVar[tuple[str, ...]] = ("stall",)
    cost: ClassVar[float] = 0.005
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(tuple(_LENGTHS.values()), "ms", lambda p: p.tolerance * 1000),
        Trace(("jumpSeconds",), "s", lambda p: JUMP_S),
        Trace(("driftPpm",), "ppm", lambda p: p.drift, lambda p: p.drift / 2),
        Trace(("driftPpm",), "ppm", lambda p: -p.drift, lambda p: -p.drift / 2, below=True),
    )

    def __init__(self, params: TimingParams) -> None:
        super().__init__(params)
        self.reset()

    def reset(self) -> None:
        """Forget the source's clock."""
        self._stamps = {track: Stamps(self.params.tolerance) for track in Track}
        self._drift = Drift()
        self._slope: Slope | None = None
        self._seams: dict[Track, deque[float]] = {track: deque(maxlen=SEAMS) for track in Track}
        self._framers: dict[str, Framer] = {}
        self._held: list[_Held] = []
        self._lines: set[str] = set()
        self._missed: set[str] = set()
        self._until_s: float | None = None
        self._fault_end_s: float | None = None
        self._gap = (0.0, float("-inf"))
        self._quiet_since_s: float | None = None

    def observe(self, measures: TransportView) -> Iterator[Measurement]:
        """Judge a packet's timestamp; note what explains the next one's."""
        fact = measures.fact
        self._until_s = measures.time_s if self._until_s is None else self._until_s
        if isinstance(fact, Packet):
            yield from self._take(measures, fact)
        elif self._announces(fact):
            for seams in self._seams.values():
                seams.append(measures.time_s + SEAM_S)
        if isinstance(fact, Delivered):
            yield from self.flush()
        elif isinstance(fact, Waiting) and fact.overdue_s:
            yield from self.flush()
            if self._quiet_since_s is None:
                self._quiet_since_s = measures.time_s - fact.overdue_s
            yield from self._span(measures, measures.time_s, Verdict.UNKNOWN, {})

    def flush(self) -> Iterator[Measurement]:
        """Tell of faults that were not announced."""
        held, self._held = self._held, []
        for one in held:
            if not self._excused(one.packet.track, one.view.time_s):
                yield self._faulty(one)

    def _announces(self, fact: Fact) -> bool:
        """Whether timestamps may rightly start anew; those of what is missing may not."""
        if isinstance(fact, Delivered):
            return fact.container is Container.TS and self._has_new_clock(fact)
        if isinstance(fact, Connected):
            self._framers.clear()
        elif isinstance(fact, Missed):
            self._missed.add(fact.line)
        elif isinstance(fact, Begun):
            first = fact.line not in self._lines
            missed = fact.line in self._missed
            if fact.claimed_s is not None:
                self._lines.add(fact.line)
                self._missed.discard(fact.line)
                return not (fact.continues or first or missed)
        return isinstance(fact, Seam)

    def _has_new_clock(self, delivered: Delivered) -> bool:
        """Whether a clock reference announces that it does not continue the one before."""
        packets, _ = self._framers.setdefault(delivered.line, Framer()).feed(delivered.data)
        return bool((packets.discontinuity & packets.has_pcr).any())

    def _excused(self, track: Track, time_s: float) -> bool:
        seams = self._seams[track]
        while seams and seams[0] < time_s:
            seams.popleft()
        return bool(seams) and seams.popleft() >= time_s

    def _take(self, view: TransportView, packet: Packet) -> Iterator[Measurement]:
        step = self._stamps[packet.track].take(packet)
        since_s, self._quiet_since_s = self._quiet_since_s, None
        if step is not None and step.fault and self._excused(packet.track, view.time_s):
            step = None
        if packet.track is Track.AUDIO and packet.exact:
            regular = step is not None and step.fault is None
            if self._drift.take(step.error_s if step and regular else 0.0, packet.duration_s):
                self._slope = self._drift.slope()
        slope = self._slope
        if step is not None and step.fault:
            self._held.append(_Held(view, packet, step, since_s))
            if not self._framers:
                yield from self.flush()
        elif self._held:
            if view.time_s - self._held[0].view.time_s > HELD_S:
                yield from self.flush()
        elif self._fault_end_s is not None and view.time_s < self._fault_end_s + AFTER_S:
            yield from self._span(view, view.time_s, Verdict.BETWEEN, _values(slope))
        else:
            yield from self._span(view, view.time_s, self._verdict(slope), _values(slope))

    def _faulty(self, held: _Held) -> Measurement:
        """From where media is missing, or a moment; what comes after a stall began with it."""
        view, step = held.view, held.step
        start_s = view.time_s if held.since_s is None else held.since_s
        lasts_s = self._missing_s(step, start_s)
        until_s = self._until_s or 0.0
        self._until_s = max(until_s, start_s + max(lasts_s, SHORTEST_S))
        self._fault_end_s = self._until_s
        fault = {"sound": float(held.packet.track is Track.AUDIO)}
        if step.fault is Fault.JUMP:
            fault["jumpSeconds"] = round(step.by_s, 3)
        elif step.fault is not None:
            fault[_LENGTHS[step.fault]] = round(step.by_s * 1000, 1)
        values = {**_values(self._slope), **fault}
        return Measurement(start_s, self._until_s, view.arrived_at, Verdict.BAD, values=values)

    def _missing_s(self, step: Step, start_s: float) -> float:
        """How much media is missing; what both tracks lack is missing once."""
        if step.fault is not Fault.GAP:
            return 0.0
        before_s, until_s = self._gap
        again = abs(step.by_s - before_s) < TOGETHER_S and start_s < until_s + TOGETHER_S
        self._gap = step.by_s, start_s + (0.0 if again else step.by_s)
        return 0.0 if again else step.by_s

    def _span(
        self, view: TransportView, end_s: float, verdict: Verdict, values: dict[str, float]
    ) -> Iterator[Measurement]:
        start_s = view.time_s if self._until_s is None else self._until_s
        if end_s > start_s:
            self._until_s = end_s
            if verdict is Verdict.GOOD and self._fault_end_s is not None:
                # As it turns out, all was well from the end of the fault on.
                start_s, self._fault_end_s = min(start_s, self._fault_end_s), None
            yield Measurement(start_s, end_s, view.arrived_at, verdict, values=values)

    def _verdict(self, slope: Slope | None) -> Verdict:
        if slope is None:
            return Verdict.GOOD
        off_ppm = abs(slope.ppm)
        if off_ppm - SURE_ERRORS * slope.error_ppm >= self.params.drift:
            return Verdict.BAD
        return Verdict.GOOD if off_ppm <= self.params.drift / 2 else Verdict.BETWEEN


def _values(slope: Slope | None) -> dict[str, float]:
    values = dict.fromkeys(_LENGTHS.values(), 0.0)
    return values if slope is None else {**values, "driftPpm": round(slope.ppm, 1)}
