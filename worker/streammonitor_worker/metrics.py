"""Prometheus metrics, computed when they are scraped: a stream that is gone leaves no series.

Labels are names that the resource gives (stream, defect, sink, mute) and short closed lists (state,
severity); URLs and ids never appear. docs/metrics.md is made from what is said here.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from streammonitor_api.incident import Severity
from streammonitor_api.worker_status import StreamState, StreamStatus
from streammonitor_worker import __version__
from streammonitor_worker.alerts import AlertDesk
from streammonitor_worker.alerts.delivery import BUCKETS_S, SinkFigures
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.figures import Figures
from streammonitor_worker.fleet import Fleet
from streammonitor_worker.results import ResultsDesk
from streammonitor_worker.results.uploader import StoreFigures

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
    "analysed_seconds": (
        "Media time that was analysed, what was missing left out.",
        lambda f: f.analysed_s,
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

    def __init__(
        self,
        fleet: Fleet,
        board: StatusBoard,
        alerts: AlertDesk | None = None,
        results: ResultsDesk | None = None,
    ) -> None:
        self._results = results
        self._fleet = fleet
        self._board = board
        self._alerts = alerts

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family."""
        streams = self._fleet.figures()
        yield from _per_stream(streams)
        yield _states(streams)
        yield from _incidents(streams)
        yield self._active()
        if self._alerts is not None:
            yield from _sinks(self._alerts)
        if self._results is not None:
            yield from _store(self._results.figures())
        yield from self._process()

    def _process(self) -> Iterator[Metric]:
        info = GaugeMetricFamily(
            "streammonitor_worker_info", "1; its label says which version runs.", labels=["version"]
        )
        info.add_metric([__version__], 1)
        yield info
        yield GaugeMetricFamily(
            "streammonitor_assignment_epoch",
            "The assignment that is carried out; 0 before the first.",
            value=self._board.epoch,
        )
        yield GaugeMetricFamily(
            "streammonitor_worker_problems",
            "What is wrong with the worker as a whole: `problems` of its /status names it.",
            value=len(self._board.document().problems),
        )
        yield CounterMetricFamily(
            "streammonitor_cpu_seconds", "CPU time of the process.", value=time.process_time()
        )

    def _active(self) -> Metric:
        family = GaugeMetricFamily(
            "streammonitor_active_incidents",
            "Incidents that last now.",
            labels=["stream", "defect", "severity"],
        )
        active = Counter(
            (one.stream, one.defect, one.severity.value)
            for one in self._board.document().incidents
            if one.active
        )
        for labels, number in active.items():
            family.add_metric(labels, number)
        return family


def _incidents(streams: Streams) -> Iterator[Metric]:
    started = CounterMetricFamily(
        "streammonitor_incidents_started",
        "Incidents that began, by the severity that they began with; 0 from the first scrape on, "
        "so that increase() counts the first one too.",
        labels=["stream", "defect", "severity"],
    )
    ended = CounterMetricFamily(
        "streammonitor_incidents_ended",
        "Incidents that ended, by the worst severity that they had.",
        labels=["stream", "defect", "severity"],
    )
    unknown = CounterMetricFamily(
        "streammonitor_detector_unknown_seconds",
        "Media time that a detector could not judge.",
        labels=["stream", "defect"],
    )
    for name, (_, figures) in streams.items():
        none = {(defect, one.value): 0 for defect in figures.unknown_s for one in Severity}
        for (defect, severity), count in (none | figures.started).items():
            started.add_metric([name, defect, severity], count)
        for (defect, severity), count in figures.ended.items():
            ended.add_metric([name, defect, severity], count)
        for defect, seconds in figures.unknown_s.items():
            unknown.add_metric([name, defect], seconds)
    yield from (started, ended, unknown)


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


_SINK_COUNTERS: dict[str, tuple[str, Callable[[SinkFigures], float]]] = {
    "sent": ("Events that a sink took.", lambda f: f.sent),
    "failures": ("Messages that a sink did not take.", lambda f: f.failures),
    "refused": ("Events that a sink refuses for good: passed over.", lambda f: f.refused),
    "lost": (
        "Events that no longer fitted in the spool before a sink took them.",
        lambda f: f.lost,
    ),
}
_SINK_GAUGES: dict[str, tuple[str, Callable[[SinkFigures], float]]] = {
    "behind": ("Events in the spool that a sink has not come to yet.", lambda f: f.behind),
    "oldest_seconds": (
        "For how long the oldest event that a sink has not taken has waited.",
        lambda f: f.oldest_s,
    ),
}


def _sinks(alerts: AlertDesk) -> Iterator[Metric]:
    """How alerts are delivered, by sink: as many series as the resource names sinks and mutes."""
    sinks = alerts.figures()
    for name, (text, read) in _SINK_COUNTERS.items():
        counter = CounterMetricFamily(f"streammonitor_alerts_{name}", text, labels=["sink"])
        for sink, figures in sinks.items():
            counter.add_metric([sink], read(figures))
        yield counter
    for name, (text, read) in _SINK_GAUGES.items():
        gauge = GaugeMetricFamily(f"streammonitor_alerts_{name}", text, labels=["sink"])
        for sink, figures in sinks.items():
            gauge.add_metric([sink], read(figures))
        yield gauge
    delay = HistogramMetricFamily(
        "streammonitor_alerts_delay_seconds",
        "From the raise of an incident until a sink has taken its start.",
        labels=["sink"],
    )
    bounds = [*map(str, BUCKETS_S), "+Inf"]
    for sink, figures in sinks.items():
        buckets = list(zip(bounds, map(float, figures.delays), strict=True))
        delay.add_metric([sink], buckets, figures.delay_s)
    muted = CounterMetricFamily(
        "streammonitor_alerts_muted", "Incidents that nobody was told of.", labels=["mute"]
    )
    for mute, number in alerts.muted().items():
        muted.add_metric([mute], number)
    yield from (delay, muted)
    yield CounterMetricFamily(
        "streammonitor_alerts_unsaved",
        "Events that could not be saved, and so not be sent.",
        value=alerts.unsaved,
    )
    yield GaugeMetricFamily(
        "streammonitor_alerts_spool_bytes",
        "Size of the spool on disk; it holds 24 MiB at most.",
        value=alerts.spool_bytes,
    )


_STORE: dict[str, tuple[str, Callable[[StoreFigures], float]]] = {
    "objects": ("Objects of results that the store took.", lambda f: f.objects),
    "bytes": ("Size of those objects.", lambda f: f.bytes),
    "failures": ("Uploads of results that failed.", lambda f: f.failures),
    "lost": (
        "Lines of results that the spool had to drop, or that could not be saved.",
        lambda f: f.lost,
    ),
    "deleted": ("Objects of results that were deleted for their age.", lambda f: f.deleted),
}


def _store(figures: StoreFigures) -> Iterator[Metric]:
    """How results are uploaded."""
    for name, (text, read) in _STORE.items():
        yield CounterMetricFamily(f"streammonitor_results_{name}", text, value=read(figures))
    yield GaugeMetricFamily(
        "streammonitor_results_behind",
        "Lines of results in the spool that are not uploaded yet.",
        value=figures.behind,
    )


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


def build_registry(
    fleet: Fleet,
    board: StatusBoard,
    alerts: AlertDesk | None = None,
    results: ResultsDesk | None = None,
) -> CollectorRegistry:
    """A registry of its own: two fleets in one process (a test) do not meet."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(WorkerCollector(fleet, board, alerts, results))
    ProcessCollector(registry=registry)  # CPU, memory and file descriptors
    return registry


def render(registry: CollectorRegistry) -> bytes:
    """The metrics in Prometheus's text format."""
    return generate_latest(registry)
