"""A source that plays what a test makes up."""

from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from streammonitor_api.worker_status import VideoFormat
from streammonitor_worker.frames import MediaItem, TransportView
from streammonitor_worker.ingest import Counters


class MadeUpSource:
    """Plays what it was given, and counts two decoding errors."""

    def __init__(
        self, items: Iterable[MediaItem], video: VideoFormat, *, finite: bool = False
    ) -> None:
        self.items = items
        self.finite = finite
        self.video = video
        self.audio = None
        self.counters = Counters(decode_errors=2)
        self.reading = True
        self.decrypted = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to close."""

    def noticed(self) -> Iterator[TransportView]:
        """Nothing."""
        yield from ()

    def __iter__(self) -> Iterator[MediaItem]:
        return iter(self.items)
