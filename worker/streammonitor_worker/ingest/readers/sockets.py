"""Connections that go only where they may, and that a stop ends at once."""

import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from typing import TypeVar

from streammonitor_worker.ingest.access import Access
from streammonitor_worker.ingest.errors import SourceError, classify, stopped
from streammonitor_worker.ingest.stop import Stop

Taken = TypeVar("Taken")

CONNECT_TIMEOUT_S = 4.0
RESPONSE_TIMEOUT_S = 5.0
"""From a request to the first byte of the answer; an origin may have to fetch it first."""
ACCEPT_TIMEOUT_S = 10.0
"""Who listens waits so long for a sender before it says that there is none."""
STALL_S = 2.0
"""A peer that owes bytes and sends none for this long has stalled."""


def connect(host: str, port: int, access: Access, stop: Stop, where: str) -> socket.socket:
    """Open a TCP connection to the first address that answers.

    Args:
        host: Name or address.
        port: TCP port.
        access: What may be reached.
        stop: Ends the wait.
        where: What messages call it: the URL, without credentials.

    Raises:
        SourceError: Nothing answers, or nothing may be connected to.
    """
    last: OSError | None = None
    for family, address in access.resolve(host, port, socket.SOCK_STREAM, stop, where):
        link = socket.socket(family, socket.SOCK_STREAM)
        link.settimeout(CONNECT_TIMEOUT_S)
        try:
            with stop.waking(lambda link=link: wake(link)):  # type: ignore[misc]
                link.connect(address)
        except OSError as error:
            link.close()
            last = error
        else:
            link.settimeout(STALL_S)
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return link
    raise classify(last or OSError(), where, opening=True)


@cache
def everywhere() -> str:
    """Where to listen for whoever comes: by IPv6, which takes IPv4 too, if this host has it."""
    return "::" if socket.has_dualstack_ipv6() else "0.0.0.0"


def secure(
    link: socket.socket, host: str, context: ssl.SSLContext, stop: Stop, where: str
) -> ssl.SSLSocket:
    """Speak TLS over a connection, and verify that the peer is `host`.

    Raises:
        SourceError: The peer does not prove it, or speaks no TLS.
    """
    link.settimeout(CONNECT_TIMEOUT_S)
    try:
        with stop.waking(lambda: wake(link)):
            secured = context.wrap_socket(link, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        link.close()
        raise SourceError(
            "CertificateInvalid",
            f"{where} cannot be opened: its certificate is not valid ({error.verify_message}): "
            f"renew it, or have its authority trusted",
        ) from None
    except OSError as error:
        link.close()
        raise classify(error, where, opening=True) from None
    secured.settimeout(STALL_S)
    return secured


@cache
def tls() -> ssl.SSLContext:
    """Certificates are verified against the system's authorities, or SSL_CERT_FILE."""
    return ssl.create_default_context()


def wake(link: socket.socket) -> None:
    """End what another thread waits for in a socket."""
    with suppress(OSError):
        # Not the method of ssl.SSLSocket, which drops the state that the other thread reads with.
        socket.socket.shutdown(link, socket.SHUT_RDWR)


def receive(stop: Stop, link: socket.socket, take: Callable[[], Taken], where: str) -> Taken:
    """Call `take`, which waits for `link`, and put what goes wrong in a sentence.

    Raises:
        SourceError: Stopped, Stalled, ConnectionLost or another reason.
    """
    try:
        with stop.waking(lambda: wake(link)):
            taken = take()
    except OSError as error:
        if stop.is_set():
            raise stopped(where, opening=False) from None
        if isinstance(error, TimeoutError):
            raise stalled(where, link.gettimeout() or STALL_S) from None
        raise classify(error, where, opening=False) from None
    if stop.is_set():
        raise stopped(where, opening=False)
    return taken


def no_sender(where: str) -> SourceError:
    """Nobody sends what is listened for."""
    return SourceError(
        "NoSender",
        f"{where} has no sender yet: nothing came within {ACCEPT_TIMEOUT_S:g} s: start it, and "
        f"check that it is sent to the stream's Service",
    )


def stalled(where: str, waited_s: float) -> SourceError:
    """A peer owes bytes and sends none."""
    return SourceError(
        "Stalled", f"{where} stopped: nothing came for {waited_s:g} s: check the source"
    )
