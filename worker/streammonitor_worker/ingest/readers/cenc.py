"""Fragmented MP4 of common encryption, decrypted on its way to FFmpeg.

FFmpeg decrypts too, but takes the keys of a playlist's first initialization for all that follows,
and shows what it has no key for as if it were clear.
"""

import struct
import sys

from streammonitor_worker.ingest.encryption.boxes import Box, header
from streammonitor_worker.ingest.encryption.ciphers import decrypt
from streammonitor_worker.ingest.encryption.keys import ContentKeys, undecryptable
from streammonitor_worker.ingest.encryption.protection import (
    Sample,
    Tracks,
    clear_fragment,
    clear_movie,
)
from streammonitor_worker.ingest.readers.base import Reader

MAX_BOX_BYTES = 64 * 1024 * 1024
"""Of a box that must be there as a whole: ten seconds of 50 Mb/s."""
READ_BYTES = 65_536


class CencReader:
    """What another reader reads, decrypted; what is clear stays as it is.

    Attributes:
        tracks: What its `moov` box said, or the one of the initialization that belongs to it.
    """

    length: None = None

    def __init__(
        self,
        encrypted: Reader,
        keys: ContentKeys,
        url: str,
        *,
        tracks: Tracks | None = None,
        position: int = 0,
    ) -> None:
        self.tracks: Tracks = tracks or {}
        self._encrypted = encrypted
        self._keys = keys
        self._url = url
        self._position = position
        self._raw = bytearray()
        self._plain = b""
        self._passing = 0
        self._samples: list[Sample] = []
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return the next plain bytes; none at the end. See `Reader.read`."""
        while not self._plain:
            try:
                if not self._step():
                    break
            except (ValueError, IndexError, struct.error) as error:
                if self.tracks:
                    raise undecryptable(self._url, str(error)) from None
                # Clear, as far as can be seen; what is wrong with it is FFmpeg's to say.
                self._passing = sys.maxsize
        data, self._plain = self._plain[:size], self._plain[size:]
        return data

    def close(self) -> None:
        """Close what is read from."""
        self._encrypted.close()

    def _step(self) -> bool:
        """Make some more bytes plain; False at the end."""
        if self._passing:
            return self._pass()
        box = header(self._raw, 0)
        if box is None:
            return self._more() or self._rest()
        if box.end == 0:
            # Up to the end of the resource; no fragment is so.
            self._passing = sys.maxsize
            return self._pass()
        if not self._concerns(box):
            self._passing = box.end
            return self._pass()
        if box.end > MAX_BOX_BYTES:
            raise ValueError(f"a box has {box.end} bytes, and may have {MAX_BOX_BYTES}")
        if len(self._raw) < box.end:
            return self._more() or self._rest()
        self._give(self._cleared(box))
        return True

    def _concerns(self, box: Box) -> bool:
        """Whether a box must be there as a whole before any of it is given."""
        if box.kind == b"moof":
            return bool(self.tracks)
        return box.kind == b"moov" or (box.kind == b"mdat" and bool(self._samples))

    def _pass(self) -> bool:
        if not self._raw and not self._more():
            return False
        taken = bytes(self._raw[: self._passing])
        self._passing -= len(taken)
        self._give(taken)
        return True

    def _more(self) -> bool:
        data = b"" if self._ended else self._encrypted.read(READ_BYTES)
        self._ended = not data
        self._raw += data
        return bool(data)

    def _rest(self) -> bool:
        """At the end: what was begun is given as it is."""
        self._passing = len(self._raw)
        return bool(self._raw) and self._pass()

    def _give(self, data: bytes) -> None:
        del self._raw[: len(data)]
        self._position += len(data)
        self._plain = data

    def _cleared(self, box: Box) -> bytes:
        data = self._raw[: box.end]
        if box.kind == b"moov":
            self.tracks = clear_movie(data)
        elif box.kind == b"moof":
            self._samples = clear_fragment(data, self._position, self.tracks)
        else:
            self._decrypt(data, box)
        return bytes(data)

    def _decrypt(self, data: bytearray, box: Box) -> None:
        samples, self._samples = self._samples, []
        for sample in samples:
            start = sample.start - self._position
            end = start + sample.size
            if start < box.body or end > box.end:
                raise ValueError("a sample lies outside its fragment")
            content, key = data[start:end], self._keys.of(sample.protection.key_id, self._url)
            decrypt(content, sample, key.value)
            data[start:end] = content
