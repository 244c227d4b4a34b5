"""Faults of a transport stream, each made by packet surgery, and the indicator that must find it.

They are cut into streams of FFmpeg's multiplexer that last 9 s.
"""

from collections.abc import Callable
from dataclasses import dataclass

from dev.media.surgery import Packet, Stream, move_clock, without_clock, without_pts

PAT, PMT, VIDEO, AUDIO = 0x0000, 0x1000, 0x0100, 0x0101


@dataclass(frozen=True)
class Fault:
    """A fault.

    Attributes:
        name: For people.
        cut: Makes it.
        counts: How often which indicators of TR 101 290 must find it.
        late_s: How long it must last before anybody can tell.
        constant: It shows in a stream of constant rate only.
    """

    name: str
    cut: Callable[[Stream], None]
    counts: dict[str, int]
    late_s: float = 0.0
    constant: bool = False

    def __str__(self) -> str:
        return self.name


def sync_byte(stream: Stream) -> None:
    """One packet begins with something else."""
    stream.packets[400][0] = 0x46


def sync_loss(stream: Stream) -> None:
    """Bytes that belong to no packet."""
    stream.packets[400] += b"this \x47 begins no packet"


def no_table(pid: int) -> Callable[[Stream], None]:
    """A table does not come for a second."""

    def cut(stream: Stream) -> None:
        span = stream.between(3, 4)
        stream.drop([index for index in stream.of(pid) if index in span])
        stream.renumber()

    return cut


def scramble(pid: int) -> Callable[[Stream], None]:
    """A packet is scrambled, and no conditional access is announced."""

    def cut(stream: Stream) -> None:
        stream.packets[stream.of(pid)[4]][3] |= 0x80

    return cut


def lose(stream: Stream) -> None:
    """A packet is lost."""
    stream.drop([stream.of(VIDEO)[50]])


def swap(stream: Stream) -> None:
    """Two packets change places."""
    one, other = stream.of(AUDIO)[30:32]
    packets = stream.packets
    packets[one], packets[other] = packets[other], packets[one]


def send_three_times(stream: Stream) -> None:
    """A packet is sent three times; twice is allowed."""
    index = stream.of(AUDIO)[30]
    stream.packets[index:index] = [bytearray(stream.packets[index]) for _ in range(2)]


def no_sound(stream: Stream) -> None:
    """A stream that the program map names does not come."""
    span = stream.between(1.5, 8)
    stream.drop([index for index in stream.of(AUDIO) if index in span])
    stream.renumber()


def flag(stream: Stream) -> None:
    """A demodulator flags a packet as damaged."""
    stream.packets[stream.of(AUDIO)[50]][1] |= 0x80


def damage_table(stream: Stream) -> None:
    """A bit of a table is wrong."""
    stream.packets[stream.of(PMT)[4]][12] ^= 0x10


def few_clocks(stream: Stream) -> None:
    """No clock for 300 ms."""
    span = stream.between(3, 3.3)
    stream.change([index for index in stream.clocks() if index in span], without_clock)


def clock_steps(by_s: float) -> Callable[[Stream], None]:
    """The clock steps and nobody announces it."""

    def cut(stream: Stream) -> None:
        later = stream.between(3, 99)
        stream.change([index for index in stream.clocks() if index in later], move_clock(by_s))

    return cut


def no_times(stream: Stream) -> None:
    """Sound is given no time for 1.2 s."""
    span = stream.between(3, 4.2)
    starts = [index for index in stream.of(AUDIO, starting=True) if index in span]
    stream.change(starts, without_pts)


def jitter(by_s: float) -> Callable[[Stream], None]:
    """One clock value is a little off."""

    def cut(stream: Stream) -> None:
        stream.change([stream.clocks()[60]], move_clock(by_s))

    return cut


FAULTS = (
    Fault("sync byte", sync_byte, {"Sync_byte_error": 1}),
    Fault("sync loss", sync_loss, {"TS_sync_loss": 1, "Sync_byte_error": 2}),
    Fault("no PAT", no_table(PAT), {"PAT_error": 1}, late_s=0.6),
    Fault("scrambled PAT", scramble(PAT), {"PAT_error": 1}),
    Fault("no PMT", no_table(PMT), {"PMT_error": 1}, late_s=0.6),
    Fault("scrambled PMT", scramble(PMT), {"PMT_error": 1}),
    Fault("packet lost", lose, {"Continuity_count_error": 1}),
    Fault("packets swapped", swap, {"Continuity_count_error": 3}),
    Fault("packet sent three times", send_three_times, {"Continuity_count_error": 1}),
    Fault("no sound", no_sound, {"PID_error": 1, "PTS_error": 7}, late_s=0.8),
    Fault("flagged", flag, {"Transport_error": 1}),
    Fault("table damaged", damage_table, {"CRC_error": 1}),
    Fault("few clocks", few_clocks, {"PCR_repetition_error": 1}, late_s=0.3),
    Fault("clock steps", clock_steps(1.0), {"PCR_discontinuity_indicator_error": 1}),
    Fault("clock steps back", clock_steps(-1.0), {"PCR_discontinuity_indicator_error": 1}),
    Fault("no times", no_times, {"PTS_error": 1}, late_s=0.8),
    Fault("scrambled sound", scramble(AUDIO), {"CAT_error": 1}),
    Fault("clock early", jitter(-2e-6), {"PCR_accuracy_error": 1}, constant=True),
    Fault("clock late", jitter(2e-6), {"PCR_accuracy_error": 1}, constant=True),
    Fault("clock far off", jitter(50e-6), {"PCR_accuracy_error": 1}, constant=True),
)


def begins_s(clean: Stream, faulty: Stream) -> float:
    """Where two streams begin to differ, in media time of the pictures that come then."""
    different = (
        index
        for index, (one, other) in enumerate(zip(clean.packets, faulty.packets, strict=False))
        if one != other
    )
    at = next(different)
    times = [_pts_s(clean.packets[index]) for index in clean.of(VIDEO, starting=True)]
    before = [index for index in clean.of(VIDEO, starting=True) if index <= at]
    return times[max(0, len(before) - 1)] - min(times)


def _pts_s(packet: Packet) -> float:
    start = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
    time = packet[start + 9 : start + 14]
    high, middle, low = time[0] >> 1 & 0x07, time[1:3], time[3:5]
    ticks = high << 30 | int.from_bytes(middle) >> 1 << 15 | int.from_bytes(low) >> 1
    return ticks / 90_000
