"""Splice information (ANSI/SCTE 35) cut into a transport stream that has none."""

from collections.abc import Sequence

from dev.media.surgery import Packet, Stream, pcr_s

PMT_PID, SPLICE_PID = 0x1000, 0x01F0
_REGISTRATION = b"\x05\x04CUEI"
_POLYNOMIAL = 0x04C11DB7


def splice_insert(
    *, event: int, leaves: bool, pts_s: float | None, duration_s: float | None = None
) -> bytes:
    """A section that leaves the programme or comes back to it (9.7.3).

    Args:
        event: Its identity.
        leaves: Whether the programme is left.
        pts_s: When, as a presentation time; None: at once.
        duration_s: For how long.
    """
    flags = leaves << 7 | 0x40 | (duration_s is not None) << 5 | (pts_s is None) << 4 | 0x0F
    command = event.to_bytes(4) + bytes([0x7F, flags])
    if pts_s is not None:
        command += (0xFE << 32 | round(pts_s * 90_000) % 2**33).to_bytes(5)
    if duration_s is not None:
        command += (0xFE << 32 | round(duration_s * 90_000)).to_bytes(5)
    command += bytes([0, 1, 0, 0])
    body = bytes(7) + b"\xff\xf0" + bytes([len(command), 0x05]) + command + b"\x00\x00"
    section = b"\xfc" + (0x3000 | len(body) + 4).to_bytes(2) + body
    return section + _crc(section)


def with_splices(stream: Stream, splices: Sequence[tuple[float, bytes]]) -> None:
    """Name a stream of splice information in the program map, and put sections into it.

    Args:
        stream: What is changed.
        splices: When each section is sent, by the clock, which begins at 0; and the section.
    """
    for index in stream.of(PMT_PID, starting=True):
        _name(stream.packets[index])
    clocks = stream.clocks()
    begins_s = pcr_s(stream.packets[clocks[0]])
    for number, (at_s, section) in reversed(list(enumerate(splices))):
        index = next(one for one in clocks if pcr_s(stream.packets[one]) - begins_s >= at_s)
        head = bytes([0x47, 0x40 | SPLICE_PID >> 8, SPLICE_PID & 0xFF, 0x10 | number & 0x0F])
        packet = bytearray(head + b"\x00" + section)
        packet += b"\xff" * (188 - len(packet))
        stream.packets.insert(index, packet)


def _name(packet: Packet) -> None:
    """Register splice information for the program (8.1), and add its stream to the map."""
    start = 5 + (1 + packet[4] if packet[3] & 0x20 else 0)
    length = int.from_bytes(packet[start + 1 : start + 3]) & 0x0FFF
    section = bytearray(packet[start : start + 3 + length - 4])
    known = int.from_bytes(section[10:12]) & 0x0FFF
    section[10:12] = (0xF000 | known + len(_REGISTRATION)).to_bytes(2)
    section[12:12] = _REGISTRATION
    section += bytes([0x86]) + (0xE000 | SPLICE_PID).to_bytes(2) + b"\xf0\x00"
    section[1:3] = (0xB000 | len(section) - 3 + 4).to_bytes(2)
    section += _crc(bytes(section))
    packet[start:] = section + b"\xff" * (188 - start - len(section))


def _crc(data: bytes) -> bytes:
    """CRC_32 of ISO/IEC 13818-1 annex A."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (_POLYNOMIAL if value >> 31 else 0)) & 0xFFFFFFFF
    return value.to_bytes(4)
