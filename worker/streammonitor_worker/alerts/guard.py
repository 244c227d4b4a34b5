"""Holds what a library does with the net to the rules, whoever wrote it.

Apprise's services make their own connections. While a thread is guarded, Python's audit events
(PEP 578) stop it from looking up a host, connecting to an address or starting a program that the
rules do not allow: also after a redirect, and if a name leads elsewhere the second time. The
library is trusted, what it was told to talk to is not.
"""

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from streammonitor_worker.ingest import Access, SourceError

_PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty")
_guarded = threading.local()
_installing = threading.Lock()
_installed: list[bool] = []


class Guard:
    """What a guarded thread was refused.

    Attributes:
        access: The rules.
        refused: Why, the first time; None if it was not.
    """

    def __init__(self, access: Access) -> None:
        self.access = access
        self.refused: SourceError | None = None


@contextmanager
def guarded(access: Access) -> Iterator[Guard]:
    """Within this, the calling thread reaches only what the rules allow.

    What is refused raises PermissionError in whatever tried, which may make of it what it likes:
    `Guard.refused` knows.
    """
    with _installing:
        if not _installed:
            # There is no way to take a hook off again; on other threads it asks one thing.
            sys.addaudithook(_hook)
            _installed.append(True)
    guard = Guard(access)
    _guarded.by = guard
    try:
        yield guard
    finally:
        _guarded.by = None


def _hook(event: str, args: tuple[Any, ...]) -> None:
    guard: Guard | None = getattr(_guarded, "by", None)
    if guard is None:
        return
    try:
        if event == "socket.getaddrinfo":
            _check_name(guard.access, args[0])
        elif event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            _check_address(guard.access, args[1])
        elif event in _PROGRAMS:
            raise SourceError("SchemeNotAllowed", "the service runs a program: use another")
    except SourceError as error:
        guard.refused = guard.refused or error
        raise PermissionError(error.message) from None


def _check_name(access: Access, host: object) -> None:
    name = host.decode(errors="replace") if isinstance(host, bytes) else str(host or "localhost")
    access.check(f"tcp://[{name}]" if ":" in name else f"tcp://{name}")


def _check_address(access: Access, address: object) -> None:
    try:
        allowed = isinstance(address, tuple) and access.permits(address[0])
    except ValueError:  # a name, which nobody has looked up under these rules
        allowed = False
    if not allowed:
        where = address[0] if isinstance(address, tuple) else "a socket of this machine"
        raise SourceError(
            "AddressNotAllowed",
            f"{where} is not allowed here: use another host or ask the platform team to allow its "
            f"network",
        )
