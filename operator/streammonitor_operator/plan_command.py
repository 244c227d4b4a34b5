"""`streammonitor plan`: what the operator would do about a StreamMonitor, before it is applied.

A plug-in of the `streammonitor` command: it is there where the operator's package is installed too.
"""

import json
from typing import Any

import typer

from streammonitor_operator.desk import (
    AsOutput,
    Context,
    File,
    Namespace,
    Output,
    console,
    subject,
    table,
)
from streammonitor_operator.preview import Action, Preview, preview

SCHEMA_VERSION = 1
_NOT_HERE = (
    "The streams of spec.streamsFrom are not known here: only those of spec.streams are planned, "
    "and those that workers have now."
)
_UNNAMED = (
    "The StreamMonitor does not exist yet, or no cluster was asked: everything is new, and the "
    "names of its workers will end otherwise."
)


def plan_command(
    file: File,
    context: Context = None,
    namespace: Namespace = None,
    output: AsOutput = Output.TEXT,
) -> None:
    """Show which workers would be made or removed, which streams would move, and why.

    Without --context and --namespace no cluster is asked: everything is new.
    """
    about = subject(file, context, namespace)
    name, spec, present, live = about.name, about.spec, about.present, about.live
    notes = [_NOT_HERE] if spec.streams_from is not None else []
    notes += [] if present.uid else [_UNNAMED]
    planned = preview(name, spec, present)
    if output is Output.JSON:
        typer.echo(json.dumps(document(name, planned, notes, live=live), indent=1))
    else:
        _print(planned, notes)


def document(name: str, planned: Preview, notes: list[str], *, live: bool) -> dict[str, Any]:
    """The plan, for programs."""
    return {
        "schemaVersion": SCHEMA_VERSION,
        "monitor": name,
        "live": live,
        "workers": [
            {
                "name": one.name,
                "group": one.group,
                "action": one.action.value,
                "streams": list(one.streams),
                "cpuMillicores": one.load_m,
                "why": one.why,
            }
            for one in planned.workers
        ],
        "moves": [
            {
                "stream": one.stream,
                "group": one.group,
                "from": one.source or None,
                "to": one.target or None,
                "why": one.why,
            }
            for one in planned.moves
        ],
        "unplaced": {group: list(streams) for group, streams in planned.unplaced.items()},
        "notes": notes,
    }


_SIGNS = {Action.CREATE: "+ create", Action.KEEP: "  keep", Action.REMOVE: "- remove"}


def _print(planned: Preview, notes: list[str]) -> None:
    screen = console()
    for note in notes:
        screen.print(note, end="\n\n")
    workers = table("worker", "group", "", "streams", "CPU", "why")
    for one in planned.workers:
        cpu = f"{one.load_m}m"
        workers.add_row(
            one.name, one.group, _SIGNS[one.action], str(len(one.streams)), cpu, one.why
        )
    screen.print(workers, end="\n\n")
    moves = table("stream", "group", "from", "to", "why")
    for move in planned.moves:
        moves.add_row(move.stream, move.group, move.source or "-", move.target or "-", move.why)
    if planned.moves:
        screen.print(moves, end="\n\n")
    screen.print(summary(planned))


def summary(planned: Preview) -> str:
    """The plan in one line."""
    counts = {action: 0 for action in Action}
    for worker in planned.workers:
        counts[worker.action] += 1
    moved = sum(bool(move.source and move.target) for move in planned.moves)
    started = sum(not move.source and bool(move.target) for move in planned.moves)
    unplaced = sum(map(len, planned.unplaced.values()))
    text = (
        f"{counts[Action.CREATE]} workers to create, {counts[Action.KEEP]} to keep, "
        f"{counts[Action.REMOVE]} to remove; {moved} streams move, {started} begin"
    )
    return f"{text}; {unplaced} have no place." if unplaced else f"{text}."
