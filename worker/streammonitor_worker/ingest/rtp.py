"""RTP in UDP datagrams (RFC 2326, 10.4; RFC 3550), for a client that wants it in its connection.

FFmpeg asks for everything within its RTSP connection, and gets it there. The server is asked for
datagrams instead: they are taken here, only from the address that the connection leads to and that
was checked, and FFmpeg opens no port and hears nobody else.
"""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field

from streammonitor_worker.ingest.errors import SourceError, redact
from streammonitor_worker.ingest.readers.udp import KERNEL_BUFFER_BYTES, MAX_DATAGRAM_BYTES

MAX_MESSAGE_BYTES = 262_144
"""What one message may have; a description of a hundred streams is smaller."""
MAX_TRACKS = 16
REORDER_PACKETS = 32
"""So many packets are kept back for one that has not come yet."""
REORDER_S = 0.1
"""A packet that comes later than this is lost."""
LATE_PACKETS = 64
"""After so many packets with earlier numbers in a row, they are a new beginning."""

_PAIRS = 64
_SEQUENCE = 1 << 16
_DOLLAR = b"$"
_NUMBER = re.compile(rb"^cseq:\s*(\d+)", re.IGNORECASE | re.MULTILINE)
_LENGTH = re.compile(rb"^content-length:\s*(\d{1,9})", re.IGNORECASE | re.MULTILINE)
_TRANSPORT = re.compile(rb"^transport:[^\r\n]*", re.IGNORECASE | re.MULTILINE)
_CHANNELS = re.compile(rb"interleaved=(\d{1,3})")
_SERVER_PORTS = re.compile(rb"server_port=(\d{1,5})(?:-(\d{1,5}))?")
_PUNCH_RTP = bytes((0x80, 0)) + bytes(10)
_PUNCH_RTCP = bytes((0x80, 201, 0, 1)) + bytes(4)
"""An empty packet and an empty report: what is between the two lets the answers in."""


@dataclass(slots=True)
class Ordered:
    """Puts packets of one sender in the order of their sequence numbers; each comes once."""

    clock: Callable[[], float] = time.monotonic
    _next: int | None = None
    _held: dict[int, bytes] = field(default_factory=dict)
    _since_s: float = 0.0
    _late: int = 0

    def feed(self, packet: bytes) -> Iterator[bytes]:
        """Take a packet as it comes; yield those whose turn it is."""
        if len(packet) < 12:
            return
        number = int.from_bytes(packet[2:4])
        ahead = 0 if self._next is None else (number - self._next) % _SEQUENCE
        if ahead >= _SEQUENCE // 2:
            self._late += 1
            if self._late < LATE_PACKETS:
                return
            ahead = 0
            self._held.clear()
        self._late = 0
        if ahead == 0:
            self._next = number
        elif not self._held:
            self._since_s = self.clock()
        self._held[number] = packet
        yield from self._due()

    def _due(self) -> Iterator[bytes]:
        while self._held:
            expected = self._next or 0
            if expected not in self._held:
                late = self.clock() - self._since_s > REORDER_S
                if not late and len(self._held) < REORDER_PACKETS:
                    return
                expected = min(self._held, key=lambda one: (one - expected) % _SEQUENCE)
            self._next = (expected + 1) % _SEQUENCE
            self._since_s = self.clock()
            yield self._held.pop(expected)


@dataclass(slots=True)
class _Track:
    """What one SETUP is for.

    Attributes:
        channel: Of its media in FFmpeg's connection; that of its reports is the next.
        links: Where its media and its reports arrive.
        ports: Where the server sends them from; 0 where it does not say.
        order: Of its media.
    """

    channel: int
    links: tuple[socket.socket, socket.socket]
    ports: tuple[int, int] = (0, 0)
    order: Ordered = field(default_factory=Ordered)


class Datagrams:
    """What a server sends beside the RTSP connection that it was asked by.

    Args:
        url: For messages.
        link: The connection.
    """

    def __init__(self, url: str, link: socket.socket) -> None:
        self._url = url
        self._family = link.family
        self._here = str(link.getsockname()[0])
        self._peer = str(link.getpeername()[0])
        self._asking = _Messages(url)
        self._answering = _Messages(url)
        self._asked: dict[bytes, _Track] = {}
        self._tracks: dict[int, _Track] = {}

    def links(self) -> list[socket.socket]:
        """Where datagrams arrive by now."""
        return [link for track in self._tracks.values() for link in track.links]

    def asked(self, data: bytes) -> bytes:
        """Take what FFmpeg says; return what the server is told in the connection."""
        told = b""
        for message in self._asking.feed(data):
            if message.startswith(_DOLLAR):
                self._report(message)
            elif message.startswith(b"SETUP "):
                told += self._set_up(message)
            else:
                told += message
        return told

    def answered(self, data: bytes) -> bytes:
        """Take what the server says in the connection; return what FFmpeg is told."""
        told = b""
        for message in self._answering.feed(data):
            if not message.startswith(_DOLLAR):
                told += self._settled(message)
        return told

    def received(self, link: socket.socket) -> tuple[bytes, bool]:
        """Take a datagram; return what FFmpeg is told, and whether it is media."""
        track = next(one for one in self._tracks.values() if link in one.links)
        is_media = link is track.links[0]
        try:
            packet, sender = link.recvfrom(MAX_DATAGRAM_BYTES)
        except OSError:
            return b"", False
        port = track.ports[0 if is_media else 1]
        if sender[0] != self._peer or (port and sender[1] != port) or not packet:
            return b"", False
        packets = track.order.feed(packet) if is_media else iter((packet,))
        channel = track.channel + (not is_media)
        return b"".join(_framed(channel, one) for one in packets), is_media

    def close(self) -> None:
        """Take nothing more."""
        for track in (*self._tracks.values(), *self._asked.values()):
            for link in track.links:
                link.close()

    def _set_up(self, message: bytes) -> bytes:
        """Ask for datagrams instead."""
        number, channels = _NUMBER.search(message), _CHANNELS.search(message)
        if number is None or channels is None or len(self._tracks) >= MAX_TRACKS:
            return message
        track = _Track(int(channels[1]), self._pair())
        self._asked[number[1]] = track
        port = track.links[0].getsockname()[1]
        wanted = f"Transport: RTP/AVP;unicast;client_port={port}-{port + 1}".encode()
        return _TRANSPORT.sub(wanted, message, count=1)

    def _settled(self, message: bytes) -> bytes:
        """Say of what the server grants that it comes in the connection."""
        number = _NUMBER.search(message)
        track = self._asked.pop(number[1], None) if number else None
        if track is None:
            return message
        granted = _TRANSPORT.search(message)
        if granted is None:
            for link in track.links:
                link.close()
            return message
        ports = _SERVER_PORTS.search(granted[0])
        if ports is not None:
            media = int(ports[1])
            track.ports = media, int(ports[2] or media + 1)
        self._tracks[track.channel] = track
        for link, port, punch in zip(
            track.links, track.ports, (_PUNCH_RTP, _PUNCH_RTCP), strict=True
        ):
            self._send(link, port, punch)
        said = f"Transport: RTP/AVP/TCP;unicast;interleaved={track.channel}-{track.channel + 1}"
        return _TRANSPORT.sub(said.encode(), message, count=1)

    def _report(self, framed: bytes) -> None:
        """Send on how FFmpeg receives."""
        track = self._tracks.get(framed[1] - 1)
        if track is not None:
            self._send(track.links[1], track.ports[1], framed[4:])

    def _send(self, link: socket.socket, port: int, packet: bytes) -> None:
        if 0 < port < _SEQUENCE:
            with suppress(OSError):
                link.sendto(packet, (self._peer, port))

    def _pair(self) -> tuple[socket.socket, socket.socket]:
        """Two ports, one after the other, of which the first is even (RFC 3550, 11)."""
        for _ in range(_PAIRS):
            first, second = (socket.socket(self._family, socket.SOCK_DGRAM) for _ in range(2))
            with suppress(OSError):
                first.bind((self._here, 0))
                port = first.getsockname()[1]
                if port % 2 == 0:
                    second.bind((self._here, port + 1))
                    first.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER_BYTES)
                    first.setblocking(False)
                    second.setblocking(False)
                    return first, second
            first.close()
            second.close()
        raise SourceError(
            "CannotListen",
            f"{redact(self._url)} cannot be opened: its media comes by UDP, and there are no two "
            f"ports free for it",
        )


class _Messages:
    """Divides one direction of a connection into messages, and packets between them."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        self._rest += data
        while size := self._size():
            message, self._rest = self._rest[:size], self._rest[size:]
            yield message
        if len(self._rest) > MAX_MESSAGE_BYTES:
            raise SourceError(
                "ReadFailed",
                f"{redact(self._url)} cannot be read: its server sends a message of more than "
                f"{MAX_MESSAGE_BYTES} bytes: check the server",
            )

    def _size(self) -> int:
        """Bytes of the first message; 0 while it is not complete."""
        if self._rest.startswith(_DOLLAR):
            size = 4 + int.from_bytes(self._rest[2:4])
            return size if 4 <= len(self._rest) >= size else 0
        head = self._rest.find(b"\r\n\r\n") + 4
        if head < 4:
            return 0
        length = _LENGTH.search(self._rest[:head])
        size = head + (int(length[1]) if length else 0)
        return size if len(self._rest) >= size else 0


def _framed(channel: int, packet: bytes) -> bytes:
    return _DOLLAR + bytes((channel,)) + len(packet).to_bytes(2) + packet
