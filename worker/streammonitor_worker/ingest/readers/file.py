"""A file of this machine, where its bytes are looked at; FFmpeg reads others by itself."""

from pathlib import Path
from typing import BinaryIO

from streammonitor_worker.ingest.errors import SourceError, classify, redact
from streammonitor_worker.mpegts.packets import is_transport_stream

_START_BYTES = 4096


def holds_transport_stream(path: str) -> bool:
    """Whether a file can be read and looks like an MPEG-2 transport stream."""
    try:
        with Path(path).open("rb") as file:
            return is_transport_stream(file.read(_START_BYTES))
    except OSError:
        return False


class FileReader:
    """The bytes of a file."""

    def __init__(self, path: str) -> None:
        try:
            self._file: BinaryIO = Path(path).open("rb")  # noqa: SIM115 - it is closed with this
            self._length = Path(path).stat().st_size
        except OSError as error:
            raise classify(error, path, opening=True) from None
        self._where = redact(path)

    @property
    def length(self) -> int:
        """Bytes in all."""
        return self._length

    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end. See `Reader.read`."""
        try:
            return self._file.read(size)
        except OSError as error:
            raise SourceError("ReadFailed", f"{self._where} cannot be read: {error}") from None

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go on at a byte; return it. See `SeekableReader.seek`."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the byte that is read next."""
        return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()
