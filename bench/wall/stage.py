"""A wall to look at: a real API server, the operator with the chart's rights, pods on paper."""

import json
import sys
import urllib.request
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bench.scale.product import Operator, start_operator
from dev.cluster import binaries
from dev.cluster.loopback import Loopback, free_port, loopback
from dev.host import REPOSITORY, Failure, run, wait_for

SYSTEM = "streammonitor-system"
RELEASE = "release"
_CRD = REPOSITORY / "crds" / "streammonitors.yaml"
_CHART = REPOSITORY / "charts" / "streammonitor"
Object = dict[str, Any]


@dataclass(frozen=True)
class Stage:
    """What runs.

    Attributes:
        plane: The control plane.
        operator: Leads, and serves the wall.
        url: Of the wall.
        worker_port: Where workers answer.
    """

    plane: Loopback
    operator: Operator
    url: str
    worker_port: int

    def token(self, namespace: str, name: str) -> str:
        """A token of a service account."""
        return self.plane.kubectl("create", "token", name, "-n", namespace).strip()

    def deployments(self) -> list[Object]:
        """What the operator has made."""
        text = self.plane.kubectl("get", "deployments", "-A", "-o", "json")
        items: list[Object] = json.loads(text)["items"]
        return items

    def run_pods(self, addresses: Iterator[str], namespaces: Collection[str]) -> None:
        """Have a pod on paper for each Deployment, with an address of this machine."""
        made = self.deployments()
        items = [_pod(one) for one in made if one["metadata"]["namespace"] in namespaces]
        _create(self.plane, items)
        for one, address in zip(items, addresses, strict=False):
            status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
            where = one["metadata"]
            self.plane.kubectl(
                "patch", "pod", where["name"], "-n", where["namespace"], "--subresource=status",
                "--type=merge", "-p", json.dumps({"status": status}),
            )  # fmt: skip


@contextmanager
def stage(
    monitors: Sequence[Object], namespaces: Sequence[str], extra: Mapping[str, str] | None = None
) -> Iterator[Stage]:
    """Have the operator lead and know these StreamMonitors; nothing of it is left afterwards.

    Args:
        monitors: What to create.
        namespaces: Which there are.
        extra: Further environment variables of the operator.
    """
    binaries.build(["helm"])
    with loopback() as plane:
        plane.kubectl("apply", "--server-side", "-f", str(_CRD))
        for name in (SYSTEM, *namespaces):
            plane.kubectl("create", "namespace", name)
            plane.kubectl("create", "serviceaccount", "default", "-n", name)
        _install_rights(plane)
        _create(plane, [_operator_pod()])
        wait_for("The StreamMonitors' storage", lambda: _listable(plane), timeout=60)
        port, worker_port = free_port(), free_port()
        settings = {"WALL_PORT": str(port), "POD_NAMESPACE": SYSTEM, **(extra or {})}
        kubeconfig = plane.folder / "operator.kubeconfig"
        token = plane.kubectl("create", "token", f"{RELEASE}-operator", "-n", SYSTEM).strip()
        kubeconfig.write_text(_with_token(plane, token))
        _create(plane, monitors)
        operator = start_operator(plane, worker_port, kubeconfig=kubeconfig, extra=settings)
        one = Stage(plane, operator, f"http://localhost:{port}", worker_port)
        wait_for("The wall", lambda: _answers(port), timeout=60)
        wait_for("Deployments", lambda: len(one.deployments()) >= len(monitors), timeout=120)
        yield one


def start_simulation(shown: Stage) -> None:
    """Have simulated workers answer."""
    settings = [f"KUBECONFIG={shown.plane.kubeconfig}", f"PYTHONPATH={':'.join(sys.path)}"]
    command = [sys.executable, "-m", "bench.wall.workers", shown.worker_port]
    shown.plane.start("workers", ["env", *settings, *command])


def allow(plane: Loopback, namespace: str, name: str, *, everywhere: bool = False) -> None:
    """Have a service account that may get StreamMonitors, in its namespace or in all."""
    plane.kubectl("create", "serviceaccount", name, "-n", namespace)
    kind = "clusterrole" if everywhere else "role"
    plane.kubectl(
        "create", kind, name, "--verb=get", "--resource=streammonitors.streammonitor.io",
        *(() if everywhere else ("-n", namespace)),
    )  # fmt: skip
    plane.kubectl(
        "create", f"{kind}binding", name, f"--{kind}={name}",
        f"--serviceaccount={namespace}:{name}", *(() if everywhere else ("-n", namespace)),
    )  # fmt: skip


def _install_rights(plane: Loopback) -> None:
    """What `helm install` gives the operator."""
    only = [f"--show-only=templates/{name}.yaml" for name in ("rbac", "serviceaccount")]
    text = run([binaries.program("helm"), "template", RELEASE, _CHART, "-n", SYSTEM, *only])
    plane.kubectl("apply", "-f", "-", stdin=text)


def _create(plane: Loopback, items: Sequence[Object]) -> None:
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(items)})
    plane.kubectl("create", "-f", "-", stdin=text)


def _operator_pod() -> Object:
    spec = {"containers": [{"name": "operator", "image": "registry.example/operator:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "operator",
            "namespace": SYSTEM}, "spec": spec}  # fmt: skip


def _pod(deployment: Object) -> Object:
    """What a Deployment would have made."""
    where, template = deployment["metadata"], deployment["spec"]["template"]
    metadata = {
        **template["metadata"],
        "name": f"{where['name']}-0",
        "namespace": where["namespace"],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


def _with_token(plane: Loopback, token: str) -> str:
    document = json.loads(plane.kubeconfig.read_text())
    document["users"][0]["user"] = {"token": token}
    return json.dumps(document)


def _listable(plane: Loopback) -> bool:
    try:
        plane.kubectl("get", "streammonitors", "--all-namespaces")
    except Failure:
        return False
    return True


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://localhost:{port}/healthz", timeout=5):
            return True
    except OSError:
        return False
