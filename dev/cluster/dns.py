"""Cluster DNS: CoreDNS as a process of the host behind the usual Service.

Not a pod: names then resolve whatever a test does to the nodes, and no image has to be made.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dev.cluster import pki
from dev.cluster.addresses import (
    CONTROL_CGROUP,
    DNS_HEALTH_PORT,
    DNS_PORT,
    DNS_READY_PORT,
    DNS_SERVICE,
    HOST,
)
from dev.cluster.binaries import program
from dev.cluster.kubectl import apply
from dev.cluster.processes import Processes
from dev.host import write

_RESOLVERS = Path("/etc/resolv.conf")


def start(state: Path) -> None:
    """Have CoreDNS running behind its Service."""
    apply(state, manifests())
    pki.Authority(state / "pki").kubeconfig(pki.DNS, state / "dns.kubeconfig")
    path = state / "Corefile"
    settings = corefile(state / "dns.kubeconfig", _has_resolver(_RESOLVERS))
    write(path, settings)
    command = [program("coredns"), "-conf", path]
    Processes(state).ensure("coredns", command, group=CONTROL_CGROUP, settings=settings)


def _has_resolver(path: Path) -> bool:
    return path.exists() and any(
        line.startswith("nameserver") for line in path.read_text().splitlines()
    )


def ready_url() -> str:
    """Where CoreDNS says whether it serves."""
    return f"http://127.0.0.1:{DNS_READY_PORT}/ready"


def corefile(kubeconfig: Path, forward: bool) -> str:
    """The configuration of CoreDNS; names from outside go to the machine's resolvers."""
    # CoreDNS refuses to start if it is told to forward and there is nowhere to forward to.
    upstream = f"    forward . {_RESOLVERS}\n" if forward else ""
    return (
        f".:{DNS_PORT} {{\n"
        f"    bind {HOST}\n"
        "    errors\n"
        f"    health 127.0.0.1:{DNS_HEALTH_PORT}\n"
        f"    ready 127.0.0.1:{DNS_READY_PORT}\n"
        "    kubernetes cluster.local in-addr.arpa ip6.arpa {\n"
        f"        kubeconfig {kubeconfig} {pki.CONTEXT}\n"
        "        pods insecure\n"
        "        fallthrough in-addr.arpa ip6.arpa\n"
        "        ttl 5\n"
        "    }\n"
        f"{upstream}"
        # Names come and go within one test; denials in particular must not linger.
        "    cache 5\n"
        "}\n"
    )


def manifests() -> list[Mapping[str, Any]]:
    """The Service without a selector, its endpoint on the host, and what CoreDNS may read."""
    metadata = {"name": "kube-dns", "namespace": "kube-system"}
    ports = [{"name": f"dns-{p.lower()}", "protocol": p} for p in ("UDP", "TCP")]
    service = {"clusterIP": str(DNS_SERVICE), "ports": [{**p, "port": 53} for p in ports]}
    rule = {
        "apiGroups": ["", "discovery.k8s.io"],
        "resources": ["endpointslices", "namespaces", "pods", "services"],
        "verbs": ["list", "watch"],
    }
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": pki.DNS.user}
    user = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": pki.DNS.user}
    return [
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": pki.DNS.user},
            "rules": [rule],
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": pki.DNS.user},
            "roleRef": role,
            "subjects": [user],
        },
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": service},
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "labels": {"kubernetes.io/service-name": "kube-dns"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [str(HOST)], "conditions": {"ready": True}}],
            "ports": [{**p, "port": DNS_PORT} for p in ports],
        },
    ]
