"""The cluster, as kubectl shows it to this user."""

import json
import os
import subprocess
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import ValidationError

from streammonitor_api import names
from streammonitor_api.worker_status import WorkerStatus

Object = dict[str, Any]
T = TypeVar("T")
R = TypeVar("R")
KIND = f"{names.PLURAL}.{names.GROUP}"
_AT_ONCE = 16
_SELECTOR = f"{names.LABEL_NAME}=streammonitor-worker"


class KubectlError(Exception):
    """kubectl did not do what was asked; the text is what it said."""


@dataclass(frozen=True)
class Worker:
    """A worker's pod, and what its process says.

    Attributes:
        namespace: Of the pod.
        monitor: Name of its StreamMonitor.
        group: Its worker group.
        name: Of the worker, as of its Deployment.
        pod: Name of the pod.
        node: Where it runs; empty before that.
        status: What its process says; None if it does not answer.
        problem: Why it does not.
    """

    namespace: str
    monitor: str
    group: str
    name: str
    pod: str
    node: str
    status: WorkerStatus | None
    problem: str = ""


@dataclass(frozen=True)
class Cluster:
    """Where to ask.

    Attributes:
        context: Of the kubeconfig; None: the current one.
        namespace: None: the context's.
        everywhere: Ask in all namespaces.
    """

    context: str | None = None
    namespace: str | None = None
    everywhere: bool = False

    def monitors(self, name: str | None = None) -> list[Object]:
        """The StreamMonitors, or the one of a name.

        Raises:
            KubectlError: It is not there, or may not be read.
        """
        if name is not None:
            return [self._get("get", KIND, name, *self._place())]
        found: list[Object] = self._get("get", KIND, *self._places())["items"]
        return found

    def workers(self, monitor: str | None = None) -> list[Worker]:
        """The workers and what they say, asked through the API server, by name.

        Raises:
            KubectlError: Pods may not be listed.
        """
        pods = self._get("get", "pods", "-l", _SELECTOR, *self._places())["items"]
        wanted = [pod for pod in pods if monitor in (None, _monitor_of(pod))]
        alive = [pod for pod in wanted if "deletionTimestamp" not in pod["metadata"]]
        return sorted(side_by_side(self._worker, alive), key=lambda one: (one.monitor, one.name))

    def ask(self, namespace: str, pod: str, path: str) -> str:
        """GET from a worker through the API server.

        Raises:
            KubectlError: It does not answer.
        """
        proxy = f"/api/v1/namespaces/{namespace}/pods/{pod}:{names.WORKER_PORT}/proxy/{path}"
        return self.run("get", "--raw", proxy)

    def patch(self, kind: str, name: str, change: Object, namespace: str | None = None) -> None:
        """Merge a change into an object.

        Raises:
            KubectlError: The API refuses.
        """
        place = ["-n", namespace] if namespace else self._place()
        manager = "--field-manager=kubectl-streammonitor"
        self.run("patch", kind, name, *place, "--type=merge", manager, "-p", json.dumps(change))

    def become(self, *arguments: str) -> None:
        """Go on as kubectl, with these arguments."""
        command = [*self._command(), *arguments, *self._place()]
        os.execvp(command[0], command)  # noqa: S606 - no shell is wanted

    def run(self, *arguments: str) -> str:
        """What kubectl writes.

        Raises:
            KubectlError: It failed, or is not there.
        """
        try:
            done = subprocess.run(
                [*self._command(), *arguments], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            raise KubectlError("kubectl is not on the PATH: install it") from None
        if done.returncode:
            raise KubectlError(done.stderr.strip() or f"kubectl ended with {done.returncode}")
        return done.stdout

    def _worker(self, pod: Object) -> Worker:
        metadata = pod["metadata"]
        status, problem = None, ""
        try:
            answer = self.ask(metadata["namespace"], metadata["name"], "status")
            status = WorkerStatus.model_validate_json(answer)
        except KubectlError as error:
            problem = str(error).splitlines()[-1]
        except ValidationError:
            problem = "its answer cannot be read: another version?"
        return Worker(
            namespace=metadata["namespace"],
            monitor=_monitor_of(pod),
            group=metadata["labels"].get(names.LABEL_GROUP, ""),
            name=metadata["labels"].get(names.LABEL_WORKER, ""),
            pod=metadata["name"],
            node=pod["spec"].get("nodeName", ""),
            status=status,
            problem=problem,
        )

    def _get(self, *arguments: str) -> Object:
        found: Object = json.loads(self.run(*arguments, "-o", "json"))
        return found

    def _command(self) -> list[str]:
        return ["kubectl", *([f"--context={self.context}"] if self.context else [])]

    def _place(self) -> list[str]:
        return ["-n", self.namespace] if self.namespace else []

    def _places(self) -> Sequence[str]:
        return ["--all-namespaces"] if self.everywhere else self._place()


def _monitor_of(pod: Object) -> str:
    metadata = pod["metadata"]
    annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
    return str(annotations.get(names.ANNOTATION_MONITOR) or labels.get(names.LABEL_MONITOR, ""))


def side_by_side(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Do something with each of several at once: every question is a kubectl of its own."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(work, items))
