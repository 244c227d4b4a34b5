"""Posting to HTTP endpoints: only where the rules allow, to the address that was checked."""

import http.client
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from streammonitor_api.source import HeaderFrom, SecretKeyRef
from streammonitor_worker.alerts.sink import Around, NotDelivered
from streammonitor_worker.ingest import SourceError
from streammonitor_worker.ingest.readers.http import USER_AGENT
from streammonitor_worker.ingest.readers.sockets import connect, receive, secure, tls
from streammonitor_worker.secrets import read_secret

TIMEOUT_S = 10.0
"""From the request to the answer."""
_PORTS = {"http": 80, "https": 443}
_REFUSED = (400, 413, 415, 422)
"""The message itself is refused: sent again, it would be refused again."""
_REMEDIES = {
    401: ("Unauthorized", "it wants credentials: set headersFrom"),
    403: ("Forbidden", "it refuses access: check the credentials"),
    404: ("NotFound", "there is nothing at this path: check the URL"),
    429: ("TooManyRequests", "it is told less often"),
}


@dataclass(slots=True)
class _Wire:
    place: tuple[str, str, int]
    connection: http.client.HTTPConnection
    link: socket.socket


class Poster:
    """Posts to one endpoint at a time, over a connection that is kept.

    Redirects are not followed: where they lead, nobody allowed.
    """

    def __init__(self, around: Around) -> None:
        self._around = around
        self._wire: _Wire | None = None

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> None:
        """Post a body; returns when the endpoint has taken it.

        Messages name scheme and host only: a path may be a secret.

        Raises:
            NotDelivered: It was not taken.
        """
        try:
            split, port = _parts(url)
        except ValueError:
            raise NotDelivered("BadUrl", "the URL is no http or https URL: correct it") from None
        host = split.hostname or ""
        where = f"{split.scheme}://{f'[{host}]' if ':' in host else host}"
        try:
            status = self._exchange(split, port, body, headers, where)
        except SourceError as error:
            self.close()
            raise NotDelivered(error.reason, error.message) from None
        if not 200 <= status < 300:
            other = (
                ("ServerError", "see its log") if status >= 500 else ("Refused", "check the URL")
            )
            reason, remedy = _REMEDIES.get(status, other)
            raise NotDelivered(
                reason, f"{where} answers HTTP {status}: {remedy}", final=status in _REFUSED
            )

    def close(self) -> None:
        """Give the connection up."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.connection.close()

    def _exchange(
        self,
        split: SplitResult,
        port: int,
        body: bytes,
        headers: Mapping[str, str],
        where: str,
    ) -> int:
        self._around.access.check(where)
        place = (split.scheme, split.hostname or "", port)
        target = f"{split.path or '/'}{'?' + split.query if split.query else ''}"
        given = {"User-Agent": USER_AGENT, "Host": split.netloc.rpartition("@")[2], **headers}
        kept, self._wire = self._wire, None
        if kept is not None and kept.place == place:
            try:
                return self._send(kept, target, body, given, where)
            except SourceError as error:
                # A server may have closed it meanwhile: then a new one is made.
                if error.reason != "ConnectionLost":
                    raise
        elif kept is not None:
            kept.connection.close()
        return self._send(self._connect(place, where), target, body, given, where)

    def _connect(self, place: tuple[str, str, int], where: str) -> _Wire:
        scheme, host, port = place
        link = connect(host, port, self._around.access, self._around.stop, where)
        if scheme == "https":
            link = secure(link, host, tls(), self._around.stop, where)
        connection = http.client.HTTPConnection(host, port)
        # It was made where addresses are checked; http.client connects only without one.
        connection.sock = link
        return _Wire(place, connection, link)

    def _send(
        self, wire: _Wire, target: str, body: bytes, headers: Mapping[str, str], where: str
    ) -> int:
        def exchange() -> http.client.HTTPResponse:
            try:
                wire.connection.request("POST", target, body=body, headers=dict(headers))
                response = wire.connection.getresponse()
                response.read(65_536)
            except (http.client.HTTPException, ValueError) as error:
                raise ConnectionResetError(f"no HTTP: {error}") from None
            return response

        wire.link.settimeout(TIMEOUT_S)
        try:
            response = receive(self._around.stop, wire.link, exchange, where)
        except SourceError:
            wire.connection.close()
            raise
        if response.will_close or not response.isclosed():
            wire.connection.close()
        else:
            self._wire = wire
        return response.status


def _parts(url: str) -> tuple[SplitResult, int]:
    """The parts of a URL and its port; ValueError if it cannot be posted to."""
    split = urlsplit(url)
    if split.scheme not in _PORTS or not split.hostname:
        raise ValueError(url)
    return split, split.port or _PORTS[split.scheme]


def secret_value(reference: SecretKeyRef, use: str, around: Around) -> str:
    """A value from a Secret, as it is now.

    Raises:
        NotDelivered: It is missing.
    """
    try:
        return read_secret(around.secrets_folder, reference, use)
    except SourceError as error:
        raise NotDelivered(error.reason, error.message) from None


def secret_headers(headers: list[HeaderFrom], around: Around) -> dict[str, str]:
    """Headers with values from Secrets, as they are now.

    Raises:
        NotDelivered: One is missing.
    """
    return {
        one.name: secret_value(one.secret_key_ref, f"header {one.name}", around) for one in headers
    }
