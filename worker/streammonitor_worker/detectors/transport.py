"""Transport: the multiplex, the playlists or the segments are not what their standards ask for."""

from collections import Counter
from collections.abc import Iterator
from typing import Annotated, ClassVar

from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_worker.deliveries import (
    Begun,
    Codecs,
    Connected,
    Delivered,
    Listed,
    Missed,
    Presented,
)
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
from streammonitor_worker.facts import Waiting
from streammonitor_worker.frames import TransportView
from streammonitor_worker.lines import Found, Line, Playlists, Shortcoming, belies
from streammonitor_worker.mpegts.clock import ahead_s
from streammonitor_worker.mpegts.indicators import Indicator, Limits

STEP_S = 1.0
"""Errors are counted by the second, as TR 101 290 (clause 5.2, note on errored seconds) does."""
LEAST_S = 0.1
"""An error that falls on the end of a second lasts at least this long."""
SHORTEST_STALE_S = 6.0
"""However short the segments, a playlist may stay as it is for this long."""
BACK_S = 5.0
"""By how much of media time bytes may become known after what they belong to was presented."""
AHEAD_S = 10.0
"""By how much the bytes that were read are ahead of what is presented, or behind, at most."""
NOTHING_S = 3.0
"""A source without anything to look at is one after this long."""
MAX_HELD = 2000
"""Errors that are known before the media that they belong to was decoded."""
INDICATORS = tuple(one.value for one in (*Indicator, *Shortcoming))


class TransportParams(DetectorParams):
    """Parameters of the transport detector."""

    min_duration: Duration = Field(default=0.1, ge=0.1, le=3600)
    """How long errors must go on before an incident is raised; an error counts for the second that
    it falls into."""
    clear_duration: Duration = Field(default=5.0, ge=0.1, le=3600)
    """How long there must be no errors before an incident ends."""
    threshold: int = Field(default=1, ge=1, le=10_000)
    """How many errors a second must have to count as defective."""
    ignore: list[Annotated[str, Field(max_length=40, pattern=f"^({'|'.join(INDICATORS)})$")]] = (
        Field(default=[], max_length=20)
    )
    """Indicators that are not counted, by their names."""
    table_interval: Duration = Field(default=0.5, ge=0.1, le=60)
    """At least how often PAT and PMT must come; not of streams in segments, which have them once a
    segment."""
    pid_interval: Duration = Field(default=5.0, ge=0.5, le=600)
    """How long an elementary stream that the PMT names may be silent."""
    pcr_interval: Duration = Field(default=0.1, ge=0.02, le=5)
    """At least how often the clock must come; DVB asks for 40 ms."""
    pts_interval: Duration = Field(default=0.7, ge=0.1, le=60)
    """At least how often pictures and sound must be given a time."""
    pcr_accuracy: float = Field(default=500.0, ge=30.0, le=1e6)
    """How far a clock value may be from where the bytes of a stream of constant rate put it."""
    segment_tolerance: Duration = Field(default=0.5, ge=0.05, le=60)
    """By how much a segment may be shorter or longer than its playlist claims."""
    stale_targets: float = Field(default=3.0, ge=1.5, le=100)
    """After how many target durations without a change a live playlist is stale; at least 6 s."""

    units: ClassVar[Units] = {
        "threshold": "errors/s",
        "pcrAccuracy": "ns",
        "staleTargets": "target durations",
    }
    profiles: ClassVar[Profiles] = {
        "strict": {"criticalAfter": "5s", "staleTargets": 2.0},
        "relaxed": {"minDuration": "2s", "criticalAfter": "30s", "staleTargets": 6.0},
    }


class TransportDetector(Detector[TransportParams, TransportView]):
    """Finds what is wrong with how a stream is delivered, before any of it is decoded.

    MPEG-2 transport streams (files, HTTP, TCP, UDP, SRT, segments of HLS) are judged by their own
    clock, never by the time of arrival; segments come in bursts. Where one segment follows upon the
    other, counters and clock must go on, unless a discontinuity is announced; of a packager that
    counts anew in each segment that is not asked.

    Input: bytes of transport streams, the beginnings of MP4 fragments, playlists. RTMP, RTSP and
    MP4 over HTTP have none of these: there it cannot tell.

    Values: `errors` in a second, and each that there was by its name: `TS_sync_loss`,
    `Sync_byte_error`, `PAT_error`, `Continuity_count_error`, `PMT_error`, `PID_error`,
    `Transport_error`, `CRC_error`, `PCR_repetition_error`, `PCR_discontinuity_indicator_error`,
    `PCR_accuracy_error`, `PTS_error`, `CAT_error`, `Manifest_stale_error`, `Segment_missing_error`,
    `Segment_duration_error`, `Target_duration_error`, `Codec_error` (errors).

    Source: ETSI TR 101 290 V1.4.1, clause 5.2, first and second priority; RFC 8216 clauses 4.3.2.1,
    4.3.3.1 and 6.2.2; ISO/IEC 23009-1.

    Blind spots: packets of 192 or 204 bytes; what is lost where a packager begins to count anew;
    the accuracy of the clock unless the stream is filled up to a constant rate.
    """

    name: ClassVar[str] = "transport"
    kind: ClassVar[Kind] = Kind.TRANSPORT
    summary: ClassVar[str] = (
        "The transport stream, the playlist or the segments are not as their standards ask."
    )
    params_type: ClassVar[type[DetectorParams]] = TransportParams
    cost: ClassVar[float] = 0.03
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(("errors",), "errors/s", lambda p: float(p.threshold)),
    )

    def __init__(self, params: TransportParams) -> None:
        super().__init__(params)
        self.reset()

    def reset(self) -> None:
        """Forget the source."""
        self._limits = Limits(
            table_s=self.params.table_interval,
            pid_s=self.params.pid_interval,
            pcr_s=self.params.pcr_interval,
            pcr_accuracy_s=self.params.pcr_accuracy * 1e-9,
            pts_s=self.params.pts_interval,
        )
        self._lines: dict[str, Line] = {}
        self._playlists = Playlists(self.params.stale_targets, SHORTEST_STALE_S)
        self._belied = False
        self._away = False
        self._nothing_s = 0.0
        self._tie: tuple[float, float] | None = None
        self._held: list[Found] = []
        self._lasted: set[str] = set()
        self._edge_s: float | None = None
        self._edge_at = 0.0
        self._last: tuple[float, float] = (0.0, 0.0)

    def observe(self, measures: TransportView) -> Iterator[Measurement]:
        """Take what became known, and judge each second that is over."""
        if self._edge_s is None:
            self._edge_s, self._edge_at = measures.time_s, measures.arrived_at
        self._held += self._taken(measures)
        self._last = (measures.time_s, measures.arrived_at)
        if measures.time_s - self._edge_s >= STEP_S or len(self._held) > MAX_HELD:
            yield from self._judge(*self._last)

    def flush(self) -> Iterator[Measurement]:
        """Judge the rest."""
        self._tie = None
        if self._edge_s is not None and (self._last[0] > self._edge_s or self._held):
            yield from self._judge(*self._last)

    def trouble(self) -> Trouble | None:
        """Why it cannot tell anything: the source has nothing to look at."""
        if self._lines or self._nothing_s < NOTHING_S:
            return None
        return Trouble(
            "NoTransport",
            "the source is no transport stream and has no segments: take the detector off it",
        )

    def _taken(self, view: TransportView) -> Iterator[Found]:
        fact = view.fact
        if isinstance(fact, Connected):
            self._lines.clear()
            self._nothing_s = 0.0
            self._tie, self._belied = None, False
        elif isinstance(fact, Delivered):
            self._away = False
            yield from self._line(fact.line).deliver(fact)
        elif isinstance(fact, Begun):
            self._line(fact.line).begin(fact)
        elif isinstance(fact, Listed):
            yield from self._playlists.fetch(fact, view.arrived_at)
        elif isinstance(fact, Missed):
            yield Found(Shortcoming.MISSING)
        elif isinstance(fact, Codecs):
            self._belied = belies(fact)
        elif isinstance(fact, Presented):
            self._tie = (view.time_s, fact.until_s)
        elif isinstance(fact, Waiting):
            self._away = fact.overdue_s > 0

    def _line(self, name: str) -> Line:
        if name not in self._lines:
            self._lines[name] = Line(self._limits, self.params.segment_tolerance)
        return self._lines[name]

    def _judge(self, until_s: float, arrived_at: float) -> Iterator[Measurement]:
        """Say what is known of the time since the edge."""
        edge_s, edge_at = self._edge_s or 0.0, self._edge_at
        counted: Counter[str] = Counter()
        first_s, later = until_s, []
        for found in self._held:
            at_s = self._media_s(found)
            if at_s is not None and at_s >= until_s and len(self._held) <= MAX_HELD:
                later.append(found)
            elif found.name not in self.params.ignore:
                counted[found.name] += 1
                first_s = min(first_s, until_s if at_s is None else max(edge_s - BACK_S, at_s))
        self._held = later
        lasting = [name for name in self._lasting() if name not in self.params.ignore]
        counted.update({name: 1 for name in lasting if name not in counted})
        self._edge_s, self._edge_at = until_s, arrived_at
        self._nothing_s += until_s - edge_s
        errors = sum(counted.values())
        bad = errors >= self.params.threshold or bool(lasting)
        if not bad:
            self._lasted.clear()
            verdict = Verdict.GOOD if self._told() else Verdict.UNKNOWN
            values = {"errors": float(errors)} if self._told() else {}
            yield Measurement(edge_s, until_s, edge_at, verdict, values=values)
            return
        goes_on, self._lasted = self._lasted & set(lasting), set(lasting)
        start_s = edge_s if goes_on else min(first_s, until_s - LEAST_S)
        if start_s > edge_s:
            verdict = Verdict.GOOD if self._told() else Verdict.UNKNOWN
            yield Measurement(edge_s, start_s, edge_at, verdict, values={"errors": 0.0})
        values = {name: float(count) for name, count in sorted(counted.items())}
        values["errors"] = float(max(errors, self.params.threshold if lasting else 0))
        yield Measurement(start_s, until_s, edge_at, Verdict.BAD, values=values)

    def _lasting(self) -> Iterator[str]:
        """What is wrong for as long as it lasts, rather than at a moment."""
        if any(one.lost for one in self._lines.values()):
            yield Indicator.SYNC_LOSS
        if self._playlists.stale:
            yield Shortcoming.STALE
        if self._belied:
            yield Shortcoming.CODEC

    def _told(self) -> bool:
        """Whether there is anything by which the stream can be judged now."""
        return bool(self._lines) and not self._away

    def _media_s(self, found: Found) -> float | None:
        """Where something was found, in media time; None if that is not known."""
        if self._tie is None or found.pts_s is None:
            return None
        time_s, until_s = self._tie
        later_s = ahead_s(found.pts_s, until_s)
        # Where timestamps start anew, those of before say nothing, nor those that are to come.
        return time_s + later_s if abs(later_s) < AHEAD_S else None
