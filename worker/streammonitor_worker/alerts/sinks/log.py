"""JSON lines on standard output."""

from collections.abc import Sequence

from streammonitor_api.alerts import LogSink
from streammonitor_worker.alerts.events import AlertEvent
from streammonitor_worker.alerts.sink import Pace, Sink
from streammonitor_worker.logs import write_incident


class Log(Sink[LogSink]):
    """For log collectors and people."""

    kind = "log"
    pace = Pace(most=500)

    def send(self, events: Sequence[AlertEvent]) -> None:
        """Write a line for each event."""
        for event in events:
            write_incident(event.kind.value, event.incident)
