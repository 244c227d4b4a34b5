"""What FFmpeg is given to read from."""

from typing import Protocol, runtime_checkable


class Reader(Protocol):
    """Bytes of one resource. FFmpeg calls it from the thread that decodes."""

    @property
    def length(self) -> int | None:
        """Bytes in all, if that is known: then the resource has an end."""

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes, as soon as there are any; none at the end.

        Raises:
            SourceError: The peer failed, stalled, or went away too early.
        """

    def close(self) -> None:
        """Release the connection. Twice is once."""


@runtime_checkable
class SeekableReader(Reader, Protocol):
    """A reader that can start again elsewhere. FFmpeg asks by the presence of these methods."""

    def seekable(self) -> bool:
        """Whether it can in this case."""

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go on reading at a byte; return it. `whence` as in `io.IOBase.seek`."""

    def tell(self) -> int:
        """Return the byte that is read next."""
