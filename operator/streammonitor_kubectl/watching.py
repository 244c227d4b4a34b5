"""Incidents as they happen."""

import time
from collections.abc import Callable

from streammonitor_kubectl import views
from streammonitor_kubectl.cluster import Cluster, KubectlError, Worker
from streammonitor_kubectl.output import Output, console, print_json, table

PAUSE_S = 1.0
"""Between two looks at all workers."""


def watch(
    cluster: Cluster,
    monitor: str | None,
    found: Callable[[list[Worker]], list[views.Row]],
    output: Output,
    pause: Callable[[float], None] = time.sleep,
) -> None:
    """Write each incident once, and again when it gets worse or ends, until interrupted."""
    told: dict[str, tuple[str, str]] = {}
    headings = True
    while True:
        try:
            rows = found(cluster.workers(monitor))
        except KubectlError as error:
            console().print(f"asking again: {error}", style="yellow")
            rows = []
        news = [row for row in rows if told.get(row["id"]) != _state(row)]
        told.update({row["id"]: _state(row) for row in news})
        if output is Output.JSON:
            for row in news:
                print_json(row, indent=None)
        elif news:
            made = table(news, views.INCIDENTS)
            made.show_header, headings = headings, False
            console().print(made)
        try:
            pause(PAUSE_S)
        except KeyboardInterrupt:
            return


def _state(row: views.Row) -> tuple[str, str]:
    return row["severity"], row["ended"]
