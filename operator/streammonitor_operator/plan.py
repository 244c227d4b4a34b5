"""The planner: which workers there should be, and which streams each of them monitors.

Pure: the same input gives the same plan. A stream stays where it is as long as its worker takes
streams and has room for it; what has no place goes, heaviest first, to the fullest worker that has
room (best fit decreasing), then to new ones. Workers are named slots, so any one of them can go
without renaming the others.

Costs are whole millicores, so that sums do not depend on the order in which they are made.
"""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

ROOM_AFTER_SHRINKING = 0.9
"""A group gives a worker up only if what stays uses at most this share of what is left: else the
next stream that is added would bring the worker back."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What one worker group must monitor.

    Attributes:
        group: Its name.
        streams: The cost of each stream in millicores, at least 0, in the order of the
            specification.
        capacity_m: What one worker may use, in millicores. A stream that costs more gets a worker
            of its own.
        max_streams: The most streams that one worker takes.
        min_workers: As many are kept, empty ones included.
        max_workers: As many there may be; None: as many as it takes.
        moves: How many streams may be moved in order to need fewer workers.
        alone: Streams that share a worker with no other.
    """

    group: str
    streams: Mapping[str, int]
    capacity_m: int
    max_streams: int
    min_workers: int = 0
    max_workers: int | None = None
    moves: int = 0
    alone: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Worker:
    """A worker as it is, or as it should be.

    Attributes:
        name: Its name.
        group: Its group.
        streams: What it monitors.
        warming: What it is getting ready to take over.
        takes: Whether it may monitor anything: one that is outdated or about to be drained may
            not, and its streams are placed anew.
        lost: It does not answer. Its streams go where there is room. For those that find none no
            worker is made: Kubernetes will have healed it before that is of use.
        closed: It is to be replaced when its turn comes: it keeps its streams until then, and gets
            others only where there may be no more workers.
    """

    name: str
    group: str
    streams: tuple[str, ...] = ()
    takes: bool = True
    warming: tuple[str, ...] = ()
    lost: bool = False
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What should be."""

    workers: tuple[Worker, ...] = ()
    """Workers that should exist, in the order of groups, then of names."""
    leaving: tuple[Worker, ...] = ()
    """Workers that exist and should not, as they are."""
    unplaced: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By group, the streams that no worker may take because `max_workers` is reached."""

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
    unplaced: dict[str, tuple[str, ...]] = {}
    for demand in demands:
        mine = [worker for worker in known if worker.group == demand.group]
        fresh = (one for one in _slots(demand.group, name) if one not in used)
        packing = _Packing(demand, mine, fresh)
        planned += packing.workers()
        if packing.unplaced:
            unplaced[demand.group] = tuple(packing.in_order(packing.unplaced))
    staying = {worker.name for worker in planned}
    leaving = tuple(worker for worker in known if worker.name not in staying)
    return Plan(tuple(planned), leaving, unplaced)


def _slots(group: str, name: Callable[[str, int], str]) -> Iterator[str]:
    return (name(group, slot) for slot in count())


class _Room(NamedTuple):
    """A worker with room, ordered so that the tightest fit comes first."""

    free_m: int
    free_streams: int
    name: str


class _Packing:
    """One group's streams on their way to workers."""

    def __init__(self, demand: Demand, existing: Sequence[Worker], fresh: Iterator[str]) -> None:
        self._demand = demand
        self._fresh = fresh
        self._order = {stream: number for number, stream in enumerate(demand.streams)}
        self._held: dict[str, set[str]] = {one.name: set() for one in existing if one.takes}
        self._used_m = dict.fromkeys(self._held, 0)
        self.unplaced: list[str] = []
        homeless = self._keep(existing)
        self._trim(demand.max_workers, homeless)
        self._rooms: list[_Room] = []
        lost = {one.name for one in existing if one.lost}
        closed = {one.name for one in existing if one.closed}
        self._shut = sorted(self._held.keys() & (lost | closed))
        self._open(self._held.keys() - lost - closed)
        self._place(homeless)
        self._evacuate(sorted(lost & self._held.keys()))
        if lost and self.unplaced:  # what moved away left room, if on lost workers only
            left, self.unplaced = self.unplaced, []
            self._place(left)
        if not self.unplaced and not self._shut:
            self._shrink()

    def workers(self) -> list[Worker]:
        """The workers that should be: those with streams, and as many more as are wanted."""
        idle = sorted(name for name, streams in self._held.items() if not streams)
        busy = len(self._held) - len(idle)
        spare = idle[: max(0, self._demand.min_workers - busy)]
        missing = max(0, self._demand.min_workers - busy - len(spare))
        spare += [next(self._fresh) for _ in range(missing)]
        names = sorted([*spare, *(name for name, streams in self._held.items() if streams)])
        return [
            Worker(name, self._demand.group, tuple(self.in_order(self._held.get(name, ()))))
            for name in names
        ]

    def in_order(self, streams: Iterable[str]) -> list[str]:
        """Streams in the order of the specification."""
        return sorted(streams, key=self._order.__getitem__)

    def _keep(self, existing: Sequence[Worker]) -> list[str]:
        """Leave streams where they are, the cheapest first where not all have room.

        Returns those that have no place. Keeping the cheap ones moves the fewest.
        """
        homes: dict[str, str] = {}
        able = [worker for worker in existing if worker.takes]
        # A stream on its way goes on to where it was going. Where two workers have one, the first
        # by name keeps it.
        for worker, streams in [(one, one.warming) for one in able] + [
            (one, one.streams) for one in able
        ]:
            for stream in streams:
                homes.setdefault(stream, worker.name)
        costs_m = self._demand.streams
        for stream in sorted(homes.keys() & costs_m.keys(), key=self._lightest_first):
            if self._fits(homes[stream], stream):
                self._put(stream, homes[stream])
            else:
                del homes[stream]
        return [stream for stream in costs_m if stream not in homes]

    def _trim(self, most: int | None, homeless: list[str]) -> None:
        """Give up the emptiest workers beyond the most that there may be."""
        if most is None or len(self._held) <= most:
            return
        fullest = sorted(self._held, key=lambda one: (-len(self._held[one]), one))
        for name in fullest[most:]:
            homeless += self._held.pop(name)
            del self._used_m[name]

    def _lightest_first(self, stream: str) -> tuple[int, int]:
        return self._demand.streams[stream], self._order[stream]

    def _fits(self, worker: str, stream: str) -> bool:
        held, alone = self._held[worker], self._demand.alone
        if not held:
            return True  # what is too heavy for any worker gets one of its own
        if len(held) >= self._demand.max_streams or stream in alone or not held.isdisjoint(alone):
            return False
        return self._used_m[worker] + self._demand.streams[stream] <= self._demand.capacity_m

    def _put(self, stream: str, worker: str) -> None:
        self._held[worker].add(stream)
        self._used_m[worker] += self._demand.streams[stream]

    def _open(self, workers: Iterable[str]) -> None:
        """Offer what room these workers have, and that of no others."""
        rooms = (self._room(worker) for worker in workers)
        self._rooms = sorted(room for room in rooms if room.free_streams)

    def _room(self, worker: str) -> _Room:
        free_m = max(0, self._demand.capacity_m - self._used_m[worker])
        return _Room(free_m, self._demand.max_streams - len(self._held[worker]), worker)

    def _place(self, homeless: Iterable[str]) -> None:
        """Best fit, heaviest first."""
        costs = self._demand.streams
        for stream in sorted(homeless, key=lambda one: (-costs[one], self._order[one])):
            home = self._best_fit(stream) or self._grow()
            if home is not None:
                self._move_in(stream, home)
                continue
            shut = next((one for one in self._shut if self._fits(one, stream)), None)
            if shut is None:
                self.unplaced.append(stream)
            else:
                self._put(stream, shut)

    def _evacuate(self, lost: Iterable[str]) -> None:
        """Move what fits away from workers that do not answer."""
        for worker in lost:
            for stream in sorted(self._held[worker], key=self._lightest_first, reverse=True):
                home = self._best_fit(stream)
                if home is not None:
                    self._take_out(stream, worker)
                    self._move_in(stream, home)

    def _take_out(self, stream: str, worker: str) -> None:
        self._held[worker].remove(stream)
        self._used_m[worker] -= self._demand.streams[stream]

    def _move_in(self, stream: str, home: str) -> None:
        room = self._room(home)
        del self._rooms[bisect_left(self._rooms, room)]
        self._put(stream, home)
        if (room := self._room(home)).free_streams:
            insort(self._rooms, room)

    def _best_fit(self, stream: str) -> str | None:
        """The fullest worker with room; of equals the one with most streams, then by name."""
        least = min(self._demand.streams[stream], self._demand.capacity_m)
        for room in self._rooms[bisect_left(self._rooms, _Room(least, 0, "")) :]:
            if self._fits(room.name, stream):
                return room.name
        return None

    def _grow(self) -> str | None:
        """A new worker, if there may be one more."""
        most = self._demand.max_workers
        if most is not None and len(self._held) >= most:
            return None
        name = next(self._fresh)
        self._held[name], self._used_m[name] = set(), 0
        insort(self._rooms, self._room(name))
        return name

    def _shrink(self) -> None:
        """Empty the worker with the fewest streams, if the others can take them all."""
        left = self._demand.moves
        while True:
            busy = sorted((len(held), name) for name, held in self._held.items() if held)
            if len(busy) <= max(1, self._demand.min_workers):
                return
            number, name = busy[0]
            if number > left or not self._empty(name, len(busy) - 1):
                return
            left -= number

    def _empty(self, name: str, others: int) -> bool:
        """Move a worker's streams to the others, or leave everything as it is."""
        room_m = others * self._demand.capacity_m * ROOM_AFTER_SHRINKING
        if sum(self._used_m.values()) > room_m:
            return False
        before = {one: set(held) for one, held in self._held.items()}, dict(self._used_m)
        streams = sorted(self._held.pop(name), key=self._lightest_first, reverse=True)
        del self._used_m[name]
        self._open(one for one, held in self._held.items() if held)
        for stream in streams:
            home = self._best_fit(stream)
            if home is None:
                self._held, self._used_m = before
                return False
            self._move_in(stream, home)
        self._held[name], self._used_m[name] = set(), 0
        return True
