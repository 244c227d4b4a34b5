"""Puts the product and the demo origin onto a cluster, as a user would: by Helm and kubectl."""

import os
from dataclasses import dataclass
from pathlib import Path

from dev import kube
from dev.host import REPOSITORY, timed

SYSTEM_NAMESPACE = "streammonitor-system"
RELEASE = "streammonitor"
CRDS_RELEASE = "streammonitor-crds"
ORIGIN_PORT = 8080
_ORIGIN_SOURCE = REPOSITORY / "dev/origin/origin.py"


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
    access.apply(kube.namespace(SYSTEM_NAMESPACE))
    with timed("Installing the charts"):
        _release(access, CRDS_RELEASE, REPOSITORY / "charts/streammonitor-crds")
        values = {**_image("operator", images.operator), **_image("worker", images.worker)}
        _release(access, RELEASE, REPOSITORY / "charts/streammonitor", values)


def _release(
    access: kube.Access, name: str, chart: Path, values: dict[str, str] | None = None
) -> None:
    settings = [f"--set-string={key}={value}" for key, value in (values or {}).items()]
    access.helm(
        "upgrade", "--install", name, chart, "--namespace", SYSTEM_NAMESPACE,
        "--wait", "--timeout", "3m", *settings,
    )  # fmt: skip


def _image(component: str, reference: str) -> dict[str, str]:
    repository, _, tag = reference.rpartition(":")
    return {f"{component}.image.repository": repository, f"{component}.image.tag": tag}


def uninstall(access: kube.Access) -> None:
    """Remove every StreamMonitor, the operator, and the CRD."""
    access.kubectl("delete", "smon", "--all", "--all-namespaces", check=False, timeout=120)
    for release in (RELEASE, CRDS_RELEASE):
        access.helm("uninstall", release, "-n", SYSTEM_NAMESPACE, "--ignore-not-found", "--wait")
    access.delete("crd", "streammonitors.streammonitor.io")
    access.delete("namespace", SYSTEM_NAMESPACE)


def origin(access: kube.Access, namespace: str, image: str, *arguments: str) -> None:
    """Run the demo origin: its one file, mounted into a pod of the worker's image."""
    access.apply(kube.namespace(namespace))
    access.kubectl(
        "create", "configmap", "origin", "-n", namespace, f"--from-file={_ORIGIN_SOURCE}",
        check=False,
    )  # fmt: skip
    labels = {"app": "origin"}
    access.apply(_origin_pod(namespace, image, arguments), _origin_service(namespace, labels))
    with timed("Waiting for the origin"):
        access.kubectl(
            "wait", "pod/origin", "-n", namespace, "--for=condition=Ready", "--timeout=90s",
            timeout=100,
        )  # fmt: skip


def _origin_pod(namespace: str, image: str, arguments: tuple[str, ...]) -> kube.Object:
    container = {
        "name": "origin",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/opt/streammonitor/bin/python", "/origin/origin.py"],
        "args": ["--port", str(ORIGIN_PORT), *arguments],
        "readinessProbe": {
            "httpGet": {"path": "/healthz", "port": ORIGIN_PORT},
            "periodSeconds": 1,
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": "origin", "mountPath": "/origin"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "origin", "namespace": namespace, "labels": {"app": "origin"}},
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 2,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"name": "origin", "configMap": {"name": "origin"}}],
        },
    }


def _origin_service(namespace: str, labels: dict[str, str]) -> kube.Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "origin", "namespace": namespace},
        "spec": {"selector": labels, "ports": [{"port": ORIGIN_PORT}]},
    }
