"""How far an analysis came, for whoever waits for it."""

import sys
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from streammonitor_worker.ingest import redact

Told = Callable[[float, float | None], None]
"""Is told of the progress: seconds of media analysed, and seconds in all if that is known."""


class Bars:
    """A progress bar for each input, on standard error if that is a terminal."""

    EVERY_S = 0.1

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f} s"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=not sys.stderr.isatty(),
            transient=True,
        )

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def begin(self, name: str) -> Told:
        """Show a bar for an input."""
        task: TaskID = self._progress.add_task(redact(name), total=None)
        shown_at = 0.0

        def tell(done_s: float, total_s: float | None) -> None:
            nonlocal shown_at
            if time.monotonic() - shown_at >= self.EVERY_S:
                shown_at = time.monotonic()
                self._progress.update(task, completed=done_s, total=total_s)

        return tell
