"""One stream's minutes: what was analysed, what lasted, and what was counted in each of them."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from streammonitor_api.incident import Incident, Severity
from streammonitor_api.results import DetectorMinute, Minute, score_of
from streammonitor_worker.detectors.base import Measurement
from streammonitor_worker.figures import Figures
from streammonitor_worker.frames import AudioView, FrameView
from streammonitor_worker.incidents import EventKind, IncidentEvent
from streammonitor_worker.programme import PLAUSIBLE_S, ProgrammeClock
from streammonitor_worker.results.loudness import MinuteLoudness

LAG_S = 30.0
"""A minute is told so long after its end. What is learnt later is told in another contribution."""
MISSED_S = 5.0
"""A worker that was not there for longer did not watch meanwhile."""
LATE_S = 3600.0
"""Incidents say nothing of minutes that are longer ago."""
LONGEST_S = 10.0
"""No picture is presented for longer, whatever its timestamps say."""

_COUNTS = ("frames", "corrupt_frames", "decode_errors", "discontinuities", "connects")


@dataclass(slots=True)
class _Span:
    """An incident, in UTC seconds."""

    defect: str
    severity: Severity
    begin_s: float
    end_s: float | None = None


@dataclass(slots=True)
class _Bucket:
    """What is gathered of one minute."""

    watched: int = 0
    analysed: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    unknown_s: dict[str, float] = field(default_factory=dict)
    incidents: dict[str, int] = field(default_factory=dict)
    loudness: MinuteLoudness = field(default_factory=MinuteLoudness)


class Minutes:
    """What one worker knows of one stream, by minutes (UTC). Thread-safe.

    Media time becomes UTC by the programme clock, which the workers of a stream share, where that
    is near the wall clock, and by the time of arrival otherwise.

    Args:
        stream: Name of the stream.
        worker: Name of the worker.
        figures: What it has done so far, in numbers; counts are those of the wall clock's minutes.
        wall: Unix time in seconds.

    Attributes:
        stream: Name of the stream.
        group: The worker group.
        over: Whether it was played to its end, so that there is nothing more to watch.
    """

    def __init__(
        self,
        stream: str,
        worker: str = "",
        figures: Callable[[], Figures] = Figures,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.stream = stream
        self.group = ""
        self.over = False
        self._worker = worker
        self._figures = figures
        self._wall = wall
        self._lock = threading.Lock()
        self._buckets: dict[int, _Bucket] = {}
        self._spans: dict[str, _Span] = {}
        self._told_until = int(wall() // 60)
        self._counted = Figures()
        self._ticked_s: float | None = None
        self._offset_s: float | None = None
        self._second = -1

    def analysed(self, view: FrameView | AudioView, programme: ProgrammeClock) -> None:
        """A picture, or sound where there is none, was analysed."""
        begin_s = self._utc_s(view.time_s, view.arrived_at, programme)
        end_s = begin_s + min(view.duration_s, LONGEST_S)
        if int(end_s) == self._second:
            return  # as of most pictures, nothing new
        with self._lock:
            self._second = int(end_s)
            for second in range(int(begin_s), self._second + (end_s > self._second)):
                self._bucket(second // 60).analysed |= 1 << second % 60

    def heard(self, detector: str, measurement: Measurement) -> None:
        """A detector measured something; only loudness is kept."""
        if detector == "loudness" and measurement.values and self._offset_s is not None:
            minute = int((measurement.end_s + self._offset_s) // 60)
            with self._lock:
                self._bucket(minute).loudness.take(measurement.values)

    def incident(self, event: IncidentEvent) -> None:
        """An incident began, changed or ended."""
        with self._lock:
            span = self._spans.get(event.incident.id) or self._span(event.incident)
            span.severity, span.end_s = event.incident.severity, _end_s(event.incident, span)
            if event.kind is EventKind.STARTED:
                self._reopen(span)
                started = self._bucket(self._earliest(span)).incidents
                started[span.defect] = started.get(span.defect, 0) + 1

    def adopt(self, incidents: Iterable[Incident]) -> None:
        """These last, and were told by another worker or process."""
        with self._lock:
            for one in incidents:
                if one.id not in self._spans:
                    self._span(one)

    def tick(self) -> list[Minute]:
        """Wall time passed: to be called every second or so. Returns what can be told now."""
        now_s = self._wall()
        self._count(int(now_s // 60))
        with self._lock:
            self._watch(now_s)
            return self._told(int((now_s - LAG_S) // 60))

    def finish(self) -> list[Minute]:
        """The worker monitors the stream no longer. Returns all that is known and was not told."""
        now_s = self._wall()
        self._count(int(now_s // 60), over=True)
        with self._lock:
            self._watch(now_s)
            for span in self._spans.values():
                span.end_s = now_s if span.end_s is None else span.end_s
            last = max([*self._buckets, int(now_s // 60)])
            return self._told(last + 1)

    def _utc_s(self, time_s: float, arrived_at: float, programme: ProgrammeClock) -> float:
        placed_s = programme.programme_s(time_s)
        if placed_s is None or abs(placed_s - arrived_at) > PLAUSIBLE_S:
            kept_s = None if self._offset_s is None else time_s + self._offset_s
            near = kept_s is not None and abs(kept_s - arrived_at) <= PLAUSIBLE_S
            placed_s = kept_s if near and kept_s is not None else arrived_at
        self._offset_s = placed_s - time_s
        return placed_s

    def _bucket(self, minute: int) -> _Bucket:
        bucket = self._buckets.get(minute)
        if bucket is None:
            bucket = self._buckets[minute] = _Bucket()
        return bucket

    def _span(self, incident: Incident) -> _Span:
        span = _Span(incident.defect, incident.severity, _begin_s(incident))
        self._spans[incident.id] = span
        return span

    def _earliest(self, span: _Span) -> int:
        return max(int(span.begin_s // 60), self._told_until - int(LATE_S // 60))

    def _reopen(self, span: _Span) -> None:
        """Tell more of minutes that an incident turns out to have begun in."""
        for minute in range(self._earliest(span), self._told_until):
            self._bucket(minute)

    def _watch(self, now_s: float) -> None:
        since_s = now_s if self._ticked_s is None else self._ticked_s
        if not 0 <= now_s - since_s <= MISSED_S:
            since_s = now_s
        self._ticked_s = now_s
        if self.over:
            return
        for second in range(int(since_s), int(now_s) + 1):
            self._bucket(second // 60).watched |= 1 << second % 60

    def _count(self, minute: int, *, over: bool = False) -> None:
        """Note what was counted in the minute before, once it is over."""
        before = None if self._ticked_s is None else int(self._ticked_s // 60)
        if before is None or (before == minute and not over):
            return
        now = self._figures()  # not under the lock: the stream tells while it holds its own
        if self.over and now == self._counted:
            return
        with self._lock:
            bucket, counted = self._bucket(before), self._counted
            for name in _COUNTS:
                more = max(0, getattr(now, name) - getattr(counted, name))
                bucket.counts[name] = bucket.counts.get(name, 0) + more
            for name, unknown_s in now.unknown_s.items():
                more_s = max(0.0, unknown_s - counted.unknown_s.get(name, 0.0))
                bucket.unknown_s[name] = bucket.unknown_s.get(name, 0.0) + more_s
            self._counted = now

    def _told(self, until: int) -> list[Minute]:
        """What is known of the minutes before a moment, once."""
        due = sorted(minute for minute in self._buckets if minute < until)
        told = [self._summary(minute, self._buckets.pop(minute)) for minute in due]
        self._told_until = max(self._told_until, until)
        oldest_s = self._told_until * 60
        self._spans = {
            key: one
            for key, one in self._spans.items()
            if one.end_s is None or one.end_s > oldest_s
        }
        return told

    def _summary(self, minute: int, bucket: _Bucket) -> Minute:
        defective: dict[str, int] = {}
        by_severity = dict.fromkeys(Severity, 0)
        for span in self._spans.values():
            lasted = _seconds(span, minute)
            if lasted:
                defective[span.defect] = defective.get(span.defect, 0) | lasted
                by_severity[span.severity] |= lasted
        critical = by_severity[Severity.CRITICAL]
        warning = by_severity[Severity.WARNING] & ~critical
        watched = bucket.watched | bucket.analysed
        seconds = {
            "watched": watched,
            "analysed": bucket.analysed,
            "warning": warning,
            "critical": critical,
        }
        return Minute.model_validate(
            {
                "stream": self.stream,
                "group": self.group,
                "worker": self._worker,
                "minute": datetime.fromtimestamp(minute * 60, UTC),
                **seconds,
                **bucket.counts,
                **bucket.loudness.values(),
                "detectors": list(_detectors(bucket, defective)),
                "score": score_of(**seconds),
            }
        )


def _detectors(bucket: _Bucket, defective: dict[str, int]) -> Iterator[DetectorMinute]:
    for name in sorted({*bucket.unknown_s, *bucket.incidents, *defective}):
        yield DetectorMinute(
            name=name,
            unknown_s=round(bucket.unknown_s.get(name, 0.0), 3),
            incidents=bucket.incidents.get(name, 0),
            defective=defective.get(name, 0),
        )


def _begin_s(incident: Incident) -> float:
    """When an incident began: by the clock that workers share, which its episode is named after.

    Arrival is coarser where media come in segments.
    """
    arrived_s = incident.started_at.timestamp()
    if incident.episode.isdecimal():
        named_s = int(incident.episode) / 1000
        if abs(named_s - arrived_s) <= PLAUSIBLE_S:
            return named_s
    return arrived_s


def _end_s(incident: Incident, span: _Span) -> float | None:
    if incident.active:
        return None
    if incident.end_s is None:
        return max(span.begin_s, incident.ended_at.timestamp() if incident.ended_at else 0.0)
    return span.begin_s + max(0.0, incident.end_s - incident.start_s)


def _seconds(span: _Span, minute: int) -> int:
    """The seconds of a minute in which an incident lasted, however short it was in them."""
    start_s = minute * 60.0
    first = max(0, int(span.begin_s - start_s)) if span.begin_s > start_s else 0
    end_s = 60.0 if span.end_s is None else min(60.0, span.end_s - start_s)
    if end_s <= 0 or span.begin_s >= start_s + 60:
        return 0
    last = max(first, int(-(-end_s // 1)) - 1)
    return (1 << last + 1) - (1 << first)
