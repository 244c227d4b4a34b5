"""`python -m bench.ingest`: how ingest stands faults of the network; writes docs/bench-ingest.md.

INGEST_SEED repeats a run's faults, INGEST_COUNT sets how many there are, and INGEST_HOURS how long
the channel is that is replayed.
"""

import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.ingest import page, replay
from bench.ingest.disconnects import (
    Outcome,
    Watch,
    carry_all_out,
    footprint,
    steady,
    strikes,
)
from bench.ingest.peers import Peer, peers
from dev.host import say
from dev.media.clips import write_clip
from tests.integration.rig import WorkerRig

COUNT = 200
HOURS = 24.0
FIRST = 20
"""After so many, what the process holds is what it may hold at the end."""


@contextmanager
def watched(folder: Path) -> Iterator[tuple[list[Peer], Watch, WorkerRig]]:
    """A worker with one stream of every protocol, all of them being analysed."""
    clip, movie, hosts = folder / "clip.ts", folder / "clip.mp4", folder / "hosts"
    for path in (clip, movie):
        write_clip(path, duration_s=20, size=(320, 180), gop_s=1)
    with ExitStack() as stack:
        sources = [stack.enter_context(peer) for peer in peers(folder, clip, movie, hosts)]
        program = ["bench.ingest.named_worker", str(hosts)]
        rig = stack.enter_context(WorkerRig(folder, program=program))
        rig.assign({peer.name: peer.url for peer in sources})
        rig.start()
        watch = Watch(rig)
        stack.callback(watch.close)
        steady(watch, [peer.name for peer in sources])
        yield sources, watch, rig


def disconnect(folder: Path, count: int, first: int, seed: int) -> Outcome:
    """Lose sources `count` times; see `Outcome`."""
    with watched(folder) as (sources, watch, rig):
        names = [peer.name for peer in sources]
        planned = strikes(sources, count, seed)
        recoveries = carry_all_out(sources, planned[:first], watch)
        steady(watch, names)
        early = footprint(rig.pid)
        recoveries += carry_all_out(sources, planned[first:], watch)
        steady(watch, names)
        return Outcome(seed, recoveries, early, footprint(rig.pid), first)


def main() -> int:
    """Run, print and write."""
    seed = int(os.environ.get("INGEST_SEED") or random.randrange(1_000_000))
    count = int(os.environ.get("INGEST_COUNT") or COUNT)
    hours = float(os.environ.get("INGEST_HOURS") or HOURS)
    say(f"INGEST_SEED={seed}")
    with tempfile.TemporaryDirectory() as folder:
        outcome = disconnect(Path(folder), count, FIRST, seed)
        day = replay.replay(Path(folder), hours * 3600)
    text = page.written(outcome, day)
    print(text)  # noqa: T201 - what the command is for
    page.PAGE.write_text(text)
    return 0 if page.good(outcome) and page.calm(day) else 1


if __name__ == "__main__":
    sys.exit(main())
