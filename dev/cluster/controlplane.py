"""etcd, API server, controller manager and scheduler: processes of the host."""

import ssl
import urllib.request
from pathlib import Path

from dev.cluster import cgroups, pki
from dev.cluster.addresses import (
    API_PORT,
    API_URL,
    CONTROL_CGROUP,
    CONTROLLERS_PORT,
    ETCD_CLIENT_PORT,
    ETCD_PEER_PORT,
    HOST,
    SCHEDULER_PORT,
    SERVICES,
)
from dev.cluster.binaries import program
from dev.cluster.processes import Processes
from dev.host import Failure, wait_for, write

_ETCD_CLIENT = f"http://127.0.0.1:{ETCD_CLIENT_PORT}"
_ETCD_PEER = f"http://127.0.0.1:{ETCD_PEER_PORT}"
_AUDIT_POLICY = """apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
"""


def start(state: Path, *, audit: bool = False) -> bool:
    """Have etcd and the API server running; return whether one had to be started."""
    processes = Processes(state)
    cgroups.make(CONTROL_CGROUP)
    started = processes.ensure("etcd", etcd_command(state), group=CONTROL_CGROUP)
    return processes.ensure("apiserver", api_command(state, audit), group=CONTROL_CGROUP) or started


def start_controllers(state: Path) -> None:
    """Have the controller manager and the scheduler running; they need a ready API server."""
    processes = Processes(state)
    processes.ensure("controllers", controllers_command(state), group=CONTROL_CGROUP)
    processes.ensure("scheduler", scheduler_command(state), group=CONTROL_CGROUP)


def wait_ready(state: Path, timeout: float = 90) -> None:
    """Wait until the API server says that it is ready.

    Raises:
        Failure: it ended or did not become ready; the text ends with its log.
    """
    processes = Processes(state)
    context = _client_context(state)

    def ready() -> bool:
        for name in ("etcd", "apiserver"):
            if not processes.pid(name):
                raise Failure(f"{name} ended:\n{processes.last_words(name)}")
        return is_ready(context)

    wait_for(
        "The API server's readiness",
        ready,
        timeout=timeout,
        evidence=lambda: processes.last_words("apiserver"),
    )


def is_ready(context: ssl.SSLContext) -> bool:
    """Ask /readyz."""
    try:
        with urllib.request.urlopen(f"{API_URL}/readyz", timeout=5, context=context) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except OSError:
        return False


def answers(state: Path) -> bool:
    """Whether the cluster of this state folder has a ready API server."""
    try:
        return is_ready(_client_context(state))
    except OSError:  # no certificates yet
        return False


def _client_context(state: Path) -> ssl.SSLContext:
    folder = state / "pki"
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "admin.crt", folder / "admin.key")
    return context


def etcd_command(state: Path) -> list[str]:
    """Etcd on loopback, without the promise to survive a power cut, which is most of its cost."""
    return [
        str(program("etcd")),
        "--unsafe-no-fsync",
        "--log-level=warn",
        f"--data-dir={state / 'etcd'}",
        f"--listen-client-urls={_ETCD_CLIENT}",
        f"--advertise-client-urls={_ETCD_CLIENT}",
        f"--listen-peer-urls={_ETCD_PEER}",
        f"--initial-advertise-peer-urls={_ETCD_PEER}",
        f"--initial-cluster=default={_ETCD_PEER}",
    ]


def api_command(state: Path, audit: bool) -> list[str]:
    """The API server, on the bridge only."""
    authority = pki.Authority(state / "pki")
    certificate, key = authority.issue(pki.API_SERVER)
    client_certificate, client_key = authority.issue(pki.KUBELET_CLIENT)
    return [
        str(program("kube-apiserver")),
        f"--etcd-servers={_ETCD_CLIENT}",
        f"--bind-address={HOST}",
        f"--advertise-address={HOST}",
        f"--secure-port={API_PORT}",
        f"--client-ca-file={authority.certificate}",
        f"--tls-cert-file={certificate}",
        f"--tls-private-key-file={key}",
        f"--service-account-key-file={authority.accounts_public_key}",
        f"--service-account-signing-key-file={authority.accounts_key}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-cluster-ip-range={SERVICES}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        # Names of nodes resolve nowhere, and the machine's /etc/hosts is not ours to edit.
        "--kubelet-preferred-address-types=InternalIP",
        f"--kubelet-certificate-authority={authority.certificate}",
        f"--kubelet-client-certificate={client_certificate}",
        f"--kubelet-client-key={client_key}",
        *(_audit_flags(state) if audit else []),
    ]


def _audit_flags(state: Path) -> list[str]:
    policy = state / "audit-policy.yaml"
    write(policy, _AUDIT_POLICY)
    log = state / "log" / "audit.log"
    return [f"--audit-policy-file={policy}", f"--audit-log-path={log}", "--audit-log-maxsize=100"]


def controllers_command(state: Path) -> list[str]:
    """The controller manager; the default rate of 20/s would be the bottleneck of scale tests."""
    authority = pki.Authority(state / "pki")
    kubeconfig = authority.kubeconfig(pki.CONTROLLERS, state / "controllers.kubeconfig")
    return [
        str(program("kube-controller-manager")),
        f"--kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={CONTROLLERS_PORT}",
        f"--service-account-private-key-file={authority.accounts_key}",
        f"--root-ca-file={authority.certificate}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--kube-api-qps=50",
        "--kube-api-burst=100",
    ]


def scheduler_command(state: Path) -> list[str]:
    """The scheduler."""
    authority = pki.Authority(state / "pki")
    kubeconfig = authority.kubeconfig(pki.SCHEDULER, state / "scheduler.kubeconfig")
    return [
        str(program("kube-scheduler")),
        f"--kubeconfig={kubeconfig}",
        "--bind-address=127.0.0.1",
        f"--secure-port={SCHEDULER_PORT}",
        "--leader-elect=false",
    ]
