"""200 times a source is lost in some way, and comes back: how soon it is analysed again."""

import random
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.ingest.lines import Fault
from bench.ingest.peers import Peer
from dev.host import say
from tests.integration.rig import WorkerRig

OUTAGE_S = (0.2, 4.0)
PAUSE_S = (0.0, 2.0)
STEADY_FRAMES = 25
"""So many pictures in a row, then the next fault may come."""
PATIENCE_S = 60.0
POLL_S = 0.05
SAMPLES = 40
METRIC = "streammonitor_frames_total"


@dataclass(frozen=True)
class Strike:
    """One fault.

    Attributes:
        peer: Name of the source.
        fault: What happens.
        outage_s: For how long.
        pause_s: How long before.
    """

    peer: str
    fault: Fault
    outage_s: float
    pause_s: float


class Recovery(NamedTuple):
    """What came of a fault; `took_s` is None if the source was not analysed again."""

    strike: Strike
    took_s: float | None


class Footprint(NamedTuple):
    """What a process holds."""

    threads: int
    files: int
    memory_mib: float


class Outcome(NamedTuple):
    """What came of all of them.

    Attributes:
        seed: What they were drawn with.
        recoveries: One by one.
        early: What the process held after the first ones.
        late: And after all.
        first: How many the first ones are.
    """

    seed: int
    recoveries: Sequence[Recovery]
    early: Footprint
    late: Footprint
    first: int


def strikes(peers: Sequence[Peer], count: int, seed: int) -> list[Strike]:
    """Draw faults: every source in turn, in an order of chance."""
    chance = random.Random(seed)
    drawn = []
    order: list[Peer] = []
    for _ in range(count):
        order = order or chance.sample(list(peers), len(peers))
        peer = order.pop()
        fault = chance.choice(peer.faults)
        drawn.append(Strike(peer.name, fault, chance.uniform(*OUTAGE_S), chance.uniform(*PAUSE_S)))
    return drawn


class Watch:
    """How many pictures of each source the worker has analysed, asked again and again."""

    def __init__(self, rig: WorkerRig) -> None:
        self._rig = rig
        self._over = threading.Event()
        self._changed = threading.Condition()
        self._frames: dict[str, float] = {}
        self._asked = 0
        self._thread = threading.Thread(target=self._ask, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ask no more."""
        self._over.set()
        self._thread.join()

    def frames(self, name: str) -> float:
        """Pictures so far, by an answer to what is asked after this call."""
        with self._changed:
            # The one on its way may be older.
            wanted = self._asked + 2
            self._changed.wait_for(lambda: self._asked >= wanted or self._over.is_set(), PATIENCE_S)
            return self._frames.get(name, 0.0)

    def wait(self, what: Callable[[dict[str, float]], bool]) -> bool:
        """Wait until the numbers are so; False if they were not in time."""
        with self._changed:
            return self._changed.wait_for(lambda: what(self._frames), PATIENCE_S)

    def _ask(self) -> None:
        while not self._over.wait(POLL_S):
            told = {}
            try:
                text = self._rig.get("/metrics")[1]
            except OSError:
                # A worker that is gone is told of by what waits for it.
                continue
            for line in text.splitlines():
                if line.startswith(METRIC + "{"):
                    name = line.partition('stream="')[2].partition('"')[0]
                    told[name] = float(line.rpartition(" ")[2])
            with self._changed:
                self._frames, self._asked = told, self._asked + 1
                self._changed.notify_all()


def steady(watch: Watch, names: Sequence[str]) -> None:
    """Wait until all of them are being analysed."""
    before = {name: watch.frames(name) for name in names}
    enough = {name: count + STEADY_FRAMES for name, count in before.items()}
    if not watch.wait(lambda now: all(now.get(name, 0) >= enough[name] for name in names)):
        raise AssertionError(f"not all of {', '.join(names)} are analysed")


def carry_out(peer: Peer, strike: Strike, watch: Watch) -> Recovery:
    """Let a fault happen, and wait for the source to be analysed again."""
    time.sleep(strike.pause_s)
    peer.fail(strike.fault)
    time.sleep(strike.outage_s)
    peer.heal(strike.fault)
    back, carried = time.monotonic(), peer.line.carried
    deadline = back + PATIENCE_S
    while peer.line.carried == carried:
        if time.monotonic() > deadline:
            return Recovery(strike, None)
        time.sleep(POLL_S / 5)
    before = watch.frames(peer.name)
    if not watch.wait(lambda now: now.get(peer.name, 0) > before):
        return Recovery(strike, None)
    return Recovery(strike, time.monotonic() - back)


def carry_all_out(peers: Sequence[Peer], planned: Sequence[Strike], watch: Watch) -> list[Recovery]:
    """All of them, the sources beside each other; each is steady before its next one."""
    found: list[Recovery] = []

    def of(peer: Peer) -> None:
        for strike in [one for one in planned if one.peer == peer.name]:
            steady(watch, [peer.name])
            recovery = carry_out(peer, strike, watch)
            found.append(recovery)
            took = "lost" if recovery.took_s is None else f"{recovery.took_s:.2f} s"
            say(f"{len(found)}: {peer.name}, {strike.fault}, {strike.outage_s:.1f} s: {took}")

    threads = [threading.Thread(target=of, args=(peer,)) for peer in peers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def footprint(pid: int) -> Footprint:
    """What a process holds while nothing happens: of many looks the least, of memory the middle."""
    threads, files, memory = [], [], []
    root = Path(f"/proc/{pid}")
    for _ in range(SAMPLES):
        status = (root / "status").read_text()
        threads.append(int(status.split("Threads:")[1].split()[0]))
        memory.append(int(status.split("VmRSS:")[1].split()[0]) / 1024)
        files.append(len(list((root / "fd").iterdir())))
        time.sleep(POLL_S)
    return Footprint(min(threads), min(files), statistics.median(memory))
