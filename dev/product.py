"""Puts the product and the demo origin onto a cluster, as a user would: by Helm and kubectl."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dev import kube
from dev.cluster import binaries
from dev.cluster.addresses import HOST
from dev.host import REPOSITORY, timed

SYSTEM_NAMESPACE = "streammonitor-system"
RELEASE = "streammonitor"
TOOLS = ("kubectl", "helm")
CRDS_RELEASE = "streammonitor-crds"
ORIGIN_PORT = 8080
_ORIGIN_SOURCE = REPOSITORY / "dev/origin/origin.py"
_SERVED = "/served"
_SOURCES = ("--set=worker.sources.denyClusterServices=false",)
"""The origin of the demo and of the tests is a Service of the cluster."""
_SINKS = (f"--set=worker.sinks.allowedHosts={{{HOST}}}",)
"""Whom the tests have told of incidents is on the machine that the local cluster runs on."""


@dataclass(frozen=True)
class Images:
    """References of the images that the cluster can start."""

    operator: str
    worker: str

    @classmethod
    def named(cls) -> "Images | None":
        """Those that OPERATOR_IMAGE and WORKER_IMAGE name, for clusters that pull."""
        operator, worker = os.environ.get("OPERATOR_IMAGE"), os.environ.get("WORKER_IMAGE")
        return cls(operator, worker) if operator and worker else None


def install(access: kube.Access, images: Images) -> None:
    """Install or upgrade the CRDs, then the operator, and wait until it is ready."""
    binaries.build(TOOLS)
    access.apply(kube.namespace(SYSTEM_NAMESPACE))
    with timed("Installing the charts"):
        _release(access, CRDS_RELEASE, REPOSITORY / "charts/streammonitor-crds")
        values = {**_image("operator", images.operator), **_image("worker", images.worker)}
        _release(access, RELEASE, REPOSITORY / "charts/streammonitor", values, *_SOURCES, *_SINKS)


def _release(
    access: kube.Access, name: str, chart: Path, values: dict[str, str] | None = None, *more: str
) -> None:
    settings = [f"--set-string={key}={value}" for key, value in (values or {}).items()]
    access.helm(
        "upgrade", "--install", name, chart, "--namespace", SYSTEM_NAMESPACE,
        "--wait", "--timeout", "3m", *settings, *more,
    )  # fmt: skip


def _image(component: str, reference: str) -> dict[str, str]:
    repository, _, tag = reference.rpartition(":")
    return {f"{component}.image.repository": repository, f"{component}.image.tag": tag}


def uninstall(access: kube.Access) -> None:
    """Remove every StreamMonitor, the operator, and the CRD."""
    binaries.build(TOOLS)
    access.kubectl("delete", "smon", "--all", "--all-namespaces", check=False, timeout=120)
    for release in (RELEASE, CRDS_RELEASE):
        access.helm("uninstall", release, "-n", SYSTEM_NAMESPACE, "--ignore-not-found", "--wait")
    access.delete("crd", "streammonitors.streammonitor.io")
    access.delete("namespace", SYSTEM_NAMESPACE)


def origin(access: kube.Access, namespace: str, image: str, *arguments: str) -> None:
    """Run the demo origin; its address is http://origin.NAMESPACE.svc:8080."""
    program = [f"{_SERVED}/{_ORIGIN_SOURCE.name}", "--port", str(ORIGIN_PORT), *arguments]
    serve(access, namespace, image, "origin", files=[_ORIGIN_SOURCE], arguments=program)


def serve(
    access: kube.Access,
    namespace: str,
    image: str,
    name: str,
    *,
    files: Sequence[Path],
    arguments: Sequence[str] = ("-m", "http.server", str(ORIGIN_PORT), "-d", _SERVED),
) -> None:
    """Run Python from the worker's image on files of ours, behind a Service; wait until it serves.

    Args:
        access: The cluster.
        namespace: Where; made if need be, Pod Security `restricted` enforced.
        image: The worker's image, which has Python and PyAV.
        name: Name of ConfigMap, Pod and Service.
        files: What is mounted at /served, 1 MiB together at most.
        arguments: What Python runs; by default a static HTTP server of the files.
    """
    access.apply(kube.namespace(namespace))
    sources = [f"--from-file={file}" for file in files]
    configmap = access.kubectl(
        "create", "configmap", name, "-n", namespace, *sources, "--dry-run=client", "-o", "json"
    )
    # A running pod keeps its image and arguments, so another one replaces it.
    access.delete("pod", name, namespace)
    access.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=configmap)
    access.apply(_pod(namespace, name, image, arguments), _service(namespace, name))
    with timed(f"Waiting for pod {name}"):
        access.kubectl(
            "wait", f"pod/{name}", "-n", namespace, "--for=condition=Ready", "--timeout=90s",
            timeout=100,
        )  # fmt: skip


def _pod(namespace: str, name: str, image: str, arguments: Sequence[str]) -> kube.Object:
    container = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/opt/streammonitor/bin/python", *arguments],
        "readinessProbe": {"tcpSocket": {"port": ORIGIN_PORT}, "periodSeconds": 1},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "served", "mountPath": _SERVED}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 2,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "served", "configMap": {"name": name}}],
        },
    }


def _service(namespace: str, name: str) -> kube.Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"port": ORIGIN_PORT}]},
    }
