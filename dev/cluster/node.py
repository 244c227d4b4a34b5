"""One node: containerd, kubelet and kube-proxy in a network namespace of their own."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path

from dev.cluster import archives, cgroups, configs, mounts, network, pki
from dev.cluster.addresses import Node
from dev.cluster.binaries import program
from dev.cluster.kubectl import kubectl
from dev.cluster.processes import Processes
from dev.host import Failure, run, wait_for

# A socket's path has room for 107 characters, and containerd adds ".ttrpc".
_LONGEST_SOCKET = 100
_PROGRAMS = ("kubelet", "proxy", "containerd")


def folder(state: Path, node: Node) -> Path:
    """Everything that a node keeps."""
    return state / node.name


def exists(state: Path, node: Node) -> bool:
    """Whether the node was ever started and not removed."""
    return folder(state, node).is_dir()


def existing(state: Path) -> list[Node]:
    """Every node that was started and not removed."""
    numbers = sorted(int(p.name[4:]) for p in state.glob("node*") if p.name[4:].isdigit())
    return [Node(number) for number in numbers]


def socket(state: Path, node: Node) -> Path:
    """Where the node's containerd listens.

    Raises:
        Failure: the state folder's path is too long for a socket.
    """
    path = folder(state, node) / "containerd.sock"
    if len(str(path)) > _LONGEST_SOCKET:
        raise Failure(f"{state} is too long a path for sockets: set STREAMMONITOR_STATE.")
    return path


def start_runtime(state: Path, node: Node) -> None:
    """Have the node's network and containerd; this needs no API server yet."""
    path, endpoint = folder(state, node), socket(state, node)
    (path / "cni").mkdir(parents=True, exist_ok=True)
    network.make_node(node, [other for other in network.nodes() if other != node])
    for group in (node.pods_cgroup, node.system_cgroup):
        cgroups.make(group)
    (path / "cni" / "10-pods.conflist").write_text(configs.pod_network(node, path))
    (path / "containerd.toml").write_text(configs.containerd(path))
    processes = Processes(state)
    command = network.inside(node, ["containerd", "--config", path / "containerd.toml"])
    name = f"containerd-{node.name}"
    started = processes.ensure(name, command, group=node.system_cgroup)

    def answers() -> bool:
        if not processes.pid(name):
            raise Failure(f"{name} ended:\n{processes.last_words(name)}")
        return bool(run([*_ctr(endpoint), "version"], check=False))

    wait_for(f"An answer of {name}", answers, timeout=30)
    if started:
        _load_known_images(state, node)


def _ctr(endpoint: Path) -> list[str]:
    return ["ctr", "--address", str(endpoint), "--namespace", "k8s.io"]


def _load_known_images(state: Path, node: Node) -> None:
    pause = state / "pause.tar"
    if not pause.exists():
        archives.write_single_program(program("pause"), configs.PAUSE_IMAGE, pause)
    load(state, node, [pause, *(path for path in loaded(state) if path.exists())])


def loaded(state: Path) -> list[Path]:
    """The archives that every node has, also one that joins later."""
    path = state / "images.json"
    return [Path(name) for name in json.loads(path.read_text())] if path.exists() else []


def remember_loaded(state: Path, paths: Iterable[Path]) -> None:
    """Note archives for nodes that join later."""
    names = list(dict.fromkeys(str(path) for path in (*loaded(state), *paths)))
    (state / "images.json").write_text(json.dumps(names))


def load(state: Path, node: Node, paths: Iterable[Path]) -> None:
    """Import image archives into one node."""
    for path in paths:
        name = archives.image_name(path)
        naming = ["--index-name", name] if name else []
        command = [*_ctr(socket(state, node)), "images", "import", *naming, path]
        run(command, timeout=300)


def start_kubelet(state: Path, node: Node) -> None:
    """Have kubelet and kube-proxy running; the API server must be there."""
    path, processes = folder(state, node), Processes(state)
    authority = pki.Authority(state / "pki")
    certificate, key = authority.issue(pki.kubelet(node))
    kubeconfig = authority.kubeconfig(pki.kubelet(node), path / "kubelet.kubeconfig")
    config = path / "kubelet.yaml"
    config.write_text(configs.kubelet(node, path, authority.certificate, certificate, key))
    kubelet = [
        program("kubelet"),
        f"--config={config}",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={node.name}",
        f"--root-dir={path / 'kubelet'}",
        f"--node-ip={node.address}",
    ]
    command = network.inside(node, kubelet)
    processes.ensure(f"kubelet-{node.name}", command, group=node.system_cgroup)
    config = path / "proxy.yaml"
    config.write_text(
        configs.proxy(node, authority.kubeconfig(pki.PROXY, state / "proxy.kubeconfig"))
    )
    command = network.inside(node, [program("kube-proxy"), f"--config={config}"])
    processes.ensure(f"proxy-{node.name}", command, group=node.system_cgroup)


def wait_ready(state: Path, node: Node, timeout: float = 120) -> None:
    """Wait until Kubernetes says that the node is Ready.

    Raises:
        Failure: it did not; the text ends with the kubelet's log.
    """
    processes = Processes(state)
    name = f"kubelet-{node.name}"

    def ready() -> bool:
        if not processes.pid(name):
            raise Failure(f"{name} ended:\n{processes.last_words(name)}")
        return is_ready(state, node)

    try:
        wait_for(f"Readiness of {node.name}", ready, timeout=timeout, pause=0.3)
    except Failure as failure:
        raise Failure(f"{failure}\n{processes.last_words(name)}") from None


def is_ready(state: Path, node: Node) -> bool:
    """Whether Kubernetes takes the node as Ready."""
    path = "{.status.conditions[?(@.type=='Ready')].status}"
    said = kubectl(state, "get", "node", node.name, f"-o=jsonpath={path}", check=False)
    return said.strip() == "True"


def power_off(state: Path, node: Node) -> None:
    """Stop a node at once, pods included, as if its power failed; its disk stays.

    Kubernetes is not told. Starting it again is a reboot.
    """
    processes = Processes(state)
    for name in _PROGRAMS:  # the kubelet first, or it would restart what is killed next
        processes.stop(f"{name}-{node.name}", force=True)
    cgroups.kill(node.pods_cgroup)
    sockets = _shim_sockets(folder(state, node))
    cgroups.kill(node.system_cgroup)
    for path in sockets:
        path.unlink(missing_ok=True)
    forget_memory(state, node)


def forget_memory(state: Path, node: Node) -> None:
    """Remove what does not survive a reboot: mounts, running containers, pods' addresses."""
    path = folder(state, node)
    mounts.unmount_below(path)
    for name in ("run", "runc", "addresses"):
        shutil.rmtree(path / name, ignore_errors=True)
    network.remove_node(node)
    for group in (node.pods_cgroup, node.system_cgroup):
        cgroups.remove(group)


def _shim_sockets(path: Path) -> list[Path]:
    """Sockets of shims: the one thing that containerd keeps outside its folders."""
    notes = (path / "run").glob("io.containerd.runtime.v2.task/*/*/address")
    return [Path(note.read_text().strip().removeprefix("unix://")) for note in notes]
