"""Who spoke for which pictures: counted by their numbers, from what workers say of themselves.

The origin gives picture n the timestamp n / 25 s. A worker says since and until when it spoke for a
stream, on the source's timestamps, and how many pictures it analysed in between.
"""

import threading
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

from streammonitor_api import names
from streammonitor_api.worker_status import StreamStatus, WorkerStatus
from tests.e2e.monitor import Monitor

RATE = 25
LOOK_S = 0.2


@dataclass(frozen=True)
class Span:
    """The pictures of a stream that one worker spoke for.

    Attributes:
        first: Number of the first picture.
        after: Number of the picture after the last one; None while it goes on.
        frames: How many were analysed.
    """

    worker: str
    first: float
    after: float | None
    frames: int


@dataclass(frozen=True)
class Count:
    """What became of the pictures of a stream from the first span to the last."""

    pictures: int
    unseen: int
    twice: int
    hands: int


class Coverage:
    """Listens to every worker of a StreamMonitor, pods that come included."""

    def __init__(self, monitor: Monitor) -> None:
        self._monitor = monitor
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._spans: dict[str, dict[tuple[str, float], Span]] = {}
        self._threads: dict[str, threading.Thread] = {}
        self._looking = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._looking.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._looking.join(30)

    def spans(self, stream: str) -> list[Span]:
        """In the order of pictures."""
        with self._lock:
            return sorted(self._spans.get(stream, {}).values(), key=lambda span: span.first)

    def count(self, stream: str) -> Count:
        """How many pictures nobody analysed and how many were two workers' to tell of."""
        spans, unseen, twice = self.spans(stream), 0, 0
        closed = [span for span in spans if span.after is not None]
        for span in closed:
            missing = round((span.after or 0.0) - span.first) - span.frames
            unseen, twice = unseen + max(0, missing), twice + max(0, -missing)
        for one, other in pairwise(spans):
            # A worker that never said when it ceased told of all up to where the next began.
            step = 0 if one.after is None else round(other.first - one.after)
            unseen, twice = unseen + max(0, step), twice + max(0, -step)
        pictures = round(spans[-1].first - spans[0].first)
        return Count(pictures, unseen, twice, len(spans) - 1)

    def _look(self) -> None:
        while not self._over.wait(LOOK_S):
            for pod in self._monitor.pods(terminating=True):
                name, address = pod["metadata"]["name"], pod["status"].get("podIP")
                if address and name not in self._threads:
                    listen = threading.Thread(target=self._listen, args=(address,), daemon=True)
                    self._threads[name] = listen
                    listen.start()

    def _listen(self, address: str) -> None:
        """Follow one pod; what changes hands makes a new revision, and none is missed."""
        query = ""
        while not self._over.is_set():
            url = f"http://{address}:{names.WORKER_PORT}/status{query}"
            with suppress(OSError):
                with urllib.request.urlopen(url, timeout=5) as answer:
                    status = WorkerStatus.model_validate_json(answer.read())
                query = f"?since={status.revision}&wait=1s"
                with self._lock:
                    for stream in status.streams:
                        self._take(status.worker, stream)
                continue
            query = ""
            self._over.wait(LOOK_S)

    def _take(self, worker: str, said: StreamStatus) -> None:
        if said.clock_s is None or said.held_from_s is None:
            return
        first = (said.held_from_s - said.clock_s) * RATE
        after = None if said.held_until_s is None else (said.held_until_s - said.clock_s) * RATE
        span = Span(worker, first, after, said.held_frames)
        self._spans.setdefault(said.name, {})[worker, round(first, 2)] = span
