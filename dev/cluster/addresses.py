"""The address plan: ranges that usual clusters and home networks do not use."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from dev.host import Failure

BRIDGE = "smon0"
PODS = IPv4Network("10.251.0.0/16")
SERVICES = IPv4Network("10.252.0.0/16")
NODES = IPv4Network("10.253.0.0/24")

HOST = NODES[254]
API_SERVICE = SERVICES[1]
DNS_SERVICE = SERVICES[10]

# Not the usual ports, so that a cluster that is already on this machine is left in peace.
API_PORT = 16443
DNS_PORT = 10053
ETCD_CLIENT_PORT = 12379
ETCD_PEER_PORT = 12380
CONTROLLERS_PORT = 20257
SCHEDULER_PORT = 20259
DNS_HEALTH_PORT = 18080
DNS_READY_PORT = 18181

API_URL = f"https://{HOST}:{API_PORT}"
MOST_NODES = 100


@dataclass(frozen=True)
class Node:
    """Everything about a node that follows from its number."""

    number: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= MOST_NODES:
            raise Failure(f"A node's number is 1 to {MOST_NODES}, not {self.number}.")

    @property
    def name(self) -> str:
        """Its name in Kubernetes."""
        return f"node{self.number}"

    @property
    def address(self) -> IPv4Address:
        """Its address on the bridge."""
        return NODES[self.number]

    @property
    def pods(self) -> IPv4Network:
        """The range of its pods."""
        return IPv4Network((int(PODS[0]) + (self.number << 8), 24))

    @property
    def namespace(self) -> str:
        """Its network namespace, as `ip netns` names it."""
        return f"smon-node{self.number}"

    @property
    def link(self) -> str:
        """The host's end of its cable."""
        return f"smon-v{self.number}"

    @property
    def pods_cgroup(self) -> str:
        """Where the kubelet puts the pods."""
        return f"smon-node{self.number}"

    @property
    def system_cgroup(self) -> str:
        """Where containerd, its shims and the kubelet are."""
        return f"smon-system{self.number}"


CONTROL_CGROUP = "smon-control"
_NAMESPACE = re.compile(r"smon-node(\d+)")


def node_of_namespace(name: str) -> Node | None:
    """The node whose network namespace has this name, if it is one of ours."""
    found = _NAMESPACE.fullmatch(name)
    return Node(int(found[1])) if found and 1 <= int(found[1]) <= MOST_NODES else None
