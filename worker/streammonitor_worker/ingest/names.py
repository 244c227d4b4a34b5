"""Looking names up without waiting for ever: the resolver knows no stop, and takes its time.

With the search domains of a cluster, a name server that does not answer keeps getaddrinfo(3) busy
for most of a minute. So a thread asks, and whoever wants to know waits for as long as it likes. One
name is asked for once at a time: however often its streams try again, one thread hangs.
"""

import socket
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from ipaddress import ip_address

from streammonitor_worker.ingest.errors import SourceError, stopped
from streammonitor_worker.ingest.stop import Stop

LOOKUP_TIMEOUT_S = 6.0
"""Enough for a second question after one that was lost, which the resolver asks after 5 s."""
MAX_LOOKUPS = 64
"""So many names are asked for at a time; beyond that, who asks is told to come again."""

Found = Sequence[
    tuple[
        socket.AddressFamily,
        socket.SocketKind,
        int,
        str,
        tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes],
    ]
]
"""What getaddrinfo returns."""
_Question = tuple[str, int, socket.SocketKind]

_guard = threading.Lock()
_asked: dict[_Question, "Future[Found]"] = {}


def look_up(host: str, port: int, kind: socket.SocketKind, stop: Stop, where: str) -> Found:
    """Return the addresses of a host.

    Args:
        host: Name or address.
        port: Port of the result.
        kind: Stream or datagram.
        stop: Ends the wait.
        where: What messages call it: the URL, without credentials.

    Raises:
        SourceError: Stopped, UnknownHost, or DnsSilent if nobody answers.
    """
    if _is_address(host):
        return _known(host, port, kind, where)
    answer = _ask((host, port, kind))
    if answer is None:
        raise _silent(where, host)
    woken = threading.Event()
    answer.add_done_callback(lambda _: woken.set())
    with stop.waking(woken.set):
        woken.wait(LOOKUP_TIMEOUT_S)
    if stop.is_set():
        raise stopped(where, opening=True)
    if not answer.done():
        raise _silent(where, host)
    try:
        return answer.result()
    except (OSError, UnicodeError):
        raise _unknown(where, host) from None


def _ask(question: _Question) -> "Future[Found] | None":
    """The answer to come; None if there are too many questions."""
    with _guard:
        answer = _asked.get(question)
        if answer is None and len(_asked) < MAX_LOOKUPS:
            _asked[question] = answer = Future()
            arguments = (question, answer)
            threading.Thread(target=_answer, args=arguments, name="dns", daemon=True).start()
        return answer


def _answer(question: _Question, answer: "Future[Found]") -> None:
    host, port, kind = question
    try:
        found = socket.getaddrinfo(host, port, type=kind)
    except (OSError, UnicodeError) as error:
        _forget(question)
        answer.set_exception(error)
    else:
        _forget(question)
        answer.set_result(found)


def _forget(question: _Question) -> None:
    with _guard:
        del _asked[question]


def _known(host: str, port: int, kind: socket.SocketKind, where: str) -> Found:
    try:
        return socket.getaddrinfo(host, port, type=kind)
    except OSError:
        raise _unknown(where, host) from None


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def _unknown(where: str, host: str) -> SourceError:
    return SourceError(
        "UnknownHost", f"{where} cannot be opened: host {host!r} has no address: check DNS"
    )


def _silent(where: str, host: str) -> SourceError:
    return SourceError(
        "DnsSilent",
        f"{where} cannot be opened: no name server said the address of host {host!r} within "
        f"{LOOKUP_TIMEOUT_S:g} s: check DNS and the network policies of the namespace",
    )
