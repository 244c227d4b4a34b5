"""One stream, supervised: open → analyse → report; reconnect for ever; never take siblings down."""

import logging
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from streammonitor_api.assignment import Turn
from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.push import at_port
from streammonitor_api.regions import Region
from streammonitor_api.spec import Stream
from streammonitor_api.worker_status import StreamState, StreamStatus
from streammonitor_worker.allocation import give_back
from streammonitor_worker.analysis import IncidentEvent, StreamAnalysis
from streammonitor_worker.detectors.base import DetectorParams, Kind, Measurement
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
from streammonitor_worker.ingest import Freshness, Source, SourceError, Stop, open_source, redact
from streammonitor_worker.load import LoadMeter, Tally, coarse_lag_s
from streammonitor_worker.parameters import resolve
from streammonitor_worker.reference import Beside
from streammonitor_worker.regions import PictureRegions
from streammonitor_worker.secrets import Credentials, read_credentials
from streammonitor_worker.splice import Splice
from streammonitor_worker.surroundings import Surroundings
from streammonitor_worker.thumbnails import Thumbnail
from streammonitor_worker.traces import Traces
from streammonitor_worker.voice import SILENT_S, Voice

HEALTHY_S = 5.0
"""Reception of this length forgets earlier failures."""
PUBLISH_S = 0.5
"""How often what changed quietly (detectors' states) is published."""
HOPELESS = ("UnsupportedScheme", "SchemeNotAllowed", "HostNotAllowed", "BadUrl")
"""Reasons that no retry changes."""

ELSEWHERE = ("NoSender", "Stalled", "Ended", "ConnectionLost", "Unauthorized")
"""Reasons for which who listens goes on to listen at once: there is nobody to spare."""
LISTEN_AGAIN_S = 0.02

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
        self._faults = resolution.faults
        self._figures = Figures()
        self._load = LoadMeter()
        self._damaged = self._refused = 0
        self._delay_s = 0.0
        self._port: int | None = None
        self._yielded = False
        self._splice = Splice(self._analysis.programme)
        self._was_live = False
        self._freshness = Freshness()
        self._source: Source | None = None
        self._healthy_since: float | None = None
        self._status = StreamStatus(
            name=stream.name, state=StreamState.CONNECTING, since=datetime.now(UTC)
        )
        self._published_at = 0.0
        self.progress_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"stream-{self.name}", daemon=True)

    @property
    def stream(self) -> Stream:
        """What is monitored."""
        return self._stream

    @property
    def status(self) -> StreamStatus:
        """What is known of the stream."""
        return self._status

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
        return self._status.state is StreamState.COMPLETED

    def figures(self) -> Figures:
        """What it has done so far, consistent in itself."""
        with self._lock:
            return replace(
                self._figures,
                decode_errors=self._figures.decode_errors + self._refused,
                started=dict(self._figures.started),
                ended=dict(self._figures.ended),
                unknown_s=dict(self._analysis.unknown_seconds()),
            )

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
            self._publish()
            self._thread.start()

    def hold(self, turn: Turn | None, incidents: list[Incident]) -> None:
        """Speak for the stream, and for incidents that were raised elsewhere, with their ids."""
        with self._lock:
            self._emit(self._voice.hold(turn, incidents))
            if self._stream.push is not None:
                self._yield()
            if self._thread.ident is not None:
                self._publish()

    def follow(self, turn: Turn | None, recall: list[Incident] | None = None) -> None:
        """Follow the stream, and tell nobody of incidents; see `Voice.follow`."""
        with self._lock:
            self._voice.follow(turn, recall)

    def listen(self, port: int | None) -> None:
        """Wait for what is sent at this port instead of the URL's; None: at that."""
        with self._lock:
            before, self._port = self._port, port
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
            self._faults = resolution.faults
            if self._status.state is StreamState.RECEIVING:
                self._set_state(StreamState.RECEIVING, *self._shortfall())
            else:
                self._publish()
            if before.source != stream.source:
                self._was_live, self._freshness = False, Freshness()
                self._reopen()
            elif self._analysis.kinds_needed != needed:
                self._reopen()

    def finish(self, reason: EndReason) -> None:
        """Stop, and end what is open with `reason`."""
        with self._lock:
            if not self._closed.is_set() and not self.completed:
                events = self._analysis.finish(reason)
                if reason is EndReason.INTERRUPTED:
                    events = [expiring(event) for event in events]
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
            if events:
                self._publish()
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
            self._healthy_since = None
            try:
                ended = self._receive()
            except SourceError as error:
                ended = False
                if not self._connection.is_set():
                    self._lost(error.reason, error.message)
            except Exception:
                # The supervisor's boundary: a fault in one stream must not stop its siblings.
                ended = False
                self._figures.internal_errors += 1
                _log.exception("stream failed", extra={"fields": {"stream": self.name}})
                self._lost("InternalError", "the analysis failed: see the worker's log")
            if ended:
                return
            attempt = 1 if self._was_healthy() else attempt + 1
            if self._yielded:
                self._stand_by()
            else:
                self._pause(attempt)

    def _was_healthy(self) -> bool:
        since = self._healthy_since
        return since is not None and time.monotonic() - since >= HEALTHY_S

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
        status = self._status
        hopeless = status.state is StreamState.FAILED
        deadline = None if hopeless else self._around.backoff(attempt, status.reason)
        if self._stream.push is not None and status.reason in ELSEWHERE:
            deadline = LISTEN_AGAIN_S
        while not self._wake.wait(60 if deadline is None else deadline) and deadline is None:
            self.progress_at = time.monotonic()
        self.progress_at = time.monotonic()

    def _receive(self) -> bool:
        """Play the source once. True: it is completed. False: it was interrupted on purpose."""
        with self._lock:
            if self._closed.is_set():
                return False
            self._connection = connection = Stop()
            self._figures.decode_errors += self._refused
            self._refused = 0
            self._wake.clear()
            stream, kinds, port = self._stream, set(self._analysis.kinds_needed), self._port
        credentials = read_credentials(self._around.secrets_folder, stream)
        with open_source(
            at_port(credentials.url, port),
            video=Kind.VIDEO in kinds or not kinds,
            audio=Kind.AUDIO in kinds,
            watch=Kind.TRANSPORT in kinds,
            headers=credentials.headers,
            live=True,
            stop=connection,
            access=self._around.access,
            variant=stream.variant,
            program=stream.program,
            keys=credentials.keys,
            bucket=credentials.bucket,
            freshness=self._freshness,
        ) as source:
            if self._replays(source):
                return self._complete()
            self._was_live = not source.finite
            self._figures.connects += 1
            give_back()
            self._source = source
            self._play(source, connection, credentials)
            if connection.is_set():
                return False
            if source.finite:
                return self._complete()
        raise SourceError("Ended", f"{redact(stream.url)} ended: a live source should go on")

    def _replays(self, source: Source) -> bool:
        # A live playlist that was closed turns into a recording of what was seen already.
        return self._was_live and source.finite

    def _play(self, source: Source, connection: Stop, credentials: Credentials) -> None:
        self._splice.connected()
        for raw in source:
            self.progress_at = time.monotonic()
            with self._lock:
                if connection.is_set() or self._closed.is_set():
                    return
                for item in self._splice.place(raw):
                    self._feed(item, source)
            if self.progress_at - self._published_at >= PUBLISH_S:
                self._refresh(source)
                if self._rotated(credentials):
                    self._reopen()
                    break

    def _rotated(self, credentials: Credentials) -> bool:
        """Whether a Secret holds another value than the source was opened with."""
        if not self._stream.secret_names:
            return False
        try:
            return read_credentials(self._around.secrets_folder, self._stream) != credentials
        except SourceError:
            # It is gone; what was opened with it may go on.
            return False

    def _feed(self, item: MediaItem, source: Source) -> None:
        self._decrypted |= source.decrypted
        if isinstance(item, FrameView | AudioView):
            self._voice.place(item, timed=isinstance(item, FrameView) or source.video is None)
        self._emit(self._analysis.feed(item))
        if isinstance(item, FrameView | AudioView):
            told, awaited = self._voice.step(self.progress_at)
            self._emit(told)
            if awaited:
                self._publish()
            self._count(item, source)
            if self._status.state is not StreamState.RECEIVING:
                self._healthy_since = time.monotonic()
                self._received(source)
        elif isinstance(item, Discontinuity):
            self._figures.discontinuities += 1
        elif isinstance(item, FormatChange) and self._status.state is StreamState.RECEIVING:
            self._received(source)

    def _count(self, item: FrameView | AudioView, source: Source) -> None:
        figures = self._figures
        if isinstance(item, FrameView):
            figures.frames += 1
            figures.corrupt_frames += item.corrupt
        if isinstance(item, FrameView) or source.video is None:
            figures.media_s = item.time_s
            figures.analysed_s += item.duration_s
            self._minutes.analysed(item, self._analysis.programme)
        figures.lag_s = max(0.0, time.time() - item.arrived_at)
        self._refused = source.counters.decode_errors
        self._damaged = figures.corrupt_frames + figures.decode_errors + self._refused

    def _received(self, source: Source) -> None:
        reason, message = self._shortfall()
        self._set_state(
            StreamState.RECEIVING,
            reason,
            message,
            video=source.video,
            audio=source.audio,
            first_frame_at=self._status.first_frame_at or datetime.now(UTC),
        )

    def _refresh(self, source: Source) -> None:
        blind: tuple[str | None, str | None] = (None, None)
        if self._status.state is StreamState.RECEIVING:
            blind = self._shortfall()
        if blind == (self._status.reason, self._status.message):
            self._publish()
        else:
            self._received(source)

    def _shortfall(self) -> tuple[str | None, str | None]:
        """What cannot be monitored as it was asked for: reason and message."""
        for name, (reason, message) in self._analysis.blind_spots().items():
            return reason, f"detector {name!r} cannot tell: {message}"
        if self._faults:
            return "InvalidParameter", "; ".join(
                f"{fault}: it is ignored" for fault in self._faults
            )
        return None, None

    def _lost(self, reason: str, message: str) -> None:
        state = StreamState.FAILED if reason in HOPELESS else StreamState.RETRYING
        if self._port is not None:  # which nobody outside the pod knows
            inside = redact(at_port(self._stream.url, self._port))
            message = message.replace(inside, redact(self._stream.url))
        _log.warning(
            "stream lost", extra={"fields": {"stream": self.name, "reason": reason, "why": message}}
        )
        self._splice.lost()
        self._load.restart()
        self._set_state(state, reason, message)

    def _complete(self) -> bool:
        with self._lock:
            self._beside.close()
            if not self._closed.is_set():
                self._minutes.over = True
                self._emit(self._analysis.finish(EndReason.EOF))
                self._set_state(StreamState.COMPLETED, None, None)
        return True

    def _set_state(
        self, state: StreamState, reason: str | None, message: str | None, **more: object
    ) -> None:
        with self._lock:
            before = self._status
            same = (before.state, before.reason) == (state, reason)
            update = {"state": state, "reason": reason, "message": message, **more}
            if not same:
                update["since"] = datetime.now(UTC)
            self._status = before.model_copy(update=update)
            self._publish()

    def _publish(self) -> None:
        self._published_at = time.monotonic()
        with self._lock:
            if threading.current_thread() is self._thread:
                figures = self._figures
                figures.cpu_s = time.thread_time()
                done = Tally(figures.cpu_s, figures.analysed_s, self._damaged)
                self._load.measure(done, self._published_at, closely=self._voice.silent)
            warm = self._analysis.warm and self._status.state is StreamState.RECEIVING
            self._status = self._status.model_copy(
                update={
                    **self._voice.status(warm=warm),
                    "detectors": self._analysis.detector_states(),
                    "load_m": self._load.load_m,
                    "pace_m": self._load.pace_m,
                    "damaged_per_min": self._load.damaged_per_min,
                    "lag_s": self._lag_s(),
                }
            )
            if not self._closed.is_set():
                self._around.reporter.stream_changed(self._status)

    def _lag_s(self) -> int | None:
        if not self._figures.analysed_s:
            return None
        return coarse_lag_s(self._figures.lag_s, self._status.lag_s or 0)

    def _heard(self, detector: str, measurement: Measurement) -> None:
        self._minutes.heard(detector, measurement)
        if self._traces is not None:
            self._traces.heard(detector, measurement)

    def _emit(self, events: list[IncidentEvent]) -> None:
        for event in events:
            self._figures.note(event)
            if self.hidden:
                event = replace(event, evidence=None)  # noqa: PLW2901 - it stays here
            self._around.reporter.incident_changed(event)


def _regions(stream: Stream) -> tuple[Region | None, tuple[Region, ...]]:
    return stream.region, tuple(stream.ignore_regions or ())
