"""Segments whose samples are encrypted: which key each needs, and the reader that decrypts it."""

from collections.abc import Callable

from streammonitor_worker.ingest.encryption.keys import (
    KEY_BYTES,
    ContentKey,
    ContentKeys,
    undecryptable,
)
from streammonitor_worker.ingest.encryption.sample_aes import SampleKey
from streammonitor_worker.ingest.errors import redact
from streammonitor_worker.ingest.manifests.hls_keys import Place, SegmentKeys, without_keys
from streammonitor_worker.ingest.readers.base import Reader
from streammonitor_worker.ingest.readers.cenc import CencReader
from streammonitor_worker.ingest.readers.sample_aes import SampleAesReader

MAX_FETCHED = 16
"""Keys that were fetched are kept, as many; a live playlist names a new one from time to time."""

_MP4_STARTS = (b"ftyp", b"styp", b"moov")


class Decryption:
    """What is known of the encryption of one source.

    Args:
        keys: Its keys. They take the place of those that a playlist names.
        fetch: Opens what a playlist names.
        source: The URL of all of it, which messages name: those of segments are ever new ones.

    Attributes:
        used: Whether any of it was encrypted.
    """

    def __init__(self, keys: ContentKeys, fetch: Callable[[str], Reader], source: str) -> None:
        self.used = bool(keys)
        self._keys = keys
        self._source = source
        self._fetch = fetch
        self._fetched: dict[str, bytes] = {}
        self._segments: dict[str, dict[Place, SegmentKeys]] = {}
        self._initializations: dict[Place, CencReader | None] = {}

    def playlist(self, url: str, text: str) -> str:
        """Take note of what a media playlist says of encryption; return it without that.

        Args:
            url: By which it is asked for: what was known of it before is forgotten.
            text: The playlist, its URIs absolute.
        """
        clear, self._segments[url] = without_keys(text)
        self._initializations = {
            one.initialization: self._initializations.get(one.initialization)
            for segments in self._segments.values()
            for one in segments.values()
            if one.initialization
        }
        return clear

    def decrypted(self, place: Place, reader: Reader, start: bytes) -> Reader:
        """A part of the source as FFmpeg is to see it.

        Args:
            place: Where it is.
            reader: Reads it.
            start: Its first bytes, which the reader still gives.

        Raises:
            SourceError: Its key is not there.
        """
        if place in self._initializations:
            made = CencReader(reader, self._keys, self._source)
            self._initializations[place] = made
            return made
        segment = next((found[place] for found in self._segments.values() if place in found), None)
        if segment is None:
            # One resource may hold its initialization and all its fragments.
            whole = start[4:8] in _MP4_STARTS
            return CencReader(reader, self._keys, self._source) if whole else reader
        if segment.initialization is None:
            key = self._keys_of(segment).of(segment.key_id, self._source)
            iv = segment.iv or key.iv or segment.number.to_bytes(KEY_BYTES)
            return SampleAesReader(reader, SampleKey(key.value, iv), self._source)
        before = self._initializations.get(segment.initialization)
        if before is None or not before.tracks:
            return reader
        keys, tracks = self._keys_of(segment), before.tracks
        return CencReader(reader, keys, self._source, tracks=tracks, position=place.first)

    def _keys_of(self, segment: SegmentKeys) -> ContentKeys:
        self.used = True
        plain = next((key.uri for key in segment.keys if key.plain), None)
        if self._keys or plain is None:
            return self._keys
        if plain not in self._fetched:
            if len(self._fetched) >= MAX_FETCHED:
                self._fetched.clear()
            self._fetched[plain] = self._key_at(plain)
        return ContentKeys(redact(plain), default=ContentKey(self._fetched[plain]))

    def _key_at(self, url: str) -> bytes:
        reader = self._fetch(url)
        key = b""
        while len(key) <= KEY_BYTES and (data := reader.read(KEY_BYTES + 1)):
            key += data
        reader.close()
        if len(key) != KEY_BYTES:
            raise undecryptable(url, f"a key has {KEY_BYTES} bytes, and this is none")
        return key
