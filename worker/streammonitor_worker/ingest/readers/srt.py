"""SRT (draft-sharabayko-srt), caller and listener, through the system's libsrt.

PyAV's wheels are built without SRT. The library is called directly, rather than its command as a
child process (which would show the passphrase in its arguments and say nothing of why it failed)
or an FFmpeg of our own (half an hour of building, and every codec's security updates with it).

    srt://HOST:PORT?streamid=...&latency=120&passphrase=...     call a sender
    srt://:PORT?mode=listener                                   wait for one
"""

import ctypes
import socket
import struct
from collections.abc import Mapping
from functools import cache
from time import monotonic
from urllib.parse import parse_qs, urlsplit

from streammonitor_worker.ingest.access import Access, SocketAddress
from streammonitor_worker.ingest.errors import SourceError, classify, redact, stopped
from streammonitor_worker.ingest.readers.sockets import (
    ACCEPT_TIMEOUT_S,
    CONNECT_TIMEOUT_S,
    STALL_S,
    everywhere,
    no_sender,
    stalled,
)
from streammonitor_worker.ingest.stop import Stop

ACCEPT_PAUSE_S = 0.05
MESSAGE_BYTES = 1456
"""The largest payload of live mode."""
LIBRARIES = ("libsrt-gnutls.so.1.5", "libsrt-openssl.so.1.5", "libsrt.so.1.5", "libsrt.so.1")

_INVALID = -1
_PEER_BYTES = 128
"""sizeof(struct sockaddr_storage)."""
# srt.h: SRT_SOCKOPT.
_RCVSYN, _RCVTIMEO, _LATENCY, _PASSPHRASE, _PBKEYLEN = 2, 14, 23, 26, 27
_CONNTIMEO, _STREAMID, _IPV6ONLY = 36, 46, 54
# srt.h: SRT_ERRNO, and SRT_REJECT_REASON.
_ETIMEOUT, _EASYNCRCV = 6003, 6002
_REFUSALS: Mapping[int, tuple[str, str]] = {
    3: ("Forbidden", "the peer refuses the stream id: check streamid"),
    10: ("Unauthorized", "the passphrase is wrong: check passphrase"),
    11: ("Unauthorized", "one side encrypts and the other does not: check passphrase"),
    16: ("Timeout", "nobody answers there: check host, port and the peer's mode"),
}


class SrtReader:
    """What arrives in the messages of one SRT connection."""

    length: None = None

    def __init__(self, url: str, access: Access, stop: Stop) -> None:
        self._where = redact(url)
        self._access = access
        self._stop = stop
        split = urlsplit(url)
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        mode = query.get("mode", "caller" if split.hostname else "listener")
        if mode not in ("caller", "listener") or not split.port:
            raise SourceError(
                "BadUrl",
                f"{self._where} cannot be opened: give a port, and mode=caller or mode=listener",
            )
        self._buffer = ctypes.create_string_buffer(MESSAGE_BYTES)
        if mode == "caller":
            host, kind = split.hostname or "", socket.SOCK_DGRAM
            (_, address), *_ = access.resolve(host, split.port, kind, stop, self._where)
            self._socket = self._call(address, query)
        else:
            self._socket = self._listen((split.hostname or everywhere(), split.port), query)

    def read(self, size: int) -> bytes:
        """Return the next message. See `Reader.read`."""
        lib, link = _library(), self._socket
        if link == _INVALID:
            return b""
        with self._stop.waking(lambda: _close(link)):
            count = lib.srt_recvmsg(link, self._buffer, min(size, MESSAGE_BYTES))
        if self._stop.is_set():
            raise stopped(self._where, opening=False)
        if count > 0:
            return self._buffer.raw[:count]
        if count == 0:
            return b""
        if lib.srt_getlasterror(None) in (_ETIMEOUT, _EASYNCRCV):
            raise stalled(self._where, STALL_S)
        raise classify(ConnectionResetError(), self._where, opening=False)

    def close(self) -> None:
        """Close the connection."""
        link, self._socket = self._socket, _INVALID
        if link != _INVALID:
            _close(link)

    def _call(self, address: SocketAddress, query: Mapping[str, str]) -> int:
        lib, link = _library(), self._configured(query)
        packed = _packed(address)
        with self._stop.waking(lambda: _close(link)):
            failed = lib.srt_connect(link, packed, len(packed)) == _INVALID
        if not failed:
            return link
        reason, remedy = _REFUSALS.get(
            lib.srt_getrejectreason(link), ("ConnectionRefused", "the peer refuses: see its log")
        )
        _close(link)
        raise SourceError(reason, f"{self._where} cannot be opened: {remedy}")

    def _listen(self, address: tuple[str, int], query: Mapping[str, str]) -> int:
        lib, listener = _library(), self._configured(query)
        packed = _packed(address)
        _set(listener, _IPV6ONLY, struct.pack("@i", False))
        try:
            if lib.srt_bind(listener, packed, len(packed)) or lib.srt_listen(listener, 1):
                raise SourceError(
                    "CannotListen",
                    f"{self._where} cannot be opened: {_said()}: check address and port",
                )
            _set(listener, _RCVSYN, struct.pack("@?", False))
            return self._accepted(listener)
        finally:
            _close(listener)

    def _accepted(self, listener: int) -> int:
        lib, deadline = _library(), monotonic() + ACCEPT_TIMEOUT_S
        peer = ctypes.create_string_buffer(_PEER_BYTES)
        while monotonic() < deadline and not self._stop.wait(ACCEPT_PAUSE_S):
            size = ctypes.c_int(_PEER_BYTES)
            link: int = lib.srt_accept(listener, peer, ctypes.byref(size))
            if link == _INVALID:
                continue
            if not self._access.permits(_unpacked(peer.raw)):
                _close(link)
                continue
            _set(link, _RCVSYN, struct.pack("@?", True))
            return link
        if self._stop.is_set():
            raise stopped(self._where, opening=True)
        raise no_sender(self._where)

    def _configured(self, query: Mapping[str, str]) -> int:
        link: int = _library().srt_create_socket()
        _set(link, _RCVTIMEO, struct.pack("@i", int(STALL_S * 1000)))
        _set(link, _CONNTIMEO, struct.pack("@i", int(CONNECT_TIMEOUT_S * 1000)))
        texts = {"passphrase": _PASSPHRASE, "streamid": _STREAMID}
        numbers = {"latency": _LATENCY, "pbkeylen": _PBKEYLEN}
        for name, option in (*numbers.items(), *texts.items()):
            value = query.get(name)
            if value is None:
                continue
            # Not the value itself in the message: it may be a secret.
            wanted = "a number" if name in numbers else "10 to 79 characters"
            packed = _number(value) if name in numbers else value.encode()
            if packed is None or _set(link, option, packed):
                _close(link)
                raise SourceError(
                    "BadUrl", f"{self._where} cannot be opened: {name} is not valid: give {wanted}"
                )
        return link


def _number(text: str) -> bytes | None:
    return struct.pack("@i", int(text)) if text.isdecimal() and len(text) < 10 else None


def _packed(address: SocketAddress | tuple[str, int]) -> bytes:
    """A struct sockaddr_in or sockaddr_in6 of Linux."""
    host, port = address[0], address[1]
    if ":" in host:
        plain = socket.inet_pton(socket.AF_INET6, host.partition("%")[0])
        scope = struct.pack("=I", address[3] if len(address) == 4 else 0)
        return _family(socket.AF_INET6) + struct.pack("!HI16s", port, 0, plain) + scope
    plain = socket.inet_pton(socket.AF_INET, host)
    return _family(socket.AF_INET) + struct.pack("!H4s8x", port, plain)


def _unpacked(packed: bytes) -> str:
    """The address in one of them."""
    (family,) = struct.unpack_from("=H", packed)
    if family == socket.AF_INET6:
        return socket.inet_ntop(socket.AF_INET6, packed[8:24])
    return socket.inet_ntop(socket.AF_INET, packed[4:8])


def _family(family: socket.AddressFamily) -> bytes:
    return struct.pack("=H", family)


def _set(link: int, option: int, value: bytes) -> bool:
    """Set a socket option; True if the library refuses."""
    return bool(_library().srt_setsockflag(link, option, value, len(value)) == _INVALID)


def _close(link: int) -> None:
    _library().srt_close(link)


def _said() -> str:
    said: bytes = _library().srt_getlasterror_str()
    return said.decode(errors="replace")


@cache
def _library() -> ctypes.CDLL:
    for name in LIBRARIES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.srt_getlasterror_str.restype = ctypes.c_char_p
        library.srt_startup()
        # Its own log would write to standard error, where ours is JSON.
        library.srt_setloglevel(0)
        return library
    raise SourceError(
        "UnsupportedScheme",
        "srt:// cannot be opened: libsrt is not installed: install Debian's libsrt1.5-gnutls or "
        "use the worker image",
    )
