"""A stream that is sent: its address stays while its worker does not, and the gap is measured."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dev.kube import Object, eventually
from dev.media.clips import write_clip
from dev.media.servers import sending
from streammonitor_api import names
from streammonitor_api.worker_status import StreamState
from tests.e2e.coverage import Coverage, Span
from tests.e2e.monitor import Monitor

Figure = Callable[[str, str, str], None]
PORT = 5000
STREAM = {"name": "sent", "url": f"udp://:{PORT}"}


@pytest.mark.usefixtures("two_nodes")
def test_a_sender_is_not_disturbed_when_its_stream_changes_hands(
    monitor: Monitor, figure: Figure, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.ts"
    write_clip(clip, duration_s=20, size=(160, 96), frame_rate=25, gop_s=0.4)
    monitor.apply(streams=[STREAM], detectors={"black": {}})
    address = eventually("its Service", lambda: _address(monitor), timeout_s=60)
    to = f"udp://{address}:{PORT}?pkt_size=1316"
    with sending(clip, to) as sender, Coverage(monitor) as coverage:
        monitor.wait("Ready")
        assert "1 stream is sent" in monitor.condition("Assigned")["message"]
        (pod,) = monitor.pods()
        node = pod["spec"]["nodeName"]
        eventually("its worker speaks for it", lambda: coverage.spans("sent"), timeout_s=30)
        try:
            monitor.access.kubectl(
                "drain", node, f"--pod-selector={names.LABEL_MONITOR}={monitor.name}",
                "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=1s", check=False,
            )  # fmt: skip
            moved = eventually("it changed hands", lambda: _moved(monitor), timeout_s=90)
        finally:
            monitor.access.kubectl("uncordon", node)
        assert sender.poll() is None, "the sender goes on"
        spans = eventually("both said what was theirs", lambda: _both(coverage), timeout_s=40)
    before, after = spans
    missing = round(after.first - (before.first + before.frames))
    figure("sent by UDP, worker drained -> pictures that nobody analysed", str(missing), "50")
    assert moved["frames"] == pytest.approx(missing, abs=1), "as the status says"
    assert f"({moved['frames']} pictures)" in monitor.condition("Assigned")["message"]
    seen = monitor.stream("sent")
    assert seen is not None
    assert seen.state is StreamState.RECEIVING
    assert _address(monitor) == address
    monitor.wait("Ready")


def _address(monitor: Monitor) -> str | None:
    services = monitor.objects("services")
    return str(services[0]["spec"]["clusterIP"]) if services else None


def _moved(monitor: Monitor) -> Object | None:
    found = monitor.status().get("streams", {}).get("handOvers", [])
    return found[0] if found else None


def _both(coverage: Coverage) -> list[Span] | None:
    spans = coverage.spans("sent")
    return spans if len(spans) == 2 else None
