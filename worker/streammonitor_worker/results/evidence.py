"""Which pictures of incidents are kept, and what they are called."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

from streammonitor_api.incident import Incident
from streammonitor_api.results import DEFAULT_PICTURES_PER_DAY, EvidencePictures
from streammonitor_worker.evidence import Evidence
from streammonitor_worker.results import layout

MOST_BYTES = 128 * 1024
"""A picture of 320 pixels is a tenth of it; one that is larger is not kept."""

Picture = tuple[str, bytes]
"""Path and JPEG."""


class Pictures:
    """Takes the pictures of incidents, no more of a stream and day than is asked for.

    Args:
        asked: What is asked for; None: no pictures.
        monitor: namespace/name of the StreamMonitor.
        worker: Name of the worker.
    """

    def __init__(self, asked: EvidencePictures | None, monitor: str, worker: str) -> None:
        self._asked = asked
        self._monitor = monitor
        self._worker = worker
        self._day: date | None = None
        self._taken: dict[str, int] = {}

    def of(self, incident: Incident, evidence: Evidence | None) -> Iterator[Picture]:
        """The pictures that are kept of an incident that ended.

        Args:
            incident: It.
            evidence: What may be shown of it.
        """
        asked = self._asked
        if asked is None or evidence is None:
            return
        at = incident.ended_at or incident.detected_at
        folder = layout.hour(layout.EVIDENCE, self._monitor, at)
        most = asked.pictures_per_day or DEFAULT_PICTURES_PER_DAY
        for part in ("start", "worst", "end"):
            shown = getattr(evidence, part)
            if shown is None or self._count(incident.stream, at) >= most:
                continue
            jpeg = shown.jpeg()
            if len(jpeg) <= MOST_BYTES:
                self._taken[incident.stream] += 1
                yield f"{folder}{incident.stream}-{incident.id}-{part}-{self._worker}.jpg", jpeg

    def _count(self, stream: str, at: datetime) -> int:
        day = at.astimezone(UTC).date()
        if day != self._day:
            self._day, self._taken = day, {}
        return self._taken.setdefault(stream, 0)
