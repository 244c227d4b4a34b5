"""What a stream finds around it in a process: where it reports, and when it tries again."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from streammonitor_api.worker_status import StreamStatus
from streammonitor_worker.analysis import IncidentEvent
from streammonitor_worker.figures import Figures
from streammonitor_worker.ingest import EVERYTHING, Access
from streammonitor_worker.results import Minutes

BACKOFF_FIRST_S = 0.25
BACKOFF_SOON_S = 1.0
BACKOFF_CAP_S = 15.0
SOON_ATTEMPTS = 100
"""So many attempts follow each other soon, for two minutes or so: an encoder that is restarted, an
origin that is redeployed is back by then, and is to be seen at once."""
REFUSED_ATTEMPTS = 5
"""So many where the peer answers, but with what cannot be monitored: it hardly changes soon."""
REFUSED = frozenset(
    {
        "AddressNotAllowed",
        "BadRequest",
        "CertificateInvalid",
        "DecodeFailed",
        "Forbidden",
        "NestedNotAllowed",
        "NoStreams",
        "NotMedia",
        "PlaylistTooLarge",
        "TooLarge",
        "TooManyRedirects",
        "Unauthorized",
        "UnsupportedCodec",
        "VariantMissing",
    }
)
"""Reasons of that kind."""


def backoff_s(attempt: int, reason: str | None = None) -> float:
    """Return how long to wait before attempt number `attempt` (from 1) after failing for `reason`.

    It grows to `BACKOFF_SOON_S`, and after many attempts to `BACKOFF_CAP_S`. Up to half of it is
    left to chance, which spreads the streams of an origin that restarts.
    """
    soon = REFUSED_ATTEMPTS if reason in REFUSED else SOON_ATTEMPTS
    ceiling = min(BACKOFF_SOON_S, BACKOFF_FIRST_S * 2 ** min(attempt, 10))
    if attempt > soon:
        ceiling = min(BACKOFF_CAP_S, BACKOFF_SOON_S * 2 ** min(attempt - soon, 10))
    return random.uniform(ceiling / 2, ceiling)


def unread(stream: str, figures: Callable[[], Figures]) -> Minutes:
    """Minutes that nobody asks for."""
    return Minutes(stream, figures=figures)


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
        shows_decrypted: Tells whether pictures of encrypted streams may leave the worker.
        minutes: Where a stream tells what it analyses, by its name and its figures.
        backoff: Seconds to wait before the n-th attempt in a row, after failing for a reason.
    """

    reporter: Reporter
    secrets_folder: Path
    monitor_uid: str
    worker: str
    access: Access = EVERYTHING
    evidence: bool = True
    shows_decrypted: Callable[[], bool] = bool
    minutes: Callable[[str, Callable[[], Figures]], Minutes] = unread
    backoff: Callable[[int, str | None], float] = backoff_s
