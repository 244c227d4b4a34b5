"""Holds what a worker found against what the demo origin is known to have played."""

import math
from dataclasses import dataclass
from typing import Any

from streammonitor_api.incident import Incident


@dataclass(frozen=True)
class Match:
    """An incident that ended, and the occurrence on the timetable that it reports.

    Attributes:
        incident: What was found.
        played_at: Unix time at which the origin's encoder reached the defect, in seconds.
        played_s: How long the defect lasts on the timetable, in seconds.
    """

    incident: Incident
    played_at: float
    played_s: float

    @property
    def found_s(self) -> float:
        """How long the incident lasted, in seconds of media time."""
        return (self.incident.end_s or math.nan) - self.incident.start_s

    @property
    def delay_s(self) -> float:
        """From the origin's encoder to the worker: segments that fill, and the player's start."""
        return self.incident.started_at.timestamp() - self.played_at

    @property
    def raised_after_s(self) -> float:
        """From the arrival of the first defective frame to the raise, in seconds."""
        return (self.incident.detected_at - self.incident.started_at).total_seconds()


def match(incident: Incident, timetable: dict[str, Any]) -> Match:
    """Find the last occurrence of the incident's defect that began before the incident.

    Args:
        incident: What was found on a stream named `channel-K`.
        timetable: What the origin's /timetable says; its channels are named `ch-K`.

    Raises:
        LookupError: the timetable has no such channel or defect.
    """
    name = incident.stream.replace("channel-", "ch-")
    channel = next(item for item in timetable["channels"] if item["name"] == name)
    cycle_s, epoch = timetable["cycle_s"], channel["epoch_unix_s"]
    candidates = []
    for defect in channel["defects"]:
        if defect["defect"] == incident.defect:
            first = epoch + defect["start_s"]
            cycles = math.floor((incident.started_at.timestamp() - first) / cycle_s)
            length_s = defect["end_s"] - defect["start_s"]
            candidates.append(Match(incident, first + cycles * cycle_s, length_s))
    if not candidates:
        raise LookupError(f"{name} plays no {incident.defect}")
    return max(candidates, key=lambda found: found.played_at)
