"""docs/bench-scale.md."""

import os
import platform
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from statistics import median

from bench.scale.monitors import STREAMS
from bench.scale.results import Population, Results
from dev.cluster.binaries import KUBERNETES, KWOK, RECIPES
from dev.cluster.loopback import BURST, QPS
from dev.host import REPOSITORY

PATH = REPOSITORY / "docs" / "bench-scale.md"
_IDLE_CORES = {1000: 0.1, 5000: 0.3}
_MEMORY_MIB = {1000: 200.0, 5000: 400.0}
Bar = tuple[str, str, str, bool | None]
"""What, the goal, what was measured, and whether it was reached (None: there is no goal)."""


def bars(results: Results) -> Iterator[Bar]:
    """Every goal that there is something to say about."""
    for number, took in results.races.items():
        wall_s = {who: median(one.wall_s for one in rounds) for who, rounds in took.items()}
        what = f"{number:,} StreamMonitors ({number * STREAMS:,} streams) created → all Assigned"
        ratio = wall_s["operator"] / wall_s["floor"]
        said = f"{ratio:.2f} times ({wall_s['operator']:.1f} s; floor {wall_s['floor']:.1f} s)"
        yield f"{what}, to the floor", "≤ 1.3 times", said, ratio <= 1.3
        ratio = wall_s["peer"] / wall_s["floor"]
        yield f"the same, a minimal Kopf handler ({number:,})", "", f"{ratio:.2f} times", None
        cpu_ms = median(1000 * one.cpu_s / number for one in took["operator"])
        yield f"operator CPU until that, each of {number:,}", "", f"{cpu_ms:.1f} ms", None
    for number, one in results.populations.items():
        yield from _population(number, one)


def _population(number: int, one: Population) -> Iterator[Bar]:
    cpu_ms = 1000 * one.cpu_s / number
    what = f"operator CPU for each of {number:,} new StreamMonitors, until nothing is left to do"
    yield what, "≤ 10 ms", f"{cpu_ms:.1f} ms", cpu_ms <= 10
    yield _against(f"operator CPU, {number:,} idle workers", one.idle.cores, _IDLE_CORES, number,
                   "core")  # fmt: skip
    latencies_s = one.edits.latencies_s
    p50, p99 = median(latencies_s), latencies_s[int(0.99 * (len(latencies_s) - 1))]
    said = f"{p50:.3f} s, {p99:.3f} s ({len(latencies_s)} edits)"
    what = f"spec edit → assignment written at {number:,}, p50 and p99"
    yield what, "≤ 0.3 s, ≤ 2 s", said, p50 <= 0.3 and p99 <= 2
    yield _against(f"operator memory at {number:,}", one.idle.memory_mib, _MEMORY_MIB, number,
                   "MiB")  # fmt: skip
    each = one.writes / number / STREAMS
    yield f"API writes for each stream of {number:,} new ones", "≤ 3", f"{each:.2f}", each <= 3
    edits = one.edits.writes
    yield (
        f"API writes for a stream that is added to one of {number:,}",
        "≤ 3",
        f"{edits:.2f}",
        (edits <= 3),
    )
    idle = one.idle.writes_per_minute
    yield f"API writes in a minute of {number:,} idle ones, all", "0", f"{idle:.0f}", idle == 0
    incident = one.writes_per_incident
    yield f"API writes for an incident ({number:,})", "≤ 4", f"{incident:.2f}", incident <= 4
    said = f"{one.restart_s:.1f} s, {one.restart_writes:.0f} writes"
    reached = one.restart_s <= 30 and one.restart_writes == 0
    yield f"operator restart → steady at {number:,}", "≤ 30 s, 0 writes", said, reached


def _against(what: str, value: float, goals: dict[int, float], number: int, unit: str) -> Bar:
    goal = goals.get(number)
    said = f"{value:.3f} {unit}" if value < 1 else f"{value:.0f} {unit}"
    if goal is None:
        return what, "", said, None
    return what, f"≤ {goal:g} {unit}", said, value <= goal


def render(results: Results) -> str:
    """The page."""
    rows = [["what", "goal", "measured", "reached"], ["---"] * 4]
    for what, goal, said, reached in bars(results):
        verdict = "" if reached is None else "yes" if reached else "**no**"
        rows.append([what, goal, said, verdict])
    return (
        "# What thousands of StreamMonitors cost the operator\n\n"
        "Written by `make bench-scale`; do not edit. Real etcd and API server on loopback; every "
        f"StreamMonitor has {STREAMS} streams and one worker. The floor is a bare asyncio client "
        "that writes the same objects, in turns with the operator and with a minimal Kopf "
        "handler. Pods are KWOK's, and one process answers for all workers.\n\n"
        f"{_table(rows)}\n\n{_control_plane(results)}\n{_published()}\n{_machine(results)}"
    )


def _table(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _control_plane(results: Results) -> str:
    lines = [
        "## What the control plane needs\n",
        "CPU seconds from all being Assigned until every pod ran and every status said so, with "
        f"the controller manager and the scheduler at {QPS} requests/s (bursts of {BURST}):\n",
    ]
    for number, one in results.populations.items():
        spent = sorted(one.control_cpu_s.items(), key=lambda pair: -pair[1])
        text = ", ".join(f"{name} {seconds:.1f}" for name, seconds in spent)
        lines.append(f"- {number:,}: all Ready after {one.ready_s:.0f} s; {text}")
    return "\n".join(lines) + "\n"


def _published() -> str:
    return (
        "## What others publish\n\n"
        "Their figures, on their machines, not measured here: KubeRay 1.1.1 on GKE creates 1,000 "
        "clusters (of 4 pods each) in 11 s and has them ready 258 s later, 5,000 in 54 s and "
        "1,213 s; Kueue admits about 42 workloads/s in envtest.\n"
    )


def _machine(results: Results) -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = {line.partition(":")[2].strip() for line in lines if line.startswith("model name")}
    load = ", ".join(f"{one:.1f}" for one in results.loads)
    libraries = ("kopf", "aiohttp", "pydantic", "orjson")
    return (
        "## Machine\n\n"
        f"{os.cpu_count()} x {', '.join(sorted(models))}; load average when it began and ended: "
        f"{load} (of which the bench itself is about 3). Kubernetes {KUBERNETES}, etcd "
        f"{RECIPES['etcd'].version} without fsync, KWOK {KWOK.version}, Python "
        f"{platform.python_version()}, "
        f"{', '.join(f'{name} {version(name)}' for name in libraries)}.\n"
    )
