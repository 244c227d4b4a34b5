"""MPEG-TS over a plain TCP connection that the worker makes."""

import socket
from urllib.parse import urlsplit

from streammonitor_worker.ingest.access import Access
from streammonitor_worker.ingest.errors import SourceError, redact
from streammonitor_worker.ingest.readers.sockets import connect, receive
from streammonitor_worker.ingest.stop import Stop


class TcpReader:
    """Everything that comes through one connection."""

    length: None = None

    def __init__(self, url: str, access: Access, stop: Stop) -> None:
        split = urlsplit(url)
        if not split.hostname or not split.port:
            raise SourceError("BadUrl", f"{redact(url)} names no host and port: tcp://HOST:PORT")
        self._where = redact(url)
        self._stop = stop
        self._link: socket.socket | None = connect(
            split.hostname, split.port, access, stop, self._where
        )

    def read(self, size: int) -> bytes:
        """Return what has come. See `Reader.read`."""
        link = self._link
        if link is None:
            return b""
        return receive(self._stop, link, lambda: link.recv(size), self._where)

    def close(self) -> None:
        """Close the connection."""
        link, self._link = self._link, None
        if link is not None:
            link.close()
