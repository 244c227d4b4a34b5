"""The cluster as a whole: up, down, and what happens to its nodes."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dev.cluster import cgroups, controlplane, dns, footprint, mounts, network, node, pki
from dev.cluster.addresses import Node
from dev.cluster.binaries import PROGRAMS, build
from dev.cluster.configs import CNI_PROGRAMS
from dev.cluster.kubectl import kubeconfig_path, kubectl
from dev.cluster.processes import Processes, boot_id
from dev.host import (
    Failure,
    answers_ok,
    require_linux_root,
    require_tools,
    run,
    say,
    state_folder,
    timed,
    wait_for,
    write,
)

_TOOLS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "ip": "iproute2",
    "iptables": "iptables",
    "sysctl": "procps",
    "nsenter": "util-linux",
    "umount": "mount",
    "openssl": "openssl",
    str(CNI_PROGRAMS / "ptp"): "containernetworking-plugins",
}
_CLUSTER_PROGRAMS = tuple(name for name in PROGRAMS if name not in ("helm", "kubeconform"))


@dataclass(frozen=True)
class Cluster:
    """A running cluster, for whoever wants to talk to it."""

    state: Path
    kubeconfig: Path
    context: str = pki.CONTEXT


def up(*, audit: bool = False) -> Cluster:
    """Have the cluster running with its first node Ready and DNS serving.

    Safe to call at any time: what runs as it should is left alone, what is missing is started.

    Raises:
        Failure: the machine lacks something, or a part did not come up.
    """
    require_linux_root()
    require_tools(_TOOLS)
    build(_CLUSTER_PROGRAMS)
    state = state_folder()
    first = Node(1)
    with footprint.exclusive(), timed("Cluster"):
        _prepare(state)
        fresh = controlplane.start(state, audit=audit)
        # A node that was stopped on purpose stays stopped; the first one is always wanted.
        wanted = [first, *(n for n in node.existing(state) if n != first and _is_on(state, n))]
        for member in wanted:
            node.start_runtime(state, member)
        controlplane.wait_ready(state)
        if fresh:
            say("The control plane is ready.")
        controlplane.start_controllers(state)
        for member in wanted:
            node.start_kubelet(state, member)
            node.start_proxy(state, member)
        dns.start(state)
        for member in wanted:
            node.wait_ready(state, member)
        _wait_usable(state)
    return Cluster(state, kubeconfig_path(state))


def _is_on(state: Path, member: Node) -> bool:
    return any(name.endswith(f"-{member.name}") for name in Processes(state).names())


def _prepare(state: Path) -> None:
    """Folders, notes and the host's network, before anything runs."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    _notice_reboot(state)
    network.make_host(str(state))
    footprint.note(state)
    footprint.prepare()
    authority = pki.Authority(state / "pki")
    authority.prepare()
    authority.kubeconfig(pki.ADMIN, kubeconfig_path(state))


def _notice_reboot(state: Path) -> None:
    """After a reboot of the machine, nodes must not look for what was in memory."""
    path = state / "boot"
    if path.exists() and path.read_text() != boot_id():
        for member in node.existing(state):
            node.forget_memory(state, member)
    write(path, boot_id())


def _wait_usable(state: Path) -> None:
    """Wait for what a first pod needs: its ServiceAccount and names.

    Raises:
        Failure: one of them is not there.
    """
    processes = Processes(state)

    def account() -> bool:
        return bool(kubectl(state, "get", "serviceaccount", "default", "-o=name", check=False))

    def resolver() -> bool:
        if not processes.pid("coredns"):
            raise Failure(f"CoreDNS ended:\n{processes.last_words('coredns')}")
        return answers_ok(dns.ready_url())

    wait_for("The default ServiceAccount", account, timeout=60)
    wait_for("DNS", resolver, timeout=60)


def is_up() -> bool:
    """Whether there is a cluster that answers."""
    return controlplane.answers(state_folder())


def _require_running() -> Path:
    state = state_folder()
    if not is_up():
        raise Failure("The cluster is not running. Start it with: python -m dev.cluster up")
    return state


def join(number: int) -> None:
    """Add a node, or start a stopped one again, and wait until it is Ready.

    Raises:
        Failure: the cluster is not running, or the node did not become Ready.
    """
    member = Node(number)
    with footprint.exclusive():
        state = _require_running()
        with timed(f"Node {member.name}"):
            node.start_runtime(state, member)
            node.start_kubelet(state, member)
            node.start_proxy(state, member)
            node.wait_ready(state, member)
            kubectl(state, "uncordon", member.name)


def leave(number: int) -> None:
    """Remove a node as one should: drained first, then stopped and forgotten.

    Raises:
        Failure: the cluster is not running.
    """
    member = Node(number)
    with footprint.exclusive():
        state = _require_running()
        with timed(f"Removing {member.name}"):
            if Processes(state).pid(f"kubelet-{member.name}"):
                options = ["--force", "--ignore-daemonsets", "--delete-emptydir-data"]
                patience = ["--grace-period=10", "--timeout=30s"]
                kubectl(state, "drain", member.name, *options, *patience, check=False)
            kubectl(state, "delete", "node", member.name, "--ignore-not-found", check=False)
            node.power_off(state, member)
            shutil.rmtree(node.folder(state, member), ignore_errors=True)


def stop_node(number: int) -> None:
    """Cut a node's power: everything on it ends at once and Kubernetes is not told.

    `join` boots it again.
    """
    member = Node(number)
    with footprint.exclusive():
        node.power_off(_existing_state(member), member)


def partition(number: int) -> None:
    """Pull a node's network cable; its pods go on running."""
    member = Node(number)
    _existing_state(member)
    network.set_cable(member, plugged=False)


def heal(number: int) -> None:
    """Plug a node's network cable back in."""
    member = Node(number)
    _existing_state(member)
    network.set_cable(member, plugged=True)


def _existing_state(member: Node) -> Path:
    state = state_folder()
    if not node.exists(state, member):
        raise Failure(f"There is no {member.name}. Add it: dev.cluster node {member.number}")
    return state


def load(archives: Sequence[Path]) -> None:
    """Import image archives into every running node, and into those that join later.

    Raises:
        Failure: the cluster is not running, or an archive is none.
    """
    with footprint.exclusive():
        state = _require_running()
        paths = [path.absolute() for path in archives]
        for member in node.existing(state):
            if Processes(state).pid(f"containerd-{member.name}"):
                node.load(state, member, paths)
        node.remember_loaded(state, paths)


def down() -> None:
    """Stop everything and leave nothing behind but the cache. Harmless when nothing runs."""
    require_linux_root()
    state = state_folder()
    with footprint.exclusive(), timed("Taking the cluster down"):
        processes = Processes(state)
        nodes = {n.number: n for n in (*node.existing(state), *network.nodes())}
        for member in nodes.values():
            node.power_off(state, member)
        # Without ceremony: whatever they would still write is deleted below.
        for name in processes.names():
            processes.stop(name, force=True)
        for group in cgroups.names():  # also what an interrupted start left unrecorded
            cgroups.kill(group)
            cgroups.remove(group)
        mounts.unmount_below(state)
        network.remove_host()
        footprint.restore(state)
        if state.exists():
            run(["rm", "-rf", "--one-file-system", state])


def status() -> str:
    """Describe in words what runs."""
    state = state_folder()
    processes = Processes(state)
    if not processes.names():
        return "The cluster is not running."
    lines = [f"state: {state}", f"kubeconfig: {kubeconfig_path(state)}"]
    for name in processes.names():
        pid = processes.pid(name)
        lines.append(f"{name}: " + (f"process {pid}" if pid else f"DEAD: {processes.log(name)}"))
    ready = controlplane.answers(state)
    lines.append(f"API server: {'ready' if ready else 'NOT ready'}")
    if ready:
        lines.append(kubectl(state, "get", "nodes", "-o=wide").rstrip())
    return "\n".join(lines)


def images() -> list[str]:
    """The names of the images in the first node."""
    state = _require_running()
    command = ["ctr", "--address", node.socket(state, Node(1)), "--namespace", "k8s.io"]
    return run([*command, "images", "list", "--quiet"]).split()
