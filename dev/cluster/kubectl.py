"""kubectl, always with the kubeconfig of the cluster in hand."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dev.cluster.binaries import program
from dev.host import run


def kubeconfig_path(state: Path) -> Path:
    """The administrator's kubeconfig."""
    return state / "kubeconfig"


def kubectl(
    state: Path, *arguments: str, stdin: str | None = None, check: bool = True, timeout: float = 60
) -> str:
    """Run kubectl and return what it printed."""
    command = [program("kubectl"), f"--kubeconfig={kubeconfig_path(state)}", *arguments]
    # Its discovery cache belongs to the cluster, and should go with it.
    home = {"KUBECACHEDIR": str(state / "kubectl-cache")}
    return run(command, stdin=stdin, check=check, timeout=timeout, environment=home)


def apply(state: Path, objects: Sequence[Mapping[str, Any]]) -> None:
    """Apply objects on the server's side, so that doing it again changes nothing."""
    content = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
    options = ["--server-side", "--force-conflicts", "--field-manager=streammonitor-dev"]
    kubectl(state, "apply", *options, "-f", "-", stdin=content)
