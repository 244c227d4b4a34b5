"""Open incidents and clocks survive a restart of the process: a small append-only journal.

Every event that opens, closes or worsens an incident is one JSON line, on disk before it is
reported. The journal is rewritten with what still matters at start and when it has grown.
"""

import json
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from streammonitor_api.incident import Incident

FILE_NAME: Final = "incidents.jsonl"
MAX_BYTES = 1_000_000
"""Size at which the journal is rewritten."""
MAX_CLOSED = 500
"""Ids of closed incidents that are remembered, so that an assignment which still lists them as
open does not open them again."""

_log = logging.getLogger(__name__)


class Journal:
    """The incidents that this worker holds. Thread-safe.

    A folder that cannot be read or written costs the protection against a crash, not the
    monitoring: `problem` says so.

    Attributes:
        problem: One sentence when nothing is being saved; None when all is well.
        resumed: Whether a process before this one left it.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME
        self._lock = threading.Lock()
        self._open: dict[str, Incident] = {}
        self._closed: OrderedDict[str, None] = OrderedDict()
        self._file: int | None = None
        self._size = 0
        self._clocks: dict[str, float] = {}
        self.problem: str | None = None
        self.resumed = False
        with self._lock:
            self._guard(self._load)
            self._guard(self._rewrite)

    def open_incidents(self) -> list[Incident]:
        """What is open."""
        with self._lock:
            return list(self._open.values())

    def was_closed(self, incident_id: str) -> bool:
        """Whether this worker ended that incident."""
        with self._lock:
            return incident_id in self._closed

    def clock(self, stream: str) -> float | None:
        """What was added last to a stream's timestamps; see `StreamStatus.clock_s`."""
        with self._lock:
            return self._clocks.get(stream)

    def clocked(self, stream: str, clock_s: float) -> None:
        """Save what is added to a stream's timestamps, if it is news."""
        if self.clock(stream) != clock_s:
            self._record({"clock": {stream: clock_s}})

    def opened(self, incident: Incident) -> None:
        """Save an incident that is open: started, adopted or changed."""
        self._record({"open": incident.to_json_object()})

    def closed(self, incident: Incident) -> None:
        """Forget an incident that ended."""
        self._record({"closed": incident.id})

    def let_go(self, stream: str) -> None:
        """Forget the open incidents of a stream that another worker has now."""
        with self._lock:
            held = any(incident.stream == stream for incident in self._open.values())
        if held:
            self._record({"letGo": stream})

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None

    def _record(self, entry: dict[str, Any]) -> None:
        with self._lock:
            self._apply(entry)
            self._guard(self._append, entry)

    def _apply(self, entry: dict[str, Any]) -> None:
        if "open" in entry:
            incident = Incident.model_validate(entry["open"])
            self._open[incident.id] = incident
        elif "closed" in entry:
            self._open.pop(entry["closed"], None)
            self._closed[entry["closed"]] = None
            while len(self._closed) > MAX_CLOSED:
                self._closed.popitem(last=False)
        elif "clock" in entry:
            self._clocks |= {str(stream): float(at) for stream, at in entry["clock"].items()}
        elif "letGo" in entry:
            gone = entry["letGo"]
            self._open = {key: item for key, item in self._open.items() if item.stream != gone}

    def _load(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        if not self._path.exists():
            return
        self.resumed = True
        for number, line in enumerate(self._path.read_bytes().splitlines(), 1):
            try:
                self._apply(json.loads(line))
            except (ValueError, ValidationError, TypeError, AttributeError):
                # The last line is torn when the process died while writing it.
                _log.warning("journal: line %d cannot be read and is skipped", number)

    def _append(self, entry: dict[str, Any]) -> None:
        if self._file is None or self._size > MAX_BYTES:
            self._rewrite()  # contains the entry: it was applied before
            return
        line = _line(entry)
        os.write(self._file, line)
        os.fsync(self._file)
        self._size += len(line)

    def _rewrite(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
        content = b"".join(self._lines())
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)
        _sync_folder(self._path.parent)
        self._file = os.open(self._path, os.O_WRONLY | os.O_APPEND)
        self._size = len(content)

    def _lines(self) -> Iterator[bytes]:
        if self._clocks:
            yield _line({"clock": self._clocks})
        for incident_id in self._closed:
            yield _line({"closed": incident_id})
        for incident in self._open.values():
            yield _line({"open": incident.to_json_object()})

    def _guard(self, action: Any, *args: Any) -> None:
        try:
            action(*args)
            self.problem = None
        except OSError as error:
            if self.problem is None:
                _log.warning("journal: %s", error)
            self.problem = (
                f"open incidents are not saved in {self._path.parent} "
                f"({error.strerror or error}): mount a writable volume there"
            )


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
