"""Asks one address by HTTP over and over: as much of HTTP/1.1 as that takes.

A thousand workers are asked hundreds of times a second, and most of their answers say nothing new:
a general client takes three times as long for each, and holds several times as much memory. What
is not understood here is the fault of the one who answers.
"""

import asyncio
import ipaddress

_LONGEST_HEAD = 16 * 1024
_CONNECT_S = 2.0


class BadAnswer(Exception):
    """What came back is not the answer that it should be."""


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
        self._rest = f" HTTP/1.1\r\nHost: {host}:{port}\r\nAccept-Encoding: identity\r\n\r\n"

    async def get(self, path: str, timeout_s: float) -> bytes:
        """What the server answers.

        Args:
            path: With the query, in characters that need no quoting.
            timeout_s: For the whole of it, the connection included.

        Raises:
            BadAnswer: The answer is none, has another code than 200, or is too long.
            OSError: There is no connection, or it broke; ConnectionRefusedError: nobody listens.
            TimeoutError: It took longer.
        """
        request = f"GET {path}{self._rest}".encode("ascii")
        try:
            async with asyncio.timeout(timeout_s):
                if self._line is not None and self._line.open:
                    try:
                        return await self._line.ask(request)
                    except _Unheard:
                        pass  # it was closed before the question came, as servers may: once more
                self._line = await self._connect()
                return await self._line.ask(request)
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
                lambda: _Line(self._longest), self._address, self._port
            )
        return line


class _Unheard(ConnectionResetError):
    """The connection ended before anything of the answer came."""


class _Line(asyncio.Protocol):
    """One connection."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._received = bytearray()
        self._length: int | None = None
        """Of the body; None before the head is complete."""
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[bytes] | None = None
        self._last = False
        """Whether the server closes the connection after this answer."""

    @property
    def open(self) -> bool:
        """Whether a question can be asked."""
        return self._transport is not None and not self._transport.is_closing()

    async def ask(self, request: bytes) -> bytes:
        """Send a question and wait for the body of its answer."""
        if self._transport is None or self._transport.is_closing():
            raise _Unheard("the connection is closed")
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

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
        self._answer.set_result(body)
        if self._last:
            self.close()

    def _read_head(self, head: str) -> None:
        first, *lines = head.split("\r\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1."):
            raise BadAnswer("it does not speak HTTP")
        code = rest.partition(" ")[0]
        if code != "200":
            raise BadAnswer(f"/status answered {code[:8]}")
        fields = {}
        for line in lines:
            name, _, value = line.partition(":")
            fields[name.lower()] = value.strip()
        length = fields.get("content-length", "")
        if not (length.isascii() and length.isdecimal()):
            raise BadAnswer("it does not say how long its answer is")
        if len(length) > len(str(self._longest)) or int(length) > self._longest:
            raise BadAnswer(f"/status is longer than {self._longest} bytes")
        self._length = int(length)
        self._last = version == "HTTP/1.0" or fields.get("connection", "").lower() == "close"

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
