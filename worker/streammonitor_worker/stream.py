"""One stream, supervised: open → analyse → report; reconnect for ever; never take siblings down."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from streammonitor_api.assignment import Turn
from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.regions import Region
from streammonitor_api.spec import Stream
from streammonitor_api.worker_status import StreamState, StreamStatus
from streammonitor_worker.allocation import give_back
from streammonitor_worker.analysis import IncidentEvent, StreamAnalysis
from streammonitor_worker.detectors.base import DetectorParams, Measurement
from streammonitor_worker.evidence import Evidence
from streammonitor_worker.figures import Figures
from streammonitor_worker.frames import (
    AudioView,
    Discontinuity,
    FormatChange,
    FrameView,
    MediaItem,
)
from streammonitor_worker.incidents import expiring
from streammonitor_worker.ingest import Source, SourceError, Stop, redact
from streammonitor_worker.parameters import resolve
from streammonitor_worker.reception import HOPELESS, Reception
from streammonitor_worker.reference import Beside
from streammonitor_worker.regions import PictureRegions
from streammonitor_worker.splice import Splice
from streammonitor_worker.standing import Standing
from streammonitor_worker.surroundings import Surroundings
from streammonitor_worker.thumbnails import Thumbnail
from streammonitor_worker.traces import Traces
from streammonitor_worker.voice import SILENT_S, Voice

Detectors = Mapping[str, Mapping[str, Any]]
_log = logging.getLogger(__name__)


class StreamRunner:
    """Monitors one stream in a thread of its own.

    Commands come from other threads. `finish` and `let_go` take effect at once: whatever the
    thread still receives is no longer analysed.
    """

    def __init__(
        self,
        stream: Stream,
        detectors: Detectors,
        around: Surroundings,
        profile: str | None = None,
    ) -> None:
        resolution = resolve(stream, detectors, profile)
        self.name = stream.name
        self._around = around
        self._stream = stream
        self._lock = threading.RLock()
        self._minutes = around.minutes(stream.name, self.figures)
        self._closed = threading.Event()
        self._connection = Stop()
        self._wake = threading.Event()
        self._traces = Traces() if around.evidence else None
        self._decrypted = False
        self._analysis = StreamAnalysis(
            monitor_uid=around.monitor_uid,
            stream=stream.name,
            worker=around.worker,
            detectors=resolution.values,
            regions=PictureRegions(*_regions(stream)),
            evidence=around.evidence,
            heard=self._heard,
        )
        self._voice = Voice(self._analysis)
        self._beside = Beside(self._analysis, around.access, around.backoff)
        self._standing = Standing(
            stream.name, self._analysis, self._voice, self._lock, self._stream_changed
        )
        self._standing.faults = resolution.faults
        self._reception = Reception(stream, around)
        self._delay_s = 0.0
        self._yielded = False
        self._splice = Splice(self._analysis.programme)
        self._source: Source | None = None
        self.progress_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"stream-{self.name}", daemon=True)
        self._standing.thread = self._thread

    @property
    def stream(self) -> Stream:
        """What is monitored."""
        return self._stream

    @property
    def status(self) -> StreamStatus:
        """What is known of the stream."""
        return self._standing.status

    @property
    def alive(self) -> bool:
        """Whether its thread runs or has rightly ended."""
        return self._thread.is_alive() or self._closed.is_set() or self.completed

    @property
    def speaks(self) -> bool:
        """Whether its incidents are this worker's to tell now."""
        return not self._voice.silent and not self._closed.is_set()

    @property
    def completed(self) -> bool:
        """Whether a finite source was played to its end."""
        return self._standing.state is StreamState.COMPLETED

    def figures(self) -> Figures:
        """What it has done so far, consistent in itself."""
        with self._lock:
            return self._standing.copied()

    def evidence(self, incident_id: str) -> Evidence | None:
        """What can be shown of an incident that is open or among the last that ended."""
        with self._lock:
            return self._analysis.evidence(incident_id)

    @property
    def picture(self) -> Thumbnail | None:
        """The latest picture, small; None without one."""
        with self._lock:
            return self._analysis.picture

    @property
    def hidden(self) -> bool:
        """Whether its pictures must not leave the worker: it was decrypted here."""
        return self._decrypted and not self._around.shows_decrypted()

    def parameters(self) -> dict[str, DetectorParams]:
        """By which each detector judges."""
        with self._lock:
            return self._analysis.parameters()

    def traces(self) -> Traces | None:
        """What was measured lately; None if that is not kept."""
        return self._traces

    def start(self, delay_s: float = 0.0) -> None:
        """Begin, after a while; again has no effect."""
        if self._thread.ident is None:
            self._delay_s = delay_s
            self._beside.follow(self._stream.reference_url)
            self._standing.publish()
            self._thread.start()

    def hold(self, turn: Turn | None, incidents: list[Incident]) -> None:
        """Speak for the stream, and for incidents that were raised elsewhere, with their ids."""
        with self._lock:
            self._emit(self._voice.hold(turn, incidents))
            if self._stream.push is not None:
                self._yield()
            if self._thread.ident is not None:
                self._standing.publish()

    def follow(self, turn: Turn | None, recall: list[Incident] | None = None) -> None:
        """Follow the stream, and tell nobody of incidents; see `Voice.follow`."""
        with self._lock:
            self._voice.follow(turn, recall)

    def listen(self, port: int | None) -> None:
        """Wait for what is sent at this port instead of the URL's; None: at that."""
        with self._lock:
            before, self._reception.port = self._reception.port, port
            if before != port:
                self._reopen()

    def configure(self, stream: Stream, detectors: Detectors, profile: str | None) -> None:
        """Look for other defects, at other parts of the picture, or read from elsewhere.

        The source stays open unless it is another, or the detectors need other media. Open
        incidents stay open.
        """
        resolution = resolve(stream, detectors, profile)
        with self._lock:
            before, self._stream = self._stream, stream
            needed = self._analysis.kinds_needed
            self._emit(self._analysis.set_parameters(resolution.values))
            self._beside.follow(stream.reference_url)
            if _regions(before) != _regions(stream):
                self._emit(self._analysis.set_regions(PictureRegions(*_regions(stream))))
            self._standing.faults = resolution.faults
            self._standing.configured()
            if self._reception.follow(stream) or self._analysis.kinds_needed != needed:
                self._reopen()

    def finish(self, reason: EndReason) -> None:
        """Stop, and end what is open with `reason`."""
        with self._lock:
            if not self._closed.is_set() and not self.completed:
                events = self._analysis.finish(reason)
                if reason is EndReason.INTERRUPTED:
                    events = [expiring(event) for event in events]
                    self._voice.depart()
                    self._standing.publish()
                self._emit(events)
            self.let_go()

    def tick(self) -> None:
        """Wall time passed. To be called a few times a second, from any thread; never blocks."""
        if not self._lock.acquire(blocking=False):
            return  # something came just now
        try:
            source = self._source
            busy = source is not None and not source.reading
            if busy or self._closed.is_set() or self.completed:
                return
            noticed = source.noticed() if source else ()
            placed = [item for raw in noticed for item in self._splice.place(raw)]
            events = [
                event
                for item in (*placed, *self._splice.wait())
                for event in self._analysis.feed(item)
            ]
            self._emit(events)
            if self._voice.led_away(time.monotonic()) or events:
                self._standing.publish()
            if source is not None and self._splice.useless():
                _log.warning("nothing usable comes", extra={"fields": {"stream": self.name}})
                self._reopen()
        finally:
            self._lock.release()

    def let_go(self) -> None:
        """Stop; what is open belongs to another worker now."""
        with self._lock:
            self._closed.set()
            self._beside.close()
            self._connection.set()
            self._wake.set()

    def join(self, timeout_s: float) -> bool:
        """Wait until the thread has ended; False if it has not."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _yield(self) -> None:
        """Close a connection that another worker is to have, or go on if it is not to have it."""
        if self._voice.yield_now(time.monotonic()):
            self._yielded = True
            self._connection.set()
        elif self._yielded and not self._voice.silent:
            self._yielded = False
            self._wake.set()

    def _reopen(self) -> None:
        self._connection.set()
        self._wake.set()

    def _run(self) -> None:
        attempt = 0
        self._closed.wait(self._delay_s)
        while not self._closed.is_set():
            try:
                ended = self._receive()
            except SourceError as error:
                ended = False
                if not self._connection.is_set():
                    self._lost(error.reason, error.message)
            except Exception:
                # The supervisor's boundary: a fault in one stream must not stop its siblings.
                ended = False
                self._standing.figures.internal_errors += 1
                _log.exception("stream failed", extra={"fields": {"stream": self.name}})
                self._lost("InternalError", "the analysis failed: see the worker's log")
            if ended:
                return
            attempt = 1 if self._standing.was_healthy() else attempt + 1
            if self._yielded:
                self._stand_by()
            else:
                self._pause(attempt)

    def _stand_by(self) -> None:
        """Let the other worker receive; take it back if it does not."""
        deadline = time.monotonic() + SILENT_S
        while self._yielded and (left_s := deadline - time.monotonic()) > 0:
            if self._closed.is_set():
                return
            self._wake.wait(left_s)
            self._wake.clear()
        with self._lock:
            self._yielded = False
            if not self._closed.is_set():
                self._emit(self._voice.step(time.monotonic())[0])

    def _pause(self, attempt: int) -> None:
        self._source = None
        pause_s = self._reception.pause_s(attempt, self._standing.status.reason)
        while not self._wake.wait(60 if pause_s is None else pause_s) and pause_s is None:
            self.progress_at = time.monotonic()
        self.progress_at = time.monotonic()

    def _receive(self) -> bool:
        """Play the source once. True: it is completed. False: it was interrupted on purpose."""
        with self._lock:
            if self._closed.is_set():
                return False
            self._connection = connection = Stop()
            self._standing.connecting()
            self._wake.clear()
            self._voice.connect(self._stream.push)
            kinds = set(self._analysis.kinds_needed)
        with self._reception.opened(kinds, connection) as source:
            if self._reception.replays(source):
                return self._complete()
            self._standing.figures.connects += 1
            give_back()
            self._source = source
            self._play(source, connection)
            if connection.is_set():
                return False
            if source.finite:
                return self._complete()
        where = redact(self._stream.url)
        raise SourceError("Ended", f"{where} ended: a live source should go on")

    def _play(self, source: Source, connection: Stop) -> None:
        self._splice.connected()
        for raw in source:
            self.progress_at = time.monotonic()
            with self._lock:
                if connection.is_set() or self._closed.is_set():
                    return
                for item in self._splice.place(raw):
                    self._feed(item, source)
            if self._standing.due(self.progress_at):
                self._standing.refresh(source)
                if self._reception.rotated():
                    self._reopen()
                    break

    def _feed(self, item: MediaItem, source: Source) -> None:
        self._decrypted |= source.decrypted
        if isinstance(item, FrameView | AudioView):
            self._voice.place(item, timed=isinstance(item, FrameView) or source.video is None)
        self._emit(self._analysis.feed(item))
        if isinstance(item, FrameView | AudioView):
            told, awaited = self._voice.step(self.progress_at)
            self._emit(told)
            if awaited:
                self._standing.publish()
            self._standing.count(item, source)
            if isinstance(item, FrameView) or source.video is None:
                self._minutes.analysed(item, self._analysis.programme)
            if self._standing.state is not StreamState.RECEIVING:
                self._standing.received(source)
        elif isinstance(item, Discontinuity):
            self._standing.figures.discontinuities += 1
        elif isinstance(item, FormatChange) and self._standing.state is StreamState.RECEIVING:
            self._standing.received(source)

    def _lost(self, reason: str, message: str) -> None:
        state = StreamState.FAILED if reason in HOPELESS else StreamState.RETRYING
        message = self._reception.outside(message)
        _log.warning(
            "stream lost", extra={"fields": {"stream": self.name, "reason": reason, "why": message}}
        )
        self._splice.lost()
        self._standing.lost(state, reason, message)

    def _complete(self) -> bool:
        with self._lock:
            self._beside.close()
            if not self._closed.is_set():
                self._minutes.over = True
                self._emit(self._analysis.finish(EndReason.EOF))
                self._standing.set(StreamState.COMPLETED)
        return True

    def _stream_changed(self, status: StreamStatus) -> None:
        if not self._closed.is_set():
            self._around.reporter.stream_changed(status)

    def _heard(self, detector: str, measurement: Measurement) -> None:
        self._minutes.heard(detector, measurement)
        if self._traces is not None:
            self._traces.heard(detector, measurement)

    def _emit(self, events: list[IncidentEvent]) -> None:
        for event in events:
            self._standing.figures.note(event)
            if self.hidden:
                event = replace(event, evidence=None)  # noqa: PLW2901 - it stays here
            self._around.reporter.incident_changed(event)


def _regions(stream: Stream) -> tuple[Region | None, tuple[Region, ...]]:
    return stream.region, tuple(stream.ignore_regions or ())
