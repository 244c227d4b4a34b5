"""How soon a webhook hears of an incident: `python -m bench.alerts`.

From the raise (the call that a stream's thread makes) to the receipt of the whole request by an
HTTP server in the same process, over loopback; each event is synced to disk before it is sent.
"""

import sys
import tempfile
import threading
import time
from pathlib import Path

from dev.alerting import Request, receiver
from streammonitor_api.alerts import Alerts
from streammonitor_api.incident import Incident
from streammonitor_worker.alerts import AlertDesk
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.incidents import EventKind, IncidentEvent
from streammonitor_worker.ingest import Access
from tests.integration.told import incident

INCIDENTS = 500


def measure(threads: int, pause_s: float, answer_s: float = 0.0) -> list[float]:
    """Raise incidents from so many threads; how long each took in seconds, shortest first.

    The endpoint takes `answer_s` for each request.
    """

    def answer(_: Request) -> int:
        time.sleep(answer_s)
        return 204

    with tempfile.TemporaryDirectory() as name, receiver() as hook:
        hook.answer = answer
        access = Access(hosts=("127.0.0.1",), denied=())
        folder = Path(name)
        desk = AlertDesk(
            StatusBoard("bench"), folder, worker="bench", secrets_folder=folder, access=access
        )
        sinks = {"sinks": [{"name": "hook", "webhook": {"url": hook.url}}]}
        desk.configure(Alerts.model_validate(sinks), "bench/bench")
        raised: dict[str, float] = {}

        def tell(first: int) -> None:
            for number in range(first, INCIDENTS, threads):
                one: Incident = incident(number)
                raised[f"{one.id}.started"] = time.time()
                desk.tell(IncidentEvent(EventKind.STARTED, one))
                time.sleep(pause_s)

        crowd = [threading.Thread(target=tell, args=(first,)) for first in range(threads)]
        for thread in crowd:
            thread.start()
        for thread in crowd:
            thread.join()
        hook.wait(lambda: len(hook.requests) >= INCIDENTS, 120)
        desk.close(0.0)
        taken = [(request.events()[0].get_id(), request.at) for request in hook.requests]
    return sorted(at - raised[str(event)] for event, at in taken)


def main() -> int:
    """Measure one after another, and all at once."""
    for what, threads, pause_s, answer_s in (
        ("one every 20 ms", 1, 0.02, 0.0),
        ("20 threads at once", 20, 0.0, 0.0),
        ("20 threads at once, an endpoint that takes 10 ms", 20, 0.0, 0.01),
    ):
        took = measure(threads, pause_s, answer_s)
        shares = {share: took[int((len(took) - 1) * share)] * 1000 for share in (0.5, 0.95, 0.99)}
        told = ", ".join(f"p{share * 100:.0f} {ms:.0f} ms" for share, ms in shares.items())
        sys.stdout.write(f"{what}, {len(took)} incidents: {told}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
