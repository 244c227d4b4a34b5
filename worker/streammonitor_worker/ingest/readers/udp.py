"""MPEG-TS in UDP datagrams, unicast or multicast, bare or in RTP (ETSI TS 102 034 clause 7).

A thread of its own takes the datagrams: a decoder that pauses for a moment must not overflow the
kernel's buffer, which is small by default and drops without a word.

    udp://@239.1.1.1:5000?localaddr=10.0.0.5&sources=10.1.0.9   join a group on an interface
    udp://@:5000                                                 listen on a port
"""

import socket
import struct
import threading
from collections import deque
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import parse_qs, urlsplit

from streammonitor_worker.ingest.access import Access
from streammonitor_worker.ingest.errors import SourceError, redact, stopped
from streammonitor_worker.ingest.names import look_up
from streammonitor_worker.ingest.readers.sockets import (
    ACCEPT_TIMEOUT_S,
    STALL_S,
    everywhere,
    no_sender,
)
from streammonitor_worker.ingest.stop import Stop

MAX_DATAGRAM_BYTES = 65_536
MAX_WAITING_BYTES = 16 * 1024 * 1024
"""What is kept for a decoder that is behind: several seconds of the heaviest stream."""
KERNEL_BUFFER_BYTES = 4 * 1024 * 1024
"""Asked of the kernel, which gives what net.core.rmem_max allows."""

_SYNC = 0x47
_RTP_HEADER_BYTES = 12


class UdpReader:
    """The payloads of the datagrams that arrive at a port, in order of arrival.

    At a port of this host only the first sender is heard: what two send is nobody's stream.

    Attributes:
        dropped: Bytes that were thrown away because the decoder was behind.
    """

    length: None = None

    def __init__(self, url: str, access: Access, stop: Stop) -> None:
        self._where = redact(url)
        self._stop = stop
        self._access = access
        self._link, group = _bound(url, stop)
        self._sender: tuple[object, ...] | None = None
        self._any_sender = group
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._arrived = threading.Condition()
        self._closed = False
        self._rest = b""
        self.dropped = 0
        self._thread = threading.Thread(target=self._receive, name="udp", daemon=True)
        self._thread.start()
        if not group:
            self._await_sender()

    def read(self, size: int) -> bytes:
        """Return what has come. See `Reader.read`."""
        if not self._rest:
            self._rest = self._next()
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def close(self) -> None:
        """Leave the group and the port."""
        with self._arrived:
            self._closed = True
            self._arrived.notify()
        with suppress(OSError):
            self._link.shutdown(socket.SHUT_RDWR)
        self._link.close()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _await_sender(self) -> None:
        with self._stop.waking(self._wake), self._arrived:
            self._arrived.wait_for(lambda: self._waiting or self._stop.is_set(), ACCEPT_TIMEOUT_S)
            came = bool(self._waiting)
        if came and not self._stop.is_set():
            return
        self.close()
        raise stopped(self._where, opening=True) if self._stop.is_set() else no_sender(self._where)

    def _next(self) -> bytes:
        with self._stop.waking(self._wake), self._arrived:
            came = self._arrived.wait_for(
                lambda: self._waiting or self._closed or self._stop.is_set(), STALL_S
            )
            if self._stop.is_set():
                raise stopped(self._where, opening=False)
            if not came:
                raise SourceError(
                    "Stalled",
                    f"{self._where} stopped: no datagram came for {STALL_S:g} s: check the sender, "
                    f"and for multicast the interface and the network's IGMP",
                )
            if not self._waiting:
                return b""
            data = b"".join(self._waiting)
            self._waiting.clear()
            self._waiting_bytes = 0
            return data

    def _wake(self) -> None:
        with self._arrived:
            self._arrived.notify()

    def _receive(self) -> None:
        self._link.settimeout(0.5)
        while not self._closed:
            try:
                datagram, sender = self._link.recvfrom(MAX_DATAGRAM_BYTES)
            except TimeoutError:
                continue
            except OSError:
                break
            if not self._hears(sender):
                continue
            payload = _payload(datagram)
            with self._arrived:
                if self._waiting_bytes + len(payload) > MAX_WAITING_BYTES:
                    self.dropped += len(payload)
                    continue
                self._waiting.append(payload)
                self._waiting_bytes += len(payload)
                self._arrived.notify()

    def _hears(self, sender: tuple[object, ...]) -> bool:
        if self._any_sender or sender == self._sender:
            return True
        if self._sender is None and self._access.permits(str(sender[0])):
            self._sender = sender
        return sender == self._sender


def _payload(datagram: bytes) -> bytes:
    """MPEG-TS without the RTP header (RFC 3550 clause 5.1), if there is one."""
    if len(datagram) <= _RTP_HEADER_BYTES or datagram[0] == _SYNC or datagram[0] >> 6 != 2:
        return datagram
    start = _RTP_HEADER_BYTES + 4 * (datagram[0] & 0x0F)
    if datagram[0] & 0x10 and len(datagram) >= start + 4:
        start += 4 + 4 * int.from_bytes(datagram[start + 2 : start + 4])
    end = len(datagram) - (datagram[-1] if datagram[0] & 0x20 else 0)
    return datagram[start:end]


def _bound(url: str, stop: Stop) -> tuple[socket.socket, bool]:
    """A socket that receives, and whether that is a group's."""
    split = urlsplit(url)
    query = {name: values[-1] for name, values in parse_qs(split.query).items()}
    host = split.hostname or everywhere()
    if not split.port:
        raise SourceError(
            "BadUrl", f"{redact(url)} names no port: udp://@GROUP:PORT or udp://@:PORT"
        )
    family, where = _address(host, split.port, url, stop)
    link = socket.socket(family, socket.SOCK_DGRAM)
    try:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if where[0] == "::":
            link.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, False)
        with suppress(OSError):
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER_BYTES)
        link.bind(where)
        group = ip_address(where[0])
        if group.is_multicast:
            _join(link, group, query)
    except (OSError, ValueError) as error:
        link.close()
        raise SourceError(
            "CannotListen", f"{redact(url)} cannot be opened: {error}: check address and interface"
        ) from None
    return link, group.is_multicast


def _address(
    host: str, port: int, url: str, stop: Stop
) -> tuple[socket.AddressFamily, tuple[str, int]]:
    family, _, _, _, where = look_up(host, port, socket.SOCK_DGRAM, stop, redact(url))[0]
    return family, (str(where[0]), port)


def _join(link: socket.socket, group: IPv4Address | IPv6Address, query: dict[str, str]) -> None:
    """Receive a multicast group (RFC 3376, 3810); of one source only where the URL names it."""
    local = query.get("localaddr", "0.0.0.0")
    if isinstance(group, IPv6Address):
        interface = socket.if_nametoindex(query["iface"]) if "iface" in query else 0
        link.setsockopt(
            socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group.packed + struct.pack("@I", interface)
        )
    elif "sources" in query:
        for source in query["sources"].split(","):
            request = group.packed + ip_address(local).packed + ip_address(source).packed
            link.setsockopt(socket.IPPROTO_IP, _ADD_SOURCE_MEMBERSHIP, request)
    else:
        link.setsockopt(
            socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group.packed + ip_address(local).packed
        )
    if isinstance(group, IPv4Address):
        # Without this a socket gets every group that any socket of the host has joined.
        link.setsockopt(socket.IPPROTO_IP, _MULTICAST_ALL, 0)


_ADD_SOURCE_MEMBERSHIP = 39
_MULTICAST_ALL = 49
"""linux/in.h; Python's socket module has no names for them."""
