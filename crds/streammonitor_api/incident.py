"""Incidents: one episode of one defect on one stream.

An incident's key is (StreamMonitor UID, stream, defect, episode). Every sink deduplicates by the
id derived from it, so whoever reports the same episode again (a worker that took the stream over,
a delivery that was retried) reports the same incident.
"""

import hashlib
from datetime import datetime
from enum import StrEnum

from streammonitor_api.model import Model


class Severity(StrEnum):
    """How bad an incident is."""

    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Greater is worse."""
        return list(type(self)).index(self)


class EndReason(StrEnum):
    """Why an incident ended."""

    CLEARED = "cleared"
    """The defect was gone for the detector's clear time."""
    EOF = "eof"
    """The source ended while the defect lasted."""
    REMOVED = "removed"
    """The stream or its detector was taken out of the StreamMonitor."""
    SUSPENDED = "suspended"
    """The StreamMonitor was suspended."""
    INTERRUPTED = "interrupted"
    """The worker stopped; unless another adopts the incident before `expires_at`, it is over."""


class Incident(Model):
    """One episode of one defect on one stream."""

    id: str
    """Stable identity, derived from the key by `incident_id`."""
    monitor_uid: str
    """UID of the StreamMonitor; empty outside a cluster."""
    stream: str
    """Name of the stream."""
    defect: str
    """Name of the detector."""
    episode: str
    """Tells episodes of the same defect on the same stream apart; opaque."""
    severity: Severity
    """The worst severity reached."""
    started_at: datetime
    """When the first defective frame or sample arrived (UTC): backdated from detection."""
    detected_at: datetime
    """When the defect had lasted for the detector's minimum duration and was raised (UTC)."""
    ended_at: datetime | None = None
    """When the defect was gone (UTC): the first good frame; absent while it lasts."""
    end_reason: EndReason | None = None
    """Why it ended; absent while it lasts."""
    expires_at: datetime | None = None
    """With `interrupted`: when a consumer may take it as ended."""
    start_s: float
    """Media time of the first defective frame, in seconds since the first presented frame."""
    detected_s: float
    """Media time at which it was raised, in seconds."""
    end_s: float | None = None
    """Media time of the first good frame, in seconds."""
    confidence: float = 1.0
    """How sure the detector is, 0..1."""
    measurements: dict[str, float] = {}
    """What was measured when it was worst so far, units in the names."""
    consequences: list[str] = []
    """Detectors that saw their own defect because of this one, and kept silent about it."""
    ad_break: bool | None = None
    """Whether it began in an ad break that the stream announced (SCTE 35); absent otherwise."""
    muted: bool | None = None
    """Whether a mute keeps everybody from being told of it, of its beginning too; absent
    otherwise."""
    worker: str = ""
    """The worker that reported it last."""

    @property
    def active(self) -> bool:
        """Whether the defect lasts."""
        return self.ended_at is None


def incident_id(monitor_uid: str, stream: str, defect: str, episode: str) -> str:
    """Derive an incident's id from its key: 16 hexadecimal digits.

    >>> incident_id("u", "s", "black", "1") == incident_id("u", "s", "black", "1")
    True
    """
    key = "\x00".join((monitor_uid, stream, defect, episode))
    return hashlib.sha256(key.encode()).hexdigest()[:16]
