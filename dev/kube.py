"""kubectl and helm against one cluster that was named: the local one, or the user's context."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dev.cluster import binaries
from dev.cluster.kubectl import kubeconfig_path
from dev.host import Failure, run, state_folder

T = TypeVar("T")
Object = dict[str, Any]


@dataclass(frozen=True)
class Access:
    """A cluster, by kubeconfig or by the name of a context of the user's own.

    Attributes:
        kubeconfig: The file to use; None for the user's default.
        context: The context in it; None for the file's current one.
    """

    kubeconfig: Path | None = None
    context: str | None = None

    def kubectl(
        self,
        *arguments: str | Path,
        stdin: str | None = None,
        check: bool = True,
        timeout: float = 60,
    ) -> str:
        """Run kubectl; return what it printed.

        Raises:
            Failure: it failed and `check` is set.
        """
        command = [binaries.program("kubectl"), *self._flags("--context"), *arguments]
        return run(command, stdin=stdin, check=check, timeout=timeout)

    def helm(self, *arguments: str | Path, timeout: float = 300) -> str:
        """Run helm; return what it printed."""
        command = [binaries.program("helm"), *self._flags("--kube-context"), *arguments]
        return run(command, timeout=timeout)

    def _flags(self, context_flag: str) -> list[str]:
        flags = [f"--kubeconfig={self.kubeconfig}"] if self.kubeconfig else []
        return flags + ([f"{context_flag}={self.context}"] if self.context else [])

    def get(self, *arguments: str) -> Object:
        """`kubectl get … -o json`, decoded."""
        found: Object = json.loads(self.kubectl("get", *arguments, "-o", "json"))
        return found

    def items(self, *arguments: str) -> list[Object]:
        """The items of a list."""
        found: list[Object] = self.get(*arguments)["items"]
        return found

    def apply(self, *objects: Mapping[str, Any]) -> None:
        """Apply objects."""
        content = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.kubectl("apply", "-f", "-", stdin=content)

    def delete(self, kind: str, name: str, namespace: str | None = None, *flags: str) -> None:
        """Delete an object if it is there."""
        where = ["-n", namespace] if namespace else []
        self.kubectl("delete", kind, name, *where, "--ignore-not-found", *flags, timeout=180)

    def proxy(self, namespace: str, pod: str, port: int, path: str) -> str:
        """GET from a pod through the apiserver: works on every cluster."""
        return self.kubectl(
            "get", "--raw", f"/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy/{path}"
        )


def local() -> Access:
    """The local cluster of `make cluster-up`."""
    return Access(kubeconfig=kubeconfig_path(state_folder()))


def eventually(
    what: str, probe: Callable[[], T | None], *, timeout_s: float, pause_s: float = 0.5
) -> T:
    """Ask until the answer is neither None nor False; failures of the asking count as no.

    Raises:
        Failure: no such answer came in time; the text carries the last failure.
    """
    deadline = time.monotonic() + timeout_s
    last: Failure | None = None
    while True:
        try:
            answer = probe()
        except Failure as failure:
            answer, last = None, failure
        if answer is not None and answer is not False:
            return answer
        if time.monotonic() > deadline:
            raise Failure(f"{what}: not within {timeout_s:g} s" + (f": {last}" if last else ""))
        time.sleep(pause_s)


def namespace(name: str, *, pod_security: str = "restricted") -> Object:
    """A Namespace that enforces a Pod Security level."""
    label = "pod-security.kubernetes.io/enforce"
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {label: pod_security}},
    }


def conditions(resource: Mapping[str, Any]) -> dict[str, Object]:
    """A resource's conditions by type."""
    found: Sequence[Object] = resource.get("status", {}).get("conditions", [])
    return {condition["type"]: condition for condition in found}
