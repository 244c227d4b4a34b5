"""HTTP and HTTPS (RFC 9110, 9112): every connection and every redirect passes the access rules.

Not FFmpeg's client: that one resolves, follows redirects and opens what a playlist names without
asking anybody, verifies no certificate, and tells no one of a segment that is missing.
"""

import base64
import http.client
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from streammonitor_worker.ingest.access import Access
from streammonitor_worker.ingest.errors import (
    BAD_REQUEST,
    FORBIDDEN,
    NOT_FOUND,
    SERVER_ERROR,
    UNAUTHORIZED,
    SourceError,
    redact,
    stopped,
)
from streammonitor_worker.ingest.readers.sockets import (
    RESPONSE_TIMEOUT_S,
    STALL_S,
    connect,
    receive,
    secure,
    tls,
)
from streammonitor_worker.ingest.signing import Bucket
from streammonitor_worker.ingest.stop import Stop

MAX_REDIRECTS = 5
USER_AGENT = "streammonitor"
SKIP_BYTES = 65_536
"""A seek forward of no more than this reads on; a farther one asks anew."""

_PORTS = {"http": 80, "https": 443}
_REDIRECTS = (301, 302, 303, 307, 308)
_REFUSALS = {401: UNAUTHORIZED, 403: FORBIDDEN, 404: NOT_FOUND, 410: NOT_FOUND}

Place = tuple[str, str, int]
"""Scheme, host and port."""


class _Wire(NamedTuple):
    """A connection, and the socket under it."""

    place: Place
    connection: http.client.HTTPConnection
    link: socket.socket


@dataclass(frozen=True, slots=True)
class _Answer:
    """A response whose body was not read yet, and what it comes through."""

    wire: _Wire
    response: http.client.HTTPResponse

    def close(self) -> None:
        """Give the connection up."""
        self.response.close()
        self.wire.connection.close()


@dataclass(slots=True)
class HttpClient:
    """Fetches what one source consists of, over connections that are kept for the next request.

    Attributes:
        access: What may be reached.
        stop: Ends every wait.
        headers: Request headers. They go to `home` only: a playlist or a redirect that leads
            elsewhere does not carry a credential there.
        home: Host of the source's URL, in lower case.
        bucket: Signs the requests for what is in it.
    """

    access: Access
    stop: Stop
    headers: Mapping[str, str]
    home: str
    bucket: Bucket | None = None
    _idle: dict[Place, _Wire] = field(default_factory=dict, init=False)
    _used: dict[int, _Answer] = field(default_factory=dict, init=False)

    def get(self, url: str, first: int = 0, end: int | None = None) -> "HttpReader":
        """Ask for a resource, or for its bytes from `first` up to `end`.

        Raises:
            SourceError: It is not allowed, nobody answers, or the answer is no success.
        """
        asked = url
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._ask(url, first, end)
            status = answer.response.status
            location = answer.response.getheader("Location")
            if status not in _REDIRECTS or not location:
                if not 200 <= status < 300:
                    answer.close()
                    raise _refusal(status, url)
                self._used[id(answer)] = answer
                return HttpReader(self, url, answer, first, end)
            answer.close()
            url = _redirected(url, location)
        raise SourceError(
            "TooManyRedirects",
            f"{redact(asked)} cannot be opened: it redirects more than {MAX_REDIRECTS} times: "
            f"check the origin",
        )

    def close(self) -> None:
        """Close every connection; FFmpeg does not close everything that it opened."""
        while self._used:
            self._used.popitem()[1].close()
        while self._idle:
            self._idle.popitem()[1].connection.close()

    def keep(self, answer: _Answer) -> None:
        """Use a connection again whose answer was read to its end."""
        self._used.pop(id(answer), None)
        response = answer.response
        complete = response.isclosed() or response.length == 0
        response.close()
        if complete and not response.will_close:
            previous = self._idle.pop(answer.wire.place, None)
            self._idle[answer.wire.place] = answer.wire
            if previous:
                previous.connection.close()
        else:
            answer.close()

    def _ask(self, url: str, first: int, end: int | None) -> _Answer:
        self.access.check(url)
        split = urlsplit(self.bucket.signed(url) if self.bucket else url)
        place = _place(split, url)
        headers = self._headers(split, first, end)
        target = f"{split.path or '/'}{'?' + split.query if split.query else ''}"
        kept = self._idle.pop(place, None)
        if kept is not None:
            # A server may have closed it meanwhile: then a new one is made.
            with suppress(SourceError):
                return self._send(kept, target, headers, url)
            if self.stop.is_set():
                raise stopped(url, opening=True)
        return self._send(self._connect(place, redact(url)), target, headers, url)

    def _send(self, wire: _Wire, target: str, headers: Mapping[str, str], url: str) -> _Answer:
        def exchange() -> http.client.HTTPResponse:
            try:
                wire.connection.request("GET", target, headers=dict(headers))
                return wire.connection.getresponse()
            except (http.client.HTTPException, ValueError) as error:
                raise ConnectionResetError(f"no HTTP: {error}") from None

        wire.link.settimeout(RESPONSE_TIMEOUT_S)
        try:
            return _Answer(wire, receive(self.stop, wire.link, exchange, redact(url)))
        except SourceError:
            wire.connection.close()
            raise

    def _connect(self, place: Place, where: str) -> _Wire:
        scheme, host, port = place
        link = connect(host, port, self.access, self.stop, where)
        if scheme == "https":
            link = secure(link, host, tls(), self.stop, where)
        connection = http.client.HTTPConnection(host, port)
        # It was made where addresses are checked; http.client connects only without one.
        connection.sock = link
        return _Wire(place, connection, link)

    def _headers(self, split: SplitResult, first: int, end: int | None) -> dict[str, str]:
        headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
        if first or end is not None:
            headers["Range"] = f"bytes={first}-{'' if end is None else end - 1}"
        if split.username is not None:
            pair = f"{unquote(split.username)}:{unquote(split.password or '')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        if (split.hostname or "").lower() == self.home:
            headers |= self.headers
        default = _PORTS.get(split.scheme.lower())
        host = split.netloc.rpartition("@")[2]
        headers["Host"] = host.removesuffix(f":{default}")
        return headers


class HttpReader:
    """The body of an answer.

    Attributes:
        url: Where it came from in the end: what it names is relative to this.
    """

    def __init__(
        self, client: HttpClient, url: str, answer: _Answer, first: int, end: int | None
    ) -> None:
        self.url = url
        self._client = client
        self._answer: _Answer | None = answer
        self._end = end
        self._position = first if answer.response.status == 206 else 0
        self._length = _length(answer.response, self._position)
        self._ranges = (
            answer.response.status == 206
            or answer.response.getheader("Accept-Ranges", "").lower() == "bytes"
        )
        answer.wire.link.settimeout(STALL_S)
        if self._position < first:
            self._skip(first - self._position)

    @property
    def length(self) -> int | None:
        """Bytes of the whole resource, if the server says so."""
        return self._length

    def read(self, size: int) -> bytes:
        """Return up to `size` bytes; none at the end. See `Reader.read`."""
        answer = self._answer
        if answer is None:
            return b""

        def take() -> bytes:
            try:
                return answer.response.read1(size)
            except (http.client.HTTPException, ValueError) as error:
                raise ConnectionResetError(f"no HTTP: {error}") from None

        data = receive(self._client.stop, answer.wire.link, take, redact(self.url))
        self._position += len(data)
        if not data:
            self._finish()
        return data

    def seekable(self) -> bool:
        """Whether the server gives any part of a resource of known length."""
        return self._ranges and self._length is not None

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go on at a byte of the resource; return it."""
        base = {0: 0, 1: self._position, 2: self._length or 0}[whence]
        target = base + offset
        ahead = target - self._position
        if self._answer is not None and 0 <= ahead <= SKIP_BYTES:
            self._skip(ahead)
        elif ahead or self._answer is None:
            self.close()
            if self._length is None or target < self._length:
                again = self._client.get(self.url, target, self._end)
                self._answer, again._answer = again._answer, None
            self._position = target
        return self._position

    def tell(self) -> int:
        """Return the byte that is read next."""
        return self._position

    def close(self) -> None:
        """Give the connection up, or back if the body was read to its end."""
        answer, self._answer = self._answer, None
        if answer is not None:
            self._client.keep(answer)

    def _skip(self, count: int) -> None:
        while count > 0:
            data = self.read(min(count, SKIP_BYTES))
            if not data:
                return
            count -= len(data)

    def _finish(self) -> None:
        """At the end: it must be the end that was announced."""
        missing = self._answer.response.length if self._answer else None
        self.close()
        if missing:
            raise SourceError(
                "ConnectionLost",
                f"{redact(self.url)} stopped: the connection closed {missing} bytes too early",
            )


def _redirected(url: str, location: str) -> str:
    try:
        return urljoin(url, location)
    except ValueError:
        raise SourceError("BadUrl", f"{redact(url)} redirects to what is no URL") from None


def _place(split: SplitResult, url: str) -> Place:
    scheme = split.scheme.lower()
    try:
        port = split.port or _PORTS[scheme]
    except (ValueError, KeyError):
        raise SourceError("BadUrl", f"{redact(url)} is no URL that can be fetched") from None
    if not split.hostname:
        raise SourceError("BadUrl", f"{redact(url)} names no host: correct it")
    return scheme, split.hostname, port


def _length(response: http.client.HTTPResponse, position: int) -> int | None:
    """Bytes of the whole resource."""
    total = response.getheader("Content-Range", "").rpartition("/")[2]
    if response.status == 206:
        return int(total) if total.isdecimal() else None
    return None if response.length is None else position + response.length


def _refusal(status: int, url: str) -> SourceError:
    other = SERVER_ERROR if status >= 500 or status == 429 else BAD_REQUEST
    reason, remedy = _REFUSALS.get(status, other)
    return SourceError(reason, f"{redact(url)} cannot be opened: HTTP {status}: {remedy}")
