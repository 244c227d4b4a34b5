"""`python -m bench.failover`: how soon streams go on after a failure, on the local cluster.

Runs tests/e2e/test_failover.py with many rounds and writes docs/bench-failover.md. FAILOVER_SEED
repeats a run's choice of victims.
"""

import os
import platform
import random
import statistics
import sys
from pathlib import Path

import pytest

from dev.cluster import binaries
from dev.host import REPOSITORY, run

ROUNDS = 20
BARS_S = {"process killed": 5, "process hangs": 5, "pod deleted": 5, "node lost": 30}
PAGE = REPOSITORY / "docs" / "bench-failover.md"


class Recorder:
    """Collects what the tests measured."""

    def __init__(self) -> None:
        self.took_s: dict[str, list[float]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the figures of a test that has run."""
        if report.when == "call":
            for name, value in report.user_properties:
                if name in BARS_S:
                    self.took_s[name] = value  # type: ignore[assignment]  # typed as object


def page(took_s: dict[str, list[float]], seed: str) -> str:
    """The page."""
    rows = ["| what failed | times | median s | p95 s | worst s | bar s |"]
    rows.append("| --- | ---: | ---: | ---: | ---: | ---: |")
    for name, values in took_s.items():
        p95 = statistics.quantiles(values, n=20, method="inclusive")[-1] if values[1:] else None
        shown = "-" if p95 is None else f"{p95:.1f}"
        rows.append(
            f"| {name} | {len(values)} | {statistics.median(values):.1f} | {shown} | "
            f"{max(values):.1f} | {BARS_S[name]} |"
        )
    version = run([binaries.program("kubelet"), "--version"]).strip()
    return (
        "# How soon streams go on after a failure\n\n"
        "Written by `make bench-failover`; do not edit. From the failure to the first picture or "
        "sound that another process analyses, of the last of the victim's streams. Two workers "
        "with two streams each, HLS with segments of 1 s, and an idle one "
        "(`scaling.min: 3`); for the node, one worker on it and an idle one elsewhere.\n\n"
        + "\n".join(rows)
        + f"\n\nVictims chosen with FAILOVER_SEED={seed}. {version}, Python "
        f"{platform.python_version()}, {os.cpu_count()} cores ({platform.machine()}) that "
        "run the control plane, both nodes, the origin and the workers.\n"
    )


def main() -> int:
    """Run, print and write."""
    os.environ.setdefault("FAILOVER_ROUNDS", str(ROUNDS))
    seed = os.environ.setdefault("FAILOVER_SEED", str(random.randrange(1_000_000)))
    recorder = Recorder()
    test = Path("tests") / "e2e" / "test_failover.py"
    code = pytest.main([str(REPOSITORY / test), "-q"], plugins=[recorder])
    if recorder.took_s:
        text = page(recorder.took_s, seed)
        print(text)  # noqa: T201 — what the command is for
        PAGE.write_text(text)
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
