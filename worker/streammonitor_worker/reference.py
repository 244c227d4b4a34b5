"""The reference feed of a stream: read in step with a file, or in a thread of its own."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from streammonitor_worker.analysis import StreamAnalysis
from streammonitor_worker.comparison import Comparison
from streammonitor_worker.frames import AudioView, FrameView
from streammonitor_worker.ingest import Access, Source, SourceError, Stop, open_source

Backoff = Callable[[int, str | None], float | None]


class Companion:
    """Reads a reference as far as the input that it is compared with was read.

    What cannot be read is told to the comparison, and not to the caller.
    """

    def __init__(self, url: str, comparison: Comparison) -> None:
        self._comparison = comparison
        self._until_s = 0.0
        self._source: Source | None = None
        try:
            self._source = open_source(url, live=False)
            self._items = iter(self._source)
        except SourceError as error:
            comparison.lose(error.message)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._source is not None:
            self._source.close()

    def read_to(self, time_s: float) -> None:
        """Read until media time has come as far."""
        try:
            while self._source is not None and self._until_s < time_s:
                item = next(self._items, None)
                if item is None:
                    self._until_s = float("inf")
                    return
                if isinstance(item, FrameView | AudioView):
                    self._until_s = item.time_s
                self._comparison.refer(item)
        except SourceError as error:
            self._comparison.lose(error.message)
            self._until_s = float("inf")


class ReferenceReader:
    """Reads a live reference in a thread of its own, and again whenever it ends.

    Args:
        url: Where it is read from.
        comparison: Is told what comes, and that nothing can be had.
        access: What may be opened.
        backoff: For how long to wait before the nth attempt, given its number and the reason; None:
            no retry helps.
    """

    def __init__(
        self,
        url: str,
        comparison: Comparison,
        access: Access,
        backoff: Backoff,
    ) -> None:
        self.url = url
        self._comparison = comparison
        self._access = access
        self._backoff = backoff
        self._stop = Stop()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reference", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Stop; does not wait for it."""
        self._closed.set()
        self._stop.set()

    def _run(self) -> None:
        attempt = 0
        while not self._closed.is_set():
            attempt += 1
            reason, message = self._read()
            if reason is None:
                attempt = 0
            if self._closed.is_set():
                return
            self._comparison.lose(message)
            self._closed.wait(self._backoff(attempt, reason) or 60.0)

    def _read(self) -> tuple[str | None, str]:
        """Read until it ends; why it ended, None if it had begun."""
        begun = False
        try:
            with open_source(self.url, stop=self._stop, access=self._access) as source:
                for item in source:
                    begun = begun or isinstance(item, FrameView | AudioView)
                    self._comparison.refer(item)
        except SourceError as error:
            return (None if begun else error.reason), error.message
        return (None if begun else "Ended"), "the reference has ended"


class Beside:
    """The reference of a stream, whose analysis compares the two while it wants to.

    Args:
        analysis: Of the stream.
        access: What may be opened.
        backoff: As of `ReferenceReader`.
    """

    def __init__(self, analysis: StreamAnalysis, access: Access, backoff: Backoff) -> None:
        self._analysis = analysis
        self._access = access
        self._backoff = backoff
        self._reader: ReferenceReader | None = None

    def follow(self, url: str | None) -> None:
        """Read this reference from now on; None: there is none."""
        wanted = url if self._analysis.wants_reference else None
        if wanted == (self._reader and self._reader.url):
            return
        self.close()
        if wanted is None:
            self._analysis.compare_with(None)
            return
        comparison = Comparison()
        self._analysis.compare_with(comparison)
        self._reader = ReferenceReader(wanted, comparison, self._access, self._backoff)
        self._reader.start()

    def close(self) -> None:
        """Stop reading."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
