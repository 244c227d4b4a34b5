"""Which sources a worker may open: schemes, hosts and addresses, as the platform team allows.

A stream's URL comes from whoever may write a StreamMonitor, and a playlist's nested URLs from
whoever runs the origin. Neither may reach what only the worker's network position makes reachable:
the node's metadata service, the API server, Services of other teams (server-side request forgery,
CWE-918). So every connection passes here, after DNS resolution, and the address that was checked is
the one that is connected to: a name that resolves to something else the second time gains nothing.
"""

import socket
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import cast
from urllib.parse import urlsplit

from streammonitor_api.push import push_of
from streammonitor_worker.ingest.errors import SourceError, redact
from streammonitor_worker.ingest.names import look_up
from streammonitor_worker.ingest.stop import Stop

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
SocketAddress = tuple[str, int] | tuple[str, int, int, int]

DENIED_NETWORKS: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host on this network (RFC 1122)
        "127.0.0.0/8",
        "169.254.0.0/16",  # link-local; the metadata service of most clouds
        "::/128",
        "::1/128",
        "fe80::/10",
        "fd00:ec2::/32",  # the metadata service of AWS over IPv6
        "fd20:ce::/32",  # the metadata service of Google Cloud over IPv6
        "100.100.100.200/32",  # the metadata service of Alibaba Cloud
        "168.63.129.16/32",  # the host agent of Azure
    )
)
"""What is refused unless it is allowed by name: addresses that mean something only here."""


@dataclass(frozen=True, slots=True)
class Access:
    """What may be opened.

    Attributes:
        schemes: URL schemes; None allows every one that is supported.
        hosts: Patterns of host names as in `*.example.com`, compared in lower case; None allows
            every host. An address in a URL is compared as it is written.
        denied: Networks that no connection goes to.
        allowed: Networks that may be reached even if `denied` holds them.
        files: Whether a source may be a file of this machine.
    """

    schemes: frozenset[str] | None = None
    hosts: tuple[str, ...] | None = None
    denied: tuple[Network, ...] = DENIED_NETWORKS
    allowed: tuple[Network, ...] = ()
    files: bool = False

    def check(self, url: str) -> None:
        """Say no to a URL by what it says of itself.

        Raises:
            SourceError: SchemeNotAllowed, HostNotAllowed or BadUrl.
        """
        scheme, host = _parts(url)
        if scheme == "file" and self.files:
            return
        if scheme == "file":
            raise SourceError(
                "SchemeNotAllowed",
                f"{redact(url)} is not opened: files are read where a person runs the worker, not "
                f"in a cluster: serve it over HTTP",
            )
        if self.schemes is not None and scheme not in self.schemes:
            raise SourceError(
                "SchemeNotAllowed",
                f"{redact(url)} is not opened: scheme {scheme!r} is not allowed here, use one of "
                f"{', '.join(sorted(self.schemes))} or ask the platform team to allow it",
            )
        named = host or push_of(url) is None  # who listens goes to no host
        if self.hosts is not None and named and not self._names(host):
            others = f"use one of {', '.join(self.hosts)} or " if self.hosts else ""
            raise SourceError(
                "HostNotAllowed",
                f"{redact(url)} is not opened: host {host!r} is not allowed here, {others}ask the "
                f"platform team to allow it",
            )

    def _names(self, host: str) -> bool:
        return any(fnmatchcase(host, one) for one in self.hosts or ())

    def resolve(
        self, host: str, port: int, kind: socket.SocketKind, stop: Stop, where: str
    ) -> list[tuple[socket.AddressFamily, SocketAddress]]:
        """Look a host up, and leave only the addresses that may be reached.

        Args:
            host: Name or address.
            port: Port of the result.
            kind: Stream or datagram.
            stop: Ends the wait.
            where: What messages call it: the URL, without credentials.

        Returns:
            Address families and socket addresses, in the resolver's order.

        Raises:
            SourceError: AddressNotAllowed if every address is denied; see `look_up`.
        """
        found = look_up(host, port, kind, stop, where)
        reachable: list[tuple[socket.AddressFamily, SocketAddress]] = [
            (family, cast(SocketAddress, address))
            for family, _, _, _, address in found
            if self.permits(address[0])
        ]
        if not reachable:
            raise SourceError(
                "AddressNotAllowed",
                f"{where} is not opened: {found[0][4][0]}, the address of host {host!r}, is not "
                f"allowed here: use another host or ask the platform team to allow its network",
            )
        return reachable

    def permits(self, address: str | int | bytes) -> bool:
        """Whether a connection may go to a numeric address."""
        ip = _embedded(ip_address(str(address).partition("%")[0]))
        if _within(ip, self.allowed):
            return True
        return not _within(ip, self.denied)


EVERYTHING = Access(denied=(), files=True)
"""No limits: what a person runs on their own machine."""


def _parts(url: str) -> tuple[str, str]:
    if "://" not in url:
        return "file", ""
    try:
        split = urlsplit(url)
        return split.scheme.lower(), (split.hostname or "").rstrip(".")
    except ValueError:
        raise SourceError("BadUrl", f"{redact(url)} is no URL: correct it") from None


def _within(ip: Address, networks: Iterable[Network]) -> bool:
    return any(ip.version == network.version and ip in network for network in networks)


def _embedded(ip: Address) -> Address:
    """The IPv4 address that an IPv6 one stands for, where it does (RFC 4291, 6052, 3056)."""
    if not isinstance(ip, IPv6Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


_NAT64 = IPv6Network("64:ff9b::/96")
