"""The `streammonitor` command."""

import importlib
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from streammonitor_worker import __version__
from streammonitor_worker.models import store
from streammonitor_worker.monitor_file import ELSEWHERE, MonitorFileError, load_monitor
from streammonitor_worker.run import run_monitor
from streammonitor_worker.settings import SettingsError, read_settings
from streammonitor_worker.worker import run_worker

app = typer.Typer(
    help="Watches live streams for defects of picture and sound.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
USAGE = 2
"""Exit code: usage or an invalid specification."""


@app.command()
def worker() -> None:
    """Carry out the assignment that the operator mounts. Configured by environment variables."""
    try:
        settings = read_settings()
    except SettingsError as error:
        _fail(str(error))
    try:
        run_worker(settings)
    except OSError as error:
        _fail(f"port {settings.port} cannot be opened ({error.strerror}): set STREAMMONITOR_PORT")


@app.command()
def run(
    file: Annotated[
        Path, typer.Option("--file", "-f", help="A StreamMonitor, as for kubectl apply.")
    ],
    port: Annotated[
        int | None,
        typer.Option(help="Serve /healthz, /readyz, /status and /metrics there.", min=0, max=65535),
    ] = None,
    secrets_dir: Annotated[
        Path | None,
        typer.Option(help="Secret S, key K is the file S/K in this folder."),
    ] = None,
    models: Annotated[
        Path | None, typer.Option(help="Folder of ONNX models. Default: the StreamMonitor's.")
    ] = None,
    results: Annotated[
        Path | None, typer.Option(help="Write summaries of every minute and incidents there.")
    ] = None,
) -> None:
    """Run a StreamMonitor here, without Kubernetes."""
    try:
        monitor = load_monitor(file)
    except MonitorFileError as error:
        _fail(str(error))
    if monitor.spec.streams_from is not None:
        _fail(f"{file}: {ELSEWHERE}")
    store.shared.use(models or file.parent, patient=True)
    try:
        code = run_monitor(monitor, port=port, secrets_folder=secrets_dir, results=results)
    except OSError as error:
        _fail(f"port {port} cannot be opened ({error.strerror}): choose another")
    raise typer.Exit(code)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(USAGE)


def _add_desk_commands() -> None:
    """Only where they can be asked for: a worker has no use for what they import."""
    analyze = importlib.import_module("streammonitor_worker.analyze")
    app.command(name="analyze")(analyze.analyze_command)
    explain = importlib.import_module("streammonitor_worker.explain")
    app.command(name="explain")(explain.explain_command)
    marker_clip = importlib.import_module("streammonitor_worker.marker_clip")
    app.command(name="marker")(marker_clip.marker_command)


def _add_plugins() -> None:
    """Commands of other packages, as far as what they need is installed."""
    for entry in entry_points(group="streammonitor.commands"):
        try:
            command = entry.load()
        except ImportError:
            continue
        app.command(name=entry.name)(command)


def main() -> None:
    """Entry point."""
    if sys.argv[1:2] not in (["worker"], ["run"], ["version"]):
        _add_desk_commands()
        if sys.argv[1:2] not in (["analyze"], ["explain"]):
            _add_plugins()
    app()
