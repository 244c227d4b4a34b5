"""The planner: which workers there should be, and which streams each of them monitors.

Pure: the same input gives the same plan. A stream stays where it is as long as its worker exists
and has room for it; only streams without a place are placed. Workers are named slots, so any one
of them can go without renaming the others.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True, slots=True)
class Demand:
    """What one worker group must monitor."""

    group: str
    streams: tuple[str, ...]
    """In the order of the specification."""
    capacity: int
    """The most streams that one worker takes."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as it is, or as it should be."""

    name: str
    group: str
    streams: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What should be."""

    workers: tuple[Worker, ...] = ()
    """Workers that should exist, in the order of groups, then of names."""
    leaving: tuple[Worker, ...] = ()
    """Workers that exist and should not, as they are."""

    def holders(self, group: str) -> dict[str, str]:
        """The worker of each stream in a group."""
        return {
            stream: worker.name
            for worker in self.workers
            if worker.group == group
            for stream in worker.streams
        }


def plan(
    demands: Sequence[Demand], existing: Iterable[Worker], name: Callable[[str, int], str]
) -> Plan:
    """Map what is asked for and what exists to what should exist.

    Args:
        demands: one per worker group.
        existing: the workers that exist, in any order.
        name: gives the name of a group's n-th slot.
    """
    known = sorted(existing, key=lambda worker: worker.name)
    used = {worker.name for worker in known}
    planned: list[Worker] = []
    for demand in demands:
        mine = [worker for worker in known if worker.group == demand.group]
        fresh = (one for one in _slots(demand.group, name) if one not in used)
        planned += _plan_group(demand, mine, fresh)
    staying = {worker.name for worker in planned}
    return Plan(tuple(planned), tuple(worker for worker in known if worker.name not in staying))


def _slots(group: str, name: Callable[[str, int], str]) -> Iterator[str]:
    return (name(group, slot) for slot in count())


def _plan_group(demand: Demand, existing: list[Worker], fresh: Iterator[str]) -> list[Worker]:
    held, homeless = _keep(demand, existing)
    for stream in homeless:
        home = _best_fit(held, demand.capacity) or next(fresh)
        held.setdefault(home, []).append(stream)
    order = {stream: position for position, stream in enumerate(demand.streams)}
    workers = (
        Worker(worker, demand.group, tuple(sorted(streams, key=order.__getitem__)))
        for worker, streams in sorted(held.items())
    )
    return [worker for worker in workers if worker.streams]


def _keep(demand: Demand, existing: list[Worker]) -> tuple[dict[str, list[str]], list[str]]:
    """What stays where it is, and the streams that have no place."""
    held: dict[str, list[str]] = {worker.name: [] for worker in existing}
    homes: dict[str, str] = {}
    for worker in existing:
        for stream in worker.streams:
            # Two workers with one stream (a hand-over cut short): the first by name keeps it.
            homes.setdefault(stream, worker.name)
    homeless = []
    for stream in demand.streams:
        home = homes.get(stream)
        if home is not None and len(held[home]) < demand.capacity:
            held[home].append(stream)
        else:
            homeless.append(stream)
    return held, homeless


def _best_fit(held: dict[str, list[str]], capacity: int) -> str | None:
    """The fullest worker with room; of equals the first by name."""
    room = [
        (capacity - len(streams), name) for name, streams in held.items() if len(streams) < capacity
    ]
    return min(room)[1] if room else None
