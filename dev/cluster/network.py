"""The cables: a bridge on the host, and a network namespace with one veth for every node.

All that pods and kube-proxy need (addresses, routes, rules) is inside the nodes' namespaces and
goes with them; the host itself gets the bridge, one route a node and three chains of rules.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from dev.cluster.addresses import BRIDGE, HOST, NODES, PODS, SERVICES, Node, node_of_namespace
from dev.host import Failure, run

_NAMESPACES = Path("/run/netns")

# (table, built-in chain, our chain, rules). A firewall that drops by default (Docker's, ufw's)
# would otherwise cut the nodes off.
_CHAINS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("filter", "INPUT", "SMON-INPUT", (f"-i {BRIDGE} -j ACCEPT",)),
    ("filter", "FORWARD", "SMON-FORWARD", (f"-i {BRIDGE} -j ACCEPT", f"-o {BRIDGE} -j ACCEPT")),
    (
        "nat",
        "POSTROUTING",
        "SMON-POSTROUTING",
        tuple(f"-s {source} ! -o {BRIDGE} -j MASQUERADE" for source in (PODS, NODES)),
    ),
)


def inside(node: Node, command: Iterable[object]) -> list[str]:
    """A command in a node's network namespace.

    Not `ip netns exec`: that mounts a new /sys, which hides the cgroups from a kubelet.
    """
    return ["nsenter", f"--net={_NAMESPACES / node.namespace}", *(str(part) for part in command)]


def make_host(owner: str) -> None:
    """Bridge, forwarding and rules of the host.

    Raises:
        Failure: the bridge belongs to a cluster of another state folder.
    """
    alias = _bridge_owner()
    if alias is None:
        run(["ip", "link", "add", BRIDGE, "type", "bridge"])
        run(["ip", "link", "set", BRIDGE, "alias", owner])
    elif alias != owner:
        raise Failure(
            f"A cluster with its state in {alias or 'an unknown folder'} is on this machine. "
            f"Stop it first: STREAMMONITOR_STATE={alias} python -m dev.cluster down"
        )
    run(["ip", "address", "replace", f"{HOST}/{NODES.prefixlen}", "dev", BRIDGE])
    run(["ip", "link", "set", BRIDGE, "up"])
    for table, builtin, chain, rules in _CHAINS:
        _make_chain(table, builtin, chain, rules)


def _bridge_owner() -> str | None:
    """The state folder noted on the bridge; None if there is no bridge."""
    try:
        return Path(f"/sys/class/net/{BRIDGE}/ifalias").read_text().strip()
    except FileNotFoundError:
        return None


def _make_chain(table: str, builtin: str, chain: str, rules: Iterable[str]) -> None:
    iptables = ["iptables", "--wait", "--table", table]
    run([*iptables, "--new-chain", chain], check=False)
    run([*iptables, "--flush", chain])
    for rule in rules:
        run([*iptables, "--append", chain, *rule.split()])
    try:
        run([*iptables, "--check", builtin, "--jump", chain])
    except Failure:
        run([*iptables, "--insert", builtin, "--jump", chain])


def make_node(node: Node, others: Iterable[Node]) -> None:
    """Namespace, cable, addresses and routes of a node; harmless where they are there."""
    if not (_NAMESPACES / node.namespace).exists():
        run(["ip", "netns", "add", node.namespace])
    if not Path(f"/sys/class/net/{node.link}").exists():
        peer = ["peer", "name", "eth0", "netns", node.namespace]
        run(["ip", "link", "add", node.link, "type", "veth", *peer])
    run(["ip", "link", "set", node.link, "master", BRIDGE, "up"])
    at_node = ["ip", "-netns", node.namespace]
    run([*at_node, "link", "set", "lo", "up"])
    run([*at_node, "address", "replace", f"{node.address}/{NODES.prefixlen}", "dev", "eth0"])
    run([*at_node, "link", "set", "eth0", "up"])
    run([*at_node, "route", "replace", "default", "via", str(HOST)])
    run(inside(node, ["sysctl", "-qw", "net.ipv4.ip_forward=1"]))
    _route(["ip"], node)
    for other in others:
        _route(at_node, other)
        _route(["ip", "-netns", other.namespace], node)
    # The host's way to Services, for people and tests; node 1's kube-proxy answers.
    if node.number == 1:
        run(["ip", "route", "replace", str(SERVICES), "via", str(node.address)])


def _route(ip: list[str], to: Node) -> None:
    run([*ip, "route", "replace", str(to.pods), "via", str(to.address)])


def set_cable(node: Node, *, plugged: bool) -> None:
    """Plug a node's cable in or pull it."""
    run(["ip", "link", "set", node.link, "up" if plugged else "down"])


def remove_node(node: Node) -> None:
    """Remove a node's cable and namespace, and with it all that was inside."""
    run(["ip", "link", "delete", node.link], check=False)
    run(["ip", "netns", "delete", node.namespace], check=False)
    run(["ip", "route", "delete", str(node.pods)], check=False)


def remove_host() -> None:
    """Remove what the host got."""
    for table, builtin, chain, _ in _CHAINS:
        iptables = ["iptables", "--wait", "--table", table]
        with suppress(Failure):
            while True:  # every copy of the jump, should there be several
                run([*iptables, "--delete", builtin, "--jump", chain])
        run([*iptables, "--flush", chain], check=False)
        run([*iptables, "--delete-chain", chain], check=False)
    run(["ip", "link", "delete", BRIDGE], check=False)


def nodes() -> list[Node]:
    """The nodes that have a network namespace."""
    found = (node_of_namespace(path.name) for path in _NAMESPACES.glob("smon-node*"))
    return sorted((node for node in found if node), key=lambda node: node.number)
