"""The operator's own metrics, in a registry of their own.

Each says what its labels may be; docs/metrics.md is made from what is said here.
"""

from importlib.metadata import version
from typing import Any

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

_library: Any = prometheus_client  # it is typed for the most part, and this is not
_library.disable_created_metrics()  # a second series for each counter, which nobody asks for

REGISTRY = CollectorRegistry()
ProcessCollector(registry=REGISTRY)  # CPU, memory and file descriptors

API_REQUESTS = Counter(
    "streammonitor_operator_api_requests",
    "Requests to the Kubernetes API.",
    ["method", "resource", "code"],
    registry=REGISTRY,
)
API_SECONDS = Histogram(
    "streammonitor_operator_api_request_seconds",
    "How long the Kubernetes API took to begin its answer; of watches too.",
    ["method", "resource"],
    registry=REGISTRY,
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10),
)
PASSES = Counter(
    "streammonitor_operator_reconcile_passes",
    "Reconcile passes by result: done, retry (the API failed), bug (an unexpected error).",
    ["result"],
    registry=REGISTRY,
)
PASS_SECONDS = Histogram(
    "streammonitor_operator_reconcile_pass_seconds",
    "How long a reconcile pass took, its API calls included.",
    registry=REGISTRY,
    buckets=(0.001, 0.005, 0.02, 0.1, 0.5, 2, 10),
)
MOVES = Counter(
    "streammonitor_operator_stream_moves",
    "Streams that were given to another worker, by why: lost (their worker does not answer or is "
    "gone), evicted (its pod or node goes), replaced (it is to go: a roll-out, a drained node, "
    "fewer workers), packed (it stays, and they find room elsewhere).",
    ["reason"],
    registry=REGISTRY,
)
for _reason in ("lost", "evicted", "replaced", "packed"):
    MOVES.labels(_reason)  # 0 from the first scrape on
POLLS = Counter(
    "streammonitor_operator_worker_polls",
    "Answers to /status polls by result: changed, same, failed.",
    ["result"],
    registry=REGISTRY,
)
DISCOVERY_POLLS = Counter(
    "streammonitor_operator_discovery_polls",
    "Reads of lists of streams by source and result: changed, same, failed, bug.",
    ["source", "result"],
    registry=REGISTRY,
)
EVENTS = Counter(
    "streammonitor_operator_incident_events",
    "Kubernetes Events about incidents by phase and result: written, known.",
    ["phase", "result"],
    registry=REGISTRY,
)
WATCH_RESTARTS = Counter(
    "streammonitor_operator_watch_restarts",
    "Watches that were begun again, by resource and cause: ended, expired, broken, forbidden.",
    ["resource", "cause"],
    registry=REGISTRY,
)
INFO = Gauge(
    "streammonitor_operator_info",
    "1; its label says which version runs.",
    ["version"],
    registry=REGISTRY,
)
INFO.labels(version("streammonitor")).set(1)
WALL_REQUESTS = Counter(
    "streammonitor_operator_wall_requests",
    "Requests to the wall by route and HTTP status.",
    ["route", "code"],
    registry=REGISTRY,
)
LEADER = Gauge("streammonitor_operator_leader", "1 while this process leads.", registry=REGISTRY)
MONITORS_KNOWN = Gauge(
    "streammonitor_operator_monitors", "StreamMonitors that are reconciled.", registry=REGISTRY
)
WATCH_AGE = Gauge(
    "streammonitor_operator_watch_age_seconds",
    "Time since the quietest watch was last heard of.",
    registry=REGISTRY,
)
LOOP_LAG = Gauge(
    "streammonitor_operator_loop_lag_seconds",
    "How late the event loop ran a timer, the worst of the last minute.",
    registry=REGISTRY,
)
