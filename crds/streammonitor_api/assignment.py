"""The assignment: what one worker must monitor. A ConfigMap mounted into it, with an epoch.

The operator writes the newest `schema_version` that the worker's status says it reads. A worker
fails static: as long as nothing newer arrives, it goes on with the assignment it has.
"""

from typing import Any

from pydantic import Field

from streammonitor_api.alerts import Alerts
from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.model import Model
from streammonitor_api.results import Results
from streammonitor_api.spec import Stream

SCHEMA_VERSION = 1
"""The newest version of the assignment's schema."""


class Release(Model):
    """A stream that this worker lets go for good: it ends what is open, with this reason."""

    stream: str
    """Name of the stream."""
    reason: EndReason
    """REMOVED or SUSPENDED."""


class Turn(Model):
    """When a worker speaks for a stream, in programme time: see `StreamStatus.clock_s`.

    Of two workers that follow a stream, one tells of what was found up to a moment, the other of
    what was found after it. What each measures is the same, so nothing is lost or told twice.
    """

    stream: str
    """Name of the stream."""
    clock_s: float | None = None
    """Seconds to add to the source's timestamps, as other workers do. Ignored when programme time
    would be nowhere near the wall clock."""
    from_s: float | None = None
    """What was found up to then was another's to tell; what was found after it is told, also if
    that was found while the stream was only followed."""
    until_s: float | None = None
    """The stream is to be handed over, not before then: the worker goes on until nothing is in the
    balance that began before it, says in `heldUntilS` when it fell silent, and follows silently."""


class Assignment(Model):
    """What one worker must monitor."""

    schema_version: int = SCHEMA_VERSION
    """Version of this document's schema."""
    epoch: int = Field(ge=1)
    """Grows with every change. A worker ignores an assignment older than the one it has."""
    monitor_uid: str = ""
    """UID of the StreamMonitor."""
    monitor: str = ""
    """namespace/name of the StreamMonitor."""
    worker: str = ""
    """The name of the worker that this is for."""
    group: str = ""
    """The worker group."""
    streams: list[Stream] = []
    """The streams to monitor, with the parameters that the user set for each alone."""
    profile: str | None = None
    """The profile of streams that name none; absent: broadcast."""
    warming: list[str] = []
    """Those of `streams` that another worker holds: they are followed without telling anybody of
    their incidents, so that this worker can take them over without a gap."""
    turns: list[Turn] = []
    """Of those of `streams` that other workers had, have or will have, when they change hands."""
    ports: dict[str, int] = {}
    """By name of the stream, for those that are sent to a worker: the port to listen on in place
    of the URL's, which is the port of the stream's Service."""
    detectors: dict[str, dict[str, Any]] = {}
    """The detectors to run on each of them, with the parameters that the user set."""
    alerts: Alerts | None = None
    """Who is told of incidents. Secrets are named only: they are mounted."""
    results: Results | None = None
    """Where results are kept besides the worker's memory. Secrets are named only."""
    show_decrypted_pictures: bool | None = None
    """Whether pictures of encrypted streams are shown, too. Absent: they are not."""
    open_incidents: list[Incident] = []
    """Incidents that were open elsewhere: the worker adopts them with their ids."""
    released: list[Release] = []
    """Streams that were monitored here and are no longer monitored anywhere. A stream that is
    neither here nor in `streams` went to another worker: its incidents are not ended here."""
