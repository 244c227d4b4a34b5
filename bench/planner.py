"""`python -m bench.planner`: how long planning takes, from 1,000 to 100,000 streams.

Writes docs/bench-planner.md. Every case is planned several times, the cases in turn, so that what
else the machine does meets all alike; the figure is the median.
"""

import platform
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from streammonitor_operator.plan import Demand, Plan, Worker, plan

SIZES = (1_000, 10_000, 100_000)
ROUNDS = 5
CAPACITY_M = 3200
"""A worker of four cores at a target of 0.8."""
PAGE = Path(__file__).resolve().parent.parent / "docs" / "bench-planner.md"

Case = Callable[[], Plan]


def demand(streams: int, seed: int = 1) -> Demand:
    """So many streams of 30 to 700 thousandths of a core."""
    rng = random.Random(seed)
    costs_m = {f"s{number}": rng.randint(30, 700) for number in range(streams)}
    return Demand("g", costs_m, CAPACITY_M, max_streams=50)


def cases(streams: int) -> dict[str, Case]:
    """What is planned for so many streams."""
    wanted = demand(streams)
    settled = plan([wanted], [], _name).workers
    lost = tuple(worker for worker in settled if worker.name != settled[0].name)
    costlier = {name: round(cost * 1.1) for name, cost in wanted.streams.items()}
    grown = Demand("g", costlier, CAPACITY_M, max_streams=50)
    return {
        "everything new": lambda: plan([wanted], [], _name),
        "nothing changed": lambda: plan([wanted], settled, _name),
        "one worker lost": lambda: plan([wanted], lost, _name),
        "every stream costs a tenth more": lambda: plan([grown], settled, _name),
    }


def _name(group: str, slot: int) -> str:
    return f"{group}-{slot:06}"


def fill_ratio(workers: tuple[Worker, ...], wanted: Demand) -> float:
    """The share of the workers' capacity that is used."""
    return sum(wanted.streams.values()) / (len(workers) * wanted.capacity_m)


def measure(streams: int) -> list[list[str]]:
    """The rows of the table for so many streams."""
    todo = cases(streams)
    took_s: dict[str, list[float]] = {name: [] for name in todo}
    plans: dict[str, Plan] = {}
    for _ in range(ROUNDS):
        for name, case in todo.items():
            began = time.process_time()
            plans[name] = case()
            took_s[name].append(time.process_time() - began)
    before = plans["nothing changed"].holders("g")
    rows = []
    for name, found in plans.items():
        after = found.holders("g")
        moved = sum(before[stream] != after[stream] for stream in before)
        rows.append(
            [
                f"{streams:,}",
                name,
                f"{1000 * statistics.median(took_s[name]):.1f}",
                f"{len(found.workers):,}",
                f"{moved:,}",
            ]
        )
    return rows


def page() -> str:
    """The page."""
    head = ["streams", "what happened", "CPU ms", "workers", "streams moved"]
    rows = [head, ["---:", "---", "---:", "---:", "---:"]]
    for streams in SIZES:
        rows += measure(streams)
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    wanted = demand(SIZES[-1])
    fill = fill_ratio(plan([wanted], [], _name).workers, wanted)
    return (
        "# How long planning takes\n\n"
        "Written by `make bench-planner`; do not edit. One worker group; streams cost 30 to 700 "
        f"thousandths of a core, a worker has {CAPACITY_M}. Median of {ROUNDS} rounds, the cases "
        "in turn.\n\n"
        f"{table}\n\n"
        f"Workers are filled to {fill:.1%} when {SIZES[-1]:,} streams are new.\n\n"
        f"Python {platform.python_version()}, {platform.machine()}, one core.\n"
    )


def main() -> int:
    """Measure, print and write."""
    text = page()
    print(text)  # noqa: T201 — what the command is for
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
