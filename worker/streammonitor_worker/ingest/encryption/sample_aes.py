"""SAMPLE-AES of elementary streams, decrypted in place: H.264, AAC in ADTS, AC-3, Enhanced AC-3.

Source: Apple, "MPEG-2 Stream Encryption Format for HTTP Live Streaming".
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from streammonitor_worker.ingest.encryption.ciphers import BLOCK_BYTES, chained

START_CODE = b"\0\0\1"
EMULATION = b"\0\0\3"
"""The 3 is not part of what is coded (H.264, 7.4.1.1)."""
AC3_SYNC = b"\x0b\x77"

_SLICES = (1, 5)
_LEADER_BYTES = 32
_SHORTEST_SLICE = 48
_PERIOD_BYTES = 10 * BLOCK_BYTES
"""Of ten blocks of picture one is encrypted."""
_AUDIO_LEADER_BYTES = 16
_AC3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
_AC3_RATES = (48_000, 44_100, 32_000)
_AC3_SAMPLES = 1536


@dataclass(frozen=True, slots=True)
class SampleKey:
    """What the samples of a segment are encrypted with.

    Attributes:
        key: 16 bytes.
        iv: 16 bytes; each sample begins with it again.
    """

    key: bytes = field(repr=False)
    iv: bytes


def picture(data: bytearray, key: SampleKey) -> None:
    """Decrypt the slices of an H.264 byte stream.

    A slice was encrypted with its emulation prevention bytes in it, and got others afterwards; when
    those are taken out, zeros after the slice make up for them (Annex B: trailing_zero_8bits).
    """
    for start, end in list(_units(data)):
        if end - start > _SHORTEST_SLICE and data[start] & 0x1F in _SLICES:
            plain = _without_emulation(data[start:end])
            _slice(plain, key)
            data[start:end] = plain.ljust(end - start, b"\0")


def sound(data: bytearray, key: SampleKey) -> None:
    """Decrypt the frames of AAC in ADTS, AC-3 or Enhanced AC-3."""
    at = 0
    while at < len(data):
        head, size = _frame(data, at)
        if not size:
            # Whatever precedes a frame is clear.
            at += 1
            continue
        start = at + head + _AUDIO_LEADER_BYTES
        if at + size <= len(data):
            chained(data, start, at + size, key.key, key.iv)
        at += size


Decrypt = Callable[[bytearray, SampleKey], None]


def _units(data: bytearray) -> Iterator[tuple[int, int]]:
    """Where NAL units begin and end."""
    at = data.find(START_CODE)
    while at >= 0:
        start = at + len(START_CODE)
        at = data.find(START_CODE, start)
        end = len(data) if at < 0 else at
        while end > start and data[end - 1] == 0:
            end -= 1
        if end > start:
            yield start, end


def _without_emulation(unit: bytearray) -> bytearray:
    pieces, start, at = [], 0, unit.find(EMULATION)
    while at >= 0:
        pieces.append(unit[start : at + 2])
        start = at + len(EMULATION)
        at = unit.find(EMULATION, start)
    return bytearray().join([*pieces, unit[start:]])


def _slice(unit: bytearray, key: SampleKey) -> None:
    """Every tenth block after the leader, but for a last one that nothing follows."""
    rest = len(unit) - _LEADER_BYTES
    count = max(0, (rest - BLOCK_BYTES - 1) // _PERIOD_BYTES + 1)
    first = _LEADER_BYTES + np.arange(count)[:, None] * _PERIOD_BYTES + np.arange(BLOCK_BYTES)
    content = np.frombuffer(unit, np.uint8)
    encrypted = bytearray(content[first].tobytes())
    chained(encrypted, 0, len(encrypted), key.key, key.iv)
    content[first] = np.frombuffer(encrypted, np.uint8).reshape(count, BLOCK_BYTES)


def _frame(data: bytearray, at: int) -> tuple[int, int]:
    """Length of the header of a frame of sound, and of all of it; zeros where none begins."""
    if data[at] == 0xFF and len(data) > at + 6 and data[at + 1] & 0xF6 == 0xF0:
        # ADTS (ISO/IEC 13818-7, 6.2); with a checksum the header is longer.
        size = (data[at + 3] & 0x03) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
        return 7 if data[at + 1] & 0x01 else 9, size
    if data[at : at + 2] == AC3_SYNC and len(data) > at + 5:
        return 0, _ac3_bytes(data, at)
    return 0, 0


def _ac3_bytes(data: bytearray, at: int) -> int:
    """Length of a syncframe (ETSI TS 102 366, 4.4.1 and E.1.3.1)."""
    if data[at + 5] >> 3 > 10:
        return ((data[at + 2] & 0x07) << 8 | data[at + 3]) * 2 + 2
    rate, size = data[at + 4] >> 6, data[at + 4] & 0x3F
    if rate == 3 or size // 2 >= len(_AC3_KBPS):
        return 0
    words = _AC3_KBPS[size // 2] * 1000 * _AC3_SAMPLES // _AC3_RATES[rate] // 16
    # Only 44.1 kHz has frames of two lengths.
    return 2 * (words + (size & 1 if rate == 1 else 0))
