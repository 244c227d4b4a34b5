"""Bytes that are here already."""

import io

from streammonitor_worker.ingest.readers.base import Reader, SeekableReader


class BytesReader(io.BytesIO):
    """Bytes."""

    @property
    def length(self) -> int:
        """Bytes in all."""
        return len(self.getbuffer())


class PeekedReader:
    """A reader whose first bytes were looked at before."""

    def __init__(self, reader: Reader, start: bytes) -> None:
        self._reader = reader
        self._elsewhere = reader if isinstance(reader, SeekableReader) else None
        self._start = start
        self._position = 0

    @property
    def length(self) -> int | None:
        """Bytes in all, if that is known."""
        return self._reader.length

    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end. See `Reader.read`."""
        if self._position < len(self._start):
            data = self._start[self._position : self._position + size]
        else:
            data = self._reader.read(size)
        self._position += len(data)
        return data

    def seekable(self) -> bool:
        """Whether the reader is."""
        return self._elsewhere is not None and self._elsewhere.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go on at a byte; return it. See `SeekableReader.seek`."""
        if self._elsewhere is None:
            raise io.UnsupportedOperation("seek")
        offset += {0: 0, 1: self._position, 2: self.length or 0}[whence]
        if max(offset, self._position) > len(self._start):
            self._elsewhere.seek(max(offset, len(self._start)))
        self._position = offset
        return offset

    def tell(self) -> int:
        """Return the byte that is read next."""
        return self._position

    def close(self) -> None:
        """Close the reader."""
        self._reader.close()
