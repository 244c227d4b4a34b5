"""Each indicator of ETSI TR 101 290, found where it was made, and nothing else."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dev.media.clips import write_clip
from dev.media.surgery import (
    Stream,
    has_pcr,
    move_clock,
    pid_of,
    remuxed,
    without_clock,
    without_pts,
)
from streammonitor_worker.mpegts.indicators import Indicator
from streammonitor_worker.mpegts.monitor import TransportMonitor

PAT, PMT, VIDEO, AUDIO = 0x0000, 0x1000, 0x0100, 0x0101


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ts") / "clean.ts"
    write_clip(path, duration_s=9, size=(64, 36), gop_s=1)
    return path


@pytest.fixture(scope="module")
def constant(clean: Path) -> Path:
    return remuxed(clean, clean.with_name("constant.ts"), muxrate="600000", pcr_period="40")


def found(data: bytes, *, piece: int = 4096, segmented: bool = False) -> dict[Indicator, int]:
    monitor = TransportMonitor(segmented=segmented)
    for start in range(0, len(data), piece):
        monitor.feed(data[start : start + piece])
    return {name: count for name, count in monitor.counts.items() if count}


@pytest.mark.parametrize("piece", [61, 1316, 32_768])
def test_a_clean_stream_has_none(clean: Path, constant: Path, piece: int) -> None:
    for path in (clean, constant):
        data = path.read_bytes()[: 1500 * piece]
        assert found(data, piece=piece) == {}


def _sync_byte(stream: Stream) -> None:
    stream.packets[400][0] = 0x46


def _sync_loss(stream: Stream) -> None:
    stream.packets[400] += b"\x47 is not a packet"


def _no_table(pid: int) -> Callable[[Stream], None]:
    def cut(stream: Stream) -> None:
        span = stream.between(3, 4)
        stream.drop([index for index in stream.of(pid) if index in span])
        stream.renumber()

    return cut


def _scramble(pid: int) -> Callable[[Stream], None]:
    def scramble(stream: Stream) -> None:
        stream.packets[stream.of(pid)[4]][3] |= 0x80

    return scramble


def _lose(stream: Stream) -> None:
    stream.drop([stream.of(VIDEO)[50]])


def _swap(stream: Stream) -> None:
    one, other = stream.of(AUDIO)[30:32]
    packets = stream.packets
    packets[one], packets[other] = packets[other], packets[one]


def _send_three_times(stream: Stream) -> None:
    index = stream.of(AUDIO)[30]
    stream.packets[index:index] = [bytearray(stream.packets[index]) for _ in range(2)]


def _no_sound(stream: Stream) -> None:
    span = stream.between(1.5, 8)
    stream.drop([index for index in stream.of(AUDIO) if index in span])
    stream.renumber()


def _flag(stream: Stream) -> None:
    stream.packets[stream.of(AUDIO)[50]][1] |= 0x80


def _damage_table(stream: Stream) -> None:
    stream.packets[stream.of(PMT)[4]][12] ^= 0x10


def _few_clocks(stream: Stream) -> None:
    span = stream.between(3, 3.3)
    stream.change([index for index in stream.clocks() if index in span], without_clock)


def _clock_steps(stream: Stream) -> None:
    later = stream.between(3, 99)
    stream.change([index for index in stream.clocks() if index in later], move_clock(1.0))


def _clock_steps_back(stream: Stream) -> None:
    later = stream.between(3, 99)
    stream.change([index for index in stream.clocks() if index in later], move_clock(-1.0))


def _no_times(stream: Stream) -> None:
    span = stream.between(3, 4.2)
    starts = [index for index in stream.of(AUDIO, starting=True) if index in span]
    stream.change(starts, without_pts)


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (_sync_byte, {Indicator.SYNC_BYTE: 1}),
        (_no_table(PAT), {Indicator.PAT: 1}),
        (_scramble(PAT), {Indicator.PAT: 1}),
        (_no_table(PMT), {Indicator.PMT: 1}),
        (_scramble(PMT), {Indicator.PMT: 1}),
        (_lose, {Indicator.CONTINUITY: 1}),
        (_send_three_times, {Indicator.CONTINUITY: 1}),
        (_no_sound, {Indicator.PID: 1, Indicator.PTS: 7}),
        (_damage_table, {Indicator.CRC: 1}),
        (_few_clocks, {Indicator.PCR_REPETITION: 1}),
        (_clock_steps, {Indicator.PCR_DISCONTINUITY: 1}),
        (_clock_steps_back, {Indicator.PCR_DISCONTINUITY: 1}),
        (_no_times, {Indicator.PTS: 1}),
        (_scramble(AUDIO), {Indicator.CAT: 1}),
    ],
)
def test_a_fault_is_found_once_and_under_its_name(
    clean: Path, fault: Callable[[Stream], None], expected: dict[Indicator, int]
) -> None:
    stream = Stream.read(clean)
    fault(stream)
    assert found(stream.data) == expected


@pytest.mark.parametrize("jitter_s", [2e-6, -2e-6, 50e-6])
def test_a_clock_that_does_not_fit_a_constant_rate_is_found(
    constant: Path, jitter_s: float
) -> None:
    stream = Stream.read(constant)
    stream.change([stream.clocks()[60]], move_clock(jitter_s))
    assert found(stream.data) == {Indicator.PCR_ACCURACY: 1}


def test_bytes_between_packets_are_a_loss_of_synchronisation(clean: Path) -> None:
    stream = Stream.read(clean)
    _sync_loss(stream)
    counts = found(stream.data)
    assert counts[Indicator.SYNC_LOSS] == 1
    assert counts[Indicator.SYNC_BYTE] >= 2


def test_packets_out_of_order_are_found(clean: Path) -> None:
    stream = Stream.read(clean)
    _swap(stream)
    assert set(found(stream.data)) == {Indicator.CONTINUITY}


def test_what_a_demodulator_flagged_is_found_and_not_believed(clean: Path) -> None:
    stream = Stream.read(clean)
    _flag(stream)
    assert found(stream.data) == {Indicator.TRANSPORT: 1}


def test_a_packet_may_be_sent_twice(clean: Path) -> None:
    stream = Stream.read(clean)
    index = stream.of(AUDIO)[30]
    stream.packets.insert(index, bytearray(stream.packets[index]))
    assert found(stream.data) == {}


def test_a_jump_that_is_announced_is_none(clean: Path) -> None:
    stream = Stream.read(clean)
    later = stream.between(3, 99)
    stream.change([index for index in stream.clocks() if index in later], move_clock(40_000))
    at = later.start
    assert has_pcr(stream.packets[at])
    stream.packets[at][5] |= 0x80
    assert found(stream.data) == {}


def test_the_clock_wraps(clean: Path) -> None:
    stream = Stream.read(clean)
    stream.change(stream.clocks(), move_clock(2**33 / 90_000 - 4))
    assert found(stream.data) == {}


def test_segments_have_their_tables_once(clean: Path) -> None:
    stream = Stream.read(clean)
    for pid in (PAT, PMT):
        stream.drop(stream.of(pid)[1:])
    stream.renumber()
    assert found(stream.data, segmented=True) == {}
    assert set(found(stream.data)) == {Indicator.PAT, Indicator.PMT}


def test_the_surgeon_knows_the_packets(constant: Path) -> None:
    stream = Stream.read(constant)
    assert {pid_of(packet) for packet in stream.packets} >= {PAT, PMT, VIDEO, AUDIO, 0x1FFF}
