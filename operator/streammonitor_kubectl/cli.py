"""The commands of `kubectl streammonitor`."""

import importlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Annotated, NoReturn, ParamSpec
from urllib.parse import quote

import typer

from streammonitor_api import names
from streammonitor_api.durations import parse_duration
from streammonitor_kubectl import mutes as muting
from streammonitor_kubectl import views
from streammonitor_kubectl.cluster import Cluster, KubectlError, Object, Worker
from streammonitor_kubectl.output import Columns, Output, Rows, console, print_json, show, table
from streammonitor_kubectl.watching import watch

P = ParamSpec("P")
app = typer.Typer(
    name="kubectl streammonitor",
    help="How streams are, what is wrong with them, and who monitors them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
USAGE = 2
_TRIES = 5
"""So often a StreamMonitor is read again that somebody else changed meanwhile."""

Namespace = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Default: that of the context.")
]
Everywhere = Annotated[bool, typer.Option("--all-namespaces", "-A", help="In every namespace.")]
Context = Annotated[str | None, typer.Option(help="Context of the kubeconfig.")]
Format = Annotated[Output, typer.Option("--output", "-o", help="How it is written.")]
Name = Annotated[str | None, typer.Argument(metavar="[MONITOR]", help="Default: all.")]
Monitor = Annotated[str, typer.Argument(metavar="MONITOR")]


def _said(command: Callable[P, None]) -> Callable[P, None]:
    """A command that says what went wrong in one sentence."""

    @wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except KubectlError as error:
            fail(str(error))

    return run


def fail(message: str) -> NoReturn:
    """End with a sentence."""
    typer.echo(message, err=True)
    raise typer.Exit(USAGE)


@app.command()
@_said
def status(
    monitor: Name = None,
    *,
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    context: Context = None,
    output: Format = Output.TEXT,
) -> None:
    """Every StreamMonitor, or all about one: conditions, workers, problems, incidents."""
    cluster = Cluster(context, namespace, everywhere)
    found = cluster.monitors(monitor)
    if monitor is None:
        every = [views.monitor_row(one) for one in found]
        show(every, views.MONITORS, output, "There are no StreamMonitors here.")
        return
    details = _details(found[0], cluster.workers(monitor))
    if output is Output.JSON:
        print_json({**views.monitor_row(found[0]), **{key: rows for key, _, rows, _ in details}})
        return
    screen = console()
    screen.print(table([views.monitor_row(found[0])], views.MONITORS))
    for _, heading, rows, columns in details:
        if rows:
            screen.print(f"\n[bold]{heading}[/bold]")
            screen.print(table(rows, columns))


def _details(monitor: Object, workers: list[Worker]) -> list[tuple[str, str, Rows, Columns]]:
    """What is told of one StreamMonitor: key for programs, heading, rows, columns for people."""
    conditions = (monitor.get("status") or {}).get("conditions") or []
    rows = [views.worker_row(one) for one in workers]
    lasting = [views.incident_row(*item) for item in views.incidents_of(workers, ended=False)]
    problems = views.problems(monitor)
    return [
        ("conditions", "Conditions", conditions, ("type", "status", "reason", "message")),
        ("workerProcesses", "Workers", rows, views.WORKERS),
        ("problems", "Problems", problems, ("what", "reason", "since", "message")),
        ("mutes", "Mutes", muting.mutes_of(monitor), ("name", "streams", "defects", "once")),
        ("activeIncidents", "Incidents that last", lasting, views.INCIDENTS),
    ]


@app.command()
@_said
def streams(
    monitor: Name = None,
    *,
    stream: Annotated[str | None, typer.Option("--stream", "-s", help="Only this one.")] = None,
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    context: Context = None,
    output: Format = Output.TEXT,
) -> None:
    """What workers say of every stream, those with a problem first."""
    workers = Cluster(context, namespace, everywhere).workers(monitor)
    rows = views.stream_rows(workers, stream)
    show(rows, views.STREAMS, output, "No worker has a stream here.")


@app.command()
@_said
def incidents(
    monitor: Name = None,
    *,
    stream: Annotated[str | None, typer.Option("--stream", "-s", help="Only of this one.")] = None,
    lasting: Annotated[bool, typer.Option(help="Only those that last now.")] = False,
    follow: Annotated[bool, typer.Option("--watch", "-w", help="Go on, as they happen.")] = False,
    namespace: Namespace = None,
    everywhere: Everywhere = False,
    context: Context = None,
    output: Format = Output.TEXT,
) -> None:
    """Incidents that last, and the last 200 of each worker that ended, oldest first."""
    cluster = Cluster(context, namespace, everywhere)

    def found(workers: list[Worker]) -> list[views.Row]:
        listed = views.incidents_of(workers, stream, ended=not lasting)
        return [views.incident_row(*item) for item in listed]

    if follow:
        watch(cluster, monitor, found, output)
    else:
        rows = found(cluster.workers(monitor))
        show(rows, views.INCIDENTS, output, "No incidents.")


@app.command()
@_said
def report(
    monitor: Monitor,
    stream: Annotated[str, typer.Argument(metavar="STREAM")],
    *,
    since: Annotated[str, typer.Option(help="How far back, as in 30m or 12h.")] = "1h",
    file: Annotated[
        Path | None, typer.Option("--file", "-f", help="Default: STREAM.html; - for the terminal.")
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Write one page about a stream's last time: timeline, evidence, measurements; opens offline.

    A stream that several worker groups monitor has a page of each.
    """
    cluster = Cluster(context, namespace)
    try:
        parse_duration(since)
    except ValueError as error:
        fail(f"--since: {error}")
    holders = [
        one
        for one in cluster.workers(monitor)
        if one.status is not None and any(s.name == stream for s in one.status.streams)
    ]
    if not holders:
        fail(f"no worker of {monitor} monitors a stream {stream!r}")
    for worker in holders:
        path = f"report/{quote(stream, safe='')}?since={quote(since)}"
        page = cluster.ask(worker.namespace, worker.pod, path)
        if str(file) == "-":
            typer.echo(page, nl=False)
            continue
        group = f".{worker.group}" if len(holders) > 1 else ""
        target = file or Path(f"{stream}.html")
        target = target.with_name(f"{target.stem}{group}{target.suffix}")
        target.write_text(page)
        typer.echo(f"{target} is written: {len(page) // 1024 + 1} KiB")


@app.command()
@_said
def drain(
    worker: Annotated[str, typer.Argument(metavar="WORKER", help="As `status` names it.")],
    *,
    undo: Annotated[bool, typer.Option(help="Let it stay after all.")] = False,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Have other workers take a worker's streams over without a gap; then it goes."""
    cluster = Cluster(context, namespace)
    mark = None if undo else f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    annotations = {names.ANNOTATION_DRAIN: mark}
    cluster.patch("deployment", worker, {"metadata": {"annotations": annotations}})
    done = "stays" if undo else "hands its streams over, and goes: see `streams`"
    typer.echo(f"{worker} {done}")


@app.command()
@_said
def logs(
    monitor: Monitor,
    *,
    worker: Annotated[str | None, typer.Option("--worker", help="Only of this one.")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on.")] = False,
    since: Annotated[str | None, typer.Option(help="As in 10m.")] = None,
    tail: Annotated[int, typer.Option(help="Lines of each worker; -1: all.")] = 100,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """The logs of a StreamMonitor's workers."""
    cluster = Cluster(context, namespace)
    chosen = [one for one in cluster.workers(monitor) if worker in (None, one.name)]
    if not chosen:
        fail(f"{monitor} has no worker" + (f" {worker!r}" if worker else "s yet"))
    more = ["--follow"] if follow else []
    more += [f"--since={since}"] if since else []
    listed = ",".join(sorted({one.name for one in chosen}))
    cluster.become(
        "logs", "--prefix", "-l", f"{names.LABEL_WORKER} in ({listed})", f"--tail={tail}",
        "--max-log-requests=100", *more,
    )  # fmt: skip


@app.command()
@_said
def mute(
    monitor: Monitor,
    *,
    length: Annotated[str, typer.Option("--for", help="How long from now, as in 2h.")],
    name: Annotated[str, typer.Option(help="Of the mute.")] = "",
    stream: Annotated[
        list[str] | None, typer.Option("--stream", "-s", help="Name or pattern; default: all.")
    ] = None,
    defect: Annotated[
        list[str] | None, typer.Option("--defect", "-d", help="Default: all.")
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Tell no sink of incidents for a while; they are detected and recorded all the same."""
    cluster, now = Cluster(context, namespace), datetime.now(UTC)
    try:
        made = muting.one_off(
            name or f"once-{now:%Y%m%d-%H%M%S}", now, parse_duration(length), stream or (),
            defect or (),
        )  # fmt: skip
    except ValueError as error:
        fail(f"this is no mute: {error}")
    _change(cluster, monitor, lambda listed: muting.muted(listed, made, now))
    end = made.once.end if made.once is not None else now
    typer.echo(f"{monitor}: mute {made.name} until {end:%Y-%m-%d %H:%M:%S} UTC")


@app.command()
@_said
def unmute(
    monitor: Monitor,
    name: Annotated[str, typer.Argument(metavar="MUTE")],
    *,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Take a mute out of a StreamMonitor; what lasts is told then."""
    try:
        _change(Cluster(context, namespace), monitor, lambda listed: muting.unmuted(listed, name))
    except LookupError as error:
        fail(f"{monitor}: {error.args[0]}")
    typer.echo(f"{monitor}: mute {name} is gone")


def _change(cluster: Cluster, name: str, change: Callable[[muting.Listed], muting.Listed]) -> None:
    for _ in range(_TRIES):
        (monitor,) = cluster.monitors(name)
        if muting.write(cluster, monitor, change(muting.mutes_of(monitor))):
            return
    fail(f"{name} is changed by somebody else all the time: try again")


def _add_plan() -> None:
    """Take up the operator's command where its packages are installed too."""
    try:
        command = importlib.import_module("streammonitor_operator.plan_command").plan_command
    except ImportError:
        return
    app.command(name="plan")(command)


def main() -> None:
    """Entry point."""
    _add_plan()
    app()
