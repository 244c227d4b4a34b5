"""What is sent to a worker: readers that listen, and a connection that is let go on demand."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from typing import Any

import pytest

from dev.media.servers import free_port
from streammonitor_api.assignment import Turn
from streammonitor_api.incident import EndReason
from streammonitor_api.spec import Stream
from streammonitor_api.worker_status import StreamState
from streammonitor_worker import reception
from streammonitor_worker.frames import FormatChange, FrameView, MediaItem
from streammonitor_worker.ingest.access import EVERYTHING, Access
from streammonitor_worker.ingest.errors import SourceError
from streammonitor_worker.ingest.readers import rtmp, srt, udp
from streammonitor_worker.ingest.readers.amf import decoded, encoded
from streammonitor_worker.ingest.readers.chunks import packed
from streammonitor_worker.ingest.readers.rtmp import RtmpReader
from streammonitor_worker.ingest.readers.srt import SrtReader
from streammonitor_worker.ingest.readers.udp import UdpReader
from streammonitor_worker.ingest.stop import Stop
from streammonitor_worker.stream import StreamRunner
from tests.unit.worker.test_stream import STEP_S, VIDEO, Rig, frames, playing, rig

__all__ = ["rig"]
TS = bytes((0x47,)) * 188
COMMAND = 20


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for reader in (rtmp, srt, udp):
        monkeypatch.setattr(reader, "ACCEPT_TIMEOUT_S", 0.3)


@contextmanager
def opened(open_: Callable[[], Any]) -> Iterator[tuple[list[Any], threading.Thread]]:
    """Open a reader elsewhere while the test plays its sender."""
    found: list[Any] = []

    def run() -> None:
        try:
            found.append(open_())
        except SourceError as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield found, thread
    finally:
        thread.join(10)
        for one in found:
            if not isinstance(one, SourceError):
                one.close()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("url", ["udp://:{}", "srt://:{}", "rtmp://:{}/live/key"])
def test_whoever_listens_in_vain_says_so(url: str) -> None:
    with pytest.raises(SourceError, match="has no sender yet") as caught:
        open_reader(url.format(free_port()))
    assert caught.value.reason == "NoSender"


def open_reader(url: str, access: Access = EVERYTHING) -> Any:
    kinds = {"udp": UdpReader, "srt": SrtReader, "rtmp": RtmpReader}
    return kinds[url.partition(":")[0]](url, access, Stop())


def datagrams(
    port: int, sender: socket.socket, thread: threading.Thread, host: str = "127.0.0.1"
) -> None:
    """Send until the other side has what it waits for, or gave up."""
    while thread.is_alive():
        sender.sendto(TS, (host, port))
        thread.join(0.02)


def test_of_two_senders_of_datagrams_the_first_is_heard() -> None:
    port, kind = free_port(), socket.SOCK_DGRAM
    with (
        socket.socket(type=kind) as one,
        socket.socket(type=kind) as two,
        opened(lambda: open_reader(f"udp://:{port}")) as (found, thread),
    ):
        datagrams(port, one, thread)
        [reader] = found
        two.sendto(bytes(188), ("127.0.0.1", port))
        one.sendto(TS[:1], ("127.0.0.1", port))
        came = b""
        while len(came) % 188 != 1:
            came += reader.read(65_536)
    assert set(came) == {0x47}


def by_ipv6() -> bool:
    """Whether this machine speaks it with itself."""
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return socket.has_dualstack_ipv6()


@pytest.mark.parametrize("host", ["127.0.0.1", *(["::1"] if by_ipv6() else [])])
def test_senders_come_by_either_version_of_ip(host: str) -> None:
    port, family = free_port(), socket.AF_INET6 if ":" in host else socket.AF_INET
    with (
        socket.socket(family, socket.SOCK_DGRAM) as sender,
        opened(lambda: open_reader(f"udp://:{port}")) as (found, thread),
    ):
        datagrams(port, sender, thread, host)
        assert found[0].read(188) == TS
    with opened(lambda: open_reader(f"srt://:{port}?mode=listener")) as (found, thread):
        caller = open_reader(f"srt://{f'[{host}]' if ':' in host else host}:{port}")
        thread.join(10)
        assert isinstance(found[0], SrtReader)
        caller.close()
    with opened(lambda: open_reader(f"rtmp://:{port}/live/key")) as (found, thread):
        encoder = Encoder(port, host)
        encoder.publish("key")
        thread.join(10)
        assert isinstance(found[0], RtmpReader)
        encoder.link.close()


@pytest.mark.usefixtures("impatient")
def test_datagrams_from_where_none_may_come_are_none() -> None:
    port, access = free_port(), Access(denied=(ip_network("127.0.0.0/8"),))
    with (
        socket.socket(type=socket.SOCK_DGRAM) as sender,
        opened(lambda: open_reader(f"udp://:{port}", access)) as (found, thread),
    ):
        datagrams(port, sender, thread)
    assert found[0].reason == "NoSender"


class Encoder:
    """As much of an RTMP client as a test needs."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        deadline = time.monotonic() + 5
        while True:
            try:
                self.link = socket.create_connection((host, port), timeout=5)
                return
            except OSError:
                assert time.monotonic() < deadline

    def greet(self) -> None:
        self.link.sendall(bytes((3,)) + bytes(1536))
        assert len(self.take(1 + 2 * 1536)) == 3073
        self.link.sendall(bytes(1536))

    def take(self, size: int) -> bytes:
        data = b""
        while len(data) < size and (more := self.link.recv(size - len(data))):
            data += more
        return data

    def say(self, *values: Any) -> None:
        self.link.sendall(packed(COMMAND, encoded(*values)))

    def publish(self, name: str, app: str = "live") -> None:
        self.greet()
        self.say("connect", 1, {"app": app})
        self.say("createStream", 2, None)
        self.say("publish", 3, None, name, "live")


@contextmanager
def encoder(url: str) -> Iterator[tuple[Encoder, list[Any], threading.Thread]]:
    port = free_port()
    rest = url.partition("PORT")[2]
    with opened(lambda: open_reader(f"rtmp://:{port}{rest}")) as (found, thread):
        sender = Encoder(port)
        try:
            yield sender, found, thread
        finally:
            sender.link.close()


def test_what_an_encoder_publishes_becomes_flv() -> None:
    with encoder("PORT/live/key?token=1") as (sender, found, thread):
        sender.publish("key?token=1")
        thread.join(10)
        [reader] = found
        sender.link.sendall(packed(18, encoded("@setDataFrame", "onMetaData", {"width": 4})))
        sender.link.sendall(packed(9, bytes(range(200))))
        sender.say("deleteStream", 4, None, 1)
        flv = b""
        while data := reader.read(50):
            flv += data
    assert flv[:4] == b"FLV\x01"
    script, size = flv[13], int.from_bytes(flv[14:17])
    assert script == 18
    assert decoded(flv[24 : 24 + size]) == ["onMetaData", {"width": 4}]
    picture = flv[24 + size + 4 :]
    assert (picture[0], picture[11:211]) == (9, bytes(range(200)))
    assert picture[211:] == struct.pack("!I", 211), "what FLV calls the size of the tag before"


@pytest.mark.parametrize(("name", "app"), [("other", "live"), ("key", "elsewhere")])
def test_who_publishes_under_another_name_is_refused(name: str, app: str) -> None:
    with encoder("PORT/live/key") as (sender, found, thread):
        sender.publish(name, app)
        thread.join(10)
    assert found[0].reason == "Unauthorized"


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\n\r\n" + bytes(4000),
        bytes((3,)) + bytes(2 * 1536) + b"\x03" + bytes(3) + b"\xff\xff\xff\x09" + bytes(4),
        bytes((3,)) + bytes(2 * 1536) + packed(COMMAND, b"\x03" * 50),
        bytes((3,)) + bytes(2 * 1536) + packed(1, bytes(4)),
    ],
    ids=["HTTP", "a huge message", "no AMF", "chunks of nothing"],
)
def test_what_is_no_rtmp_ends_the_connection(said: bytes) -> None:
    with encoder("PORT/live/key") as (sender, found, thread):
        sender.link.sendall(said)
        thread.join(10)
    assert found[0].reason == "NotMedia"


def timed(first: int, count: int, stop: threading.Event) -> Iterator[MediaItem]:
    """Frames with the source's own time, then nothing until it is closed."""
    clock = time.time()
    for item in frames(count):
        if isinstance(item, FrameView):
            number = first + round(item.time_s / STEP_S)
            yield FrameView(
                time_s=item.time_s,
                duration_s=STEP_S,
                arrived_at=clock + number * STEP_S,
                luma=item.luma,
                source_s=number * STEP_S,
            )
        else:
            yield FormatChange(video=VIDEO, audio=None)
    stop.wait(10)
    yield from frames(1)


def test_a_stream_that_is_to_be_handed_over_is_closed_at_once_and_taken_back_if_need_be(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops: list[threading.Event] = []

    def open_source(url: str, *, stop: threading.Event, **more: Any) -> Any:
        stops.append(stop)
        rig.opened.append(url)
        return playing(timed(0 if len(stops) == 1 else 60, 50, stop))

    monkeypatch.setattr(reception, "open_source", open_source)
    stream = Stream(name="a", url="srt://:5000?mode=listener")
    runner = StreamRunner(stream, {"black": {}}, rig.around)
    runner.listen(20_000)
    runner.hold(None, [])
    runner.start()
    try:
        rig.wait(lambda: runner.figures().frames == 50)
        runner.hold(Turn(stream="a", until_s=0.0), [])
        rig.wait(lambda: runner.status.held_until_s is not None)
        assert stops[0].is_set(), "the connection is closed"
        status = runner.status
        assert status.state is StreamState.RECEIVING, "nothing is wrong with it"
        assert status.clock_s is not None
        assert status.held_until_s is not None
        assert status.held_until_s - status.clock_s == pytest.approx(50 * STEP_S, abs=1e-3)
        assert len(stops) == 1, "it is not opened again"
        runner.hold(None, [])
        rig.wait(lambda: len(stops) == 2)
        rig.wait(lambda: runner.status.held_until_s is None)
    finally:
        runner.let_go()
        assert runner.join(10)
    assert rig.opened[0] == "srt://:20000?mode=listener"


def test_datagrams_are_taken_until_they_are_led_elsewhere(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    stops: list[threading.Event] = []

    def open_source(url: str, *, stop: threading.Event, **more: Any) -> Any:
        stops.append(stop)
        return playing(timed(0, 50, stop))

    monkeypatch.setattr(reception, "open_source", open_source)
    runner = StreamRunner(Stream(name="a", url="udp://:5000"), {"black": {}}, rig.around)
    runner.hold(None, [])
    runner.start()
    try:
        rig.wait(lambda: runner.figures().frames == 50)
        runner.hold(Turn(stream="a", until_s=0.0), [])

        def silent() -> bool:
            runner.tick()
            return runner.status.held_until_s is not None

        rig.wait(silent)
        assert not stops[0].is_set(), "a port that is closed would turn the sender away"
        assert runner.status.held_frames == 50
    finally:
        runner.let_go()
        assert runner.join(10)


def test_the_last_word_of_a_process_is_until_when_it_spoke(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    def open_source(url: str, *, stop: threading.Event, **more: Any) -> Any:
        return playing(timed(0, 50, stop))

    monkeypatch.setattr(reception, "open_source", open_source)
    runner = StreamRunner(Stream(name="a", url="rtmp://:1935/a/b"), {"black": {}}, rig.around)
    runner.hold(None, [])
    runner.start()
    try:
        rig.wait(lambda: runner.figures().frames == 50)
        runner.finish(EndReason.INTERRUPTED)
        status = runner.status
        assert status.clock_s is not None
        assert status.held_until_s is not None
        assert status.held_until_s - status.clock_s == pytest.approx(50 * STEP_S, abs=1e-3)
        assert status.held_frames == 50
    finally:
        assert runner.join(10)
