"""What the desk commands share: read a StreamMonitor's file, look at the cluster, draw a table."""

import asyncio
import sys
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
import yaml
from rich.console import Console
from rich.table import Table

from streammonitor_api import names
from streammonitor_api.spec import StreamMonitorSpec
from streammonitor_operator.kube import KubeError, Manifest
from streammonitor_operator.kube_client import KubeClient, load_configuration
from streammonitor_operator.monitors import parse_spec
from streammonitor_operator.preview import Present
from streammonitor_operator.survey import survey, with_discovered

USAGE = 2
"""Exit code: usage, an invalid specification, or a cluster that does not answer."""
_PIPED_COLUMNS = 200
"""Lines are folded at so many characters where there is no terminal."""

File = Annotated[Path, typer.Option("--file", "-f", help="A StreamMonitor, as for kubectl apply.")]
Context = Annotated[
    str | None, typer.Option(help="Look at the cluster of this kubeconfig context.")
]
Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Look at this namespace of a live cluster.")
]


class Output(StrEnum):
    """How results are written."""

    TEXT = "text"
    JSON = "json"


AsOutput = Annotated[Output, typer.Option("--output", "-o", help="How it is written.")]


@dataclass(frozen=True, slots=True)
class Subject:
    """The StreamMonitor that a command is about.

    Attributes:
        name: Its name.
        spec: What it asks for, with the streams that the operator discovered.
        present: What there is of it; nothing if no cluster was asked.
        live: A cluster was asked.
    """

    name: str
    spec: StreamMonitorSpec
    present: Present
    live: bool


def subject(file: Path, context: str | None, namespace: str | None) -> Subject:
    """Read a StreamMonitor, and ask the cluster about it if one is named."""
    manifest = _read(file)
    spec, fault = parse_spec(manifest.get("spec"))
    if spec is None:
        fail(f"{file}: {fault}")
    metadata = manifest.get("metadata") or {}
    name = str(metadata.get("name") or file.stem)
    place = namespace or metadata.get("namespace") or "default"
    if context is None and namespace is None:
        return Subject(name, spec, Present(), live=False)
    found = asyncio.run(_ask(context, str(place), name, spec))
    return Subject(name, _completed(spec, found), found or Present(), live=True)


def console() -> Console:
    """Where tables go."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else _PIPED_COLUMNS)


def table(*columns: str) -> Table:
    """An empty table with these columns."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


async def _ask(
    context: str | None, namespace: str, name: str, spec: StreamMonitorSpec
) -> Present | None:
    try:
        client = KubeClient(await load_configuration(context))
    except KubeError as error:
        fail(f"no cluster to ask: {error}")
    try:
        return await survey(client, namespace, name, spec)
    except KubeError as error:
        fail(f"the cluster cannot be asked: {error}")
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
        fail(f"{file} cannot be read: {error.strerror}")
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        fail(f"{file} is no YAML: {' '.join(str(error).split())}")
    found = [one for one in documents if isinstance(one, dict) and one.get("kind") == names.KIND]
    if len(found) != 1:
        fail(f"{file} holds {len(found)} documents of kind {names.KIND}: it must hold one")
    return dict(found[0])


def fail(message: str) -> NoReturn:
    """Say what is wrong, and end."""
    typer.echo(message, err=True)
    raise typer.Exit(USAGE)
