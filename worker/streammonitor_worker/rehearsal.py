"""What a worker that only follows a stream would have told, kept for a while.

The worker that spoke for the stream fell silent at one moment; the one that follows it is told so
a second or two later, and by then may be past that moment, or not there yet. So it tells what it
found after that moment, from what it measured meanwhile, as if it had spoken from then on.
"""

from collections import deque
from collections.abc import Iterable

from streammonitor_api.incident import Incident
from streammonitor_worker.detectors.base import DetectorParams, Measurement
from streammonitor_worker.incidents import IncidentEvent, IncidentMachine
from streammonitor_worker.severity import TOLERANCE_S

KEPT_S = 120.0
"""Media of which measurements are kept. Longer than a hand-over takes, and than its time-out."""


class Rehearsal:
    """One detector's measurements since it was muted, and its machine as it was before them.

    Args:
        machine: As it was when it fell silent; it is not touched.
    """

    def __init__(self, machine: IncidentMachine) -> None:
        self._before = machine.twin()
        self._before.muted = True
        self._kept: deque[tuple[Measurement, float]] = deque()

    def take(self, measurement: Measurement, arrived_at: float) -> None:
        """Keep a measurement, and forget the oldest."""
        self._kept.append((measurement, arrived_at))
        while measurement.end_s - self._kept[0][0].end_s > KEPT_S:
            self._before.feed(*self._kept.popleft())

    def beyond(self, time_s: float) -> bool:
        """Whether anything was measured that ends after a moment of media time."""
        return bool(self._kept) and self._kept[-1][0].end_s > time_s + TOLERANCE_S

    def perform(
        self, from_s: float, incidents: Iterable[Incident], params: DetectorParams
    ) -> tuple[IncidentMachine, list[IncidentEvent]]:
        """The machine that has spoken since a moment of media time, and what it told.

        Args:
            from_s: Measurements that end after it are told of.
            incidents: What was open then.
            params: Those of now.
        """
        machine, kept = self._before, self._kept
        machine.params = params
        while kept and kept[0][0].end_s <= from_s + TOLERANCE_S:
            machine.feed(*kept.popleft())
        machine.muted = False
        events = [event for incident in incidents for event in machine.adopt(incident)]
        for measurement, arrived_at in kept:
            events += machine.feed(measurement, arrived_at)
        return machine, events
