"""`python -m tests.fuzz`: spoil input for a while, and see that nothing but refusals comes of it.

What kills a process, never ends, or lets another error out is saved with the seed that made it; try
it again with `python -m tests.fuzz --again FILE`.
"""

import argparse
import os
import random
import selectors
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Self

from dev.host import REPOSITORY, cache_folder, say
from tests.fuzz.mutations import mutated
from tests.fuzz.targets import seeds_of, tried

HANG_S = 120.0
"""After that an input counts as one that never ends: it is asked to stop after 2 s."""


class Child:
    """The process that may be killed. A context manager."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def outcome(self, name: str, path: Path) -> str:
        """Try a file: "ok", "refused …", "escaped", "hangs" or "dies of …"."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{name} {path}\n")
        process.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            if not selector.select(HANG_S):
                self._end()
                return "hangs"
        answer = process.stdout.readline().strip()
        if answer:
            return answer
        code = process.wait()
        self._end()
        return f"dies of {-code}"

    def _start(self) -> "subprocess.Popen[str]":
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.child"],
            cwd=REPOSITORY,
            env={**os.environ, "SVT_LOG": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self._process

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.communicate()


def fuzz(seconds: float, seed: int, folder: Path) -> list[Path]:
    """Try spoiled input for so long; return the files of what was found."""
    chance, seeds = random.Random(seed), seeds_of()
    found: list[Path] = []
    came: Counter[str] = Counter()
    end = time.monotonic() + seconds
    with Child() as child, tempfile.TemporaryDirectory() as scratch:
        while time.monotonic() < end:
            name = chance.choice(list(seeds))
            path = Path(scratch, "input")
            path.write_bytes(mutated(chance.choice(seeds[name]), chance))
            outcome = child.outcome(name, path)
            came[outcome.split()[0]] += 1
            if outcome.split()[0] not in ("ok", "refused"):
                found.append(_keep(folder, name, seed, path))
                say(f"fuzz: {name} {outcome}: {found[-1]}")
    total = ", ".join(f"{count} {what}" for what, count in sorted(came.items()))
    say(f"fuzz: {came.total()} inputs in {seconds:g} s with --seed {seed}: {total}")
    return found


def _keep(folder: Path, name: str, seed: int, path: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{name}-{seed}-{len(list(folder.iterdir()))}"
    kept.write_bytes(path.read_bytes())
    told = path.with_suffix(".txt")
    if told.exists():
        say(told.read_text())
        told.unlink()
    return kept


def main() -> int:
    """1 if something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--again", type=Path, help="try a file that was kept, in this process")
    given = parser.parse_args()
    if given.again:
        name = given.again.name.partition("-")[0]
        say(f"fuzz: {name}: {tried(name, given.again.read_bytes()) or 'ok'}")
        return 0
    seed = random.randrange(1_000_000) if given.seed is None else given.seed
    return bool(fuzz(given.seconds, seed, cache_folder() / "fuzz"))


if __name__ == "__main__":
    sys.exit(main())
