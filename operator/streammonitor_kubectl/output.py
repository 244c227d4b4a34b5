"""Tables for people, JSON for programs."""

import json
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

PIPED_COLUMNS = 200
"""Lines are folded at so many characters where there is no terminal."""
_STYLES = {
    "critical": "bold red", "warning": "yellow", "receiving": "green", "retrying": "red",
    "failed": "red", "connecting": "yellow", "True": "green", "False": "red", "answers": "green",
    "silent": "red",
}  # fmt: skip
Rows = Sequence[dict[str, Any]]
Columns = Sequence[str]


class Output(StrEnum):
    """How it is written."""

    TEXT = "text"
    JSON = "json"


def console() -> Console:
    """Where to write; colours only on a terminal."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPED_COLUMNS)


def show(rows: Rows, columns: Sequence[str], output: Output, nothing: str) -> None:
    """Write rows: as a table of some columns, or whole as a JSON list.

    Args:
        rows: By name of the column.
        columns: Those of the table.
        output: How.
        nothing: What is said where there are no rows.
    """
    if output is Output.JSON:
        print_json(list(rows))
    elif rows:
        console().print(table(rows, columns))
    else:
        console().print(nothing)


def table(rows: Rows, columns: Sequence[str]) -> Table:
    """A table; what is not there is a dash."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(_heading(column), overflow="fold")
    for row in rows:
        made.add_row(*(_cell(row.get(column)) for column in columns))
    return made


def print_json(document: Any, indent: int | None = 1) -> None:
    """Write a document."""
    sys.stdout.write(json.dumps(document, indent=indent) + "\n")
    sys.stdout.flush()


def _heading(column: str) -> str:
    """As kubectl writes it: timeZone is TIME ZONE."""
    return "".join(f" {one}" if one.isupper() else one for one in column).upper()


def _cell(value: Any) -> Text:
    text = "-" if value in (None, "", []) else str(value)
    return Text(text, style=_STYLES.get(text, ""))


def ago(moment: datetime | None, now: datetime | None = None) -> str:
    """How long ago something was, as kubectl says it.

    >>> ago(datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 1, 5, tzinfo=UTC))
    '65m'
    """
    if moment is None:
        return ""
    return lasted(((now or datetime.now(UTC)) - moment).total_seconds())


def lasted(seconds: float) -> str:
    """A length of time in the unit that says enough.

    >>> lasted(4.2), lasted(300), lasted(9000), lasted(200_000)
    ('4s', '5m', '2h', '2d')
    """
    for unit, size_s in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds >= 2 * size_s:
            return f"{seconds // size_s:.0f}{unit}"
    return f"{max(0.0, seconds):.0f}s"
