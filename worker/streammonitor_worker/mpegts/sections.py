"""Program specific information: sections gathered from packets, and what PAT and PMT say."""

from collections.abc import Iterator
from dataclasses import dataclass, field

PAT_PID = 0x0000
CAT_PID = 0x0001
PAT_TABLE = 0x00
CAT_TABLE = 0x01
PMT_TABLE = 0x02
SDT_PID = 0x0011
SDT_TABLE = 0x42
SPLICE_TYPE = 0x86
"""Stream type of splice information (ANSI/SCTE 35, clause 8.1)."""
MAX_SECTION_BYTES = 4096
CRC_BYTES = 4

_HEADER_BYTES = 3
_STUFFING = 0xFF
_SERVICE_DESCRIPTOR = 0x48


@dataclass(frozen=True, slots=True)
class Section:
    """One section (ISO/IEC 13818-1, 2.4.4).

    Attributes:
        table: Its table_id.
        body: All of it, header and CRC included.
    """

    table: int
    body: bytes

    @property
    def intact(self) -> bool:
        """Whether its CRC_32 is right; a section without one cannot be wrong."""
        return not self.body[1] & 0x80 or crc32(self.body) == 0

    @property
    def current(self) -> bool:
        """Whether it applies now, and not only next."""
        return len(self.body) > 5 and bool(self.body[5] & 0x01)


@dataclass(frozen=True, slots=True)
class ElementaryStream:
    """An entry of a program map."""

    stream_type: int
    pid: int


@dataclass(frozen=True, slots=True)
class ProgramMap:
    """What a PMT says.

    Attributes:
        pcr_pid: Which packets carry the program's clock.
        streams: Its elementary streams.
    """

    pcr_pid: int
    streams: tuple[ElementaryStream, ...]


@dataclass(slots=True)
class Gatherer:
    """Puts the sections of one PID together again."""

    _partial: bytearray = field(default_factory=bytearray)
    _started: bool = False

    def feed(self, payload: bytes, unit_start: bool) -> Iterator[Section]:
        """Take a packet's payload; yield the sections that it completes."""
        if unit_start:
            if not payload:
                return
            pointer = payload[0]
            if self._started:
                self._partial += payload[1 : 1 + pointer]
                yield from self._complete()
            self._partial = bytearray(payload[1 + pointer :])
            self._started = True
        elif self._started:
            self._partial += payload
        yield from self._complete()

    def reset(self) -> None:
        """A packet is missing: what was begun cannot be completed."""
        self._partial.clear()
        self._started = False

    def _complete(self) -> Iterator[Section]:
        while len(self._partial) >= _HEADER_BYTES and self._partial[0] != _STUFFING:
            size = _HEADER_BYTES + (int.from_bytes(self._partial[1:3]) & 0x0FFF)
            if size > MAX_SECTION_BYTES + _HEADER_BYTES:
                self.reset()
                return
            if len(self._partial) < size:
                return
            yield Section(self._partial[0], bytes(self._partial[:size]))
            del self._partial[:size]


def programs(pat: Section) -> dict[int, int]:
    """The PID of each program's map, by program number; the network's own entry is left out."""
    entries = pat.body[8:-CRC_BYTES]
    found = {}
    for start in range(0, len(entries) - 3, 4):
        number = int.from_bytes(entries[start : start + 2])
        if number:
            found[number] = int.from_bytes(entries[start + 2 : start + 4]) & 0x1FFF
    return found


def program_map(pmt: Section) -> ProgramMap:
    """What a PMT section says; entries that are cut off are left out."""
    body = pmt.body
    pcr_pid = int.from_bytes(body[8:10]) & 0x1FFF
    at = 12 + (int.from_bytes(body[10:12]) & 0x0FFF)
    streams = []
    while at + 5 <= len(body) - CRC_BYTES:
        pid = int.from_bytes(body[at + 1 : at + 3]) & 0x1FFF
        streams.append(ElementaryStream(body[at], pid))
        at += 5 + (int.from_bytes(body[at + 3 : at + 5]) & 0x0FFF)
    return ProgramMap(pcr_pid, tuple(streams))


def services(sdt: Section) -> dict[int, str]:
    """The names of programs, by their numbers (ETSI EN 300 468, 5.2.3 and 6.2.33)."""
    body, found, at = sdt.body, {}, 11
    while at + 5 <= len(body) - CRC_BYTES:
        number = int.from_bytes(body[at : at + 2])
        end = at + 5 + (int.from_bytes(body[at + 3 : at + 5]) & 0x0FFF)
        at += 5
        while at + 2 <= min(end, len(body) - CRC_BYTES):
            tag, length = body[at], body[at + 1]
            if tag == _SERVICE_DESCRIPTOR and length >= 2:
                start = at + 4 + body[at + 3]
                name = body[start + 1 : start + 1 + body[start]] if start < len(body) else b""
                found[number] = _text(name)
            at += 2 + length
        at = end
    return found


def _text(coded: bytes) -> str:
    """Text with the character table that its first byte chooses (ETSI EN 300 468, annex A)."""
    if coded[:1] == b"\x15":
        text = coded[1:].decode("utf-8", "replace")
    elif coded[:1] == b"\x11":
        text = coded[1:].decode("utf-16-be", "replace")
    elif coded[:1] == b"\x10":
        text = coded[3:].decode(_part(int.from_bytes(coded[1:3])), "replace")
    elif coded and coded[0] < 0x0C:
        text = coded[1:].decode(_part(coded[0] + 4), "replace")
    else:
        # The default table is ISO/IEC 6937; its letters without diacritics are those of ASCII.
        text = coded.decode("utf-8", "replace")
    return "".join(one for one in text if one.isprintable()).strip()


def _part(number: int) -> str:
    """The codec of a part of ISO/IEC 8859; there is no part 12."""
    return f"iso8859_{number}" if 1 <= number <= 16 and number != 12 else "latin-1"


def _table() -> tuple[int, ...]:
    entries = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
        entries.append(value & 0xFFFFFFFF)
    return tuple(entries)


_CRC = _table()


def crc32(data: bytes) -> int:
    """CRC_32 of ISO/IEC 13818-1 annex A: 0 over a section and its checksum if nothing is wrong.

    Not zlib's, which reads the bits of a byte in the other order.

    >>> hex(crc32(b"123456789"))
    '0x376e6e7'
    """
    value = 0xFFFFFFFF
    for byte in data:
        value = (value << 8 & 0xFFFFFFFF) ^ _CRC[value >> 24 ^ byte]
    return value
