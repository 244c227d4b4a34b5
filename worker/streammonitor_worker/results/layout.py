"""Where objects lie in a store: by kind, namespace, StreamMonitor, day and hour (hive style)."""

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime
from typing import Final
from urllib.parse import quote

SUMMARY: Final = "summary"
INCIDENT: Final = "incident"
EVIDENCE: Final = "evidence"
KINDS: Final = (SUMMARY, INCIDENT, EVIDENCE)
NOWHERE: Final = "local"
"""The namespace outside a cluster."""


def root(kind: str, monitor: str) -> str:
    """Where everything of a kind lies that belongs to a StreamMonitor.

    Args:
        kind: One of KINDS.
        monitor: namespace/name, or a name outside a cluster.

    >>> root("summary", "video/sports")
    'kind=summary/namespace=video/monitor=sports/'
    """
    namespace, _, name = monitor.rpartition("/")
    return f"kind={kind}/namespace={quote(namespace) or NOWHERE}/monitor={quote(name, safe='')}/"


def hour(kind: str, monitor: str, at: datetime) -> str:
    """Where what happened at a moment lies.

    >>> hour("incident", "video/sports", datetime(2026, 11, 21, 7, 59, tzinfo=UTC))
    'kind=incident/namespace=video/monitor=sports/date=2026-11-21/hour=07/'
    """
    at = at.astimezone(UTC)
    return f"{root(kind, monitor)}date={at:%Y-%m-%d}/hour={at:%H}/"


def day_of(path: str) -> date | None:
    """The day that a path belongs to; None if it names none.

    >>> day_of("kind=summary/namespace=video/monitor=sports/date=2026-11-21/")
    datetime.date(2026, 11, 21)
    """
    for part in path.split("/"):
        if part.startswith("date="):
            try:
                return date.fromisoformat(part.removeprefix("date="))
            except ValueError:
                return None
    return None


def expired(paths: Iterable[str], before: date) -> Iterator[str]:
    """Of the paths of days, those of days before another."""
    for path in paths:
        day = day_of(path)
        if day is not None and day < before:
            yield path
