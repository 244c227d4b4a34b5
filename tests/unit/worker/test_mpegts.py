"""Each indicator of ETSI TR 101 290, found where it was made, and nothing else."""

from pathlib import Path

import pytest

from dev.media.clips import write_clip
from dev.media.surgery import Stream, has_pcr, move_clock, pid_of, remuxed
from dev.media.ts_faults import AUDIO, FAULTS, PAT, PMT, VIDEO, Fault
from streammonitor_worker.mpegts.indicators import Indicator
from streammonitor_worker.mpegts.monitor import TransportMonitor
from streammonitor_worker.mpegts.sections import Section, services


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


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_found_once_and_under_its_name(
    clean: Path, constant: Path, fault: Fault
) -> None:
    stream = Stream.read(constant if fault.constant else clean)
    fault.cut(stream)
    assert found(stream.data) == fault.counts


def test_every_indicator_is_covered() -> None:
    assert {name for fault in FAULTS for name in fault.counts} == set(Indicator)


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


@pytest.mark.parametrize(
    ("coded", "text"),
    [
        (b"Arena 1", "Arena 1"),
        ("Aréna".encode(), "Aréna"),
        (b"\x15" + "Арена".encode(), "Арена"),
        (b"\x01" + "Арена".encode("iso8859_5"), "Арена"),
        (b"\x10\x00\x02" + "Łódź".encode("iso8859_2"), "Łódź"),
        (b"\x11" + "竞技场".encode("utf-16-be"), "竞技场"),
        (b"\x0bAr\x00ena\n", "Arena"),
        (b"", ""),
    ],
)
def test_names_of_services_come_in_many_tables(coded: bytes, text: str) -> None:
    descriptor = bytes((0x48, len(coded) + 3, 1, 0, len(coded))) + coded
    entry = (
        bytes((0, 7, 0xFC)) + (0x8000 | len(descriptor) + 2).to_bytes(2) + b"\x55\x00" + descriptor
    )
    body = bytes(11) + entry + bytes(4)
    assert services(Section(0x42, body)) == {7: text}
    for end in range(len(body)):
        assert set(services(Section(0x42, body[:end]))) <= {7}
