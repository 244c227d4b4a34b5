"""A control plane on loopback: real etcd and API server, no node, ports and folder of its own.

For benches and tests that need the real API and no real pod. It needs no root, runs beside any
other cluster, and its processes end with the process that started them, however that ends.
"""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dev.cluster import pki
from dev.cluster.binaries import build, program
from dev.host import Failure, wait_for

HOST = "127.0.0.1"
_SERVER = pki.Identity(
    "loopback", "kube-apiserver", alternatives=("DNS:localhost", f"IP:{HOST}", "DNS:kubernetes")
)
_CONTROLLERS = (
    "deployment-controller",
    "replicaset-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "serviceaccount-controller",
)
QPS, BURST = 200, 400
"""How fast the controller manager and the scheduler may write; Kubernetes' own default is 20/s and
50/s, which would be all that a bench measures."""


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


@dataclass
class Loopback:
    """A running control plane.

    Attributes:
        folder: Everything that it owns.
        url: Of the API server.
        kubeconfig: An administrator's.
        processes: What runs, by name.
    """

    folder: Path
    url: str
    kubeconfig: Path
    authority: pki.Authority
    etcd_url: str
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[object]) -> None:
        """Have a program running; it dies with this process."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *map(str, command)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def end(self, name: str, *, patience_s: float = 10) -> None:
        """End a program, politely first."""
        process = self.processes.pop(name)
        process.terminate()
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def last_words(self, name: str, lines: int = 15) -> str:
        """The end of a program's log."""
        text = (self.folder / f"{name}.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def start_api(self) -> None:
        """Start the API server, or start it again on the same port, and wait until it is ready."""
        self.start("kube-apiserver", _api_command(self))
        wait_for(
            "The API server's readiness",
            lambda: self._ready("kube-apiserver"),
            timeout=240,
            evidence=lambda: self.last_words("kube-apiserver"),
        )

    def start_controllers(self) -> None:
        """Start what makes Deployments into pods and collects what lost its owner."""
        accounts = f"--service-account-private-key-file={self.authority.accounts_key}"
        rate = (f"--kube-api-qps={QPS}", f"--kube-api-burst={BURST}")
        common = (f"--kubeconfig={self.kubeconfig}", "--leader-elect=false", *rate)
        self.start(
            "kube-controller-manager",
            [program("kube-controller-manager"), *common, accounts,
             f"--secure-port={free_port()}", f"--bind-address={HOST}",
             f"--controllers={','.join(_CONTROLLERS)}",
             "--concurrent-deployment-syncs=10", "--concurrent-replicaset-syncs=10"],
        )  # fmt: skip
        self.start(
            "kube-scheduler",
            [program("kube-scheduler"), *common,
             f"--secure-port={free_port()}", f"--bind-address={HOST}"],
        )  # fmt: skip

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl as administrator; its standard output."""
        done = subprocess.run(
            [program("kubectl"), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        if done.returncode:
            raise Failure(f"kubectl {' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def _ready(self, name: str) -> bool:
        if self.processes[name].poll() is not None:
            raise Failure(f"{name} ended:\n{self.last_words(name)}")
        try:
            return self.kubectl("get", "--raw", "/readyz").strip() == "ok"
        except Failure:
            return False


@contextmanager
def loopback(*, etcd_bytes: int = 4 * 2**30) -> Iterator[Loopback]:
    """Have etcd and the API server running; nothing of them is left afterwards.

    Args:
        etcd_bytes: the most that etcd stores.

    Raises:
        Failure: a program could not be built or did not start.
    """
    build(["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"])
    folder = Path(tempfile.mkdtemp(prefix="streammonitor-loopback-"))
    url = f"https://{HOST}:{free_port()}"
    authority = pki.Authority(folder / "pki")
    plane = Loopback(folder, url, folder / "kubeconfig", authority, f"http://{HOST}:{free_port()}")
    try:
        authority.prepare()
        authority.kubeconfig(pki.ADMIN, plane.kubeconfig, url)
        plane.start("etcd", _etcd_command(plane, etcd_bytes))
        plane.start_api()
        yield plane
    finally:
        for name in reversed(list(plane.processes)):
            plane.end(name)
        shutil.rmtree(folder, ignore_errors=True)


def _etcd_command(plane: Loopback, most_bytes: int) -> list[object]:
    peer = f"http://{HOST}:{free_port()}"
    return [
        program("etcd"),
        "--unsafe-no-fsync",
        "--log-level=error",
        f"--quota-backend-bytes={most_bytes}",
        f"--data-dir={plane.folder / 'etcd'}",
        f"--listen-client-urls={plane.etcd_url}",
        f"--advertise-client-urls={plane.etcd_url}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
    ]


def _api_command(plane: Loopback) -> list[object]:
    certificate, key = plane.authority.issue(_SERVER)
    return [
        program("kube-apiserver"),
        f"--etcd-servers={plane.etcd_url}",
        f"--bind-address={HOST}",
        f"--secure-port={plane.url.rpartition(':')[2]}",
        "--endpoint-reconciler-type=none",
        f"--client-ca-file={plane.authority.certificate}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--service-account-key-file={plane.authority.accounts_public_key}",
        f"--service-account-signing-key-file={plane.authority.accounts_key}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        "--service-cluster-ip-range=10.254.0.0/16",
        "--authorization-mode=RBAC",
        # Nobody is here who would take off the taint of a new node.
        "--disable-admission-plugins=TaintNodesByCondition",
    ]


def cpu_s(pid: int) -> float:
    """The CPU time that a process has used, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def memory_bytes(pid: int) -> int:
    """The memory that a process has resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0
