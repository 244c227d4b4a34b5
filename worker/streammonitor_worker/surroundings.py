"""What a stream finds around it in a process: where it reports, and when it tries again."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streammonitor_api.worker_status import StreamStatus
from streammonitor_worker.analysis import IncidentEvent
from streammonitor_worker.ingest import EVERYTHING, Access

BACKOFF_FIRST_S = 0.5
BACKOFF_CAP_S = 15.0


def backoff_s(attempt: int) -> float:
    """Return how long to wait before attempt number `attempt` (from 1): capped, full jitter.

    The jitter spreads the streams of an origin that restarts.
    """
    ceiling = min(BACKOFF_CAP_S, BACKOFF_FIRST_S * 2 ** min(attempt, 10))
    return random.uniform(BACKOFF_FIRST_S, ceiling)


class Reporter(Protocol):
    """Where a stream tells what happens to it. Called from the stream's thread."""

    def stream_changed(self, status: StreamStatus) -> None:
        """The stream's status is now this."""

    def incident_changed(self, event: IncidentEvent) -> None:
        """An incident started, changed or ended."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every stream of a process shares.

    Attributes:
        reporter: Where events go.
        secrets_folder: Mounted Secrets.
        monitor_uid: UID of the StreamMonitor.
        worker: Name of the worker.
        access: Which sources may be opened.
        evidence: Whether small pictures and sound of incidents are kept.
        backoff: Seconds to wait before the n-th attempt in a row.
    """

    reporter: Reporter
    secrets_folder: Path
    monitor_uid: str
    worker: str
    access: Access = EVERYTHING
    evidence: bool = True
    backoff: Callable[[int], float] = backoff_s
