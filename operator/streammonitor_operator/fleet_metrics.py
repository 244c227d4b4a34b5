"""How the StreamMonitors and their workers are, for Prometheus: computed when it is asked for."""

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from streammonitor_api.status import ConditionType
from streammonitor_operator.monitors import Monitors
from streammonitor_operator.observe import Observer

_MONITOR = ("namespace", "monitor")
_NUMBERS: dict[str, tuple[str, Callable[[dict[str, Any]], float]]] = {
    "streams": (
        "Streams of a StreamMonitor, those of its list included.",
        lambda status: _of(status, "streams", "total"),
    ),
    "streams_receiving": (
        "Streams that are received and analysed by every group that should.",
        lambda status: _of(status, "streams", "receiving"),
    ),
    "streams_defective": (
        "Streams with at least one incident that lasts.",
        lambda status: _of(status, "streams", "defective"),
    ),
    "workers_desired": (
        "Workers that the plan asks for.",
        lambda status: _of(status, "workers", "desired"),
    ),
    "workers_ready": (
        "Workers that answer and carry out their newest assignment.",
        lambda status: _of(status, "workers", "ready"),
    ),
}


class FleetCollector(Collector):
    """Says what the statuses say, and how the observer does.

    It may be asked from another thread: statuses are read as they were written last.
    """

    def __init__(self, monitors: Monitors, observer: Observer) -> None:
        self._monitors = monitors
        self._observer = observer

    def collect(self) -> Iterator[Metric]:
        """Yield every metric family."""
        numbers = {
            name: GaugeMetricFamily(f"streammonitor_operator_{name}", text, labels=_MONITOR)
            for name, (text, _) in _NUMBERS.items()
        }
        condition = GaugeMetricFamily(
            "streammonitor_operator_monitor_condition",
            "1 while a condition of a StreamMonitor is True, 0 while it is False or Unknown.",
            labels=(*_MONITOR, "type"),
        )
        for key in self._monitors:
            monitor = self._monitors.get(key)
            status = monitor.status if monitor is not None else {}
            if "observedGeneration" not in status:
                continue  # nothing is known of it yet
            for name, (_, read) in _NUMBERS.items():
                numbers[name].add_metric(key, read(status))
            is_true = {one["type"] for one in status["conditions"] if one["status"] == "True"}
            for one in ConditionType:
                condition.add_metric((*key, one.value), float(one.value in is_true))
        yield from (*numbers.values(), condition)
        yield from self._observing()

    def _observing(self) -> Iterator[Metric]:
        workers = GaugeMetricFamily(
            "streammonitor_operator_observed_workers",
            "Worker pods that are asked for their status, by whether they answer: "
            "answering, silent.",
            labels=["state"],
        )
        silent, all_of_them = self._observer.census()
        workers.add_metric(["answering"], all_of_them - silent)
        workers.add_metric(["silent"], silent)
        yield workers
        yield GaugeMetricFamily(
            "streammonitor_operator_observer_doubtful",
            "1 while so many workers are silent at once that nothing is moved: the operator's own "
            "network is the likelier fault.",
            value=float(self._observer.doubtful),
        )


def _of(status: dict[str, Any], part: str, number: str) -> float:
    return float(status.get(part, {}).get(number, 0))
