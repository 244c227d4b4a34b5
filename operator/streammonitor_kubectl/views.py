"""What is told of StreamMonitors, streams and incidents: rows, from what the cluster says."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.worker_status import StreamState, StreamStatus
from streammonitor_kubectl.cluster import Object, Worker
from streammonitor_kubectl.output import ago, lasted

Row = dict[str, Any]
MONITORS = ("namespace", "monitor", "streams", "receiving", "incidents", "workers", "ready", "why")
WORKERS = ("worker", "group", "node", "state", "streams", "receiving", "load", "version", "up")
STREAMS = ("monitor", "stream", "group", "worker", "state", "since", "video", "audio", "why")
INCIDENTS = ("monitor", "stream", "defect", "severity", "started", "lasted", "ended", "measured")


def monitor_row(monitor: Object) -> Row:
    """A StreamMonitor in one row."""
    metadata, status = monitor["metadata"], monitor.get("status") or {}
    streams, workers = status.get("streams") or {}, status.get("workers") or {}
    conditions = {one["type"]: one for one in status.get("conditions") or []}
    ready = conditions.get("Ready", {})
    return {
        "namespace": metadata["namespace"],
        "monitor": metadata["name"],
        "streams": streams.get("total", 0),
        "receiving": streams.get("receiving", 0),
        "incidents": (status.get("incidents") or {}).get("active", 0),
        "workers": f"{workers.get('ready', 0)}/{workers.get('desired', 0)}",
        "ready": ready.get("status", "Unknown"),
        "why": "" if ready.get("status") == "True" else ready.get("message", ""),
    }


def worker_row(worker: Worker) -> Row:
    """A worker in one row."""
    status = worker.status
    loads = [one.load_m for one in status.streams if one.load_m is not None] if status else []
    receiving = [one for one in status.streams if _receives(one)] if status else []
    return {
        "monitor": worker.monitor,
        "worker": worker.name,
        "group": worker.group,
        "node": worker.node,
        "state": "answers" if status else "silent",
        "streams": len(status.streams) if status else None,
        "receiving": len(receiving) if status else None,
        "load": f"{sum(loads)}m" if loads else None,
        "version": status.version if status else None,
        "up": ago(status.started_at) if status else worker.problem,
        "problems": [*status.problems, *(one.message for one in status.sinks)] if status else [],
    }


def stream_rows(workers: Iterable[Worker], name: str | None = None) -> list[Row]:
    """Every stream of every worker, those with a problem first."""
    found = [
        (worker, stream)
        for worker in workers
        if worker.status is not None
        for stream in worker.status.streams
        if name in (None, stream.name)
    ]
    found.sort(key=lambda one: (_receives(one[1]), one[0].monitor, one[1].name, one[0].group))
    return [_stream_row(worker, stream) for worker, stream in found]


def _stream_row(worker: Worker, stream: StreamStatus) -> Row:
    video, audio = stream.video, stream.audio
    return {
        "namespace": worker.namespace,
        "monitor": worker.monitor,
        "stream": stream.name,
        "group": worker.group,
        "worker": worker.name,
        "state": stream.state.value,
        "since": ago(stream.since),
        "video": f"{video.codec} {video.width}x{video.height} {video.frame_rate:g}"
        if video
        else None,
        "audio": f"{audio.codec} {audio.sample_rate} Hz {audio.channels} ch" if audio else None,
        "why": f"{stream.reason}: {stream.message or ''}" if stream.reason else "",
        "detectors": {detector: state.value for detector, state in stream.detectors.items()},
    }


def incidents_of(
    workers: Iterable[Worker], stream: str | None = None, *, ended: bool = True
) -> list[tuple[Worker, Incident]]:
    """Incidents, each once as whoever holds it says it, oldest first."""
    newest: dict[str, tuple[Worker, Incident]] = {}
    for worker in workers:
        for one in worker.status.incidents if worker.status else ():
            known = newest.get(one.id)
            if known is None or known[1].end_reason is EndReason.INTERRUPTED:
                newest[one.id] = (worker, one)
    chosen = [
        item
        for item in newest.values()
        if stream in (None, item[1].stream) and (ended or item[1].active)
    ]
    return sorted(chosen, key=lambda item: item[1].detected_at)


def incident_row(worker: Worker, one: Incident) -> Row:
    """An incident in one row; for programs all of it."""
    end = one.ended_at or datetime.now(UTC)
    return {
        **one.to_json_object(),
        "namespace": worker.namespace,
        "monitor": worker.monitor,
        "started": f"{one.started_at:%Y-%m-%d %H:%M:%S}",
        "lasted": lasted((end - one.started_at).total_seconds()),
        "ended": one.end_reason.value if one.end_reason else "",
        "measured": ", ".join(f"{name} {value:g}" for name, value in one.measurements.items()),
    }


def problems(monitor: Object) -> list[Row]:
    """What is wrong with a StreamMonitor: streams, then sinks."""
    status = monitor.get("status") or {}
    streams = (status.get("streams") or {}).get("problems") or []
    sinks = (status.get("alerts") or {}).get("problems") or []
    return [
        {"what": f"{kind} {one['name']}", **one}
        for kind, listed in (("stream", streams), ("sink", sinks))
        for one in listed
    ]


def _receives(stream: StreamStatus) -> bool:
    return stream.state in (StreamState.RECEIVING, StreamState.COMPLETED)
