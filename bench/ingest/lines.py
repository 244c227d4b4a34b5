"""What lies between a source and the worker: a port that carries bytes, and fails on demand."""

import contextlib
import ctypes
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Protocol

from dev.media.servers import free_port

LOOPBACK = "127.0.0.1"
_CHUNK_BYTES = 65_536
_UNAVAILABLE = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_LINGER = struct.pack("ii", 1, 0)
"""On, 0 s: closing resets the connection."""


class Fault(StrEnum):
    """How a connection is lost, and what whoever tries again meets."""

    RESET = "reset (RST)"
    ENDED = "ended (FIN)"
    STALLED = "stall"
    REFUSED = "refused"
    UNAVAILABLE = "HTTP 503"
    NAMELESS = "name gone from DNS"
    RESTARTED = "server restarted"


class Line(Protocol):
    """A port of loopback that leads to another one.

    Attributes:
        port: Where the worker connects, or sends to.
        target: Where it leads.
        carried: Bytes that went to the worker so far.
    """

    port: int
    target: int
    carried: int

    def fail(self, fault: Fault) -> None:
        """From now on nothing comes through, in this way."""

    def heal(self) -> None:
        """It is as if nothing had been."""


class TcpLine:
    """Connections; see `Line`."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = free_port()
        self.carried = 0
        self._fault: Fault | None = None
        self._flowing = threading.Event()
        self._lock = threading.Lock()
        self._links: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []
        self.heal()

    def fail(self, fault: Fault) -> None:
        """See `Line.fail`."""
        self._fault = fault
        if fault is Fault.STALLED:
            self._flowing.clear()
            return
        if fault in (Fault.REFUSED, Fault.RESTARTED):
            self._stop_listening()
        self._end(fault)

    def heal(self) -> None:
        """See `Line.heal`."""
        self._fault = None
        self._flowing.set()
        if self._listener is None:
            self._listener = socket.create_server((LOOPBACK, self.port))
            self._start(self._accept, self._listener)

    def close(self) -> None:
        """Give up the port and all connections, and wait for the threads."""
        self._flowing.set()
        self._stop_listening()
        self._end(Fault.ENDED)
        for thread in self._threads:
            thread.join()

    def _start(self, work: Callable[..., None], *given: object) -> None:
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=work, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _stop_listening(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _end(self, fault: Fault) -> None:
        with self._lock:
            links = list(self._links)
        for link in links:
            with contextlib.suppress(OSError):
                if fault is Fault.RESET:
                    _reset(link)
                else:
                    link.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                inner, _ = listener.accept()
            except OSError:
                return
            self._start(self._serve, inner)

    def _serve(self, inner: socket.socket) -> None:
        with inner:
            if self._fault in (Fault.RESET, Fault.ENDED, Fault.UNAVAILABLE, Fault.NAMELESS):
                self._turned_away(inner)
                return
            try:
                outer = socket.create_connection((LOOPBACK, self.target), 5)
            except OSError:
                return
            outer.settimeout(None)
            with outer, self._known(inner, outer):
                up = threading.Thread(target=self._up, args=(inner, outer), daemon=True)
                up.start()
                self._down(outer, inner)
                for link in (inner, outer):
                    with contextlib.suppress(OSError):
                        link.shutdown(socket.SHUT_RDWR)
                up.join()

    def _turned_away(self, inner: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._fault is Fault.UNAVAILABLE:
                inner.settimeout(2)
                inner.recv(_CHUNK_BYTES)
                inner.sendall(_UNAVAILABLE)
            elif self._fault is Fault.RESET:
                inner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER)

    @contextlib.contextmanager
    def _known(self, *links: socket.socket) -> Iterator[None]:
        with self._lock:
            self._links.update(links)
        try:
            yield
        finally:
            with self._lock:
                self._links.difference_update(links)

    @staticmethod
    def _up(inner: socket.socket, outer: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := inner.recv(_CHUNK_BYTES):
                outer.sendall(data)
            outer.shutdown(socket.SHUT_WR)

    def _down(self, outer: socket.socket, inner: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            while data := outer.recv(_CHUNK_BYTES):
                self._flowing.wait()
                inner.sendall(data)
                self.carried += len(data)


def _reset(link: socket.socket) -> None:
    """Reset a connection that another thread waits for: to connect to nowhere does (connect(2))."""
    nowhere = struct.pack("=H14x", socket.AF_UNSPEC)
    ctypes.CDLL(None).connect(link.fileno(), nowhere, len(nowhere))


class UdpLine:
    """Datagrams; of a sender that does not wait to be asked (`away` is where they go), or answers.

    See `Line`.
    """

    def __init__(self, target: int, away: int | None = None) -> None:
        self.target = target
        self.port = free_port()
        self.carried = 0
        self._away = away
        self._flowing = True
        self._closed = False
        self._ours = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._ours.bind((LOOPBACK, self.port))
        self._ours.settimeout(0.2)
        self._peers: dict[tuple[str, int], socket.socket] = {}
        self._threads = [threading.Thread(target=self._carry, daemon=True)]
        self._threads[0].start()

    def fail(self, fault: Fault) -> None:
        """Datagrams are dropped, both ways."""
        self._flowing = False

    def heal(self) -> None:
        """See `Line.heal`."""
        self._flowing = True

    def close(self) -> None:
        """Give up the port, and wait for the threads."""
        self._closed = True
        for thread in self._threads:
            thread.join()
        for link in (self._ours, *self._peers.values()):
            link.close()

    def _carry(self) -> None:
        while not self._closed:
            try:
                data, client = self._ours.recvfrom(_CHUNK_BYTES)
            except OSError:
                continue
            if not self._flowing:
                continue
            if self._away is not None:
                with contextlib.suppress(OSError):
                    self._ours.sendto(data, (LOOPBACK, self._away))
                    self.carried += len(data)
                continue
            with contextlib.suppress(OSError):
                self._peer(client).sendto(data, (LOOPBACK, self.target))

    def _peer(self, client: tuple[str, int]) -> socket.socket:
        """The socket by which a client's datagrams go on, and answers come back."""
        if client not in self._peers:
            link = self._peers[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            link.settimeout(0.2)
            thread = threading.Thread(target=self._answer, args=(link, client), daemon=True)
            self._threads.append(thread)
            thread.start()
        return self._peers[client]

    def _answer(self, link: socket.socket, client: tuple[str, int]) -> None:
        while not self._closed:
            try:
                data = link.recv(_CHUNK_BYTES)
            except OSError:
                continue
            if self._flowing:
                with contextlib.suppress(OSError):
                    self._ours.sendto(data, client)
                    self.carried += len(data)
