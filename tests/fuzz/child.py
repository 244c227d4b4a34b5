"""Tries input in a process that may be killed by it: `python -m tests.fuzz.child`.

Reads lines of a target and a file's path; answers each with "ok", "refused REASON" or "escaped",
the traceback of what escaped being in the file with the suffix .txt.
"""

import gc
import resource
import sys
import traceback
import warnings
from pathlib import Path

from tests.fuzz.targets import tried

MEMORY_BYTES = 4 * 2**30
"""Of addresses, most of which are code and threads' stacks; a bound that is missing shows."""


def main() -> None:
    """Answer until there is no more to read."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    warnings.simplefilter("error")
    for line in sys.stdin:
        name, _, path = line.strip().partition(" ")
        print(_outcome(name, Path(path)), flush=True)  # noqa: T201 - the answer
        gc.collect()


def _outcome(name: str, path: Path) -> str:
    try:
        reason = tried(name, path.read_bytes())
    except Exception:  # whatever it is, it is what is looked for
        path.with_suffix(".txt").write_text(traceback.format_exc())
        return "escaped"
    return f"refused {reason}" if reason else "ok"


if __name__ == "__main__":
    main()
