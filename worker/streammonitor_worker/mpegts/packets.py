"""Bytes → packets of 188 bytes, with the loss and the return of synchronisation.

The fields of many packets are read at once, as columns: a stream of 20 Mb/s has 13,000 a second.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

PACKET_BYTES = 188
SYNC_BYTE = 0x47
LOST_AFTER = 2
"""Sync bytes in a row that are wrong: synchronisation is lost (ETSI TR 101 290, 1.1)."""
FOUND_AFTER = 5
"""Sync bytes in a row that are right: it is there again."""
MAX_PID = 0x1FFF
NULL_PID = MAX_PID

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Packets:
    """Packets in their order, as columns.

    Attributes:
        raw: Shape (packets, 188). The sync byte of each may be wrong.
        offset: Position of the first one in the stream, in bytes.
    """

    raw: Bytes
    offset: int = 0

    def __len__(self) -> int:
        return len(self.raw)

    @cached_property
    def pid(self) -> npt.NDArray[np.uint16]:
        """Packet identifiers."""
        high = (self.raw[:, 1] & np.uint8(0x1F)).astype(np.uint16)
        return (high << np.uint16(8)) | self.raw[:, 2].astype(np.uint16)

    @cached_property
    def transport_error(self) -> npt.NDArray[np.bool_]:
        """Packets that a demodulator flagged as damaged."""
        return self._bits(1, 0x80)

    @cached_property
    def unit_start(self) -> npt.NDArray[np.bool_]:
        """Packets in which a section or a PES packet begins."""
        return self._bits(1, 0x40)

    @cached_property
    def scrambled(self) -> npt.NDArray[np.bool_]:
        """Packets whose payload is scrambled."""
        return self._bits(3, 0xC0)

    @cached_property
    def has_payload(self) -> npt.NDArray[np.bool_]:
        """Packets with a payload."""
        return self._bits(3, 0x10)

    @cached_property
    def counter(self) -> Bytes:
        """Continuity counters, 0 to 15."""
        return self.raw[:, 3] & np.uint8(0x0F)

    @cached_property
    def adaptation_bytes(self) -> Bytes:
        """Length of the adaptation field; 0 without one."""
        return np.where(self._bits(3, 0x20), self.raw[:, 4], 0).astype(np.uint8)

    @cached_property
    def discontinuity(self) -> npt.NDArray[np.bool_]:
        """Packets that announce that counters and clock may jump."""
        return (self.adaptation_bytes > 0) & self._bits(5, 0x80)

    @cached_property
    def has_pcr(self) -> npt.NDArray[np.bool_]:
        """Packets with a program clock reference."""
        return (self.adaptation_bytes >= 7) & self._bits(5, 0x10)

    def _bits(self, byte: int, mask: int) -> npt.NDArray[np.bool_]:
        """Packets of which one of these bits is set."""
        chosen: npt.NDArray[np.bool_] = (self.raw[:, byte] & np.uint8(mask)) != 0
        return chosen

    def pcr_s(self, index: int) -> float:
        """The program clock reference of a packet that has one, in seconds."""
        field = bytes(self.raw[index, 6:12])
        base = int.from_bytes(field[:5]) >> 7
        extension = int.from_bytes(field[4:6]) & 0x1FF
        return (base * 300 + extension) / 27e6

    def payload(self, index: int) -> bytes:
        """What a packet carries."""
        if not self.has_payload[index]:
            return b""
        start = 4
        if self.raw[index, 3] & 0x20:
            start += 1 + int(self.raw[index, 4])
        return self.raw[index, start:].tobytes()


@dataclass(slots=True)
class Framing:
    """What was wrong with the sync bytes of a piece of the stream.

    Attributes:
        sync_losses: How often synchronisation was lost (TR 101 290, 1.1).
        sync_byte_errors: Packets whose sync byte was wrong (1.2).
    """

    sync_losses: int = 0
    sync_byte_errors: int = 0


class Framer:
    """Finds the packets in a stream of bytes.

    Args:
        offset: Position of the first byte in the stream.

    Attributes:
        offset: Position of the next packet.
    """

    def __init__(self, offset: int = 0) -> None:
        self.offset = offset
        self._rest = b""
        self._synchronised = False
        self._wrong = 0
        self._ever = False

    @property
    def synchronised(self) -> bool | None:
        """Whether packets are found; None if none ever was."""
        return self._synchronised if self._ever else None

    def feed(self, data: bytes) -> tuple[Packets, Framing]:
        """Take the next bytes; return the whole packets they complete, and what was wrong."""
        framing = Framing()
        pieces: list[Bytes] = []
        buffer = self._rest + data
        start, first = 0, None
        while True:
            if not self._synchronised:
                found = _synchronisation(buffer, start)
                if found is None:
                    start = max(start, len(buffer) - PACKET_BYTES * FOUND_AFTER)
                    break
                start, self._synchronised, self._wrong, self._ever = found, True, 0, True
            taken, lost = self._take(buffer, start, framing)
            if first is None:
                first = self.offset + start
            pieces.append(taken)
            start += taken.size
            if not lost:
                break
            self._synchronised = False
        self._rest = buffer[start:]
        self.offset += start
        raw = np.concatenate(pieces) if pieces else np.empty((0, PACKET_BYTES), np.uint8)
        return Packets(raw, first or 0), framing

    def _take(self, buffer: bytes, start: int, framing: Framing) -> tuple[Bytes, bool]:
        """Whole packets from `start` up to where synchronisation is lost, and whether it is."""
        count = (len(buffer) - start) // PACKET_BYTES
        raw = np.frombuffer(buffer, np.uint8, count * PACKET_BYTES, start).reshape(-1, PACKET_BYTES)
        for index in np.flatnonzero(raw[:, 0] != SYNC_BYTE):
            before = index == 0 or raw[index - 1, 0] == SYNC_BYTE
            self._wrong = 1 if before and (index or not self._wrong) else self._wrong + 1
            framing.sync_byte_errors += 1
            if self._wrong >= LOST_AFTER:
                framing.sync_losses += 1
                return raw[: index + 1 - LOST_AFTER if index else 0], True
        if count and raw[-1, 0] == SYNC_BYTE:
            self._wrong = 0
        return raw, False


def _synchronisation(buffer: bytes, start: int) -> int | None:
    """Where sync bytes begin to follow each other at the distance of packets."""
    reach = PACKET_BYTES * (FOUND_AFTER - 1)
    at = buffer.find(SYNC_BYTE, start)
    while 0 <= at < len(buffer) - reach:
        if all(buffer[at + step] == SYNC_BYTE for step in range(0, reach + 1, PACKET_BYTES)):
            return at
        at = buffer.find(SYNC_BYTE, at + 1)
    return None


def is_transport_stream(start: bytes) -> bool:
    """Whether packets are found at the beginning of something, or nearly."""
    return _synchronisation(start[: PACKET_BYTES * FOUND_AFTER * 4], 0) is not None
