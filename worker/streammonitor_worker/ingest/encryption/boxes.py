"""Boxes of ISO base media files (ISO/IEC 14496-12), as places in their bytes."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

FULL_BYTES = 4
"""Version and flags, with which the body of a full box begins."""
FREE = b"free"
"""The kind of a box that is passed over (8.1.2)."""

_HEADER_BYTES = 8


@dataclass(frozen=True, slots=True)
class Box:
    """One box.

    Attributes:
        kind: Its four characters.
        start: Where its header begins.
        body: Where its header ends.
        end: Where it ends.
    """

    kind: bytes
    start: int
    body: int
    end: int


def header(data: bytes | bytearray, start: int) -> Box | None:
    """The box that begins at `start`; None if there is not enough yet to say how long it is.

    A size of 0, up to the end of the file, is an end before the body (4.2).

    Raises:
        ValueError: It is shorter than its own header.
    """
    if len(data) < start + _HEADER_BYTES:
        return None
    size, kind = struct.unpack_from(">I4s", data, start)
    body = start + _HEADER_BYTES
    if size == 1:
        if len(data) < body + 8:
            return None
        (size,) = struct.unpack_from(">Q", data, body)
        body += 8
    if 0 < size < body - start:
        raise ValueError(f"box {kind!r} has {size} bytes")
    return Box(kind, start, body, start + size)


def boxes(data: bytes | bytearray, start: int, end: int) -> Iterator[Box]:
    """The boxes between two places, one after the other.

    Raises:
        ValueError: One of them reaches beyond the end.
    """
    while start < end:
        box = header(data, start)
        if box is None or not box.body <= box.end <= end:
            raise ValueError("a box reaches beyond the one that it is in")
        yield box
        start = box.end


def inside(data: bytes | bytearray, box: Box, *path: bytes) -> Iterator[Box]:
    """The boxes within a box at the end of a path of kinds."""
    for one in boxes(data, box.body, box.end):
        if one.kind == path[0]:
            if len(path) == 1:
                yield one
            else:
                yield from inside(data, one, *path[1:])


def first(data: bytes | bytearray, box: Box, *path: bytes) -> Box:
    """The first box within a box at the end of a path of kinds.

    Raises:
        ValueError: There is none.
    """
    for one in inside(data, box, *path):
        return one
    raise ValueError(f"box {path[-1].decode(errors='replace')!r} is missing")


def rename(data: bytearray, box: Box, kind: bytes) -> None:
    """Make a box one of another kind; no byte moves."""
    data[box.start + 4 : box.start + 8] = kind


def number(data: bytes | bytearray, at: int, size: int) -> int:
    """An unsigned number of so many bytes.

    Raises:
        ValueError: The bytes end before it does.
    """
    if at + size > len(data):
        raise ValueError("a box ends too early")
    return int.from_bytes(data[at : at + size])
