"""RTMP as a server (Adobe, "RTMP 1.0"): one encoder publishes, and FFmpeg is given FLV.

FFmpeg could listen itself, but takes whoever comes, under any name, and reads what a stranger sends
with code that was made for servers one has chosen. What is needed is little: a handshake, four
commands, and the messages that FLV's tags consist of.

    rtmp://:PORT/APP/KEY       the sender publishes KEY to rtmp://HOST:PORT/APP
    rtmp://:PORT/APP/KEY?token=...   KEY?token=..., as `queryFrom` makes it
"""

import os
import socket
import struct
from hmac import compare_digest
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

from streammonitor_api.push import RTMP_PORT
from streammonitor_worker.ingest.access import Access
from streammonitor_worker.ingest.errors import SourceError, redact, stopped
from streammonitor_worker.ingest.readers.amf import decoded, encoded
from streammonitor_worker.ingest.readers.chunks import ChunkStream, Malformed, Message, packed
from streammonitor_worker.ingest.readers.sockets import (
    ACCEPT_TIMEOUT_S,
    STALL_S,
    everywhere,
    no_sender,
    receive,
)
from streammonitor_worker.ingest.stop import Stop

GREETING_S = 5.0
"""A sender that has not begun to publish by then is none."""
_HANDSHAKE_BYTES = 1536
_VERSION = 3
_WINDOW_BYTES = 2_500_000
# Clauses 5.4 and 7.1: types of messages.
_CHUNK_SIZE, _ACKNOWLEDGED, _WINDOW, _BANDWIDTH = 1, 3, 5, 6
_SOUND, _PICTURE, _DATA, _COMMAND = 8, 9, 18, 20
_TAGS = (_SOUND, _PICTURE, _DATA)
_FLV_HEADER = b"FLV\x01\x05\x00\x00\x00\x09\x00\x00\x00\x00"
_SET_DATA = encoded("@setDataFrame")


class RtmpReader:
    """What one encoder publishes, as FLV."""

    length: None = None

    def __init__(self, url: str, access: Access, stop: Stop) -> None:
        self._where = redact(url)
        self._stop = stop
        split = urlsplit(url)
        self._app, _, key = split.path.strip("/").partition("/")
        self._key = f"{key}?{split.query}" if key and split.query else key
        self._link: socket.socket | None = self._accepted(split.port or RTMP_PORT, access)
        self._chunks = ChunkStream(self._link, STALL_S, monotonic() + GREETING_S)
        self._rest = _FLV_HEADER
        self._publishing = False
        try:
            self._guarded(self._greet)
        except BaseException:
            self.close()
            raise

    def read(self, size: int) -> bytes:
        """Return what has come. See `Reader.read`."""
        if self._link is None:
            return b""
        if not self._rest:
            self._rest = self._guarded(self._tags)
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    def close(self) -> None:
        """Close the connection."""
        link, self._link = self._link, None
        if link is not None:
            link.close()

    def _guarded(self, act: Any) -> Any:
        link = self._link
        if link is None:
            return b""
        try:
            return receive(self._stop, link, act, self._where)
        except Malformed as error:
            raise SourceError(
                "NotMedia", f"{self._where} is not read: its sender speaks no RTMP ({error})"
            ) from None

    def _accepted(self, port: int, access: Access) -> socket.socket:
        deadline = monotonic() + ACCEPT_TIMEOUT_S
        both = everywhere() == "::"
        try:
            listener = socket.create_server(
                (everywhere(), port),
                family=socket.AF_INET6 if both else socket.AF_INET,
                backlog=1,
                dualstack_ipv6=both,
            )
        except OSError as error:
            raise SourceError(
                "CannotListen", f"{self._where} cannot be opened: {error}: check the port"
            ) from None
        with listener:
            listener.settimeout(0.1)
            while monotonic() < deadline and not self._stop.is_set():
                try:
                    link, peer = listener.accept()
                except TimeoutError:
                    continue
                if access.permits(peer[0]):
                    return link
                link.close()
        if self._stop.is_set():
            raise stopped(self._where, opening=True)
        raise no_sender(self._where)

    def _greet(self) -> None:
        """The handshake (clause 5.2), then commands until something is published."""
        if self._chunks.take(1)[0] != _VERSION:
            raise Malformed("it greets with another version")
        theirs = self._chunks.take(_HANDSHAKE_BYTES)
        ours = bytes(8) + os.urandom(_HANDSHAKE_BYTES - 8)
        self._send(bytes((_VERSION,)) + ours + theirs)
        self._chunks.take(_HANDSHAKE_BYTES)
        while not self._publishing:
            self._obey(self._chunks.next())
        self._chunks.deadline = float("inf")

    def _tags(self) -> bytes:
        """The next tags of FLV; none once the sender has ended."""
        acknowledged = self._chunks.received
        while True:
            message = self._chunks.next()
            if self._chunks.received - acknowledged > _WINDOW_BYTES // 2:
                acknowledged = self._chunks.received
                self._send(packed(_ACKNOWLEDGED, struct.pack("!I", acknowledged & 0xFFFFFFFF)))
            if message.kind in _TAGS:
                return _tag(message)
            self._obey(message)
            if not self._publishing:
                return b""

    def _obey(self, message: Message) -> None:
        if message.kind == _CHUNK_SIZE and len(message.payload) >= 4:
            self._chunks.resize(int.from_bytes(message.payload[:4]))
        if message.kind != _COMMAND:
            return
        try:
            name, number, *more = decoded(message.payload)
        except ValueError as error:
            raise Malformed(str(error)) from error
        if name == "connect":
            self._connected(number, more[0] if more else None)
        elif name == "createStream":
            self._send(packed(_COMMAND, encoded("_result", number, None, 1)))
        elif name in ("releaseStream", "FCPublish"):
            self._send(packed(_COMMAND, encoded("_result", number, None)))
        elif name == "publish":
            self._published(more[1] if len(more) > 1 else None)
        elif name in ("FCUnpublish", "deleteStream", "closeStream"):
            self._publishing = False

    def _connected(self, number: Any, about: Any) -> None:
        app = str(about.get("app", "")) if isinstance(about, dict) else ""
        # Some write the query parameters here, and repeat them with the name.
        if self._app and app.split("?")[0].strip("/") != self._app:
            raise self._refused()
        window = struct.pack("!I", _WINDOW_BYTES)
        said = {"level": "status", "code": "NetConnection.Connect.Success", "description": "Hello"}
        about_us = {"fmsVer": "FMS/3,5,7,7009", "capabilities": 31}
        self._send(
            packed(_WINDOW, window)
            + packed(_BANDWIDTH, window + b"\x02")
            + packed(_COMMAND, encoded("_result", number, about_us, said))
        )

    def _published(self, name: Any) -> None:
        if self._key and not compare_digest(str(name).encode(), self._key.encode()):
            said = {"level": "error", "code": "NetStream.Publish.BadName", "description": "No"}
            self._send(packed(_COMMAND, encoded("onStatus", 0, None, said), stream=1))
            raise self._refused()
        said = {"level": "status", "code": "NetStream.Publish.Start", "description": "Go on"}
        self._send(packed(_COMMAND, encoded("onStatus", 0, None, said), stream=1))
        self._publishing = True

    def _refused(self) -> SourceError:
        return SourceError(
            "Unauthorized",
            f"{self._where} refused a sender: it publishes to another app or key: give it "
            f"rtmp://HOST:PORT/APP and the key as they are in the URL and its Secrets",
        )

    def _send(self, data: bytes) -> None:
        if self._link is not None:
            self._link.settimeout(STALL_S)
            self._link.sendall(data)


def _tag(message: Message) -> bytes:
    """A tag of FLV (Adobe, "FLV 10.1", annex E.4.1)."""
    payload = message.payload
    if message.kind == _DATA:
        payload = payload.removeprefix(_SET_DATA)
    time = message.timestamp_ms & 0xFFFFFFFF
    head = bytes((message.kind,)) + len(payload).to_bytes(3)
    head += (time & 0xFFFFFF).to_bytes(3) + bytes((time >> 24,)) + bytes(3)
    return head + payload + struct.pack("!I", len(head) + len(payload))
