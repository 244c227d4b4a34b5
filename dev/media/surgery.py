"""Cuts into an MPEG-2 transport stream, packet by packet, with exact truth."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av

PACKET_BYTES = 188
Packet = bytearray


@dataclass(slots=True)
class Stream:
    """The packets of a transport stream.

    Attributes:
        packets: In their order; change them as you like.
    """

    packets: list[Packet]

    @classmethod
    def read(cls, path: Path) -> "Stream":
        """Read a file of whole packets."""
        data = path.read_bytes()
        starts = range(0, len(data) - PACKET_BYTES + 1, PACKET_BYTES)
        return cls([bytearray(data[at : at + PACKET_BYTES]) for at in starts])

    @property
    def data(self) -> bytes:
        """The stream as bytes."""
        return b"".join(self.packets)

    def of(self, pid: int, *, starting: bool = False) -> list[int]:
        """Where the packets of a PID are; only those in which a unit begins, if asked."""
        return [
            index
            for index, packet in enumerate(self.packets)
            if pid_of(packet) == pid and (not starting or packet[1] & 0x40)
        ]

    def clocks(self) -> list[int]:
        """Where the packets with a clock reference are."""
        return [index for index, packet in enumerate(self.packets) if has_pcr(packet)]

    def between(self, first_s: float, last_s: float) -> range:
        """Where the packets of a time are, by the clock, which begins at 0."""
        clocks = self.clocks()
        start_s = pcr_s(self.packets[clocks[0]])
        inside = [
            index for index in clocks if first_s <= pcr_s(self.packets[index]) - start_s < last_s
        ]
        return range(inside[0], inside[-1] + 1)

    def drop(self, indices: Iterable[int]) -> None:
        """Leave packets out."""
        gone = set(indices)
        self.packets = [packet for index, packet in enumerate(self.packets) if index not in gone]

    def renumber(self) -> None:
        """Give continuity counters anew, as a multiplexer does that sends what is left."""
        counters: dict[int, int] = {}
        for packet in self.packets:
            pid = pid_of(packet)
            if packet[3] & 0x10:
                counters[pid] = (counters.get(pid, -1) + 1) & 0x0F
            packet[3] = packet[3] & 0xF0 | counters.get(pid, 0)

    def change(self, indices: Iterable[int], how: Callable[[Packet], None]) -> None:
        """Change packets where they are."""
        for index in indices:
            how(self.packets[index])


def pid_of(packet: Packet) -> int:
    """The packet identifier."""
    return (packet[1] & 0x1F) << 8 | packet[2]


def has_pcr(packet: Packet) -> bool:
    """Whether it carries a clock reference."""
    return bool(packet[3] & 0x20) and packet[4] >= 7 and bool(packet[5] & 0x10)


def pcr_s(packet: Packet) -> float:
    """The clock reference in seconds."""
    base = int.from_bytes(packet[6:11]) >> 7
    return (base * 300 + (int.from_bytes(packet[10:12]) & 0x1FF)) / 27e6


def move_clock(by_s: float) -> Callable[[Packet], None]:
    """Add to a clock reference."""

    def move(packet: Packet) -> None:
        ticks = round((pcr_s(packet) + by_s) * 27e6) % (2**33 * 300)
        base, extension = divmod(ticks, 300)
        packet[6:12] = (base << 15 | 0x3F << 9 | extension).to_bytes(6)

    return move


def without_clock(packet: Packet) -> None:
    """Take the clock reference away; its bytes become stuffing."""
    packet[5] &= 0xEF
    packet[6:12] = b"\xff" * 6


def without_pts(packet: Packet) -> None:
    """Take the times of the PES packet that begins here away; their bytes become stuffing."""
    start = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
    flags = packet[start + 7]
    length = 10 if flags & 0x40 else 5 if flags & 0x80 else 0
    packet[start + 7] = flags & 0x3F
    packet[start + 9 : start + 9 + length] = b"\xff" * length


def restamped(how: Callable[[float], float]) -> Callable[[Packet], None]:
    """Give the times of the PES packet that begins here, in seconds, new values; they wrap."""

    def change(packet: Packet) -> None:
        start = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
        flags = packet[start + 7]
        for at in range(start + 9, start + 9 + 5 * (bool(flags & 0x80) + bool(flags & 0x40)), 5):
            # ISO/IEC 13818-1 clause 2.4.3.7: 3, 15 and 15 bits, each with a marker behind.
            a, b, c = packet[at], int.from_bytes(packet[at + 1 : at + 3]), packet[at + 3 : at + 5]
            ticks = (a >> 1 & 7) << 30 | b >> 1 << 15 | int.from_bytes(c) >> 1
            ticks = round(how(ticks / 90_000) * 90_000) % 2**33
            packet[at] = a & 0xF1 | ticks >> 30 << 1
            packet[at + 1 : at + 3] = ((ticks >> 15 & 0x7FFF) << 1 | 1).to_bytes(2)
            packet[at + 3 : at + 5] = ((ticks & 0x7FFF) << 1 | 1).to_bytes(2)

    return change


def remuxed(source: Path, target: Path, **options: str) -> Path:
    """Copy a clip into a transport stream by FFmpeg's multiplexer, with options of that."""
    with av.open(str(source)) as inside, av.open(str(target), "w", options=options) as outside:
        streams = {one.index: outside.add_stream_from_template(one) for one in inside.streams}
        for packet in _packets(inside):
            packet.stream = streams[packet.stream.index]
            outside.mux(packet)
    return target


def _packets(container: av.container.InputContainer) -> "Iterator[av.Packet[av.stream.Stream]]":
    return (packet for packet in container.demux() if packet.dts is not None)
