"""Streams that are sent to a worker, rather than fetched by it."""

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import Field

from streammonitor_api.model import Model

ONE_GROUP = (
    "a stream that is sent to a worker (srt://:PORT, rtmp://:PORT, udp://:PORT) can be received by "
    "one worker only, and spec.workers has several groups: monitor it in a StreamMonitor with one"
)
RTMP_PORT = 1935
_ANY_HOST = (None, "", "0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Push:
    """What a worker listens for.

    Attributes:
        scheme: rtmp, srt or udp.
        port: The port that the sender is told.
    """

    scheme: Literal["rtmp", "srt", "udp"]
    port: int

    @property
    def transport(self) -> Literal["TCP", "UDP"]:
        """The transport protocol of the port."""
        return "TCP" if self.scheme == "rtmp" else "UDP"

    @property
    def severable(self) -> bool:
        """Whether its packets can be led elsewhere while they flow.

        Datagrams just arrive elsewhere. A TCP connection stays where it was made. An SRT connection
        whose packets go astray is dead without either end knowing it, for seconds.
        """
        return self.scheme != "srt"

    @property
    def connects(self) -> bool:
        """Whether its sender makes a connection, which ends with the worker that it is made to.

        Many an encoder begins its timestamps anew with each.
        """
        return self.scheme != "udp"


class PushService(Model):
    """The Service of each stream that is sent to a worker: the sender's stable address."""

    type: Literal["ClusterIP", "NodePort", "LoadBalancer"] | None = None
    """Who can reach it: the cluster, or also others. Default: ClusterIP."""
    annotations: Annotated[dict[str, str], Field(max_length=32)] | None = None
    """Annotations, as the cluster's load balancers want them. Default: none."""


def push_of(url: str) -> Push | None:
    """What a worker listens for to receive a URL; None if it fetches it.

    A multicast group is joined: any number of workers receive it.

    >>> push_of("srt://:9000?mode=listener&latency=200")
    Push(scheme='srt', port=9000)
    >>> push_of("rtmp://:1935/live/arena-1").transport
    'TCP'
    >>> push_of("udp://@239.1.1.1:5000"), push_of("srt://ingest.example:9000")
    (None, None)
    """
    if not url.startswith(("rtmp:", "srt:", "udp:")):
        return None
    try:
        split = urlsplit(url)
        host, port = split.hostname, split.port
    except ValueError:
        return None
    if split.scheme == "rtmp" and host in _ANY_HOST:
        return Push("rtmp", port or RTMP_PORT)
    if split.scheme == "srt" and port:
        modes = parse_qs(split.query).get("mode", ["caller" if host else "listener"])
        return Push("srt", port) if modes[-1] == "listener" else None
    if split.scheme == "udp" and port and not _is_group(host):
        return Push("udp", port)
    return None


def sender_url(url: str, host: str, port: int) -> str:
    """Where to send what a worker receives at a URL, if it is reached as this host and port.

    >>> sender_url("rtmp://:1935/live/arena-1", "sports-arena-1.video.svc", 1935)
    'rtmp://sports-arena-1.video.svc:1935/live/arena-1'
    >>> sender_url("srt://:9000?mode=listener&latency=200", "2001:db8::1", 9000)
    'srt://[2001:db8::1]:9000'
    """
    split = urlsplit(url)
    named = f"[{host}]" if ":" in host else host
    return split._replace(netloc=f"{named}:{port}", query="", fragment="").geturl()


def at_port(url: str, port: int | None) -> str:
    """The URL with another port; the same without one.

    >>> at_port("udp://@:5000?pkt_size=1316", 20000), at_port("rtmp://:1935/live/key", None)
    ('udp://@:20000?pkt_size=1316', 'rtmp://:1935/live/key')
    """
    if port is None:
        return url
    split = urlsplit(url)
    host = split.netloc
    if split.port is not None:
        host = host.rpartition(":")[0]
    return split._replace(netloc=f"{host}:{port}").geturl()


def _is_group(host: str | None) -> bool:
    try:
        return ip_address(host or "").is_multicast
    except ValueError:
        return False
