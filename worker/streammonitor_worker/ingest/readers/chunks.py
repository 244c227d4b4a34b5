"""RTMP's chunk stream: messages in, messages out (Adobe, "RTMP 1.0", clause 5.3)."""

import socket
import struct
from dataclasses import dataclass
from time import monotonic

MAX_MESSAGE_BYTES = 8 * 1024 * 1024
"""A key frame of the heaviest stream is smaller."""
MAX_WAITING_BYTES = 2 * MAX_MESSAGE_BYTES
"""Of all messages that have begun and not ended."""
MAX_CHUNK_STREAMS = 64
_RECEIVE_BYTES = 65_536
_EXTENDED = 0xFFFFFF


class Malformed(Exception):
    """What came is no RTMP, or more than is taken."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        kind: Message type id.
        timestamp_ms: When it is presented, 32 bits.
        payload: What it says.
    """

    kind: int
    timestamp_ms: int
    payload: bytes


@dataclass(slots=True)
class _Channel:
    """What the headers of one chunk stream left out last."""

    timestamp_ms: int = 0
    delta_ms: int = 0
    length: int = 0
    kind: int = 0
    extended: bool = False
    waiting: bytearray | None = None


class ChunkStream:
    """The messages of a connection.

    Args:
        link: Connected.
        stall_s: Nothing may be missing for longer.
        deadline: Until when, by the monotonic clock, anything may take at all; see `deadline`.
    """

    def __init__(self, link: socket.socket, stall_s: float, deadline: float) -> None:
        self._link = link
        self._stall_s = stall_s
        self.deadline = deadline
        """Infinity lifts it."""
        self._buffer = bytearray()
        self._at = 0
        self._chunk_bytes = 128
        self._channels: dict[int, _Channel] = {}
        self.received = 0
        """Bytes so far."""

    def take(self, size: int) -> bytes:
        """Return exactly so many bytes.

        Raises:
            TimeoutError: They did not come in time.
            ConnectionError: The peer went away.
        """
        while len(self._buffer) - self._at < size:
            left_s = self.deadline - monotonic()
            if left_s <= 0:
                raise TimeoutError
            self._link.settimeout(min(self._stall_s, left_s))
            data = self._link.recv(_RECEIVE_BYTES)
            if not data:
                raise ConnectionResetError
            del self._buffer[: self._at]
            self._at = 0
            self._buffer += data
            self.received += len(data)
        taken = bytes(self._buffer[self._at : self._at + size])
        self._at += size
        return taken

    def next(self) -> Message:
        """Return the next whole message.

        Raises:
            Malformed: It is no RTMP, or too much.
            OSError: As `take`.
        """
        while True:
            channel = self._header()
            waiting = channel.waiting if channel.waiting is not None else bytearray()
            channel.waiting = waiting
            waiting += self.take(min(self._chunk_bytes, channel.length - len(waiting)))
            if len(waiting) == channel.length:
                channel.waiting = None
                return Message(channel.kind, channel.timestamp_ms, bytes(waiting))
            held = (one.waiting for one in self._channels.values())
            if sum(len(one) for one in held if one is not None) > MAX_WAITING_BYTES:
                raise Malformed("too many messages have begun and not ended")

    def resize(self, size: int) -> None:
        """The peer's chunks have up to so many bytes from now on (clause 5.4.1)."""
        if not 1 <= size <= 0x7FFFFFFF:
            raise Malformed(f"chunks of {size} bytes")
        self._chunk_bytes = min(size, _EXTENDED)

    def _header(self) -> _Channel:
        """Clause 5.3.1: whatever is left out is as it was before on the same chunk stream."""
        first = self.take(1)[0]
        form, number = first >> 6, first & 0x3F
        if number == 0:
            number = 64 + self.take(1)[0]
        elif number == 1:
            number = 64 + int.from_bytes(self.take(2), "little")
        channel = self._channels.setdefault(number, _Channel())
        if len(self._channels) > MAX_CHUNK_STREAMS:
            raise Malformed(f"more than {MAX_CHUNK_STREAMS} chunk streams")
        begins = channel.waiting is None
        if form < 3:
            self._described(channel, form)
        elif begins and channel.extended:
            self.take(4)
        if form == 3 and not begins and channel.extended:
            self.take(4)
        if form == 3 and begins:
            channel.timestamp_ms = (channel.timestamp_ms + channel.delta_ms) & 0xFFFFFFFF
        return channel

    def _described(self, channel: _Channel, form: int) -> None:
        if channel.waiting:
            raise Malformed("a message begins within another one")
        channel.waiting = None
        time_ms = int.from_bytes(self.take(3))
        if form < 2:
            channel.length, channel.kind = int.from_bytes(self.take(3)), self.take(1)[0]
            if channel.length > MAX_MESSAGE_BYTES:
                raise Malformed(f"a message of {channel.length} bytes")
        if form == 0:
            self.take(4)  # the message stream: there is one
        channel.extended = time_ms == _EXTENDED
        if channel.extended:
            time_ms = int.from_bytes(self.take(4))
        if form == 0:
            channel.timestamp_ms, channel.delta_ms = time_ms, 0
        else:
            channel.timestamp_ms = (channel.timestamp_ms + time_ms) & 0xFFFFFFFF
            channel.delta_ms = time_ms


def packed(kind: int, payload: bytes, stream: int = 0) -> bytes:
    """A short message in one chunk of at most 128 bytes each.

    >>> packed(5, bytes(4)).hex()
    '03000000000004050000000000000000'
    """
    header = struct.pack("!B3x", 3) + len(payload).to_bytes(3) + bytes((kind,))
    header += stream.to_bytes(4, "little")
    parts = [payload[at : at + 128] for at in range(0, len(payload), 128)]
    return header + b"\xc3".join(parts)
