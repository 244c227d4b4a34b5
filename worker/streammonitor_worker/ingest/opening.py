"""FFmpeg's way to the bytes: whatever it wants to open, the source itself included, comes here.

So one set of rules decides what may be reached, also for what a playlist names; a segment that is
missing is noticed; and what is encrypted as a whole is decrypted here.
"""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import urlsplit

from streammonitor_api.source import Program, Variant
from streammonitor_worker.ingest.access import Access
from streammonitor_worker.ingest.decryption import Decryption
from streammonitor_worker.ingest.encryption.keys import NO_KEYS, ContentKeys
from streammonitor_worker.ingest.errors import SourceError, redact
from streammonitor_worker.ingest.manifests import dash, hls
from streammonitor_worker.ingest.manifests.dash_events import cues_of
from streammonitor_worker.ingest.manifests.freshness import Freshness
from streammonitor_worker.ingest.manifests.hls import WEB
from streammonitor_worker.ingest.manifests.hls_keys import Place
from streammonitor_worker.ingest.manifests.listing import Listing
from streammonitor_worker.ingest.notes import Notes
from streammonitor_worker.ingest.options import file_path
from streammonitor_worker.ingest.readers.aes import AesReader
from streammonitor_worker.ingest.readers.base import Reader
from streammonitor_worker.ingest.readers.file import FileReader
from streammonitor_worker.ingest.readers.http import HttpClient, HttpReader
from streammonitor_worker.ingest.readers.memory import BytesReader, PeekedReader
from streammonitor_worker.ingest.readers.program import ProgramReader, no_programs
from streammonitor_worker.ingest.readers.rtmp import RtmpReader
from streammonitor_worker.ingest.readers.srt import SrtReader
from streammonitor_worker.ingest.readers.tcp import TcpReader
from streammonitor_worker.ingest.readers.udp import UdpReader
from streammonitor_worker.ingest.signing import Bucket
from streammonitor_worker.ingest.stop import Stop
from streammonitor_worker.ingest.tap import Tap, line_of

MAX_PLAYLIST_BYTES = 4 * 1024 * 1024
"""A day of one-second segments; a playlist bomb is larger."""
MAX_FAILURES = 3
"""So many of a source's resources in a row may fail before the source has."""
MAX_MISSING = 10
"""So many may be gone: who fell behind a live playlist finds its oldest segments deleted."""
RELOAD_PATIENCE_S = 3.0
"""A playlist that was there and is not is asked for again for this long."""
RELOAD_PAUSE_S = 0.25

_PEEK_BYTES = 4096
_CRYPTO = re.compile(r"^crypto[+:]", re.IGNORECASE)
_FATAL = (
    "Stopped",
    "SchemeNotAllowed",
    "HostNotAllowed",
    "AddressNotAllowed",
    "NestedNotAllowed",
    "PlaylistTooLarge",
    "VariantMissing",
    "ManifestStale",
    "Encrypted",
    "KeyMissing",
)
"""Never passed over as one missing segment."""


class Opening:
    """What one source consists of. Call it as FFmpeg's `io_open`.

    Attributes:
        failure: What went wrong last, if nothing came after it. FFmpeg passes over a segment that
            cannot be read, and says little of why it gave up.
        notes: What is noticed of how the source comes.
        tap: Notices it; with `watch`, also the bytes.

    Raises:
        SourceError: The source itself cannot be opened.

    After the source itself has failed, FFmpeg is given nothing more and is interrupted: this is the
    event that `interruptible` watches. (An exception from within its callback would be kept by PyAV
    and thrown later, also if FFmpeg went on well.)
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        access: Access,
        stop: Stop,
        *,
        variant: Variant | None = None,
        program: Program | None = None,
        keys: ContentKeys = NO_KEYS,
        bucket: Bucket | None = None,
        watch: bool = False,
        freshness: Freshness | None = None,
    ) -> None:
        split = urlsplit(url)
        self._url = url
        self._scheme = split.scheme.lower() if "://" in url else "file"
        self._access = access
        self._stop = stop
        self._client = HttpClient(access, stop, headers, (split.hostname or "").lower(), bucket)
        self._given = False
        self._variant = variant or Variant()
        self._program = program
        self._decryption = Decryption(keys, self._named, url)
        self._playlists: set[str] = set()
        self._numbering: dict[str, dash.Numbering] = {}
        self._failures = 0
        self._over = False
        self.failure: SourceError | None = None
        self.notes = Notes()
        self.tap = Tap(self.notes, watch=watch)
        self._freshness = freshness or Freshness()
        self._fetched: set[str] = set()
        try:
            self._top = self._examined(url, self._reader(url))
            if program is not None and self._playlists:
                raise no_programs(url)
        except BaseException:
            self._client.close()
            raise

    def is_set(self) -> bool:
        """Whether FFmpeg must not go on."""
        return self._over or self._stop.is_set()

    @property
    def decrypted(self) -> bool:
        """Whether any of it was encrypted, or was given keys."""
        return self._decryption.used

    @property
    def length(self) -> int | None:
        """Bytes of the source, if it is one resource of known length."""
        return None if self._playlists else self._top.length

    @property
    def format(self) -> str | None:
        """What FFmpeg is to take the source for; it believes no playlist that is not called one."""
        return "hls" if self._playlists else None

    def ended(self) -> bool:
        """Whether the source, which has no known length, is at its end. A byte of it is lost."""
        try:
            return self.length is None and not self._playlists and not self._top.read(1)
        except SourceError:
            return False

    def close(self) -> None:
        """Close what FFmpeg left open, and the connections that were kept."""
        self._top.close()
        self._client.close()

    def __call__(self, url: str, flags: int, options: Mapping[str, str]) -> Reader:
        """Open what FFmpeg asks for: first the source, then what it names."""
        if not self._given:
            self._given = True
            if self._playlists:
                return self._top
            return ProgramReader(self.tap.stream(self._top), self._program, self._url)
        if not self.is_set():
            place = _CRYPTO.sub("", url), int(options.get("offset", 0))
            try:
                return _Patient(self.tap.segment(*place, self._nested(url, options)), self)
            except SourceError as error:
                self.tap.missed(*place, error)
                self.note_failure(error)
        return BytesReader(b"")

    def note_failure(self, error: SourceError) -> None:
        """A part of the source is missing; or so much that all of it is."""
        if not self._over:
            self.failure = error
            self._failures += 1
            limit = MAX_MISSING if error.reason == "NotFound" else MAX_FAILURES
            self._over = error.reason in _FATAL or self._failures >= limit

    def note_success(self) -> None:
        """A part of the source arrived."""
        if not self._over:
            self._failures = 0
            self.failure = None

    def _nested(self, url: str, options: Mapping[str, str]) -> Reader:
        plain = _CRYPTO.sub("", url)
        first, end = int(options.get("offset", 0)), options.get("end_offset")
        if plain in self._playlists:
            return self._reloaded(plain)
        reader = self._named(plain, first, int(end) if end else None)
        if plain != url:
            key, iv = bytes.fromhex(options["key"]), bytes.fromhex(options["iv"])
            reader = AesReader(reader, key, iv)
            self._decryption.used = True
        return self._segment(Place(plain, first), reader)

    def _named(self, url: str, first: int = 0, end: int | None = None) -> Reader:
        """What the source names."""
        if urlsplit(url).scheme.lower() not in WEB or self._scheme not in WEB:
            raise hls.not_web(self._url, url)
        return self._reader(url, first, end)

    def _reader(self, url: str, first: int = 0, end: int | None = None) -> Reader:
        scheme = urlsplit(url).scheme.lower()
        if scheme in WEB:
            return self._client.get(url, first, end)
        if self._scheme == "file":
            return FileReader(file_path(url))
        if scheme == "tcp":
            return TcpReader(url, self._access, self._stop)
        if scheme == "srt":
            return SrtReader(url, self._access, self._stop)
        if scheme == "rtmp":
            return RtmpReader(url, self._access, self._stop)
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

    def _segment(self, place: Place, reader: Reader) -> Reader:
        """A part of the source. A playlist in its place would have FFmpeg follow it for ever."""
        start = reader.read(_PEEK_BYTES)
        if dash.is_manifest(start) or hls.is_playlist(start):
            reader.close()
            raise SourceError(
                "NestedNotAllowed",
                f"{redact(self._url)} is not read: {redact(place.url)} is a playlist where a "
                f"segment of picture or sound should be: check the packager",
            )
        for cue in cues_of(start):
            self.notes.add(cue)
        return self._decryption.decrypted(place, PeekedReader(reader, start), start)

    def _examined(self, url: str, reader: Reader) -> Reader:
        """A playlist or manifest is read whole, and what FFmpeg needs of it given on."""
        if self._scheme not in WEB:
            return reader
        start = reader.read(_PEEK_BYTES)
        is_manifest = dash.is_manifest(start)
        if not is_manifest and not hls.is_playlist(start):
            return PeekedReader(reader, start)
        text = _whole(reader, start, url)
        final = reader.url if isinstance(reader, HttpReader) else url
        given = self._translated(text, url, final) if is_manifest else self._hls(text, url, final)
        listed = self.tap.playlist(url, given)
        if listed is not None:
            self._require_fresh(url, listed)
        return BytesReader(given.encode())

    def _require_fresh(self, url: str, listed: Listing) -> None:
        """Refuse to play again what has ended; who plays already may wait for more."""
        stale_s = self._freshness.stale_s(line_of(url), listed)
        if stale_s is not None and url not in self._fetched:
            raise SourceError(
                "ManifestStale",
                f"{redact(url)} is not played again: its playlist is served but has not changed "
                f"for {stale_s:.0f} s: check the packager",
            )
        self._fetched.add(url)

    def _hls(self, text: str, url: str, final: str) -> str:
        if not hls.is_master(text):
            self._playlists.add(url)
            return self._decryption.playlist(url, hls.absolute(text, final))
        if self._playlists:
            raise SourceError(
                "NestedNotAllowed",
                f"{redact(self._url)} is not read: its master playlist names another one: check "
                f"the packager",
            )
        master, named = hls.chosen(text, final, self._variant)
        self._playlists.update(named)
        return master

    def _translated(self, text: str, url: str, final: str) -> str:
        manifest = dash.Manifest(text, final, self._variant, datetime.now(UTC))
        kind = dash.kind_of(url)
        if kind is not None:
            numbering = self._numbering.setdefault(kind, dash.Numbering())
            return self._decryption.playlist(url, manifest.playlist(kind, numbering))
        master, named = manifest.master(url)
        self._playlists.update(named)
        return master


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
