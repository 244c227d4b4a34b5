"""What the incident machine remembers of a defect: while it is suspected, and while it is open."""

from dataclasses import dataclass
from typing import NamedTuple

from streammonitor_api.incident import Incident
from streammonitor_worker.detectors.base import Measurement
from streammonitor_worker.severity import Course


class Moment(NamedTuple):
    """A point of media time, and the Unix time at which it had arrived."""

    media_s: float
    wall_s: float


@dataclass(slots=True)
class Suspicion:
    """A defect that has not lasted long enough yet.

    Attributes:
        start: Where it began.
        course: How it went.
    """

    start: Moment
    course: Course


@dataclass(slots=True)
class Episode:
    """The incident that is open.

    Attributes:
        incident: As it was reported, or will be.
        course: How it went on this machine's media time; None until something was measured since
            it was adopted.
        start_s: Its start on this machine's media time; None until something was measured since it
            was adopted. Another worker's media time began elsewhere.
        announced: Somebody was told.
        told_s: Media time of the last event.
    """

    incident: Incident
    course: Course | None
    start_s: float | None
    announced: bool
    told_s: float = 0.0

    def locate(self, measurement: Measurement) -> float:
        """Its start on this machine's media time, found by the wall clock if it was adopted."""
        if self.start_s is None:
            age_s = measurement.arrived_at - self.incident.started_at.timestamp()
            self.start_s = measurement.start_s - max(0.0, age_s)
        return self.start_s

    def reported_s(self, media_s: float) -> float:
        """A point of this machine's media time on the media time that the incident reports."""
        if self.start_s is None:
            return self.incident.start_s
        return self.incident.start_s + max(0.0, media_s - self.start_s)
