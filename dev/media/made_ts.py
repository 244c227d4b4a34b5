"""A transport stream made in memory, for tests that need no multiplexer: a clock and a picture."""

from collections.abc import Iterator

from streammonitor_worker.mpegts.sections import crc32

PACKET_BYTES = 188
PAT_PID, MAP_PID, VIDEO_PID = 0x0000, 0x1000, 0x0100
STEP_S = 0.04
"""One picture."""
PICTURE_PACKETS = 5


def transport_stream(
    duration_s: float, *, start_s: float = 0.0, lost_s: tuple[float, float] = (0.0, 0.0)
) -> bytes:
    """A stream of one program with one picture every 40 ms.

    Args:
        duration_s: How long it plays.
        start_s: The first presentation time; the clock is the same.
        lost_s: From when to when one packet of each picture is missing.
    """
    return b"".join(_packets(duration_s, start_s, lost_s))


def _packets(duration_s: float, start_s: float, lost_s: tuple[float, float]) -> Iterator[bytes]:
    counters: dict[int, int] = {}

    def packet(
        pid: int, payload: bytes, *, start: bool = False, clock_s: float | None = None
    ) -> bytes:
        counters[pid] = (counters.get(pid, -1) + 1) & 0x0F
        field = b"" if clock_s is None else _clock(clock_s)
        space = PACKET_BYTES - 4 - len(payload)
        if field or space:
            field = _adaptation(field, space)
        control = (0x30 if field else 0x10) | counters[pid]
        head = bytes([0x47, (0x40 if start else 0) | pid >> 8, pid & 0xFF, control])
        return head + field + payload

    for index in range(round(duration_s / STEP_S)):
        at_s = index * STEP_S
        if index % 5 == 0:
            yield packet(
                PAT_PID, _section(0x00, 1, _number(1) + _number(0xE000 | MAP_PID)), start=True
            )
            stream = bytes([0x1B]) + _number(0xE000 | VIDEO_PID) + _number(0xF000)
            yield packet(
                MAP_PID,
                _section(0x02, 1, _number(0xE000 | VIDEO_PID) + _number(0xF000) + stream),
                start=True,
            )
        yield packet(VIDEO_PID, _pes(start_s + at_s), start=True, clock_s=start_s + at_s)
        for number in range(PICTURE_PACKETS - 1):
            made = packet(VIDEO_PID, bytes(184))
            if number or not lost_s[0] <= at_s < lost_s[1]:
                yield made


def _clock(at_s: float) -> bytes:
    base = round(at_s * 90_000) % 2**33
    return (base << 15 | 0x3F << 9).to_bytes(6)


def _adaptation(clock: bytes, space: int) -> bytes:
    """An adaptation field that fills `space` bytes, with a clock value if there is one."""
    if space == 1:
        return b"\x00"
    flags = 0x10 if clock else 0x00
    return bytes([space - 1, flags]) + clock + b"\xff" * (space - 2 - len(clock))


def _pes(at_s: float) -> bytes:
    ticks = round(at_s * 90_000) % 2**33
    time = bytes([0x21 | ticks >> 29 & 0x0E]) + _number(ticks >> 14 & 0xFFFE | 1)
    return b"\x00\x00\x01\xe0\x00\x00\x80\x80\x05" + time + _number(ticks << 1 & 0xFFFE | 1)


def _section(table: int, identity: int, body: bytes) -> bytes:
    content = _number(identity) + b"\xc1\x00\x00" + body
    section = bytes([table]) + _number(0xB000 | len(content) + 4) + content
    return b"\x00" + section + crc32(section).to_bytes(4)


def _number(value: int) -> bytes:
    return value.to_bytes(2)
