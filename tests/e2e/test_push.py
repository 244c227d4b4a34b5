"""Streams that are sent: senders keep their addresses, and the gap is what the status says."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from dev.kube import Object, eventually
from dev.media.clips import write_clip
from dev.media.senders import Encoder, contribution
from streammonitor_api.worker_status import StreamState
from tests.e2e.coverage import Coverage, Span
from tests.e2e.monitor import Monitor

Figure = Callable[[str, str, str], None]
STREAMS = {
    "datagrams": "udp://:5000",
    "calls": "srt://:5000?mode=listener",
    "publishes": "rtmp://:5000/live/key",
}
CONTAINERS = {"datagrams": "mpegts", "calls": "mpegts", "publishes": "flv"}


def _spec(size: str) -> dict[str, Any]:
    group = {
        "name": "all",
        "detectors": ["black"],
        "rollout": {"canary": "2s"},
        "template": {"resources": {"requests": {"memory": size}}},
    }
    streams = [{"name": name, "url": url} for name, url in STREAMS.items()]
    return {"streams": streams, "detectors": {"black": {}}, "workers": [group]}


def test_senders_keep_their_addresses_when_their_streams_change_hands(
    monitor: Monitor, figure: Figure, tmp_path: Path
) -> None:
    clip = tmp_path / "clip.ts"
    write_clip(clip, duration_s=20, size=(160, 96), frame_rate=25, gop_s=0.4)
    monitor.apply(**_spec("128Mi"))
    before = eventually("their addresses", lambda: _addresses(monitor), timeout_s=60)
    services = _services(monitor)
    encoders = {
        name: Encoder(kind, before[name].replace(_host(monitor, name), services[name]))
        for name, kind in CONTAINERS.items()
    }
    with contribution(clip, *encoders.values()), Coverage(monitor) as coverage:
        monitor.wait("Ready")
        eventually("all are counted", lambda: all(map(coverage.spans, STREAMS)), timeout_s=30)
        connections = encoders["datagrams"].connections
        monitor.patch(**_spec("160Mi"))
        moved = eventually("all changed hands", lambda: _moved(monitor), timeout_s=90)
        monitor.wait("Ready")
        seen = {name: monitor.stream(name) for name in STREAMS}
        connections -= encoders["datagrams"].connections
    for name in STREAMS:  # shown if this fails
        print(name, moved[name], *coverage.spans(name), sep="\n  ")  # noqa: T201
    assert {one.state for one in seen.values() if one is not None} == {StreamState.RECEIVING}
    assert connections == 0, "who sends datagrams notices nothing"
    for name in STREAMS:
        old, new = _sides(coverage.spans(name), moved[name]["worker"])
        assert old.after is not None
        missing = round(new.first - old.after)
        figure(f"{name}: changed hands -> pictures that nobody analysed", str(missing), "-")
        assert moved[name]["measure"] == "Exact"
        assert abs(moved[name]["frames"] - missing) <= 1, "as the status says"
    assert _addresses(monitor) == before
    assert _services(monitor) == services
    assert "when such a stream changes hands" in monitor.condition("Assigned")["message"]


def _host(monitor: Monitor, stream: str) -> str:
    return f"{monitor.name}-{stream}.{monitor.namespace}.svc"


def _addresses(monitor: Monitor) -> dict[str, str] | None:
    """What the status tells senders, once it is all there."""
    found = monitor.status().get("streams", {}).get("addresses", [])
    return {one["name"]: one["url"] for one in found} if len(found) == len(STREAMS) else None


def _services(monitor: Monitor) -> dict[str, str]:
    """What the names of the Services stand for, which only the cluster's own DNS knows."""
    return {
        one["metadata"]["name"].removeprefix(f"{monitor.name}-"): str(one["spec"]["clusterIP"])
        for one in monitor.objects("services")
    }


def _moved(monitor: Monitor) -> dict[str, Object] | None:
    found = monitor.status().get("streams", {}).get("handOvers", [])
    return {one["name"]: one for one in found} if len(found) == len(STREAMS) else None


def _sides(spans: list[Span], worker: str) -> tuple[Span, Span]:
    """What the worker before spoke for until it ceased, and what this one spoke for first."""
    old = next(one for one in spans if one.worker != worker and one.after is not None)
    return old, next(one for one in spans if one.worker == worker)
