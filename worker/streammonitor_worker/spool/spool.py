"""The spool: what is to be sent, on disk and in order, until everybody has taken it.

Segments of numbered lines are appended to and synced before anybody is told; each reader has a
cursor of its own. The spool is bounded: when it is full, what is expendable goes first, then the
oldest lines; what a reader loses by that is counted.
"""

import json
import logging
import os
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from streammonitor_worker.spool.records import Record, measure, parse, records

MAX_BYTES: Final = 24 * 2**20
"""Size of all segments. The worker's volume has 64 MiB, for two spools."""
SEGMENT_BYTES: Final = 2**20
_SUFFIX = ".spool"
_CURSOR = ".cursor"

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Segment:
    path: Path
    last: int
    size: int
    compact: bool = False


class Spool:
    """A bounded queue on disk that several readers follow. Thread-safe.

    A folder that cannot be written costs the protection against a crash, not what is sent: it goes
    through a temporary folder then, and `problem` says so.

    Args:
        folder: Where it is kept.
        what: What is in it, as people say it.
        max_bytes: The most that it holds.
        segment_bytes: Size at which a new file is begun.

    Attributes:
        problem: One sentence when events do not survive a restart; None when all is well.
    """

    def __init__(
        self,
        folder: Path,
        *,
        what: str = "alerts",
        max_bytes: int = MAX_BYTES,
        segment_bytes: int = SEGMENT_BYTES,
    ) -> None:
        self._folder = folder
        self._what = what
        self._max_bytes = max_bytes
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self._syncing = threading.Lock()
        self._segments: list[_Segment] = []
        self._readers: list[SpoolReader] = []
        self._last = 0
        self._synced = 0
        self._file: int | None = None
        self._fallback: tempfile.TemporaryDirectory[str] | None = None
        self.problem: str | None = None
        try:
            self._load()
        except OSError as error:
            self._fall_back(error)

    @property
    def last(self) -> int:
        """Number of the newest record that is safe on disk."""
        return self._synced

    @property
    def folder(self) -> Path:
        """Where it is kept now."""
        return self._folder

    @property
    def size(self) -> int:
        """Bytes on disk."""
        with self._lock:
            return sum(one.size for one in self._segments)

    def append(self, *lines: bytes, expendable: bool = False) -> int:
        """Save lines; they are on disk on return. Returns the number of the last one.

        Raises:
            OSError: Nothing can be written anywhere.
        """
        with self._lock:
            for line in lines:
                record = Record(self._last + 1, expendable, line)
                try:
                    self._write(record)
                except OSError as error:
                    self._fall_back(error)
                    self._write(record)
            number = self._last
        self._sync(number)
        return number

    def reader(self, name: str, wants: Callable[[bytes], bool]) -> "SpoolReader":
        """Follow the spool from where a reader of this name was; a new one begins at the end.

        Args:
            name: Names the cursor.
            wants: Whether the loss of a line would be a loss for this reader.
        """
        with self._lock:
            reader = SpoolReader(self, self._folder / f"{name}{_CURSOR}", wants, self._synced)
            self._readers.append(reader)
            return reader

    def forget_others(self, names: set[str]) -> None:
        """Remove the cursors of readers that are no more."""
        for path in self._folder.glob(f"*{_CURSOR}"):
            if path.name.removesuffix(_CURSOR) not in names:
                path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the files; what was not read is there for the next process."""
        with self._lock:
            for reader in list(self._readers):
                reader.drop_file()
            if self._file is not None:
                os.close(self._file)
                self._file = None
        if self._fallback is not None:
            self._fallback.cleanup()

    def release(self, reader: "SpoolReader") -> None:
        """A reader ends."""
        with self._lock:
            reader.drop_file()
            if reader in self._readers:
                self._readers.remove(reader)

    def trim(self) -> None:
        """Remove the segments that every reader is done with."""
        with self._lock:
            done = min((one.committed for one in self._readers), default=self._synced)
            while len(self._segments) > 1 and self._segments[0].last <= done:
                self._segments.pop(0).path.unlink(missing_ok=True)

    def after(self, position: int, reader: "SpoolReader") -> Record | None:
        """The next record that a reader has not seen, if there is one."""
        with self._lock:
            if position >= self._synced:
                return None
            for segment in self._segments:
                if segment.last > position:
                    record = reader.scan(segment.path, position, self._synced)
                    if record is not None:
                        return record
            return None

    def _load(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            last, size = measure(path)
            self._last = max(self._last, last, int(path.stem) - 1)
            self._segments.append(_Segment(path, last, size))
        self._synced = self._last
        if self._segments:
            self._file = os.open(self._segments[-1].path, os.O_WRONLY | os.O_APPEND)
        else:
            self._begin()

    def _write(self, record: Record) -> None:
        raw = record.to_bytes()
        file = self._file
        if file is None or self._segments[-1].size + len(raw) > self._segment_bytes:
            file = self._begin()
            self._make_room()
        segment = self._segments[-1]
        if os.write(file, raw) != len(raw):
            raise OSError("the volume is full")
        segment.size += len(raw)
        segment.last = self._last = record.number

    def _begin(self) -> int:
        """Begin a new segment, and return its file; the one before is complete."""
        if self._file is not None:
            os.fsync(self._file)
            os.close(self._file)
            self._file = None
            self._synced = self._last
        path = self._folder / f"{self._last + 1:020d}{_SUFFIX}"
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        _sync_folder(self._folder)
        self._segments.append(_Segment(path, self._last, 0))
        return self._file

    def _sync(self, number: int) -> None:
        """Have everything up to `number` on disk; threads that append together share one sync."""
        with self._syncing:
            if self._synced >= number:
                return
            with self._lock:
                if self._file is None:
                    return
                upto, descriptor = self._last, os.dup(self._file)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            self._synced = max(self._synced, upto)

    def _make_room(self) -> None:
        """Stay within the bound: first without what is expendable, then without the oldest."""
        closed = self._segments[:-1]
        for segment in closed:
            if self._total() + self._segment_bytes <= self._max_bytes:
                return
            if not segment.compact:
                self._compact(segment)
        for segment in closed:
            if self._total() + self._segment_bytes <= self._max_bytes:
                return
            self._drop(segment)

    def _total(self) -> int:
        return sum(one.size for one in self._segments)

    def _compact(self, segment: _Segment) -> None:
        kept = [one for one in records(segment.path) if not one.expendable]
        content = b"".join(one.to_bytes() for one in kept)
        fresh = segment.path.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.replace(segment.path)
        for reader in self._readers:
            reader.drop_file(segment.path)
        segment.last = kept[-1].number if kept else 0
        segment.size, segment.compact = len(content), True

    def _drop(self, segment: _Segment) -> None:
        behind = [one for one in self._readers if one.position < segment.last]
        for record in records(segment.path) if behind else ():
            for reader in behind:
                reader.lose(record)
        for reader in behind:
            reader.skip_to(segment.last)
        self._segments.remove(segment)
        segment.path.unlink(missing_ok=True)

    def _fall_back(self, error: OSError) -> None:
        """Go on in a temporary folder; raises if that is where it goes wrong."""
        if self._fallback is not None:
            raise error
        _log.warning("spool: %s", error)
        self.problem = (
            f"{self._what} that are not delivered yet are not saved in {self._folder} "
            f"({error.strerror or error}): mount a writable volume with room there"
        )
        self._fallback = tempfile.TemporaryDirectory(prefix="streammonitor-spool-")
        self._folder = Path(self._fallback.name)
        if self._file is not None:
            os.close(self._file)
            self._file = None
        self._synced = self._last
        self._begin()


class SpoolReader:
    """What one sink has read, and what it has taken.

    Its methods are called from one thread, those that the spool calls with the spool's lock held.

    Attributes:
        position: Number of the last record that was read.
        committed: Number of the last record that was taken.
        lost: Records that it wanted and that were dropped before it read them.
    """

    def __init__(
        self, spool: Spool, cursor: Path, wants: Callable[[bytes], bool], last: int
    ) -> None:
        self._spool = spool
        self._cursor = cursor
        self._wants = wants
        self._file: BinaryIO | None = None
        self._path: Path | None = None
        self.lost = 0
        self.position = self.committed = min(_read_cursor(cursor, last), last)
        # Also of one that is new: what is appended before it takes anything is its to deliver.
        self.commit(self.position)

    def next(self) -> Record | None:
        """The next record, if there is one that is safe on disk."""
        record = self._spool.after(self.position, self)
        if record is not None:
            self.position = record.number
        return record

    def commit(self, number: int) -> None:
        """Take what was read up to `number` as delivered; the next process begins after it.

        It is renamed into place and not synced: after a power cut, what was delivered last is
        delivered again.
        """
        self.committed = number
        fresh = self._cursor.with_suffix(".fresh")
        try:
            fresh.write_text(json.dumps(number))
            fresh.replace(self._cursor)
        except OSError as error:
            _log.debug("spool: the cursor %s is not saved: %s", self._cursor.name, error)

    def close(self) -> None:
        """Read no more."""
        self._spool.release(self)

    def scan(self, path: Path, position: int, last: int) -> Record | None:
        """The first record of a segment after `position`, going on where the last scan ended."""
        if self._path != path or self._file is None:
            self.drop_file()
            try:
                self._file, self._path = path.open("rb"), path
            except FileNotFoundError:
                return None
        while True:
            offset = self._file.tell()
            record = parse(self._file.readline())
            if record is None or record.number > last:
                if record is None and self._file.read(1):
                    self._file.seek(-1, os.SEEK_CUR)
                    continue  # a line that cannot be read is passed over
                self._file.seek(offset)
                return None
            if record.number > position:
                return record

    def drop_file(self, path: Path | None = None) -> None:
        """Open the segment anew at the next record."""
        if self._file is not None and path in (None, self._path):
            self._file.close()
            self._file = self._path = None

    def lose(self, record: Record) -> None:
        """A record is dropped."""
        if record.number > self.position and not record.expendable and self._wants(record.line):
            self.lost += 1

    def skip_to(self, number: int) -> None:
        """Everything up to `number` is gone."""
        self.drop_file()
        self.position = max(self.position, number)


def _read_cursor(path: Path, last: int) -> int:
    """Where a reader was; at the end if it is new, at the beginning if that cannot be read."""
    try:
        return max(0, int(json.loads(path.read_text())))
    except FileNotFoundError:
        return last
    except (OSError, ValueError, TypeError):
        return 0


def _sync_folder(folder: Path) -> None:
    """Make a new name last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
