"""AMF0, in which RTMP writes its commands (Adobe, "Action Message Format AMF 0").

>>> decoded(encoded("publish", 5.0, None, "key"))
['publish', 5.0, None, 'key']
>>> decoded(encoded({"app": "live", "on": True}))
[{'app': 'live', 'on': True}]
"""

import struct
from collections.abc import Mapping
from typing import Any

MAX_DEPTH = 8
_NUMBER, _BOOLEAN, _STRING, _OBJECT, _NULL, _UNDEFINED = 0, 1, 2, 3, 5, 6
_ECMA_ARRAY, _OBJECT_END, _STRICT_ARRAY, _DATE, _LONG_STRING = 8, 9, 10, 11, 12


def encoded(*values: Any) -> bytes:
    """Write numbers, texts, booleans, None, and mappings of them."""
    return b"".join(map(_encoded, values))


def _encoded(value: Any) -> bytes:
    if isinstance(value, bool):
        return bytes((_BOOLEAN, value))
    if isinstance(value, int | float):
        return struct.pack("!Bd", _NUMBER, value)
    if isinstance(value, str):
        return bytes((_STRING,)) + _named(value)
    if isinstance(value, Mapping):
        items = b"".join(_named(name) + _encoded(one) for name, one in value.items())
        return bytes((_OBJECT,)) + items + bytes((0, 0, _OBJECT_END))
    return bytes((_NULL,))


def _named(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("!H", len(raw)) + raw


def decoded(data: bytes) -> list[Any]:
    """Read all values.

    Raises:
        ValueError: It is no AMF0, or nested too deeply.
    """
    values, at = [], 0
    try:
        while at < len(data):
            value, at = _decoded(data, at, 0)
            values.append(value)
    except (struct.error, IndexError) as error:
        raise ValueError("AMF0 ends in the middle of a value") from error
    return values


def _decoded(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth > MAX_DEPTH:
        raise ValueError("AMF0 is nested too deeply")
    kind, at = data[at], at + 1
    if kind in (_NULL, _UNDEFINED):
        return None, at
    if kind in (_NUMBER, _DATE):
        (number,) = struct.unpack_from("!d", data, at)
        return number, at + (8 if kind == _NUMBER else 10)
    if kind == _BOOLEAN:
        return bool(data[at]), at + 1
    if kind in (_STRING, _LONG_STRING):
        return _text(data, at, "!H" if kind == _STRING else "!I")
    if kind == _STRICT_ARRAY:
        return _array(data, at, depth)
    if kind in (_OBJECT, _ECMA_ARRAY):
        return _mapping(data, at + (4 if kind == _ECMA_ARRAY else 0), depth)
    raise ValueError(f"AMF0 holds a value of kind {kind}, which RTMP does not use")


def _text(data: bytes, at: int, length: str) -> tuple[str, int]:
    (size,) = struct.unpack_from(length, data, at)
    start = at + struct.calcsize(length)
    if start + size > len(data):
        raise IndexError
    return data[start : start + size].decode("utf-8", "replace"), start + size


def _array(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    (count,) = struct.unpack_from("!I", data, at)
    items, at = [], at + 4
    for _ in range(min(count, len(data))):
        item, at = _decoded(data, at, depth + 1)
        items.append(item)
    return items, at


def _mapping(data: bytes, at: int, depth: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while True:
        name, at = _text(data, at, "!H")
        if not name and data[at] == _OBJECT_END:
            return found, at + 1
        found[name], at = _decoded(data, at, depth + 1)
