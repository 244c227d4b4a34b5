"""The lines of the spool: a number, whether a later one says all of it, and what was appended."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Record:
    """A line of the spool.

    Attributes:
        number: Grows along the spool; some are missing.
        expendable: Whether a later one says all of it.
        line: What was appended.
    """

    number: int
    expendable: bool
    line: bytes

    def to_bytes(self) -> bytes:
        """As it lies on disk."""
        return b"%d%s%s\n" % (self.number, b"-" if self.expendable else b"+", self.line)


def parse(raw: bytes) -> Record | None:
    """Read a line; None if it is torn or something else."""
    digits = raw[: len(raw) - len(raw.lstrip(b"0123456789"))]
    mark, line = raw[len(digits) : len(digits) + 1], raw[len(digits) + 1 :]
    if not digits or mark not in (b"+", b"-") or not line.endswith(b"\n"):
        return None
    return Record(int(digits), mark == b"-", line[:-1])


def records(path: Path) -> Iterator[Record]:
    """Every line of a segment that can be read."""
    with path.open("rb") as file:
        for raw in file:
            record = parse(raw)
            if record is not None:
                yield record


def measure(path: Path) -> tuple[int, int]:
    """Number of the last record and size of a segment; a torn last line is cut off."""
    last = size = 0
    content = path.read_bytes()
    size = content.rfind(b"\n") + 1
    if size < len(content):
        os.truncate(path, size)
    for record in records(path):
        last = max(last, record.number)
    return last, size
