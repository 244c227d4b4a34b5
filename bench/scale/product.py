"""The operator as a process of its own, and what it takes."""

import os
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from dev.cluster.loopback import Loopback, cpu_s, free_port, memory_bytes
from dev.host import REPOSITORY, Failure, wait_for

# The port of workers is fixed, and may be taken on this machine.
_LAUNCH = """
import sys
from streammonitor_api import names
names.WORKER_PORT = int(sys.argv[1])
from streammonitor_operator.__main__ import main
main()
"""


def _text(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


@dataclass(frozen=True)
class Operator:
    """One running operator."""

    plane: Loopback
    name: str
    port: int

    @property
    def pid(self) -> int:
        """Its process."""
        return self.plane.processes[self.name].pid

    @property
    def cpu_s(self) -> float:
        """The CPU time that it has used, in seconds."""
        return cpu_s(self.pid)

    @property
    def memory_mib(self) -> float:
        """What it has resident, in MiB."""
        return memory_bytes(self.pid) / 2**20

    def metrics(self) -> dict[tuple[str, str], float]:
        """Its counters, by name and labels as text."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as answer:
            text = answer.read().decode()
        return {
            (sample.name, _text(sample.labels)): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def value(self, name: str) -> float:
        """One metric, over all its labels."""
        return sum(value for (one, _), value in self.metrics().items() if one == name)

    def writes(self) -> float:
        """How often it changed something by the API, renewals of its Lease left out.

        An Event that exists is created again by an operator that has just started: no change.
        """
        return sum(
            value
            for (name, labels), value in self.metrics().items()
            if name == "streammonitor_operator_api_requests_total"
            and "method=GET" not in labels
            and "resource=leases" not in labels
            and "code=409" not in labels
        )

    def leads(self) -> bool:
        """Whether it holds the Lease and has listed everything."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5):
                return self.value("streammonitor_operator_leader") == 1
        except OSError:
            return False


def start_operator(
    plane: Loopback,
    worker_port: int,
    *,
    name: str = "operator",
    kubeconfig: Path | None = None,
    extra: Mapping[str, str] | None = None,
    prelude: str = "",
    wait: bool = True,
) -> Operator:
    """Have an operator running, and leading unless told not to wait for that.

    Args:
        plane: The control plane.
        worker_port: Where workers answer.
        name: Of the process and of the Lease's holder.
        kubeconfig: Default: the administrator's.
        extra: Further environment variables.
        prelude: Python to run first.
        wait: Whether to wait.
    """
    operator = Operator(plane, name, free_port())
    settings = {
        "KUBECONFIG": str(kubeconfig or plane.kubeconfig),
        "WORKER_IMAGE": "registry.example/streammonitor/worker:1",
        "HTTP_PORT": str(operator.port),
        "POD_NAME": name,
        # A machine that is busy with something else must not end a measurement.
        "LEASE_DURATION": "120s",
        "LEASE_RENEW_DEADLINE": "90s",
        "PYTHONPATH": os.pathsep.join(
            str(REPOSITORY / part) for part in ("crds", "operator", "worker", ".")
        ),
        **(extra or {}),
    }
    assigned = [f"{key}={value}" for key, value in settings.items()]
    plane.start(name, ["env", *assigned, sys.executable, "-c", prelude + _LAUNCH, worker_port])

    def leads() -> bool:
        if plane.processes[name].poll() is not None:
            raise Failure(f"{name} ended:\n{plane.last_words(name)}")
        return operator.leads()

    if wait:
        wait_for("Leading", leads, timeout=60, evidence=lambda: plane.last_words(name))
    return operator
