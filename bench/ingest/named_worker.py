"""The worker, with names that a file resolves: `python -m bench.ingest.named_worker HOSTS worker`.

A name that is a line of the file HOSTS is loopback; one that is not there any more is unknown.
"""

import socket
import sys
from pathlib import Path
from typing import Any

from streammonitor_worker.cli import main

SUFFIX = ".test"
"""Names that no resolver knows (RFC 6761)."""


def resolve_by(hosts: Path) -> None:
    """Put the file in place of the resolver, for names of this suffix."""
    asked = socket.getaddrinfo

    def getaddrinfo(host: Any, *given: Any, **named: Any) -> Any:
        if not str(host).endswith(SUFFIX):
            return asked(host, *given, **named)
        if host not in hosts.read_text().split():
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return asked("127.0.0.1", *given, **named)

    socket.getaddrinfo = getaddrinfo


if __name__ == "__main__":
    resolve_by(Path(sys.argv.pop(1)))
    main()
