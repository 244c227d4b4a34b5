"""Results from a store to files here: only those of the time that is asked about."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path

from streammonitor_worker.results import layout
from streammonitor_worker.results.store import Store

AT_ONCE = 16
LATE = timedelta(days=1)
"""An incident lies in the hour in which it ended: so much that follows the time is read as well."""


class Fetcher:
    """Reads the Parquet files of a time.

    Args:
        store: Where they are.
        folder: Where copies go; a store that is a folder is read where it is.
        monitor: namespace/name of the StreamMonitor, or a pattern.
    """

    def __init__(self, store: Store, folder: Path, monitor: str = "*") -> None:
        self._store = store
        self._folder = folder
        self._monitor = monitor

    def files(self, kind: str, since: datetime, until: datetime) -> list[Path]:
        """The files of a kind that may say something of a time.

        Raises:
            NotDelivered: The store does not give them.
        """
        paths = sorted(self._wanted(kind, since, until))
        with ThreadPoolExecutor(AT_ONCE) as crowd:
            return list(crowd.map(self._copied, paths))

    def _wanted(self, kind: str, since: datetime, until: datetime) -> Iterator[str]:
        last = until if kind == layout.SUMMARY else until + LATE
        for monitor in self._monitors(kind):
            for day in self._store.folders(monitor):
                at = layout.day_of(day)
                if at is not None and since.date() <= at <= last.date():
                    yield from (path for path, _ in self._store.objects(day)
                                if path.endswith(".parquet"))  # fmt: skip

    def _monitors(self, kind: str) -> Iterator[str]:
        for namespace in self._store.folders(f"kind={kind}/"):
            for monitor in self._store.folders(_folder(namespace)):
                if fnmatchcase(_name(_folder(monitor)), self._monitor):
                    yield _folder(monitor)

    def _copied(self, path: str) -> Path:
        if self._store.local is not None:
            return self._store.local / path
        target = self._folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self._store.get(path))
        return target


def _folder(path: str) -> str:
    return path if path.endswith("/") else f"{path}/"


def _name(path: str) -> str:
    """The namespace and name that a path is of.

    >>> _name("kind=summary/namespace=video/monitor=sports/")
    'video/sports'
    """
    parts: Iterable[str] = path.strip("/").split("/")
    said = dict(part.partition("=")[::2] for part in parts)
    return f"{said.get('namespace', '')}/{said.get('monitor', '')}"
