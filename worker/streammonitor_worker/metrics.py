"""Prometheus metrics, computed when they are scraped: a stream that is gone leaves no series.

Labels are stream and defect; URLs never appear.
"""

import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streammonitor_api.worker_status import StreamState, StreamStatus
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.figures import Figures
from streammonitor_worker.fleet import Fleet

_COUNTERS: dict[str, tuple[str, Callable[[Figures], float]]] = {
    "frames": ("Video frames analysed.", lambda f: f.frames),
    "corrupt_frames": (
        "Video frames that the decoder flagged as damaged.",
        lambda f: f.corrupt_frames,
    ),
    "decode_errors": ("Packets that the decoder refused.", lambda f: f.decode_errors),
    "connects": ("Times that the source was opened.", lambda f: f.connects),
    "reconnects": ("Times that it was opened again.", lambda f: max(0, f.connects - 1)),
    "discontinuities": (
        "Jumps of media time, reconnections included.",
        lambda f: f.discontinuities,
    ),
    "internal_errors": (
        "Faults of the worker itself that it survived.",
        lambda f: f.internal_errors,
    ),
    "stream_cpu_seconds": ("CPU time of the stream's thread.", lambda f: f.cpu_s),
}
_GAUGES: dict[str, tuple[str, Callable[[Figures], float]]] = {
    "media_seconds": ("Media time of the last frame analysed.", lambda f: f.media_s),
    "analysis_lag_seconds": (
        "From the arrival of the last frame's bytes to the end of its analysis.",
        lambda f: f.lag_s,
    ),
}
Streams = dict[str, tuple[StreamStatus, Figures]]


class WorkerCollector(Collector):
    """Reads fleet and status board at scrape time."""

    def __init__(self, fleet: Fleet, board: StatusBoard) -> None:
        self._fleet = fleet
        self._board = board

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family."""
        streams = self._fleet.figures()
        yield from _per_stream(streams)
        yield _states(streams)
        yield from self._incidents(streams)
        yield GaugeMetricFamily(
            "streammonitor_assignment_epoch",
            "The assignment that is carried out.",
            value=self._board.epoch,
        )
        yield CounterMetricFamily(
            "streammonitor_cpu_seconds", "CPU time of the process.", value=time.process_time()
        )

    def _incidents(self, streams: Streams) -> Iterator[Metric]:
        started = CounterMetricFamily(
            "streammonitor_incidents", "Incidents started.", labels=["stream", "defect"]
        )
        unknown = CounterMetricFamily(
            "streammonitor_detector_unknown_seconds",
            "Media time that a detector could not judge.",
            labels=["stream", "defect"],
        )
        for name, (_, figures) in streams.items():
            for defect, count in figures.incidents.items():
                started.add_metric([name, defect], count)
            for defect, seconds in figures.unknown_s.items():
                unknown.add_metric([name, defect], seconds)
        active = GaugeMetricFamily(
            "streammonitor_active_incidents",
            "Incidents that last now.",
            labels=["stream", "defect", "severity"],
        )
        for incident in self._board.document().incidents:
            if incident.active:
                active.add_metric([incident.stream, incident.defect, incident.severity.value], 1)
        yield from (started, unknown, active)


def _per_stream(streams: Streams) -> Iterator[Metric]:
    for name, (text, read) in _COUNTERS.items():
        counter = CounterMetricFamily(f"streammonitor_{name}", text, labels=["stream"])
        for stream, (_, figures) in streams.items():
            counter.add_metric([stream], read(figures))
        yield counter
    for name, (text, read) in _GAUGES.items():
        gauge = GaugeMetricFamily(f"streammonitor_{name}", text, labels=["stream"])
        for stream, (_, figures) in streams.items():
            gauge.add_metric([stream], read(figures))
        yield gauge


def _states(streams: Streams) -> Metric:
    family = GaugeMetricFamily(
        "streammonitor_stream_state",
        "1 for the state that the stream is in.",
        labels=["stream", "state"],
    )
    for stream, (status, _) in streams.items():
        for state in StreamState:
            family.add_metric([stream, state.value], float(status.state is state))
    return family


def build_registry(fleet: Fleet, board: StatusBoard) -> CollectorRegistry:
    """A registry of its own: two fleets in one process (a test) do not meet."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(WorkerCollector(fleet, board))
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """The metrics in Prometheus's text format."""
    return generate_latest(registry)
