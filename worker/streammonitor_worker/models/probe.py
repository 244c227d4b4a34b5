"""Try a model in a process of its own before this one loads it.

A model may want more memory than there is, run for ever, or end its process. Then that is the
model's problem, and the streams beside it do not notice.
"""

import contextlib
import json
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from streammonitor_worker.models import faults
from streammonitor_worker.models.declared import Declared
from streammonitor_worker.models.faults import ModelFault
from streammonitor_worker.models.session import Session, too_large

MAX_MEMORY_BYTES = 512 * 2**20
"""What a model may allocate, its file included; a worker has 2 GiB by default."""
MAX_CPU_S = 60
"""For loading it and running it a few times."""
TIMEOUT_S = 300.0
"""The same by the clock: the machine may be busy."""
RUNS = 3
"""The first run also plans memory; the quickest says what a run costs."""


def probe(content: bytes, declared: Declared) -> float:
    """Load and run a model in another process.

    Args:
        content: The ONNX file.
        declared: What it must be like.

    Returns:
        CPU time of one run, in seconds.

    Raises:
        ModelFault: It cannot be used.
    """
    order = json.dumps(declared.to_json_object()).encode() + b"\n"
    try:
        done = subprocess.run(
            [sys.executable, "-m", __name__],
            input=order + content,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _endless(declared) from None
    except OSError as error:
        raise ModelFault(
            faults.FAILED, f"{declared.file} cannot be tried: {error.strerror}"
        ) from None
    return _answer(done.returncode, done.stdout, declared)


def _answer(code: int, said: bytes, declared: Declared) -> float:
    try:
        answer = json.loads(said.splitlines()[-1])
    except (IndexError, ValueError):
        if -code == signal.SIGXCPU:
            raise _endless(declared) from None
        if -code == signal.SIGKILL:
            # The kernel's choice when the container's memory is used up.
            raise too_large(declared.file) from None
        raise ModelFault(
            faults.FAILED,
            f"{declared.file} ends the process that runs it (exit code {code}): export it anew",
        ) from None
    if "reason" in answer:
        raise ModelFault(answer["reason"], answer["message"])
    return float(answer["cpu_s"])


def _endless(declared: Declared) -> ModelFault:
    return ModelFault(
        faults.TOO_SLOW,
        f"{declared.file} is not ready after {MAX_CPU_S} s of CPU time: use a smaller model or "
        f"input",
    )


def examine(content: bytes, declared: Declared) -> float:
    """Load and run a model in this process; see `probe`."""
    session = Session(content, declared)
    grey = np.full(declared.shape, 0.5, np.float32)
    costs = []
    for _ in range(RUNS):
        began = time.thread_time()
        session.run(grey)
        costs.append(time.thread_time() - began)
    return min(costs)


def main() -> None:
    """Read what is declared and the model from standard input; answer with a line of JSON."""
    _bound()
    order, content = sys.stdin.buffer.readline(), sys.stdin.buffer.read()
    answer: dict[str, Any]
    try:
        answer = {"cpu_s": examine(content, Declared.of(json.loads(order)))}
    except ModelFault as fault:
        answer = {"reason": fault.reason, "message": fault.message}
    sys.stdout.write(f"\n{json.dumps(answer)}\n")


def _bound() -> None:
    """Limit what the model may use, and have the kernel pick this process if memory runs out."""
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # only Linux has /proc
        used = re.search(r"VmData:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if used:
            allowed = int(used.group(1)) * 1024 + MAX_MEMORY_BYTES
            resource.setrlimit(resource.RLIMIT_DATA, (allowed, allowed))
        Path("/proc/self/oom_score_adj").write_text("1000")


if __name__ == "__main__":
    main()
