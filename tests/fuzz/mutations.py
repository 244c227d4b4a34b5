"""Ways to spoil bytes, drawn from a seed."""

import random
from collections.abc import Callable, Sequence

Mutation = Callable[[bytearray, random.Random], bytearray]

_EXTREME = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_WORDS = (
    b"file:///etc/passwd",
    b"concat:/etc/passwd|/etc/hosts",
    b"subfile,,start,0,end,100,,:/etc/passwd",
    b"http://169.254.169.254/",
    b"data:text/plain,x",
    b"#EXT-X-ENDLIST\n",
    b"#EXT-X-STREAM-INF:BANDWIDTH=1\n",
    b"#EXT-X-BYTERANGE:18446744073709551615@18446744073709551615\n",
    b"#EXT-X-MEDIA-SEQUENCE:99999999999999999999\n",
    b"\x00\x00\x01",
    b"G\x1f\xff\x10",
    b"99999999999999999999",
    b"-1",
    b"%",
    b"\n",
)
MAX_BYTES = 2_000_000


def mutated(seed: bytes, chance: random.Random) -> bytes:
    """Spoil some bytes, in one to eight ways."""
    data = bytearray(seed)
    for _ in range(chance.randint(1, 8)):
        data = chance.choice(MUTATIONS)(data, chance)
    return bytes(data[:MAX_BYTES])


def _at(data: Sequence[int], chance: random.Random) -> int:
    # What comes first is read by most parsers; half of the faults go there.
    end = len(data) if chance.random() < 0.5 else min(len(data), 2048)
    return chance.randrange(max(1, end))


def _flip(data: bytearray, chance: random.Random) -> bytearray:
    for _ in range(chance.randint(1, 32)):
        if data:
            data[_at(data, chance)] ^= 1 << chance.randrange(8)
    return data


def _truncate(data: bytearray, chance: random.Random) -> bytearray:
    return data[: _at(data, chance)]


def _number(data: bytearray, chance: random.Random) -> bytearray:
    size = chance.choice((1, 2, 4, 8))
    value = chance.choice(_EXTREME) % (1 << 8 * size)
    at = _at(data, chance)
    data[at : at + size] = value.to_bytes(size, chance.choice(("big", "little")))
    return data


def _drop(data: bytearray, chance: random.Random) -> bytearray:
    at = _at(data, chance)
    del data[at : at + chance.choice((1, 4, 188, 4096))]
    return data


def _double(data: bytearray, chance: random.Random) -> bytearray:
    at, size = _at(data, chance), chance.choice((1, 4, 188, 4096, 65_536))
    data[at:at] = data[at : at + size] * chance.choice((1, 2, 50))
    return data[:MAX_BYTES]


def _word(data: bytearray, chance: random.Random) -> bytearray:
    at = _at(data, chance)
    data[at:at] = chance.choice(_WORDS)
    return data


def _noise(data: bytearray, chance: random.Random) -> bytearray:
    at, size = _at(data, chance), chance.choice((4, 64, 1024))
    data[at : at + size] = chance.randbytes(size)
    return data


MUTATIONS: tuple[Mutation, ...] = (_flip, _truncate, _number, _drop, _double, _word, _noise)
