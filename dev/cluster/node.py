"""One node: containerd, kubelet and kube-proxy in a network namespace of their own."""

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from dev.cluster import archives, cgroups, configs, mounts, network, pki
from dev.cluster.addresses import Node
from dev.cluster.binaries import program
from dev.cluster.kubectl import kubectl
from dev.cluster.processes import Processes
from dev.host import Failure, answers_ok, run, wait_for, write

# A socket's path has room for 107 characters, and containerd adds ".ttrpc".
_LONGEST_SOCKET = 100
_PROXY_PORT = 10256
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
    write(path / "cni" / "10-pods.conflist", configs.pod_network(node, path))
    settings = configs.containerd(path)
    write(path / "containerd.toml", settings)
    processes = Processes(state)
    command = network.inside(node, ["containerd", "--config", path / "containerd.toml"])
    name = f"containerd-{node.name}"
    started = processes.ensure(name, command, group=node.system_cgroup, settings=settings)

    def answers() -> bool:
        if not processes.pid(name):
            raise Failure(f"{name} ended:\n{processes.last_words(name)}")
        return "Server:" in run([*_ctr(endpoint), "version"], check=False)

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
    write(state / "images.json", json.dumps(names))


def load(state: Path, node: Node, paths: Iterable[Path]) -> None:
    """Import image archives into one node."""
    for path in paths:
        archives.require_named(path)
        run([*_ctr(socket(state, node)), "images", "import", path], timeout=300)


def start_kubelet(state: Path, node: Node) -> None:
    """Have the kubelet running; the API server must be there."""
    path = folder(state, node)
    authority = pki.Authority(state / "pki")
    certificate, key = authority.issue(pki.kubelet(node))
    kubeconfig = authority.kubeconfig(pki.kubelet(node), path / "kubelet.kubeconfig")
    config = path / "kubelet.yaml"
    settings = configs.kubelet(node, path, authority.certificate, certificate, key)
    write(config, settings)
    kubelet = [
        program("kubelet"),
        f"--config={config}",
        f"--kubeconfig={kubeconfig}",
        f"--hostname-override={node.name}",
        f"--root-dir={path / 'kubelet'}",
        f"--node-ip={node.address}",
    ]
    Processes(state).ensure(
        f"kubelet-{node.name}",
        network.inside(node, kubelet),
        group=node.system_cgroup,
        settings=settings,
    )


def start_proxy(state: Path, node: Node) -> None:
    """Have kube-proxy running, which carries Service addresses to pods."""
    kubeconfig = pki.Authority(state / "pki").kubeconfig(pki.PROXY, state / "proxy.kubeconfig")
    config = folder(state, node) / "proxy.yaml"
    settings = configs.proxy(node, kubeconfig)
    write(config, settings)
    Processes(state).ensure(
        f"proxy-{node.name}",
        network.inside(node, [program("kube-proxy"), f"--config={config}"]),
        group=node.system_cgroup,
        settings=settings,
    )


def wait_ready(state: Path, node: Node, timeout: float = 120) -> None:
    """Wait until Kubernetes says that the node is Ready, and Services work there.

    Raises:
        Failure: it did not; the text ends with a log.
    """
    processes = Processes(state)

    def ready(program_name: str, answer: Callable[[], bool]) -> bool:
        if not processes.pid(program_name):
            raise Failure(f"{program_name} ended:\n{processes.last_words(program_name)}")
        return answer()

    kubelet, proxy = f"kubelet-{node.name}", f"proxy-{node.name}"
    wait_for(
        f"Readiness of {node.name}",
        lambda: ready(kubelet, lambda: is_ready(state, node)),
        timeout=timeout,
        pause=0.3,
        evidence=lambda: processes.last_words(kubelet),
    )
    wait_for(
        f"Readiness of kube-proxy on {node.name}",
        lambda: ready(proxy, lambda: answers_ok(f"http://{node.address}:{_PROXY_PORT}/livez")),
        timeout=30,
        evidence=lambda: processes.last_words(proxy),
    )


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
