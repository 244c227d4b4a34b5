"""What the Grafana dashboards show: their panels, and what each asks of Prometheus."""
# ruff: noqa: E501 - a query that is folded cannot be tried by hand

from collections.abc import Sequence
from dataclasses import dataclass

_OF = 'namespace=~"$namespace",monitor=~"$monitor"'
_STREAMS = f'{_OF},stream=~"$stream"'


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: What it shows.
        queries: By legend, what is asked of Prometheus.
        kind: Grafana's panel type.
        unit: Grafana's unit.
        width: In columns of the grid.
        bad_from: From which value on it is red; None: never.
        about: What to read from it.
    """

    title: str
    queries: dict[str, str]
    kind: str = "timeseries"
    unit: str = "short"
    width: int = 8
    bad_from: float | None = None
    about: str = ""


def _share(fraction: float, metric: str, by: str, selector: str) -> str:
    return (
        f"histogram_quantile({fraction}, "
        f"sum by ({by}le) (rate({metric}_bucket{{{selector}}}[$__rate_interval])))"
    )


def _rate(by: str, metric: str, selector: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{selector}}}[$__rate_interval]))"


def _top(expression: str) -> str:
    return f"topk(10, {expression})"


STREAMS: Sequence[Panel] = (
    Panel("Received", {"": f'sum(max by (namespace, monitor, stream) (streammonitor_stream_state{{{_STREAMS},state="receiving"}}))'}, "stat", width=4),
    Panel("Not received", {"": f'sum(max by (namespace, monitor, stream) (streammonitor_stream_state{{{_STREAMS},state=~"retrying|failed"}}))'}, "stat", width=4, bad_from=1),
    Panel("Critical incidents now", {"": f'sum(streammonitor_active_incidents{{{_STREAMS},severity="critical"}}) or vector(0)'}, "stat", width=4, bad_from=1),
    Panel("Warnings now", {"": f'sum(streammonitor_active_incidents{{{_STREAMS},severity="warning"}}) or vector(0)'}, "stat", width=4),
    Panel("Incidents in this range", {"": f"sum(increase(streammonitor_incidents_started_total{{{_STREAMS}}}[$__range]))"}, "stat", width=4),
    Panel("Longest wait of an alert", {"": f"max(streammonitor_alerts_oldest_seconds{{{_OF}}})"}, "stat", "s", 4, 60),
    Panel("What lasts now", {"{{stream}}: {{defect}} ({{severity}})": f"max by (namespace, monitor, stream, defect, severity) (streammonitor_active_incidents{{{_STREAMS}}}) > 0"}, "table", width=12),
    Panel("Streams that are not received", {"{{stream}}: {{state}}": f'max by (namespace, monitor, stream, state) (streammonitor_stream_state{{{_STREAMS},state=~"retrying|failed"}}) == 1'}, "table", width=12),
    Panel("Incidents that last, by defect", {"{{defect}} ({{severity}})": f"sum by (defect, severity) (streammonitor_active_incidents{{{_STREAMS}}})"}, width=12),
    Panel("Incidents that began, per hour", {"{{defect}}": f"3600 * {_rate('defect', 'streammonitor_incidents_started_total', _STREAMS)}"}, width=12),
    Panel("Streams by state", {"{{state}}": f"sum by (state) (streammonitor_stream_state{{{_STREAMS}}})"}),
    Panel("Lag of the analysis: the ten worst", {"{{stream}}": _top(f"max by (stream) (streammonitor_analysis_lag_seconds{{{_STREAMS}}})")}, unit="s", about="From the arrival of a frame's bytes to the end of its analysis. It grows where a worker has too much to do."),
    Panel("Connected again: the ten worst", {"{{stream}}": _top(_rate("stream", "streammonitor_reconnects_total", _STREAMS))}, unit="ops"),
    Panel("Damaged frames: the ten worst", {"{{stream}}": _top(_rate("stream", "streammonitor_corrupt_frames_total", _STREAMS))}, unit="ops"),
    Panel("Packets that the decoder refused: the ten worst", {"{{stream}}": _top(_rate("stream", "streammonitor_decode_errors_total", _STREAMS))}, unit="ops"),
    Panel("Media time that a detector could not judge", {"{{defect}}": f"{_rate('defect', 'streammonitor_detector_unknown_seconds_total', _STREAMS)} / on () group_left () sum(rate(streammonitor_analysed_seconds_total{{{_STREAMS}}}[$__rate_interval]))"}, unit="percentunit"),
    Panel("Alerts: from the raise until a sink took it", {"p50 {{sink}}": _share(0.5, "streammonitor_alerts_delay_seconds", "sink, ", _OF), "p99 {{sink}}": _share(0.99, "streammonitor_alerts_delay_seconds", "sink, ", _OF)}, unit="s"),
    Panel("Alerts that wait, by sink", {"{{sink}}": f"sum by (sink) (streammonitor_alerts_behind{{{_OF}}})"}),
    Panel("Alerts that were taken, failed, refused, lost", {
        "{{sink}} taken": _rate("sink", "streammonitor_alerts_sent_total", _OF),
        "{{sink}} failed": _rate("sink", "streammonitor_alerts_failures_total", _OF),
        "{{sink}} refused": _rate("sink", "streammonitor_alerts_refused_total", _OF),
        "{{sink}} lost": _rate("sink", "streammonitor_alerts_lost_total", _OF),
    }, unit="ops"),
    Panel("Incidents that were muted", {"{{mute}}": f"sum by (mute) (increase(streammonitor_alerts_muted_total{{{_OF}}}[$__range]))"}),
    Panel("Results: lines that wait, lost", {"{{worker}} wait": f"sum by (worker) (streammonitor_results_behind{{{_OF}}})", "{{worker}} lost": f"sum by (worker) (increase(streammonitor_results_lost_total{{{_OF}}}[$__range]))"}),
    Panel("Results: bytes that the store took", {"{{worker}}": _rate("worker", "streammonitor_results_bytes_total", _OF)}, unit="Bps"),
    Panel("CPU seconds per second of a stream", {"{{monitor}}/{{group}}": f"sum by (monitor, group) (rate(streammonitor_cpu_seconds_total{{{_OF}}}[$__rate_interval])) / sum by (monitor, group) (rate(streammonitor_analysed_seconds_total{{{_OF}}}[$__rate_interval]))"}),
    Panel("CPU of workers", {"{{worker}}": _rate("worker", "streammonitor_cpu_seconds_total", _OF)}),
    Panel("Memory of workers", {"{{worker}}": f"sum by (worker) (process_resident_memory_bytes{{{_OF}}} and on (instance, job) streammonitor_worker_info)"}, unit="bytes"),
    Panel("Workers by version", {"{{version}}": f"count by (version) (streammonitor_worker_info{{{_OF}}})"}),
    Panel("Workers with problems of their own", {"{{worker}}": f"max by (worker) (streammonitor_worker_problems{{{_OF}}})"}),
)  # fmt: skip

_OPERATOR = "streammonitor_operator_"
OPERATOR: Sequence[Panel] = (
    Panel("Leading", {"": f"sum({_OPERATOR}leader)"}, "stat", width=4),
    Panel("StreamMonitors", {"": f"max({_OPERATOR}monitors)"}, "stat", width=4),
    Panel("Not Ready", {"": f'count(({_OPERATOR}monitor_condition{{{_OF},type="Ready"}} == 0) unless on (namespace, monitor) ({_OPERATOR}monitor_condition{{type=~"Suspended|Completed"}} == 1)) or vector(0)'}, "stat", width=4, bad_from=1),
    Panel("Workers ready / wanted", {"ready": f"sum({_OPERATOR}workers_ready{{{_OF}}})", "wanted": f"sum({_OPERATOR}workers_desired{{{_OF}}})"}, "stat", width=4),
    Panel("Streams received / all", {"received": f"sum({_OPERATOR}streams_receiving{{{_OF}}})", "all": f"sum({_OPERATOR}streams{{{_OF}}})"}, "stat", width=4),
    Panel("Observer in doubt", {"": f"max({_OPERATOR}observer_doubtful)"}, "stat", width=4, bad_from=1, about="So many workers fell silent at once that nothing is moved: the operator's own network is the likelier fault."),
    Panel("StreamMonitors that are not Ready", {"{{namespace}}/{{monitor}}": f'{_OPERATOR}monitor_condition{{{_OF},type="Ready"}} == 0'}, "table", width=12),
    Panel("Streams with an incident", {"{{namespace}}/{{monitor}}": f"sum by (namespace, monitor) ({_OPERATOR}streams_defective{{{_OF}}})"}, width=12),
    Panel("Reconcile passes", {"{{result}}": f"sum by (result) (rate({_OPERATOR}reconcile_passes_total[$__rate_interval]))"}, unit="ops"),
    Panel("How long a pass takes", {"p50": _share(0.5, f"{_OPERATOR}reconcile_pass_seconds", "", ""), "p99": _share(0.99, f"{_OPERATOR}reconcile_pass_seconds", "", "")}, unit="s"),
    Panel("Streams that were moved, by why", {"{{reason}}": f"sum by (reason) (increase({_OPERATOR}stream_moves_total[$__rate_interval]))"}),
    Panel("Writes to the API", {"{{method}} {{resource}}": f'sum by (method, resource) (rate({_OPERATOR}api_requests_total{{method!="GET"}}[$__rate_interval]))'}, unit="ops"),
    Panel("Answers of the API", {"{{code}}": f"sum by (code) (rate({_OPERATOR}api_requests_total[$__rate_interval]))"}, unit="ops"),
    Panel("How long the API takes: p99", {"{{method}}": _share(0.99, f"{_OPERATOR}api_request_seconds", "method, ", "")}, unit="s"),
    Panel("Workers that are asked", {"{{state}}": f"sum by (state) ({_OPERATOR}observed_workers)"}),
    Panel("Answers of workers", {"{{result}}": f"sum by (result) (rate({_OPERATOR}worker_polls_total[$__rate_interval]))"}, unit="ops"),
    Panel("Events about incidents", {"{{phase}} {{result}}": f"sum by (phase, result) (rate({_OPERATOR}incident_events_total[$__rate_interval]))"}, unit="ops"),
    Panel("Lists of streams that were read", {"{{source}} {{result}}": f"sum by (source, result) (rate({_OPERATOR}discovery_polls_total[$__rate_interval]))"}, unit="ops"),
    Panel("Watches that began again", {"{{resource}} {{cause}}": f"sum by (resource, cause) (rate({_OPERATOR}watch_restarts_total[$__rate_interval]))"}, unit="ops"),
    Panel("Quietest watch, latest timer", {"watch": f"max({_OPERATOR}watch_age_seconds)", "timer": f"max({_OPERATOR}loop_lag_seconds)"}, unit="s"),
    Panel("CPU of the operator", {"{{instance}}": f"sum by (instance) (rate(process_cpu_seconds_total[$__rate_interval]) and on (instance, job) {_OPERATOR}leader)"}),
    Panel("Memory of the operator", {"{{instance}}": f"process_resident_memory_bytes and on (instance, job) {_OPERATOR}leader"}, unit="bytes"),
    Panel("Operators by version", {"{{version}}": f"count by (version) ({_OPERATOR}info)"}),
)  # fmt: skip


STREAMS_VARIABLES = {
    "namespace": "streammonitor_stream_state",
    "monitor": 'streammonitor_stream_state{namespace=~"$namespace"}',
    "stream": f"streammonitor_stream_state{{{_OF}}}",
}
"""Variables of the dashboard, and the series that their values are labels of."""
OPERATOR_VARIABLES = {
    "namespace": f"{_OPERATOR}streams",
    "monitor": f'{_OPERATOR}streams{{namespace=~"$namespace"}}',
}
