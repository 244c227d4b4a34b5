"""HLS segments whose samples are encrypted: MPEG-TS and packed audio, decrypted on their way.

FFmpeg decrypts them too, but with the key of whichever segment it has come to by then: the last
picture of each segment belongs to the one before.
"""

from collections import deque
from dataclasses import dataclass, field

from streammonitor_worker.ingest.encryption.keys import undecryptable
from streammonitor_worker.ingest.encryption.sample_aes import Decrypt, SampleKey, picture, sound
from streammonitor_worker.ingest.readers.base import Reader
from streammonitor_worker.mpegts.packets import PACKET_BYTES, SYNC_BYTE
from streammonitor_worker.mpegts.sections import (
    CRC_BYTES,
    PAT_PID,
    Section,
    crc32,
    program_map,
    programs,
)

MAX_HELD_BYTES = 64 * 1024 * 1024
"""Of a segment: what has begun, and all that came since."""
READ_PACKETS = 256

_CLEAR_TYPES: dict[int, tuple[int, Decrypt]] = {
    0xDB: (0x1B, picture),
    0xCF: (0x0F, sound),
    0xC1: (0x81, sound),
    0xC2: (0x87, sound),
}
"""Stream types of encrypted H.264, AAC, AC-3, Enhanced AC-3; what they are when decrypted."""


@dataclass(slots=True)
class _Unit:
    """A section or PES packet that begins in one packet and goes on in others of its PID.

    Attributes:
        pieces: Each packet, and where in it its share begins.
        open: Whether more of it may come.
    """

    pid: int
    pieces: list[tuple[bytearray, int]] = field(default_factory=list)
    open: bool = True

    def content(self) -> bytearray:
        """All of it."""
        return bytearray().join(packet[start:] for packet, start in self.pieces)

    def replace(self, content: bytearray) -> None:
        """Put something else of the same length in its place."""
        at = 0
        for packet, start in self.pieces:
            size = PACKET_BYTES - start
            packet[start:] = content[at : at + size]
            at += size


class SampleAesReader:
    """What another reader reads, decrypted; clear streams stay as they are."""

    length: None = None

    def __init__(self, encrypted: Reader, key: SampleKey, url: str) -> None:
        self._encrypted = encrypted
        self._key = key
        self._url = url
        self._raw = bytearray()
        self._plain = b""
        self._queue: deque[tuple[bytearray, _Unit | None]] = deque()
        self._units: dict[int, _Unit] = {}
        self._maps: set[int] = set()
        self._decrypt: dict[int, Decrypt] = {}
        self._packed = False
        self._ended = False

    def read(self, size: int) -> bytes:
        """Return the next plain bytes; none at the end. See `Reader.read`."""
        while not self._plain and not self._ended:
            self._step()
        data, self._plain = self._plain[:size], self._plain[size:]
        return data

    def close(self) -> None:
        """Close what is read from."""
        self._encrypted.close()

    def _step(self) -> None:
        data = self._encrypted.read(READ_PACKETS * PACKET_BYTES)
        self._ended = not data
        self._raw += data
        if len(self._raw) + len(self._queue) * PACKET_BYTES > MAX_HELD_BYTES:
            raise undecryptable(self._url, f"it holds back more than {MAX_HELD_BYTES} bytes")
        self._packed = self._packed or (bool(self._raw) and self._raw[0] != SYNC_BYTE)
        if not self._packed:
            self._take_packets()
            self._plain = self._finished()
        if self._ended:
            if self._packed:
                # Sound alone, after a tag with its time: small enough to be taken as a whole.
                sound(self._raw, self._key)
            self._plain += bytes(self._raw)
            self._raw.clear()

    def _take_packets(self) -> None:
        whole = len(self._raw) // PACKET_BYTES * PACKET_BYTES
        for start in range(0, whole, PACKET_BYTES):
            self._take(self._raw[start : start + PACKET_BYTES])
        del self._raw[:whole]
        if self._ended:
            for unit in self._units.values():
                self._complete(unit)

    def _take(self, packet: bytearray) -> None:
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        start = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
        followed = pid == PAT_PID or pid in self._maps or pid in self._decrypt
        if not followed or not packet[3] & 0x10 or start >= PACKET_BYTES:
            self._queue.append((packet, None))
            return
        unit = self._units.get(pid)
        if packet[1] & 0x40:
            if unit is not None:
                self._complete(unit)
            unit = self._units[pid] = _Unit(pid)
        if unit is None:
            self._queue.append((packet, None))
            return
        unit.pieces.append((packet, start))
        self._queue.append((packet, unit))
        if pid not in self._decrypt:
            self._take_section(unit)

    def _take_section(self, unit: _Unit) -> None:
        """A table is complete as soon as it is long enough: what follows depends on it."""
        content = unit.content()
        begin = 1 + content[0]
        if len(content) < begin + 3 or not unit.open:
            return
        end = begin + 3 + (int.from_bytes(content[begin + 1 : begin + 3]) & 0x0FFF)
        if len(content) < end or end < begin + 3 + CRC_BYTES:
            return
        section = Section(content[begin], bytes(content[begin:end]))
        if unit.pid == PAT_PID:
            self._maps = set(programs(section).values())
        else:
            content[begin:end] = self._clear_map(section)
            unit.replace(content)
        unit.open = False

    def _clear_map(self, section: Section) -> bytes:
        """A program map as if nothing were encrypted."""
        body = bytearray(section.body)
        for stream in program_map(section).streams:
            clear = _CLEAR_TYPES.get(stream.stream_type)
            if clear is not None:
                entry = bytes((stream.stream_type, 0xE0 | stream.pid >> 8, stream.pid & 0xFF))
                at = body.index(entry, 12)
                body[at], self._decrypt[stream.pid] = clear
        body[-CRC_BYTES:] = crc32(bytes(body[:-CRC_BYTES])).to_bytes(CRC_BYTES)
        return bytes(body)

    def _complete(self, unit: _Unit) -> None:
        """Decrypt a PES packet whose last packet is here."""
        if unit.open and unit.pid in self._decrypt:
            content = unit.content()
            # Start code, stream id and length, two bytes of flags, and the length of what follows.
            begin = min(len(content), 9 + content[8]) if len(content) > 8 else len(content)
            samples = content[begin:]
            self._decrypt[unit.pid](samples, self._key)
            content[begin:] = samples
            unit.replace(content)
        unit.open = False

    def _finished(self) -> bytes:
        """The packets that nothing before them holds back any more."""
        given = bytearray()
        while self._queue and not (self._queue[0][1] and self._queue[0][1].open):
            given += self._queue.popleft()[0]
        return bytes(given)
