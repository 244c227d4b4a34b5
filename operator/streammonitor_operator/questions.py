"""Asks one address by HTTP over and over: as much of HTTP/1.1 as that takes.

A thousand workers are asked hundreds of times a second, and most of their answers say nothing new:
a general client takes several times as long for each, and holds several times as much memory. An
answer without news (304) wakes nobody: the next question is put from within the connection. What
is not understood here is the fault of the one who answers.
"""

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass

_LONGEST_HEAD = 16 * 1024
_CONNECT_S = 2.0
_PAUSE_S = 0.1
"""At least so long from a question to the next after an answer without news."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked.

    Attributes:
        path: With the query, in characters that need no quoting.
        timeout_s: For how long to wait for the answer.
        known: The tag of what is known already; empty if nothing is.
    """

    path: str
    timeout_s: float
    known: str = ""


class BadAnswer(Exception):
    """What came back is not the answer that it should be."""


class Refused(BadAnswer):
    """The answer has another code than 200."""

    def __init__(self, code: str) -> None:
        super().__init__(f"it answered {code}")
        self.code = code


class Questions:
    """Asks one server, one question at a time, on one connection as long as that holds.

    Args:
        address: Of the server: an IP address.
        port: Of the server.
        longest: How long an answer may be, in bytes.
    """

    def __init__(self, address: str, port: int, longest: int) -> None:
        self._address = address
        self._port = port
        self._longest = longest
        self._line: _Line | None = None
        host = f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
        self._rest = f" HTTP/1.1\r\nHost: {host}:{port}\r\nAccept-Encoding: identity\r\n"

    async def get(self, path: str, timeout_s: float) -> bytes:
        """What the server answers to one question; see `news`."""
        return await self.news(lambda: Question(path, timeout_s))

    async def news(self, ask: Callable[[], Question]) -> bytes:
        """What the server answers, once that is something new.

        Args:
            ask: What to ask now; called again after each answer without news.

        Raises:
            BadAnswer: The answer is none, has another code than 200 (Refused), or is too long.
            OSError: There is no connection, or it broke; ConnectionRefusedError: nobody listens.
            TimeoutError: An answer took longer than its question allows.
        """
        try:
            while True:
                if self._line is None or not self._line.open:
                    self._line = await self._connect()
                try:
                    return await self._line.news(ask)
                except _Unheard:
                    if not self._line.heard:
                        raise
                # It was closed before the question came, as servers may do.
                await asyncio.sleep(_PAUSE_S)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        if self._line is not None:
            self._line.close()
            self._line = None

    async def _connect(self) -> "_Line":
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_CONNECT_S):
            _, line = await loop.create_connection(
                lambda: _Line(self._rest, self._longest), self._address, self._port
            )
        return line


class _Unheard(ConnectionResetError):
    """The connection ended before anything of the answer came."""


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, rest: str, longest: int) -> None:
        self._rest = rest
        self._longest = longest
        self._loop = asyncio.get_running_loop()
        self._ask: Callable[[], Question] = lambda: Question("/", 0.0)
        self._asked_at = 0.0
        self._known = ""
        """The tag in the question that was put last."""
        self._timer: asyncio.TimerHandle | None = None
        """For the answer that is awaited, or for the next question."""
        self._received = bytearray()
        self._length: int | None = None
        """Of the body; None before the head is complete."""
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._unchanged = False
        """Whether the answer that is being read says that there is no news."""
        self.heard = False
        """Whether there was an answer."""
        self._last = False
        """Whether the server closes the connection after this answer."""

    @property
    def open(self) -> bool:
        """Whether a question can be asked."""
        return self._transport is not None and not self._transport.is_closing()

    async def news(self, ask: Callable[[], Question]) -> bytes:
        """Ask until an answer has a body, and return that."""
        self._ask = ask
        self._answer = self._loop.create_future()
        try:
            self._put()
            return await self._answer
        finally:
            self._end_timer()

    def _put(self) -> None:
        """Put the next question."""
        if self._transport is None or self._transport.is_closing():
            self._fail(_Unheard("the connection is closed"))
            return
        question = self._ask()
        self._known, self._asked_at = question.known, self._loop.time()
        tag = f'If-None-Match: "{question.known}"\r\n' if question.known else ""
        self._timer = self._loop.call_later(question.timeout_s, self._fail, TimeoutError())
        self._transport.write(f"GET {question.path}{self._rest}{tag}\r\n".encode("ascii"))

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def close(self) -> None:
        """Have done with it, whatever is still under way."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the event loop."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - what TCP has
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._transport = None
        kind = ConnectionResetError if self._received or self._length is not None else _Unheard
        self._fail(kind(str(exc) if exc else "the connection was closed without an answer"))

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        self._received += data
        try:
            self._read()
        except BadAnswer as error:
            self._fail(error)
            self.close()

    def _read(self) -> None:
        if self._answer is None or self._answer.done():
            raise BadAnswer("it says more than it was asked")
        if self._length is None:
            end = self._received.find(b"\r\n\r\n")
            if max(end, len(self._received) if end < 0 else 0) > _LONGEST_HEAD:
                raise BadAnswer(f"the head of its answer is longer than {_LONGEST_HEAD} bytes")
            if end < 0:
                return
            self._read_head(self._received[:end].decode("latin-1"))
            del self._received[: end + 4]
        if self._length is None or len(self._received) < self._length:
            return
        if len(self._received) > self._length:
            raise BadAnswer("its answer is longer than it says")
        body, self._received, self._length = bytes(self._received), bytearray(), None
        self.heard = True
        self._end_timer()
        if self._unchanged:
            pause_s = self._asked_at + _PAUSE_S - self._loop.time()
            self._timer = self._loop.call_later(max(0.0, pause_s), self._put)
        else:
            self._answer.set_result(body)
        if self._last:
            self.close()

    def _read_head(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1."):
            raise BadAnswer("it does not speak HTTP")
        code = rest.partition(" ")[0]
        self._unchanged = code == "304" and self._known != ""
        if code != "200" and not self._unchanged:
            raise Refused(code[:8])
        fields = {}
        for line in lines:
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        length = "0" if self._unchanged else fields.get("content-length", "")
        if not (length.isascii() and length.isdecimal()):
            raise BadAnswer("it does not say how long its answer is")
        if len(length) > len(str(self._longest)) or int(length) > self._longest:
            raise BadAnswer(f"its answer is longer than {self._longest} bytes")
        self._length = int(length)
        self._last = version == "HTTP/1.0" or fields.get("connection", "").lower() == "close"

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
