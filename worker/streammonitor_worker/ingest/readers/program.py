"""Of a transport stream with several programs only the one that is monitored.

FFmpeg decodes whichever picture it takes for the best of all programs.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from streammonitor_api.source import Program
from streammonitor_worker.ingest.errors import SourceError, redact
from streammonitor_worker.ingest.readers.base import Reader
from streammonitor_worker.ingest.readers.memory import PeekedReader
from streammonitor_worker.mpegts.packets import (
    PACKET_BYTES,
    SYNC_BYTE,
    Framer,
    Packets,
    is_transport_stream,
)
from streammonitor_worker.mpegts.sections import (
    CRC_BYTES,
    PAT_PID,
    PAT_TABLE,
    PMT_TABLE,
    SDT_PID,
    SDT_TABLE,
    Gatherer,
    ProgramMap,
    Section,
    crc32,
    program_map,
    programs,
    services,
)

SEARCH_BYTES = 16 * 1024 * 1024
"""Tables are there by then: the rarest comes every 2 s (ETSI TR 101 211, 4.4), of 60 Mb/s."""
READ_BYTES = 64 * PACKET_BYTES

_START_BYTES = 20 * PACKET_BYTES
"""By then a transport stream is known as one."""
_PICTURES = (0x01, 0x02, 0x10, 0x1B, 0x20, 0x21, 0x24, 0x33, 0x42, 0xD1, 0xD2, 0xD4, 0xDB, 0xEA)
"""Stream types of pictures (ISO/IEC 13818-1, table 2-34, and those of other registrars)."""


def no_programs(url: str) -> SourceError:
    """What is raised where a program is wanted of what has none."""
    return SourceError(
        "ProgramMissing",
        f"{redact(url)} is no MPEG transport stream with programs: take program out of the stream",
    )


class ProgramReader:
    """What another reader reads, without the other programs.

    Args:
        reader: Reads whatever it is; what is no transport stream, or has one program, stays as is.
        wanted: The program; None: the first one with a picture.
        url: For messages.
    """

    def __init__(self, reader: Reader, wanted: Program | None, url: str) -> None:
        self._reader = reader
        self._wanted = wanted
        self._url = url
        self._whole: PeekedReader | None = None
        self._tables = _Tables()
        self._framer = Framer()
        self._number: int | None = None
        self._counter = 0
        self._plain = b""

    @property
    def length(self) -> int | None:
        """Bytes in all, the other programs included, if that is known."""
        return self._reader.length

    def read(self, size: int) -> bytes:
        """Return the next bytes; none at the end. See `Reader.read`."""
        self._settle()
        if self._whole is not None:
            return self._whole.read(size)
        while not self._plain:
            data = self._reader.read(READ_BYTES)
            if not data:
                return b""
            self._take(data)
        data, self._plain = self._plain[:size], self._plain[size:]
        return data

    def seekable(self) -> bool:
        """Whether the reader is, and nothing is left out."""
        self._settle()
        return self._whole is not None and self._whole.seekable()

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go on at a byte; return it. See `SeekableReader.seek`."""
        self._settle()
        if self._whole is None:
            raise OSError("one program cannot be sought in")
        return self._whole.seek(offset, whence)

    def tell(self) -> int:
        """Return the byte that is read next; -1 if that says nothing."""
        return -1 if self._whole is None else self._whole.tell()

    def close(self) -> None:
        """Close what is read from."""
        self._reader.close()

    def _settle(self) -> None:
        """Find the program, once; what was read for that is given afterwards."""
        if self._whole is not None or self._number is not None:
            return
        start, ended = b"", False
        search = _Tables()
        framer = Framer()
        while not ended and len(start) < SEARCH_BYTES:
            data = self._reader.read(READ_BYTES)
            start, ended = start + data, not data
            if len(start) < _START_BYTES and not ended:
                continue
            if not is_transport_stream(start):
                break
            search.take(framer.feed(data)[0])
            if self._decided(search, ended or len(start) >= SEARCH_BYTES):
                break
        if self._number is not None:
            self._take(start)
            return
        if self._wanted is not None:
            raise no_programs(self._url)
        self._whole = PeekedReader(self._reader, start)

    def _decided(self, tables: "_Tables", last: bool) -> bool:
        """Choose a program; whether nothing more need be read for that."""
        there = tables.programs
        if self._wanted is None:
            if there is None or len(there) < 2:
                return there is not None
            self._number = tables.first_with_picture(last)
            return self._number is not None
        if there is None:
            return False
        self._number = tables.chosen(self._wanted)
        if self._number is None and (last or tables.named):
            raise self._missing(f"has no program {_said(self._wanted)}", tables)
        return self._number is not None

    def _missing(self, why: str, tables: "_Tables") -> SourceError:
        there = ", ".join(tables.listed())
        return SourceError(
            "ProgramMissing", f"{redact(self._url)} {why}: choose one of {there or 'no others'}"
        )

    def _take(self, data: bytes) -> None:
        """Leave of some bytes what belongs to the program."""
        packets, _ = self._framer.feed(data)
        before = self._tables.pids(self._number)
        self._tables.take(packets, self._number)
        there = self._tables.programs
        if there is not None and self._number not in there:
            raise self._missing(f"has no program {self._number} any more", self._tables)
        kept = before | self._tables.pids(self._number)
        chosen = np.isin(packets.pid, list(kept))
        is_table = packets.pid == PAT_PID
        # One packet has room for the table of one program.
        chosen &= ~is_table | packets.unit_start
        rows = packets.raw[chosen].copy()
        for row in np.flatnonzero(is_table[chosen]):
            rows[row] = self._table()
        self._plain += rows.tobytes()

    def _table(self) -> npt.NDArray[np.uint8]:
        """The packet of a program association table with the one program."""
        original, number = self._tables.association, self._number or 0
        if original is None:
            # It began before what is read here.
            return np.frombuffer(_null(), np.uint8)
        pid = programs(original).get(number, 0)
        body = bytes((PAT_TABLE, 0xB0, 13)) + original.body[3:6] + bytes(2)
        body += number.to_bytes(2) + (0xE000 | pid).to_bytes(2)
        body += crc32(body).to_bytes(CRC_BYTES)
        header = bytes((SYNC_BYTE, 0x40, PAT_PID, 0x10 | self._counter, 0))
        self._counter = (self._counter + 1) % 16
        return np.frombuffer((header + body).ljust(PACKET_BYTES, b"\xff"), np.uint8)


class _Tables:
    """What the tables of a transport stream say.

    Attributes:
        association: The program association table.
        named: Whether all of the service description table was there.
    """

    def __init__(self) -> None:
        self.association: Section | None = None
        self.named = False
        self._sections: set[int] = set()
        self._names: dict[int, str] = {}
        self._maps: dict[int, ProgramMap] = {}
        self._gatherers: dict[int, Gatherer] = {}

    @property
    def programs(self) -> dict[int, int] | None:
        """The PID of each program's map by its number; None before that is known."""
        return None if self.association is None else programs(self.association)

    def take(self, packets: Packets, only: int | None = None) -> None:
        """Read the tables in some packets; of the maps only that of one program, if it is given."""
        for index in self._of_tables(packets):
            pid = int(packets.pid[index])
            gatherer = self._gatherers.setdefault(pid, Gatherer())
            for section in gatherer.feed(packets.payload(index), bool(packets.unit_start[index])):
                if section.intact and section.current:
                    self._section(pid, section, only)

    def pids(self, number: int | None) -> set[int]:
        """The packets that belong to a program."""
        there = (self.programs or {}).get(number or 0)
        known = self._maps.get(number or 0)
        found = {PAT_PID, *([] if there is None else [there])}
        if known is not None:
            found |= {known.pcr_pid, *(one.pid for one in known.streams)}
        return found

    def chosen(self, wanted: Program) -> int | None:
        """The program that is wanted, if it is there."""
        there = self.programs or {}
        if wanted.number is not None:
            return wanted.number if wanted.number in there else None
        name = (wanted.service or "").casefold()
        return next((one for one in there if self._names.get(one, "").casefold() == name), None)

    def first_with_picture(self, last: bool) -> int | None:
        """The first program with a picture; None while a map before it is awaited.

        Args:
            last: Nothing more is awaited: the first program is taken if none has a picture.
        """
        there = sorted(self.programs or {})
        for number in there:
            known = self._maps.get(number)
            if known is None and not last:
                return None
            if known and any(one.stream_type in _PICTURES for one in known.streams):
                return number
        return there[0]

    def listed(self) -> list[str]:
        """The programs that there are, for people."""
        names = ((number, self._names.get(number)) for number in sorted(self.programs or {}))
        return [f"{number} ({name})" if name else str(number) for number, name in names]

    def _of_tables(self, packets: Packets) -> Iterator[int]:
        # A map may be in the very packets that follow its announcement.
        done = -1
        while True:
            pids = [PAT_PID, SDT_PID, *(self.programs or {}).values()]
            found = np.flatnonzero(np.isin(packets.pid, pids))
            after = found[found > done]
            if not len(after):
                return
            done = int(after[0])
            yield done

    def _section(self, pid: int, section: Section, only: int | None) -> None:
        if pid == PAT_PID and section.table == PAT_TABLE:
            self.association = section
        elif pid == SDT_PID and section.table == SDT_TABLE:
            self._sections.add(section.body[6])
            self.named = self._sections >= set(range(section.body[7] + 1))
            self._names |= services(section)
        elif section.table == PMT_TABLE:
            number = int.from_bytes(section.body[3:5])
            if only in (None, number):
                self._maps[number] = program_map(section)


def _said(wanted: Program) -> str:
    return str(wanted.number) if wanted.number is not None else repr(wanted.service)


def _null() -> bytes:
    """A packet that carries nothing."""
    return bytes((SYNC_BYTE, 0x1F, 0xFF, 0x10)).ljust(PACKET_BYTES, b"\xff")
