"""FFmpeg's way to the bytes: whatever it wants to open, the source itself included, comes here.

So one set of rules decides what may be reached, also for what a playlist names; a segment that is
missing is noticed; and what is encrypted as a whole is decrypted here.
"""

import re
import time
from collections.abc import Mapping
from urllib.parse import urljoin, urlsplit

from streammonitor_worker.ingest.access import Access
from streammonitor_worker.ingest.errors import SourceError, redact
from streammonitor_worker.ingest.readers.aes import AesReader
from streammonitor_worker.ingest.readers.base import Reader
from streammonitor_worker.ingest.readers.http import HttpClient, HttpReader
from streammonitor_worker.ingest.readers.memory import BytesReader, PeekedReader
from streammonitor_worker.ingest.readers.srt import SrtReader
from streammonitor_worker.ingest.readers.tcp import TcpReader
from streammonitor_worker.ingest.readers.udp import UdpReader
from streammonitor_worker.ingest.stop import Stop

MAX_PLAYLIST_BYTES = 4 * 1024 * 1024
"""A day of one-second segments; a playlist bomb is larger."""
MAX_PLAYLISTS = 64
"""Playlists that one source may consist of; FFmpeg opens each that a master playlist names."""
MAX_FAILURES = 3
"""So many of a source's resources in a row may be missing before the source is."""
RELOAD_PATIENCE_S = 3.0
"""A playlist that was there and is not is asked for again for this long."""
RELOAD_PAUSE_S = 0.25

_PLAYLIST = b"#EXTM3U"
_PEEK_BYTES = 4096
_CRYPTO = re.compile(r"^crypto[+:]", re.IGNORECASE)
_HTTP = ("http", "https")
"""The only schemes whose sources name others, and the only ones that they may name."""
_FATAL = (
    "Stopped",
    "SchemeNotAllowed",
    "HostNotAllowed",
    "AddressNotAllowed",
    "NestedNotAllowed",
    "TooManyPlaylists",
    "PlaylistTooLarge",
)
"""Never passed over as one missing segment."""


class Opening:
    """What one source consists of. Call it as FFmpeg's `io_open`.

    Attributes:
        failure: What went wrong last, if nothing came after it. FFmpeg passes over a segment that
            cannot be read, and says little of why it gave up.

    After the source itself has failed, FFmpeg is given nothing more and is interrupted: this is the
    event that `interruptible` watches. (An exception from within its callback would be kept by PyAV
    and thrown later, also if FFmpeg went on well.)
    """

    def __init__(self, url: str, headers: Mapping[str, str], access: Access, stop: Stop) -> None:
        split = urlsplit(url)
        self._url = url
        self._scheme = split.scheme.lower() if "://" in url else "file"
        self._access = access
        self._stop = stop
        self._client = HttpClient(access, stop, headers, (split.hostname or "").lower())
        self._top: Reader | None = None
        self._playlists: set[str] = set()
        self._failures = 0
        self._over = False
        self.failure: SourceError | None = None

    def is_set(self) -> bool:
        """Whether FFmpeg must not go on."""
        return self._over or self._stop.is_set()

    @property
    def length(self) -> int | None:
        """Bytes of the source, if it is one resource of known length."""
        return None if self._top is None or self._playlists else self._top.length

    def close(self) -> None:
        """Close what FFmpeg left open, and the connections that were kept."""
        if self._top is not None:
            self._top.close()
        self._client.close()

    def __call__(self, url: str, flags: int, options: Mapping[str, str]) -> Reader:
        """Open what FFmpeg asks for: first the source, then what it names.

        Raises:
            SourceError: The source itself cannot be opened.
        """
        if self._top is None:
            self._top = self._examined(url, self._reader(url))
            return self._top
        if not self.is_set():
            try:
                return _Patient(self._nested(url, options), self)
            except SourceError as error:
                self.note_failure(error)
        return BytesReader(b"")

    def note_failure(self, error: SourceError) -> None:
        """A part of the source is missing; or so much that all of it is."""
        if not self._over:
            self.failure = error
            self._failures += 1
            self._over = error.reason in _FATAL or self._failures >= MAX_FAILURES

    def note_success(self) -> None:
        """A part of the source arrived."""
        self._failures = 0
        self.failure = None

    def _nested(self, url: str, options: Mapping[str, str]) -> Reader:
        plain = _CRYPTO.sub("", url)
        scheme = urlsplit(plain).scheme.lower()
        if scheme not in _HTTP or self._scheme not in _HTTP:
            raise _not_web(self._url, plain)
        first, end = int(options.get("offset", 0)), options.get("end_offset")
        if plain in self._playlists:
            return self._reloaded(plain)
        reader = self._reader(plain, first, int(end) if end else None)
        if plain != url:
            return AesReader(reader, bytes.fromhex(options["key"]), bytes.fromhex(options["iv"]))
        return self._examined(plain, reader)

    def _reader(self, url: str, first: int = 0, end: int | None = None) -> Reader:
        scheme = urlsplit(url).scheme.lower()
        if scheme in _HTTP:
            return self._client.get(url, first, end)
        if scheme == "tcp":
            return TcpReader(url, self._access, self._stop)
        if scheme == "srt":
            return SrtReader(url, self._access, self._stop)
        return UdpReader(url, self._access, self._stop)

    def _reloaded(self, url: str) -> Reader:
        """A playlist once more; an origin that answers with an error gets some time."""
        deadline = time.monotonic() + RELOAD_PATIENCE_S
        while True:
            try:
                return self._examined(url, self._reader(url))
            except SourceError as error:
                if error.reason in _FATAL or time.monotonic() > deadline:
                    raise
            self._stop.wait(RELOAD_PAUSE_S)

    def _examined(self, url: str, reader: Reader) -> Reader:
        """A playlist is read whole, and what it names made absolute; anything else goes on."""
        if self._scheme not in _HTTP:
            return reader
        start = reader.read(_PEEK_BYTES)
        if not start.removeprefix(b"\xef\xbb\xbf").startswith(_PLAYLIST):
            return PeekedReader(reader, start)
        self._playlists.add(url)
        if len(self._playlists) > MAX_PLAYLISTS:
            reader.close()
            raise SourceError(
                "TooManyPlaylists",
                f"{redact(self._url)} is not read: it names more than {MAX_PLAYLISTS} playlists",
            )
        text = _whole(reader, start, url)
        final = reader.url if isinstance(reader, HttpReader) else url
        return BytesReader(_absolute(text, final).encode())


class _Patient:
    """A part of a source that is passed over when it breaks."""

    def __init__(self, reader: Reader, opening: Opening) -> None:
        self._reader = reader
        self._opening = opening

    @property
    def length(self) -> int | None:
        """See `Reader.length`."""
        return self._reader.length

    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end or where it breaks. See `Reader.read`."""
        try:
            data = self._reader.read(size)
        except SourceError as error:
            self._opening.note_failure(error)
            return b""
        if data:
            self._opening.note_success()
        return data

    def close(self) -> None:
        """Close it."""
        self._reader.close()


def _whole(reader: Reader, start: bytes, url: str) -> str:
    parts, size = [start], len(start)
    while data := reader.read(_PEEK_BYTES * 16):
        parts.append(data)
        size += len(data)
        if size > MAX_PLAYLIST_BYTES:
            reader.close()
            raise SourceError(
                "PlaylistTooLarge",
                f"{redact(url)} is not read: a playlist may have {MAX_PLAYLIST_BYTES} bytes",
            )
    reader.close()
    return b"".join(parts).decode("utf-8", "replace")


def _absolute(playlist: str, base: str) -> str:
    """A playlist whose URIs no longer depend on where it came from (RFC 8216 clause 4.1)."""

    def attribute(match: re.Match[str]) -> str:
        return f'URI="{_joined(base, match[1])}"'

    lines = []
    for raw in playlist.splitlines():
        line = raw.strip()
        if line.startswith("#"):
            line = re.sub(r'URI="([^"]*)"', attribute, line)
        elif line:
            line = _joined(base, line)
            if urlsplit(line).scheme.lower() not in _HTTP:
                raise _not_web(base, line)
        lines.append(line)
    return "\n".join(lines) + "\n"


def _not_web(url: str, named: str) -> SourceError:
    return SourceError(
        "NestedNotAllowed",
        f"{redact(url)} is not read: it names {redact(named)}, and what a source names is read by "
        f"{' and '.join(_HTTP)} only",
    )


def _joined(base: str, reference: str) -> str:
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference
