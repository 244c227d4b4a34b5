"""A real worker process, its assignment, and what it says of itself."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from dev.media.servers import free_port
from streammonitor_api.assignment import Assignment
from streammonitor_api.incident import Incident
from streammonitor_api.names import ASSIGNMENT_KEY
from streammonitor_api.worker_status import StreamStatus, WorkerStatus

T = TypeVar("T")


def eventually(what: str, probe: Callable[[], T | None], timeout_s: float = 60.0) -> T:
    """Return the first true answer of `probe`; fail when the deadline passes."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        answer = probe()
        if answer:
            return answer
        time.sleep(0.02)
    raise AssertionError(f"{what}: not within {timeout_s} s")


class WorkerRig:
    """One worker process in folders of its own. A context manager: it leaves no process behind."""

    def __init__(
        self,
        folder: Path,
        grace_s: float = 3.0,
        program: Sequence[str] = (),
        name: str = "w-1",
        port: int = 0,
    ) -> None:
        self.folder = folder
        self._name = name
        self._program = [*(program or ("streammonitor_worker",)), "worker"]
        self.port = port or free_port()
        self._grace_s = grace_s
        self._epoch = 0
        self._process: subprocess.Popen[str] | None = None
        self.output = ""
        for part in ("assignment", "models", "secrets", "state"):
            (folder / part).mkdir(exist_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def assign(self, streams: dict[str, str | dict[str, Any]], **more: Any) -> int:
        """Write an assignment as a kubelet does, by a rename; returns its epoch."""
        self._epoch += 1
        listed = [
            {"name": name, **(stream if isinstance(stream, dict) else {"url": stream})}
            for name, stream in streams.items()
        ]
        document = {"epoch": self._epoch, "monitorUid": "uid", "streams": listed}
        assignment = Assignment.model_validate({**document, "detectors": {"black": {}}, **more})
        self.mount(json.dumps(assignment.to_json_object()))
        return self._epoch

    def mount(self, assignment: str) -> None:
        """Write the text of an assignment as a kubelet does."""
        fresh = self.folder / "assignment" / "..new"
        fresh.write_text(assignment)
        fresh.rename(self.folder / "assignment" / ASSIGNMENT_KEY)

    def start(self) -> Self:
        """Start the process and wait until it carries out its assignment."""
        env = {
            **os.environ,
            "STREAMMONITOR_WORKER": self._name,
            "STREAMMONITOR_PORT": str(self.port),
            "STREAMMONITOR_ALLOWED_NETWORKS": "127.0.0.0/8",
            "STREAMMONITOR_SINK_ALLOWED_HOSTS": "127.0.0.1",
            "STREAMMONITOR_SINK_ALLOWED_NETWORKS": "127.0.0.0/8",
            "STREAMMONITOR_GRACE_S": str(self._grace_s),
            "STREAMMONITOR_ASSIGNMENT_FOLDER": str(self.folder / "assignment"),
            "STREAMMONITOR_MODELS_FOLDER": str(self.folder / "models"),
            "STREAMMONITOR_SECRETS_FOLDER": str(self.folder / "secrets"),
            "STREAMMONITOR_STATE_FOLDER": str(self.folder / "state"),
        }
        command = [sys.executable, "-m", *self._program]
        with (self.folder / "stderr.log").open("a") as log:
            self._process = subprocess.Popen(
                command, env=env, stdout=subprocess.PIPE, stderr=log, text=True
            )
        eventually("the worker is ready", self._ready)
        return self

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self, timeout_s: float = 60.0) -> int:
        """Wait for the process to end by itself; returns its exit code."""
        assert self._process is not None
        self.output += self._process.communicate(timeout=timeout_s)[0]
        return self._process.returncode

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        self.signal(signal.SIGKILL)
        self.wait()

    def get(self, path: str) -> tuple[int, str]:
        """Status code and body."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def status(self, query: str = "") -> WorkerStatus:
        """What it says of itself."""
        return WorkerStatus.model_validate_json(self.get(f"/status{query}")[1])

    def stream(self, name: str) -> StreamStatus | None:
        """What it says of a stream."""
        return next((one for one in self.status().streams if one.name == name), None)

    def wait_state(self, name: str, state: str, reason: str | None = None) -> StreamStatus:
        """Wait until a stream is in this state for this reason; retrying: for any, by default."""
        last = None

        def there() -> StreamStatus | None:
            nonlocal last
            last = one = self.stream(name)
            fits = one and (one.reason == reason or (state == "retrying" and reason is None))
            return one if one and fits and one.state == state else None

        try:
            return eventually(f"stream {name} {state} {reason}", there)
        except AssertionError as error:
            error.add_note(f"it is {last!r}")
            raise

    def wait_incident(self, wanted: Callable[[Incident], bool]) -> Incident:
        """Wait for an incident in the status."""
        return eventually(
            "an incident", lambda: next(filter(wanted, self.status().incidents), None)
        )

    def wait_epoch(self, epoch: int) -> None:
        """Wait until the epoch is acknowledged."""
        eventually(f"epoch {epoch}", lambda: self.status().epoch == epoch)

    def metric(self, name: str, stream: str = "") -> float:
        """A metric's value."""
        families = text_string_to_metric_families(self.get("/metrics")[1])
        return next(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == name and sample.labels.get("stream", "") == stream
        )

    def events(self) -> Iterator[tuple[str, Incident]]:
        """The incident lines of its standard output, once it has ended."""
        for line in self.output.splitlines():
            document = json.loads(line)
            kind = document["msg"].removeprefix("incident ")
            yield kind, Incident.model_validate(document["incident"])

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    def memory_mib(self) -> float:
        """Resident memory."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "stderr.log").read_text()
        try:
            return self.get("/readyz")[0] == 200
        except OSError:
            return False
