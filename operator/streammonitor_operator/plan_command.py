"""`streammonitor plan`: what the operator would do about a StreamMonitor, before it is applied.

A plug-in of the `streammonitor` command: it is there where the operator's package is installed too.
"""

import asyncio
import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
import yaml
from rich.console import Console
from rich.table import Table

from streammonitor_api import names
from streammonitor_api.spec import StreamMonitorSpec
from streammonitor_operator.kube import KubeError, Manifest
from streammonitor_operator.kube_client import KubeClient, load_configuration
from streammonitor_operator.monitors import parse_spec
from streammonitor_operator.preview import Action, Present, Preview, preview
from streammonitor_operator.survey import survey, with_discovered

SCHEMA_VERSION = 1
USAGE = 2
"""Exit code: usage, an invalid specification, or a cluster that does not answer."""
_NOT_HERE = (
    "The streams of spec.streamsFrom are not known here: only those of spec.streams are planned, "
    "and those that workers have now."
)
_UNNAMED = (
    "The StreamMonitor does not exist yet, or no cluster was asked: everything is new, and the "
    "names of its workers will end otherwise."
)
_PIPED_COLUMNS = 200
"""Lines are folded at so many characters where there is no terminal."""


class Output(StrEnum):
    """How the plan is written."""

    TEXT = "text"
    JSON = "json"


def plan_command(
    file: Annotated[
        Path, typer.Option("--file", "-f", help="A StreamMonitor, as for kubectl apply.")
    ],
    context: Annotated[
        str | None, typer.Option(help="Plan against the cluster of this kubeconfig context.")
    ] = None,
    namespace: Annotated[
        str | None,
        typer.Option("--namespace", "-n", help="Plan against this namespace of a live cluster."),
    ] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How it is written.")] = (
        Output.TEXT
    ),
) -> None:
    """Show which workers would be made or removed, which streams would move, and why.

    Without --context and --namespace no cluster is asked: everything is new.
    """
    manifest = _read(file)
    spec, fault = parse_spec(manifest.get("spec"))
    if spec is None:
        _fail(f"{file}: {fault}")
    metadata = manifest.get("metadata") or {}
    name = str(metadata.get("name") or file.stem)
    place = namespace or metadata.get("namespace") or "default"
    live = context is not None or namespace is not None
    present = Present()
    if live:
        found = asyncio.run(_ask(context, str(place), name, spec))
        present, spec = found or Present(), _completed(spec, found)
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


async def _ask(
    context: str | None, namespace: str, name: str, spec: StreamMonitorSpec
) -> Present | None:
    try:
        client = KubeClient(await load_configuration(context))
    except KubeError as error:
        _fail(f"no cluster to ask: {error}")
    try:
        return await survey(client, namespace, name, spec)
    except KubeError as error:
        _fail(f"the cluster cannot be asked: {error}")
    finally:
        await client.close()


def _completed(spec: StreamMonitorSpec, present: Present | None) -> StreamMonitorSpec:
    if present is None or spec.streams_from is None:
        return spec
    return with_discovered(spec, present)


def _read(file: Path) -> Manifest:
    try:
        documents = list(yaml.safe_load_all(file.read_text()))
    except OSError as error:
        _fail(f"{file} cannot be read: {error.strerror}")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        _fail(f"{file} is no YAML: {' '.join(str(error).split())}")
    found = [one for one in documents if isinstance(one, dict) and one.get("kind") == names.KIND]
    if len(found) != 1:
        _fail(f"{file} holds {len(found)} documents of kind {names.KIND}: it must hold one")
    return dict(found[0])


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(USAGE)


_SIGNS = {Action.CREATE: "+ create", Action.KEEP: "  keep", Action.REMOVE: "- remove"}


def _print(planned: Preview, notes: list[str]) -> None:
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_COLUMNS)
    for note in notes:
        console.print(note, end="\n\n")
    workers = _table("worker", "group", "", "streams", "CPU", "why")
    for one in planned.workers:
        cpu = f"{one.load_m}m"
        workers.add_row(
            one.name, one.group, _SIGNS[one.action], str(len(one.streams)), cpu, one.why
        )
    console.print(workers, end="\n\n")
    moves = _table("stream", "group", "from", "to", "why")
    for move in planned.moves:
        moves.add_row(move.stream, move.group, move.source or "-", move.target or "-", move.why)
    if planned.moves:
        console.print(moves, end="\n\n")
    console.print(summary(planned))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


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
