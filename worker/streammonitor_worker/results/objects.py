"""From lines of the spool to objects of the store, and what the lines are."""

import base64
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from streammonitor_api.incident import Incident
from streammonitor_api.results import Minute
from streammonitor_worker.results import layout
from streammonitor_worker.spool import Record

Object = tuple[str, bytes]
"""Path and content."""

_log = logging.getLogger(__name__)


def summary_line(minute: Minute) -> bytes:
    """A minute as it lies in the spool."""
    return _line({layout.SUMMARY: minute.to_json_object()})


def incident_line(incident: Incident, pictures: Sequence[str]) -> bytes:
    """An incident that ended, and the paths of what shows it."""
    return _line({layout.INCIDENT: incident.to_json_object(), "pictures": list(pictures)})


def picture_line(path: str, jpeg: bytes) -> bytes:
    """A picture and where it belongs."""
    return _line({layout.EVIDENCE: path, "jpeg": base64.b64encode(jpeg).decode()})


def pack(records: Sequence[Record], monitor: str, name: str) -> Iterator[Object]:
    """The objects that records make: a Parquet file for each kind and hour, and the pictures.

    Args:
        records: What lies in the spool; lines that cannot be read are passed over.
        monitor: namespace/name of the StreamMonitor.
        name: Of the files. The same records make the same objects.
    """
    gathered = _Gathered(monitor)
    for record in records:
        try:
            picture = gathered.take(json.loads(record.line))
        except (ValueError, KeyError, TypeError, AttributeError):
            _log.warning("results: a line of the spool cannot be read and is skipped")
            continue
        if picture is not None:
            yield picture
    yield from gathered.files(name)


class _Gathered:
    """Summaries and incidents by the folder that they belong to."""

    def __init__(self, monitor: str) -> None:
        self._monitor = monitor
        self._summaries: dict[str, list[Minute]] = {}
        self._incidents: dict[str, list[tuple[Incident, list[str]]]] = {}

    def take(self, said: Mapping[str, Any]) -> Object | None:
        """Take what a line says; returns it if it is a picture."""
        if layout.EVIDENCE in said:
            return str(said[layout.EVIDENCE]), base64.b64decode(said["jpeg"])
        if layout.SUMMARY in said:
            minute = Minute.model_validate(said[layout.SUMMARY])
            folder = layout.hour(layout.SUMMARY, self._monitor, minute.minute)
            self._summaries.setdefault(folder, []).append(minute)
        else:
            one = Incident.model_validate(said[layout.INCIDENT])
            folder = layout.hour(layout.INCIDENT, self._monitor, one.ended_at or one.detected_at)
            self._incidents.setdefault(folder, []).append((one, list(said["pictures"])))
        return None

    def files(self, name: str) -> Iterator[Object]:
        """A file for each folder."""
        # Imported by whoever has a store: it takes 20 MB.
        from streammonitor_worker.results import tables  # noqa: PLC0415

        for folder, minutes in self._summaries.items():
            yield f"{folder}{name}.parquet", tables.summaries(minutes)
        for folder, pairs in self._incidents.items():
            ended, pictures = [one for one, _ in pairs], [paths for _, paths in pairs]
            yield f"{folder}{name}.parquet", tables.incidents(ended, pictures)


def _line(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
