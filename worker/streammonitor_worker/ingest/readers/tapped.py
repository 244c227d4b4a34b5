"""A reader whose bytes are told to somebody else as well, each once and in their order."""

import io
import time
from collections.abc import Callable
from typing import Protocol

from streammonitor_worker.ingest.errors import SourceError
from streammonitor_worker.ingest.readers.base import Reader, SeekableReader

PIECE_BYTES = 65_536
PIECE_S = 0.25
"""What comes in small messages is told in pieces of this size, or after this time."""


class Listener(Protocol):
    """Who is told of bytes."""

    def heard(self, data: bytes) -> bool:
        """Take the next bytes; False: no more are wanted."""

    def failed(self, error: SourceError) -> None:
        """Reading broke."""


class TappedReader:
    """A reader, and who hears what is read.

    Where FFmpeg reads elsewhere for a moment (the end of a file, for its length), or once more what
    it has read before, nothing is told.
    """

    def __init__(
        self, reader: Reader, listener: Listener, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._reader = reader
        self._elsewhere = reader if isinstance(reader, SeekableReader) else None
        self._listener: Listener | None = listener
        self._clock = clock
        self._position = 0
        self._told = 0
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._since_s = 0.0

    @property
    def length(self) -> int | None:
        """See `Reader.length`."""
        return self._reader.length

    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end. See `Reader.read`."""
        try:
            data = self._reader.read(size)
        except SourceError as error:
            self._tell()
            if self._listener is not None:
                self._listener.failed(error)
            raise
        start, self._position = self._position, self._position + len(data)
        if self._listener is not None:
            if start <= self._told < self._position:
                self._keep(data[self._told - start :])
                self._told = self._position
            elif not data:
                self._tell()
        return data

    def seekable(self) -> bool:
        """Whether the reader is."""
        return self._elsewhere is not None and self._elsewhere.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go on at a byte; return it. See `SeekableReader.seek`."""
        if self._elsewhere is None:
            raise io.UnsupportedOperation("seek")
        self._position = self._elsewhere.seek(offset, whence)
        return self._position

    def tell(self) -> int:
        """Return the byte that is read next."""
        return self._position

    def close(self) -> None:
        """Close the reader."""
        self._tell()
        self._reader.close()

    def _keep(self, data: bytes) -> None:
        now_s = self._clock()
        if not self._waiting:
            self._since_s = now_s
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes >= PIECE_BYTES or now_s - self._since_s >= PIECE_S:
            self._tell()

    def _tell(self) -> None:
        if self._waiting and self._listener is not None:
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            if not self._listener.heard(data):
                self._listener = None
