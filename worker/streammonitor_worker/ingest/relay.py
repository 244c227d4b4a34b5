"""A port of this host through which FFmpeg's own clients (RTMP, RTSP) reach a source, and no other.

FFmpeg resolves names by itself, follows RTSP redirects without asking, verifies no certificate, and
takes long to notice that a peer fell silent. So it is given a loopback address; here the real one
is resolved, checked, connected to and, for RTMPS and RTSPS, spoken TLS with.
"""

import re
import select
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import SplitResult, urljoin, urlsplit

from streammonitor_worker.ingest.access import Access
from streammonitor_worker.ingest.errors import SourceError, classify, redact
from streammonitor_worker.ingest.readers.sockets import (
    RESPONSE_TIMEOUT_S,
    STALL_S,
    connect,
    secure,
    stalled,
    tls,
    wake,
)
from streammonitor_worker.ingest.rtp import Datagrams
from streammonitor_worker.ingest.stop import Stop

PORTS = {"rtmp": 1935, "rtmps": 443, "rtsp": 554, "rtsps": 322}
"""Schemes that are relayed, and their ports."""
MAX_SETUP_BYTES = 262_144
"""What an RTSP server may say before it plays."""

_LOOPBACK = "127.0.0.1"
_CHUNK_BYTES = 65_536
_LOCATION = re.compile(rb"(?<!\ncontent-)location:([^\n]*)(\n?)", re.IGNORECASE)
_REFUSED = re.compile(rb"^RTSP/1\.\d 461\b", re.MULTILINE)
"""Unsupported transport (RFC 2326, 11.3.14)."""
_ANY_LOCATION = re.compile(rb"location:([^\n]*)(\n?)", re.IGNORECASE)


class Redirected(SourceError):
    """The source is elsewhere.

    Attributes:
        url: Where.
    """

    def __init__(self, url: str, to: str) -> None:
        super().__init__("Redirected", f"{redact(url)} is at {redact(to)}")
        self.url = to


class DatagramsOnly(SourceError):
    """An RTSP server sends no media in its connection."""

    def __init__(self, url: str) -> None:
        super().__init__("DatagramsOnly", f"{redact(url)} sends datagrams only")


class Relay:
    """One source behind a loopback port.

    Args:
        url: Of the source.
        access: What may be reached.
        stop: Ends it.
        by_datagrams: Whether an RTSP server is asked for its media by UDP.

    Attributes:
        target: What FFmpeg opens.
        options: What else it is told.
        failure: Why the source stopped, if it did.

    Raises:
        SourceError: It must not or cannot be connected to.
    """

    length: None = None
    """A connection has none; see `Opening.length`."""

    def __init__(self, url: str, access: Access, stop: Stop, *, by_datagrams: bool = False) -> None:
        self._url = url
        self._access = access
        self._stop = stop
        self._by_datagrams = by_datagrams
        self._datagrams: Datagrams | None = None
        self._playing = False
        self._split = split = urlsplit(url)
        self._authority = _authority(split, url)
        self._patience_s = RESPONSE_TIMEOUT_S
        self._setup: _Setup | None = None
        self._closed = False
        self.failure: SourceError | None = None
        self._first: socket.socket | None = self._connected()
        self._listener = socket.create_server((_LOOPBACK, 0))
        here = f"{_LOOPBACK}:{self._listener.getsockname()[1]}"
        plain = split.scheme.lower().removesuffix("s")
        user = split.netloc.rpartition("@")[0]
        self.target = split._replace(
            scheme=plain, netloc=f"{user}@{here}" if user else here
        ).geturl()
        self.options = {"rtmp_tcurl": _tc_url(split)} if plain == "rtmp" else {}
        # A digest covers the URL that FFmpeg knows.
        self._spoken = None if user else (f"{plain}://{here}".encode(), self._base())
        self._inner: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def is_set(self) -> bool:
        """Whether FFmpeg must not go on; it notices by itself where the connection ends."""
        return self._stop.is_set()

    def playing(self) -> None:
        """Media has come: from now on there must always be more soon."""
        self._patience_s = STALL_S
        self._playing = True

    def close(self) -> None:
        """End the connection. Twice is once."""
        self._closed = True
        wake(self._listener)
        for link in (self._inner, self._first):
            if link is not None:
                wake(link)
        self._thread.join()
        self._listener.close()

    def _run(self) -> None:
        try:
            while not self._closed:
                self._inner, _ = self._listener.accept()
                self._inner.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                with self._inner:
                    # FFmpeg connects once more where RTMP wants credentials.
                    outer, self._first = self._first or self._connected(), None
                    with outer:
                        self._carried(self._inner, outer)
        except SourceError as error:
            self.failure = error
        except OSError:
            # Nobody listens any more: it was closed, or has failed.
            pass
        finally:
            if self._first is not None:
                self._first.close()

    def _carried(self, inner: socket.socket, outer: socket.socket) -> None:
        try:
            self._carry(inner, outer)
        except SourceError as error:
            # Known before FFmpeg sees the end.
            self.failure = error
            wake(self._listener)

    def _connected(self) -> socket.socket:
        scheme, host = self._split.scheme.lower(), self._split.hostname or ""
        where = redact(self._url)
        port = self._split.port or PORTS[scheme]
        link = connect(host, port, self._access, self._stop, where)
        return secure(link, host, tls(), self._stop, where) if scheme.endswith("s") else link

    def _carry(self, inner: socket.socket, outer: socket.socket) -> None:
        """Carry bytes both ways until one side ends."""
        scheme = self._split.scheme.lower()
        refusable = scheme == "rtsp" and not self._by_datagrams  # UDP has no TLS
        self._setup = _Setup(self._url, refusable) if scheme in ("rtsp", "rtsps") else None
        self._datagrams = Datagrams(self._url, outer) if self._by_datagrams else None
        try:
            with self._stop.waking(lambda: wake(outer)):
                self._carry_on(inner, outer)
        finally:
            if self._datagrams:
                self._datagrams.close()

    def _carry_on(self, inner: socket.socket, outer: socket.socket) -> None:
        heard = time.monotonic()
        while not self._closed:
            beside = self._datagrams.links() if self._datagrams else []
            waited_s = time.monotonic() - heard
            ready = _ready([inner, outer, *beside], max(0.0, self._patience_s - waited_s))
            if inner in ready and not self._sent(inner, outer):
                return
            if outer in ready:
                self._received(outer, inner)
            # Where media comes beside the connection, what is said in it is none.
            came = outer in ready and not (beside and self._playing)
            for link in beside:
                came |= link in ready and self._taken(link, inner)
            if came:
                heard = time.monotonic()
            elif time.monotonic() - heard >= self._patience_s:
                raise stalled(redact(self._url), self._patience_s)

    def _taken(self, link: socket.socket, inner: socket.socket) -> bool:
        """Carry on a datagram; whether it is media."""
        data, is_media = self._datagrams.received(link) if self._datagrams else (b"", False)
        with suppress(ConnectionError):
            inner.sendall(data)
        return is_media

    def _sent(self, inner: socket.socket, outer: socket.socket) -> bool:
        """Carry on what FFmpeg says; False if it has hung up."""
        with suppress(ConnectionError):
            said = inner.recv(_CHUNK_BYTES)
            if self._setup and said.startswith(b"PLAY "):
                self._setup = None
            told = self._datagrams.asked(said) if self._datagrams else said
            if told and self._spoken:
                told = told.replace(*self._spoken)
            with suppress(OSError):
                # Where it is gone, that is told where it is read from.
                outer.sendall(told)
            return bool(said)
        return False

    def _received(self, outer: socket.socket, inner: socket.socket) -> None:
        """Carry on what the source says.

        Raises:
            SourceError: It hung up, or is elsewhere.
        """
        while True:
            try:
                data = outer.recv(_CHUNK_BYTES)
            except TimeoutError:
                raise stalled(redact(self._url), STALL_S) from None
            except OSError as error:
                raise classify(error, self._url, opening=False) from None
            if not data:
                raise classify(ConnectionResetError(), self._url, opening=False)
            if self._setup:
                data = self._setup.examined(data)
            if self._datagrams:
                data = self._datagrams.answered(data)
            with suppress(ConnectionError):
                inner.sendall(data)
            # TLS may have decrypted more than was asked for, of which poll knows nothing.
            if not getattr(outer, "pending", int)():
                return

    def _base(self) -> bytes:
        return f"{self._split.scheme.lower()}://{self._authority}".encode()


class _Setup:
    """What an RTSP server says before it plays: FFmpeg sees no redirect in it.

    Whatever could be read as one by whoever splits the bytes into messages in another way is taken
    for one, so that it does not depend on reading them as FFmpeg does.
    """

    def __init__(self, url: str, refusable: bool = False) -> None:
        self._url = url
        self._refusable = refusable
        self._text = b""

    def examined(self, data: bytes) -> bytes:
        """Return what FFmpeg may see: all, or nothing until the address is complete.

        Raises:
            SourceError: It redirects, sends no media in its connection, or says too much.
        """
        self._text += data
        if self._refusable and _REFUSED.search(self._text):
            raise DatagramsOnly(self._url)
        # After a dollar sign come binary data, and then a line may begin anywhere (RFC 2326, 10.12)
        found = (_ANY_LOCATION if b"$" in self._text else _LOCATION).search(self._text)
        if found and found[2]:
            raise Redirected(self._url, _elsewhere(self._url, found[1].strip().decode("latin-1")))
        if len(self._text) > MAX_SETUP_BYTES:
            raise SourceError(
                "ReadFailed",
                f"{redact(self._url)} cannot be opened: its server says more than "
                f"{MAX_SETUP_BYTES} bytes before it plays: check the server",
            )
        return b"" if found else data


def _ready(links: list[socket.socket], within_s: float) -> list[socket.socket]:
    """Those of some sockets that have something, as soon as one has."""
    poll = select.poll()
    for link in links:
        poll.register(link, select.POLLIN)
    there = {fd for fd, _ in poll.poll(within_s * 1000)}
    return [link for link in links if link.fileno() in there]


def _elsewhere(url: str, location: str) -> str:
    """Where a redirect leads; credentials go there only on the same host."""
    try:
        to, before = urlsplit(urljoin(url, location)), urlsplit(url)
    except ValueError:
        raise SourceError("BadUrl", f"{redact(url)} redirects to what is no URL") from None
    user = before.netloc.rpartition("@")[0]
    if user and to.hostname == before.hostname and "@" not in to.netloc:
        to = to._replace(netloc=f"{user}@{to.netloc}")
    return to.geturl()


def _authority(split: SplitResult, url: str) -> str:
    try:
        named = split.hostname and (split.port is None or split.port)
    except ValueError:
        named = False
    if not named:
        raise SourceError("BadUrl", f"{redact(url)} names no host and port: correct it")
    return split.netloc.rpartition("@")[2]


def _tc_url(split: SplitResult) -> str:
    """The URL of the application, which the server is told: FFmpeg's rule, with the real host.

    >>> _tc_url(urlsplit("rtmps://h.example/live/key"))
    'rtmps://h.example:443/live'
    >>> _tc_url(urlsplit("rtmp://h.example:19350/a/b/key?token=1"))
    'rtmp://h.example:19350/a/b'
    """
    port = split.port or PORTS[split.scheme.lower()]
    host = f"[{split.hostname}]" if ":" in (split.hostname or "") else split.hostname
    path = split.path.lstrip("/") + (f"?{split.query}" if split.query else "")
    first, _, rest = path.partition("/")
    second, slash, _ = rest.partition("/")
    app = f"{first}/{second}" if slash and ":" not in second and first != "ondemand" else first
    return f"{split.scheme.lower()}://{host}:{port}/{app}"
