"""`make check`: everything that can be said of the code without running the product.

Runs every check even when one fails, then names those that did.
"""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from dev import charts
from dev.host import REPOSITORY, say

_BIN = Path(sys.executable).parent

COMMANDS: dict[str, Sequence[str | Path]] = {
    "lint": [_BIN / "ruff", "check", "."],
    "format": [_BIN / "ruff", "format", "--check", "--quiet", "."],
    "types": [_BIN / "mypy"],
    "layers": [_BIN / "lint-imports"],
    "generated files": [sys.executable, "-m", "dev.gen", "--check"],
}


def main() -> int:
    """Run the checks; the number of those that failed is the exit code."""
    failed = [name for name, command in COMMANDS.items() if not _passes(name, command)]
    failed += charts.failures()
    say(f"check: failed: {', '.join(failed)}" if failed else "check: all good")
    return len(failed)


def _passes(name: str, command: Sequence[str | Path]) -> bool:
    began = time.monotonic()
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    say(
        f"check: {name}: {'ok' if done.returncode == 0 else 'FAILED'} "
        f"({time.monotonic() - began:.0f} s)"
    )
    if done.returncode:
        say(done.stdout + done.stderr)
    return done.returncode == 0


if __name__ == "__main__":
    sys.exit(main())
