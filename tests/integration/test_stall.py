"""A stream that stops coming is one incident, whatever its pictures and sound do meanwhile."""

import signal
from pathlib import Path

from dev.media.servers import free_port, sending
from streammonitor_api.incident import EndReason
from tests.integration.live import LiveOrigin
from tests.integration.rig import WorkerRig, eventually

DETECTORS = {
    "stall": {"minDuration": "1s", "clearDuration": "500ms"},
    "black": {"minDuration": "500ms"},
    "freeze": {"minDuration": "500ms"},
    "silence": {"minDuration": "500ms"},
}


def _stalls(rig: WorkerRig) -> bool:
    return any(one.defect == "stall" and one.active for one in rig.status().incidents)


def test_a_sender_that_stops_sending_is_a_stall_until_it_goes_on(
    rig: WorkerRig, media: Path
) -> None:
    port = free_port()
    with sending(media / "clean.ts", f"udp://127.0.0.1:{port}?pkt_size=1316") as sender:
        rig.assign({"a": f"udp://@127.0.0.1:{port}"}, detectors=DETECTORS)
        rig.start()
        rig.wait_state("a", "receiving")
        eventually("media", lambda: rig.metric("streammonitor_frames_total", "a") > 50)
        sender.send_signal(signal.SIGSTOP)
        try:
            eventually("a stall", lambda: _stalls(rig))
        finally:
            sender.send_signal(signal.SIGCONT)
        eventually("its end", lambda: not _stalls(rig))
        found = rig.status().incidents

    # On a machine that is short of CPU, the sender may stall by itself, too.
    assert {one.defect for one in found} == {"stall"}
    assert all(one.end_reason is EndReason.CLEARED for one in found)
    assert all(one.measurements["overdueSeconds"] >= 1.0 for one in found)


def test_an_origin_that_goes_away_is_a_stall_until_it_comes_back(
    rig: WorkerRig, clean_origin: LiveOrigin
) -> None:
    rig.assign({"a": clean_origin.url}, detectors=DETECTORS)
    with clean_origin.serving():
        rig.start()
        eventually("media", lambda: rig.metric("streammonitor_frames_total", "a") > 200)
    rig.wait_incident(lambda one: one.defect == "stall")
    with clean_origin.serving():
        eventually("its end", lambda: not _stalls(rig))
        found = rig.status().incidents

    assert {one.defect for one in found} == {"stall"}
