"""What is told of a stream: its state, what it has done so far, and what it costs."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from streammonitor_api.worker_status import StreamState, StreamStatus
from streammonitor_worker.analysis import StreamAnalysis
from streammonitor_worker.figures import Figures
from streammonitor_worker.frames import AudioView, FrameView
from streammonitor_worker.ingest import Source
from streammonitor_worker.load import LoadMeter, Tally, coarse_lag_s
from streammonitor_worker.voice import Voice

HEALTHY_S = 5.0
"""Reception of this length forgets earlier failures."""
PUBLISH_S = 0.5
"""How often what changed quietly (detectors' states) is published."""


class Standing:
    """The status of one stream, and the figures behind it.

    Args:
        name: Of the stream.
        analysis: Of it.
        voice: Of it.
        lock: Of it; taken where the status changes.
        tell: Is told the status whenever it may have changed.

    Attributes:
        status: What is known of the stream.
        figures: What it has done so far.
        faults: What is wrong with its parameters.
        thread: The one whose CPU time is the stream's.
    """

    def __init__(
        self,
        name: str,
        analysis: StreamAnalysis,
        voice: Voice,
        lock: "threading.RLock",
        tell: Callable[[StreamStatus], None],
    ) -> None:
        self._analysis = analysis
        self._voice = voice
        self._lock = lock
        self._tell = tell
        self._load = LoadMeter()
        self._damaged = self._refused = 0
        self._published_at = 0.0
        self._received_s: float | None = None
        self.faults: Sequence[object] = ()
        self.figures = Figures()
        self.thread: threading.Thread | None = None
        now = datetime.now(UTC)
        self.status = StreamStatus(name=name, state=StreamState.CONNECTING, since=now)

    @property
    def state(self) -> StreamState:
        """Of the stream."""
        return self.status.state

    def copied(self) -> Figures:
        """The figures, consistent in themselves."""
        return replace(
            self.figures,
            decode_errors=self.figures.decode_errors + self._refused,
            started=dict(self.figures.started),
            ended=dict(self.figures.ended),
            unknown_s=dict(self._analysis.unknown_seconds()),
        )

    def due(self, now_s: float) -> bool:
        """Whether it is time to publish what changed quietly."""
        return now_s - self._published_at >= PUBLISH_S

    def connecting(self) -> None:
        """Another source is opened, which counts from 0."""
        self.figures.decode_errors += self._refused
        self._refused = 0

    def count(self, item: FrameView | AudioView, source: Source) -> None:
        """Something was analysed."""
        figures = self.figures
        if isinstance(item, FrameView):
            figures.frames += 1
            figures.corrupt_frames += item.corrupt
        if isinstance(item, FrameView) or source.video is None:
            figures.media_s = item.time_s
            figures.analysed_s += item.duration_s
        figures.lag_s = max(0.0, time.time() - item.arrived_at)
        self._refused = source.counters.decode_errors
        self._damaged = figures.corrupt_frames + figures.decode_errors + self._refused

    def received(self, source: Source) -> None:
        """The source is received, in the format that it has now."""
        if self.state is not StreamState.RECEIVING:
            self._received_s = time.monotonic()
        self.set(
            StreamState.RECEIVING,
            *self._shortfall(),
            video=source.video,
            audio=source.audio,
            first_frame_at=self.status.first_frame_at or datetime.now(UTC),
        )

    def refresh(self, source: Source) -> None:
        """Publish what changed quietly."""
        blind: tuple[str | None, str | None] = (None, None)
        if self.state is StreamState.RECEIVING:
            blind = self._shortfall()
        if blind == (self.status.reason, self.status.message):
            self.publish()
        else:
            self.received(source)

    def configured(self) -> None:
        """Other detectors, or other parameters of them."""
        if self.state is StreamState.RECEIVING:
            self.set(StreamState.RECEIVING, *self._shortfall())
        else:
            self.publish()

    def was_healthy(self) -> bool:
        """Whether what has just ended was received for long enough; to be asked once."""
        since_s, self._received_s = self._received_s, None
        return since_s is not None and time.monotonic() - since_s >= HEALTHY_S

    def lost(self, state: StreamState, reason: str, message: str) -> None:
        """The source is not received."""
        self._load.restart()
        self.set(state, reason, message)

    def set(
        self,
        state: StreamState,
        reason: str | None = None,
        message: str | None = None,
        **more: object,
    ) -> None:
        """Change the state, and publish it."""
        with self._lock:
            before = self.status
            update = {"state": state, "reason": reason, "message": message, **more}
            if (before.state, before.reason) != (state, reason):
                update["since"] = datetime.now(UTC)
            self.status = before.model_copy(update=update)
            self.publish()

    def publish(self) -> None:
        """Tell what is known now."""
        self._published_at = time.monotonic()
        with self._lock:
            figures = self.figures
            if threading.current_thread() is self.thread:
                figures.cpu_s = time.thread_time()
                done = Tally(figures.cpu_s, figures.analysed_s, self._damaged)
                self._load.measure(done, self._published_at, closely=self._voice.silent)
            warm = self._analysis.warm and self.state is StreamState.RECEIVING
            self.status = self.status.model_copy(
                update={
                    **self._voice.status(warm=warm),
                    "detectors": self._analysis.detector_states(),
                    "load_m": self._load.load_m,
                    "pace_m": self._load.pace_m,
                    "damaged_per_min": self._load.damaged_per_min,
                    "lag_s": self._lag_s(),
                }
            )
            self._tell(self.status)

    def _lag_s(self) -> int | None:
        if not self.figures.analysed_s:
            return None
        return coarse_lag_s(self.figures.lag_s, self.status.lag_s or 0)

    def _shortfall(self) -> tuple[str | None, str | None]:
        """What cannot be monitored as it was asked for: reason and message."""
        for name, (reason, message) in self._analysis.blind_spots().items():
            return reason, f"detector {name!r} cannot tell: {message}"
        if self.faults:
            said = "; ".join(f"{fault}: it is ignored" for fault in self.faults)
            return "InvalidParameter", said
        return None, None
