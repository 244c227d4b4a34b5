"""`python -m tests.accuracy`: measure every benched detector and write docs/accuracy.md."""

import argparse
import sys
import time
from collections.abc import Sequence

from dev.host import REPOSITORY
from tests.accuracy.cases import cases
from tests.accuracy.defects import benches
from tests.accuracy.run import make, run
from tests.accuracy.sources import HALVES
from tests.accuracy.table import page

CLEAN = "clean"
"""What --defect calls the clips that have none."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(prog="tests.accuracy", description=__doc__)
    parser.add_argument("--half", choices=HALVES, default=HALVES[1])
    parser.add_argument("--clean", type=float, default=1.0, help="times the usual clean material")
    parser.add_argument("--reels", type=int, default=1, help="defect reels for each source")
    parser.add_argument("--jobs", type=int, help="processes; as many as cores if not given")
    parser.add_argument("--every", type=int, default=1, help="only each N-th clip: for a try")
    parser.add_argument(
        "--defect", action="append", choices=[*sorted(benches), CLEAN], help="only its clips"
    )
    parser.add_argument("--make-only", action="store_true", help="make the clips, examine none")
    given = parser.parse_args(arguments)
    began = time.monotonic()
    todo, notes = cases(given.half, clean=given.clean, reels=given.reels)
    planned = len(todo)
    if given.defect:
        todo = [case for case in todo if (case.defect or CLEAN) in given.defect]
    if given.make_only:
        make(todo[:: given.every], jobs=given.jobs)
        print(f"bench-accuracy: made in {time.monotonic() - began:.0f} s", file=sys.stderr)  # noqa: T201
        return 0
    outcomes = run(todo[:: given.every], jobs=given.jobs)
    text = page(given.half, outcomes, notes, planned=planned)
    print(text)  # noqa: T201 — what the command is for
    whole = given.every == 1 and not given.defect
    if given.half == HALVES[1] and whole:
        (REPOSITORY / "docs" / "accuracy.md").write_text(text)
    took = f"bench-accuracy: {len(outcomes)} clips in {time.monotonic() - began:.0f} s"
    print(took, file=sys.stderr)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
