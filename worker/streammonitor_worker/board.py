"""What the worker says of itself: one document that many threads write and many clients await."""

import threading
import uuid
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.worker_status import (
    SinkProblem,
    StoreProblem,
    StreamStatus,
    WorkerStatus,
)
from streammonitor_worker import __version__

MAX_ENDED = 200
"""Ended incidents that are still told."""
MAX_PROBLEMS = 50

_QUIET = {"detectors", "position_s", "held_frames"}
"""Fields of a stream that are told but do not make a change worth waking anyone for: whatever of
a detector's state matters is an incident."""
ALONE_S = 5.0
"""But of a stream that is sent to this worker alone, it is told at once in steps of so much media
how far it has come: for the next one that is where the gap begins, if this one dies."""


class StatusBoard:
    """The worker's status document and its revision. Thread-safe.

    Listeners are called after every change of the revision, from the thread that made it.
    """

    def __init__(self, worker: str) -> None:
        self._worker = worker
        self._process = uuid.uuid4().hex[:12]
        self._started_at = datetime.now(UTC)
        self._lock = threading.Lock()
        self._revision = 1
        self._epoch = 0
        self._draining = False
        self._problems: dict[str, list[str]] = {}
        self._sinks: list[SinkProblem] = []
        self._results: StoreProblem | None = None
        self._streams: dict[str, StreamStatus] = {}
        self._open: OrderedDict[str, Incident] = OrderedDict()
        self._ended: deque[Incident] = deque(maxlen=MAX_ENDED)
        self._listeners: list[Callable[[], None]] = []

    @property
    def revision(self) -> int:
        """Grows with every change worth knowing."""
        return self._revision

    @property
    def tag(self) -> str:
        """The revision and whose it is, as an HTTP entity tag."""
        return f'"{self._process}.{self._revision}"'

    @property
    def epoch(self) -> int:
        """The assignment that is carried out; 0 before the first."""
        return self._epoch

    def listen(self, listener: Callable[[], None]) -> None:
        """Call `listener` after every change; it must not block."""
        self._listeners.append(listener)

    def document(self) -> WorkerStatus:
        """The status now."""
        with self._lock:
            problems = [text for texts in self._problems.values() for text in texts]
            return WorkerStatus(
                version=__version__,
                worker=self._worker,
                process=self._process,
                started_at=self._started_at,
                revision=self._revision,
                epoch=self._epoch,
                problems=problems[:MAX_PROBLEMS],
                sinks=self._sinks,
                results=self._results,
                draining=self._draining,
                streams=list(self._streams.values()),
                incidents=sorted([*self._ended, *self._open.values()], key=_changed_at),
            )

    def acknowledge(self, epoch: int) -> None:
        """The assignment of this epoch is carried out."""
        with self._lock:
            changed = epoch != self._epoch
            self._epoch = epoch
            self._bump(changed)
        self._notify(changed)

    def set_problems(self, source: str, problems: Iterable[str]) -> None:
        """Replace what is wrong as a whole, as far as `source` knows."""
        texts = list(problems)
        with self._lock:
            changed = self._problems.get(source, []) != texts
            self._problems[source] = texts
            self._bump(changed)
        self._notify(changed)

    def set_sinks(self, problems: list[SinkProblem]) -> None:
        """Replace what is said of the sinks that do not take what they are sent."""
        with self._lock:
            changed, self._sinks = self._sinks != problems, problems
            self._bump(changed)
        self._notify(changed)

    def set_results(self, problem: StoreProblem | None) -> None:
        """Replace what is said of the store of results."""
        with self._lock:
            changed, self._results = self._results != problem, problem
            self._bump(changed)
        self._notify(changed)

    def set_draining(self) -> None:
        """SIGTERM was received."""
        with self._lock:
            changed, self._draining = not self._draining, True
            self._bump(changed)
        self._notify(changed)

    def set_stream(self, status: StreamStatus) -> None:
        """Replace what is said of a stream."""
        with self._lock:
            before = self._streams.get(status.name)
            changed = before is None or _loud(before) != _loud(status)
            self._streams[status.name] = status
            self._bump(changed)
        self._notify(changed)

    def drop_stream(self, name: str) -> None:
        """Say nothing more of a stream. What is open on it is another worker's to end."""
        gone = {"ended_at": datetime.now(UTC), "end_reason": EndReason.INTERRUPTED}
        with self._lock:
            changed = self._streams.pop(name, None) is not None
            for key in [key for key, item in self._open.items() if item.stream == name]:
                # Told on: the operator may not have heard yet that it was raised.
                self._ended.append(self._open.pop(key).model_copy(update=gone))
            self._bump(changed)
        self._notify(changed)

    def set_incident(self, incident: Incident) -> None:
        """Replace what is said of an incident."""
        with self._lock:
            before = self._open.pop(incident.id, None)
            if incident.active:
                self._open[incident.id] = incident
                self._forget_ended(incident.id)
            else:
                self._ended.append(incident)
            changed = before is None or _matter(before) != _matter(incident)
            self._bump(changed)
        self._notify(changed)

    def _forget_ended(self, incident_id: str) -> None:
        """What was let go came back."""
        if any(item.id == incident_id for item in self._ended):
            kept = [item for item in self._ended if item.id != incident_id]
            self._ended = deque(kept, maxlen=MAX_ENDED)

    def _bump(self, changed: bool) -> None:
        self._revision += changed

    def _notify(self, changed: bool) -> None:
        if changed:
            for listener in list(self._listeners):
                listener()


def _loud(status: StreamStatus) -> StreamStatus:
    quiet: dict[str, object] = dict.fromkeys(_QUIET)
    if status.alone and status.position_s is not None:
        quiet["position_s"] = status.position_s // ALONE_S
    return status.model_copy(update=quiet)


def _matter(incident: Incident) -> tuple[object, ...]:
    """What of an incident is worth waking a client for: not each new measurement."""
    return incident.severity, incident.ended_at, incident.end_reason, incident.muted


def _changed_at(incident: Incident) -> datetime:
    return incident.ended_at or incident.detected_at
