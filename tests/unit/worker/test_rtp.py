"""RTP by UDP: whom it is taken from, in which order, and how FFmpeg gets it in its connection."""

import re
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from streammonitor_worker.ingest import EVERYTHING, SourceError, Stop, relay, rtp
from streammonitor_worker.ingest.relay import DatagramsOnly, Relay
from streammonitor_worker.ingest.rtp import Datagrams, Ordered
from tests.unit.worker.test_relay import everything, serving

SETUP = (
    b"SETUP rtsp://h/live/track1 RTSP/1.0\r\nCSeq: 3\r\n"
    b"Transport: RTP/AVP/TCP;unicast;interleaved=4-5\r\n\r\n"
)
GRANTED = b"RTSP/1.0 200 OK\r\nCSeq: 3\r\nTransport: %s\r\nSession: 7\r\n\r\n"


def packet(number: int) -> bytes:
    return bytes((0x80, 96)) + number.to_bytes(2) + bytes(8) + b"media"


@pytest.mark.parametrize(
    ("come", "given"),
    [
        pytest.param([1, 2, 3], [1, 2, 3], id="in order"),
        pytest.param([1, 3, 4, 2, 5], [1, 2, 3, 4, 5], id="one overtaken"),
        pytest.param([1, 1, 2, 1, 3], [1, 2, 3], id="repeated"),
        pytest.param([65534, 0, 65535, 1], [65534, 65535, 0, 1], id="over the wrap"),
        pytest.param([1, *range(3, 36)], [1, *range(3, 36)], id="one lost"),
        pytest.param([100, *range(1, 70)], [100, *range(rtp.LATE_PACKETS, 70)], id="begun anew"),
    ],
)
def test_packets_are_put_in_order_and_come_once(come: list[int], given: list[int]) -> None:
    order = Ordered(clock=lambda: 0.0)
    out = [one for number in come for one in order.feed(packet(number))]
    assert [int.from_bytes(one[2:4]) for one in out] == given


def test_a_lost_packet_is_waited_for_a_moment_only() -> None:
    now_s = 0.0
    order = Ordered(clock=lambda: now_s)
    assert len(list(order.feed(packet(1)))) == 1
    assert not list(order.feed(packet(3)))
    now_s = rtp.REORDER_S * 1.01
    assert [one[3] for one in order.feed(packet(4))] == [3, 4]


class Wire:
    """A connection to a server on loopback, with ports that media is sent from."""

    def __init__(self, stack: ExitStack) -> None:
        def opened(host: str) -> socket.socket:
            link = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            link.bind((host, 0))
            link.settimeout(10)
            return link

        server = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        link = stack.enter_context(socket.create_connection(server.getsockname()))
        self.media, self.reports = opened("127.0.0.1"), opened("127.0.0.1")
        self.others = [opened("127.0.0.1"), opened("127.0.0.2")]
        self.it = Datagrams("rtsp://h/live", link)
        stack.callback(self.it.close)

    def ports(self) -> bytes:
        """Of the server, as it says them."""
        return b"%d-%d" % (self.media.getsockname()[1], self.reports.getsockname()[1])

    def settle(self) -> int:
        """Have media come; return the port that it is sent to."""
        asked = self.it.asked(SETUP)
        found = re.search(rb"client_port=(\d+)-(\d+)", asked)
        assert found is not None
        granted = b"RTP/AVP;unicast;client_port=%b;server_port=%b" % (found[1], self.ports())
        self.it.answered(GRANTED % granted)
        return int(found[1])

    def taken(self) -> tuple[bytes, bool]:
        """The next datagram, as it is given on."""
        ready, _, _ = select.select(self.it.links(), [], [], 10)
        return self.it.received(ready[0])


@pytest.fixture
def wire() -> Iterator[Wire]:
    with ExitStack() as stack:
        yield Wire(stack)


def test_a_server_is_asked_for_datagrams_and_ffmpeg_is_told_of_its_connection(wire: Wire) -> None:
    asked = wire.it.asked(SETUP[:30]) + wire.it.asked(SETUP[30:])
    found = re.search(rb"client_port=(\d+)-(\d+)", asked)
    assert found is not None
    assert asked == SETUP.replace(
        b"RTP/AVP/TCP;unicast;interleaved=4-5",
        b"RTP/AVP;unicast;client_port=%b-%b" % (found[1], found[2]),
    )
    assert int(found[1]) % 2 == 0
    assert int(found[2]) == int(found[1]) + 1

    said = wire.it.answered(GRANTED % b"RTP/AVP;unicast;server_port=%b" % wire.ports())
    assert said == GRANTED % b"RTP/AVP/TCP;unicast;interleaved=4-5"
    # What lies between lets answers in once something has gone out.
    assert wire.media.recvfrom(100)[1] == ("127.0.0.1", int(found[1]))
    assert wire.reports.recvfrom(100)[1] == ("127.0.0.1", int(found[2]))


def test_packets_of_the_server_are_given_on_and_those_of_nobody_else(wire: Wire) -> None:
    port = wire.settle()
    for other in wire.others:
        other.sendto(packet(9), ("127.0.0.1", port))
        assert wire.taken() == (b"", False)
    wire.media.sendto(packet(1), ("127.0.0.1", port))
    assert wire.taken() == (b"$\x04\x00\x11" + packet(1), True)
    wire.reports.sendto(b"report", ("127.0.0.1", port + 1))
    assert wire.taken() == (b"$\x05\x00\x06report", False)


def test_reports_of_ffmpeg_go_to_the_server(wire: Wire) -> None:
    wire.settle()
    wire.reports.recv(100)
    assert wire.it.asked(b"$\x05\x00\x06reportTEARDOWN x RTSP/1.0\r\n\r\n") == (
        b"TEARDOWN x RTSP/1.0\r\n\r\n"
    )
    assert wire.reports.recv(100) == b"report"


def test_what_is_refused_is_said_as_it_is(wire: Wire) -> None:
    refused = b"RTSP/1.0 401 Unauthorized\r\nCSeq: 3\r\n\r\n"
    wire.it.asked(SETUP)
    assert wire.it.answered(refused) == refused
    assert wire.it.links() == []


def test_a_message_without_end_is_not_read_to_it(wire: Wire) -> None:
    with pytest.raises(SourceError, match="262144 bytes"):
        wire.it.answered(b"a" * (rtp.MAX_MESSAGE_BYTES + 1))


def test_a_server_that_talks_and_sends_no_media_has_stalled(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(relay, "STALL_S", 0.05)
    hung_up = threading.Event()

    def talk(link: socket.socket) -> None:
        link.recv(4096)
        link.sendall(GRANTED % b"RTP/AVP;unicast;server_port=9-10")
        # More often than it stalls, and not so much that it is refused for that.
        while not hung_up.wait(0.01):
            try:
                link.sendall(b"RTSP/1.0 200 OK\r\nCSeq: 4\r\n\r\n")
            except OSError:
                return

    with serving(talk) as port:
        one = Relay(f"rtsp://127.0.0.1:{port}/a", EVERYTHING, Stop(), by_datagrams=True)
        try:
            host, _, inside = one.target.partition("//")[2].partition("/")[0].rpartition(":")
            with socket.create_connection((host, int(inside)), 10) as link:
                link.sendall(SETUP)
                one.playing()
                everything(link)
        finally:
            one.close()
            hung_up.set()
    assert one.failure is not None
    assert one.failure.reason == "Stalled"


@pytest.mark.parametrize("scheme", ["rtsp", "rtsps"])
def test_only_what_is_not_encrypted_is_asked_for_datagrams(scheme: str) -> None:
    refused = b"RTSP/1.0 461 Unsupported Transport\r\nCSeq: 3\r\n\r\n"
    setup = relay._Setup(f"{scheme}://h/a", refusable=scheme == "rtsp")
    if scheme == "rtsps":
        assert setup.examined(refused) == refused
    else:
        with pytest.raises(DatagramsOnly):
            setup.examined(refused)
