"""`streammonitor results`: how streams were, from what workers wrote to a store.

It is there where DuckDB is installed too: the extra `results`.
"""

import json
import os
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import duckdb
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from streammonitor_api.durations import parse_duration
from streammonitor_api.results import Results
from streammonitor_worker.alerts.sink import Around, NotDelivered
from streammonitor_worker.ingest import EVERYTHING
from streammonitor_worker.ingest.signing import SECRETS
from streammonitor_worker.results import layout
from streammonitor_worker.results.fetch import Fetcher
from streammonitor_worker.results.query import Answer, Database
from streammonitor_worker.results.store import Store

SCHEMA_VERSION = 1
USAGE = 2
"""Exit code: usage, or a question that cannot be asked."""
UNREADABLE = 3
"""Exit code: the store does not give what it holds."""
WEEK = "168h"
_PIPED_COLUMNS = 200
_SECRET = "environment"  # noqa: S105 - a name


class By(StrEnum):
    """What is summed up."""

    STREAM = "stream"
    DAY = "day"
    HOUR = "hour"


class Output(StrEnum):
    """How the answer is written."""

    TABLE = "table"
    JSON = "json"


def results_command(
    where: Annotated[
        str, typer.Argument(help="s3://, gs:// or az:// URL as of spec.results, or a folder.")
    ],
    *,
    since: Annotated[
        str, typer.Option(help="From when: a time, as 2027-03-01T20:00:00Z, or how long ago.")
    ] = WEEK,
    until: Annotated[str, typer.Option(help="Up to when, likewise.")] = "0s",
    monitor: Annotated[
        str, typer.Option(help="namespace/name of the StreamMonitor, or a pattern.")
    ] = "*",
    by: Annotated[By, typer.Option(help="A row for each stream, or of each for a day or hour.")] = (
        By.STREAM
    ),
    incidents: Annotated[bool, typer.Option("--incidents", help="List the incidents.")] = False,
    sql: Annotated[
        str | None, typer.Option(help="A question of your own, to minutes and incidents.")
    ] = None,
    endpoint: Annotated[
        str | None, typer.Option(help="URL of an S3 server that is not Amazon's.")
    ] = None,
    region: Annotated[str | None, typer.Option(help="Region of an s3 bucket.")] = None,
    output: Annotated[Output, typer.Option("--output", "-o", help="How it is written.")] = (
        Output.TABLE
    ),
) -> None:
    """Tell how available streams were, their incidents and scores; default: of the last week.

    Credentials come from the environment, by the names that a Secret has: AWS_ACCESS_KEY_ID and
    others.
    """
    now = datetime.now(UTC)
    begin, end = _moment("since", since, now), _moment("until", until, now)
    if begin >= end:
        _fail(USAGE, f"since ({since}) is not before until ({until}): correct one of them")
    with tempfile.TemporaryDirectory() as name:
        try:
            database = _fetched(_place(where, endpoint, region), Path(name), monitor, begin, end)
            answer = _asked(database, begin, end, by, sql, incidents=incidents)
        except NotDelivered as error:
            _fail(UNREADABLE, error.message)
        except duckdb.Error as error:
            _fail(USAGE, f"--sql: {error}")
    if output is Output.JSON:
        document = {"schemaVersion": SCHEMA_VERSION, "since": begin.isoformat(),
                    "until": end.isoformat(), "rows": answer.records()}  # fmt: skip
        typer.echo(json.dumps(document, indent=1))
    else:
        _print(answer)


def _moment(name: str, text: str, now: datetime) -> datetime:
    with suppress(ValueError):
        return now - timedelta(seconds=parse_duration(text))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        _fail(USAGE, f"{name} is {text!r}: give a time as 2027-03-01T20:00:00Z, or as 24h")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _place(where: str, endpoint: str | None, region: str | None) -> Results:
    """Where results are, as a resource would say it."""
    if "://" not in where:
        path = Path(where).absolute()
        if not path.is_dir():
            _fail(UNREADABLE, f"{where} is no folder: name one that a worker has written to")
        return Results.model_construct(url=path.as_uri())
    store: dict[str, Any] = {"credentialsFrom": {"secretRef": {"name": _SECRET}}}
    store |= {"endpoint": endpoint} if endpoint else {}
    store |= {"region": region} if region else {}
    try:
        return Results.model_validate({"url": where, "objectStore": store})
    except ValidationError as error:
        texts = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors())
        _fail(USAGE, f"{where} cannot be asked: {texts}")


def _fetched(
    results: Results, folder: Path, monitor: str, since: datetime, until: datetime
) -> Database:
    secrets = folder / "secrets"
    results = _with_credentials(results, secrets / _SECRET)
    store = Store(results, Around("", "", secrets, EVERYTHING))
    fetcher = Fetcher(store, folder / "files", monitor)
    return Database(*(fetcher.files(kind, since, until)
                      for kind in (layout.SUMMARY, layout.INCIDENT)))  # fmt: skip


def _with_credentials(results: Results, folder: Path) -> Results:
    """What the environment holds, as it would be mounted; without any, what is public is read."""
    held = {
        name: os.environ[name]
        for name in SECRETS.get(results.url.split("://")[0], ())
        if os.environ.get(name)
    }
    store = results.object_store
    if not held and store is not None:
        return results.model_copy(
            update={"object_store": store.model_copy(update={"credentials_from": None})}
        )
    folder.mkdir(parents=True, mode=0o700)
    for name, value in held.items():
        (folder / name).write_text(value)
    return results


def _asked(
    database: Database,
    since: datetime,
    until: datetime,
    by: By,
    sql: str | None,
    *,
    incidents: bool,
) -> Answer:
    if sql is not None:
        return database.ask(sql)
    if incidents:
        return database.incidents(since, until)
    return database.streams(since, until, by.value)


def _print(answer: Answer) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=_PIPED_COLUMNS)
    table = Table(box=None, header_style="bold", pad_edge=False)
    # A column that says nothing of anything is left out.
    shown = [
        index
        for index, _ in enumerate(answer.columns)
        if any(row[index] is not None for row in answer.rows)
    ]
    for index in shown:
        numeric = all(isinstance(row[index], int | float | None) for row in answer.rows)
        name = answer.columns[index].upper().replace("_", " ")
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in answer.rows:
        table.add_row(*(_shown(row[index]) for index in shown))
    if answer.rows:
        console.print(table)
    else:
        typer.echo("There is nothing of that time.")


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "-"
    return str(value)


def _fail(code: int, message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(code)
