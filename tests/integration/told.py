"""A process that tells a webhook of incidents: `python -m tests.integration.told FOLDER URL`.

Each line of its standard input is a number N: incident N starts and ends on stream N modulo 10.
Each line of its standard output is a number whose events are saved. It ends when its input does,
once everything was delivered.
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from streammonitor_api.alerts import Alerts
from streammonitor_api.incident import EndReason, Incident, Severity, incident_id
from streammonitor_worker.alerts import AlertDesk
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.incidents import EventKind, IncidentEvent
from streammonitor_worker.ingest import Access

STREAMS = 10
_EPOCH = datetime(2026, 11, 21, tzinfo=UTC)


def incident(number: int) -> Incident:
    """The incident of that number."""
    stream = f"s{number % STREAMS}"
    started = _EPOCH + timedelta(seconds=number)
    return Incident(
        id=incident_id("uid", stream, "black", str(number)),
        monitor_uid="uid",
        stream=stream,
        defect="black",
        episode=str(number),
        severity=Severity.WARNING,
        started_at=started,
        detected_at=started,
        start_s=number,
        detected_s=number,
    )


def main(folder: str, url: str) -> None:
    """Tell of what is asked for."""
    access = Access(hosts=("127.0.0.1",), denied=())
    board = StatusBoard("w-1")
    desk = AlertDesk(board, Path(folder), worker="w-1", secrets_folder=Path(folder), access=access)
    sinks = [{"name": "hook", "webhook": {"url": url}}]
    desk.configure(Alerts.model_validate({"sinks": sinks}), "video/sports")
    for line in sys.stdin:
        one = incident(int(line))
        over = {"ended_at": one.started_at + timedelta(seconds=1), "end_reason": EndReason.CLEARED}
        desk.tell(IncidentEvent(EventKind.STARTED, one))
        desk.tell(IncidentEvent(EventKind.ENDED, one.model_copy(update=over)))
        print(line.strip(), flush=True)  # noqa: T201 - the protocol of the test
    while desk.figures()["hook"].behind:
        time.sleep(0.01)
    desk.close(1.0)


if __name__ == "__main__":
    main(*sys.argv[1:])
