"""What a person at a terminal sees of a run."""

from rich.markup import escape
from rich.table import Table

from streammonitor_api.incident import Incident, Severity
from streammonitor_api.worker_status import (
    DetectorState,
    StreamState,
    StreamStatus,
    WorkerStatus,
)

_STATE_STYLE = {
    StreamState.CONNECTING: "cyan",
    StreamState.RECEIVING: "green",
    StreamState.RETRYING: "yellow",
    StreamState.COMPLETED: "blue",
    StreamState.FAILED: "red",
}
_DETECTOR_STYLE = {
    DetectorState.UNKNOWN: "dim",
    DetectorState.OK: "green",
    DetectorState.SUSPECT: "yellow",
    DetectorState.ACTIVE: "bold red",
    DetectorState.CLEARING: "magenta",
}


def overview(status: WorkerStatus) -> Table:
    """The live table."""
    table = Table(expand=True)
    for heading in ("Stream", "State", "Format", "Detectors", "Active incidents", "Last incident"):
        table.add_column(heading)
    for stream in status.streams:
        mine = [incident for incident in status.incidents if incident.stream == stream.name]
        active = [incident for incident in mine if incident.active]
        table.add_row(
            escape(stream.name),
            _state(stream),
            escape(describe_format(stream)),
            _detectors(stream),
            "\n".join(_colour(item, f"{item.defect} {_at(item.start_s)}") for item in active),
            escape(describe_span(mine[-1])) if mine else "",
        )
    return table


def describe_stream(stream: StreamStatus) -> str:
    """One plain line about a stream.

    >>> from datetime import datetime
    >>> describe_stream(StreamStatus(name="a", state="connecting", since=datetime.min))
    'a: connecting'
    """
    parts = [describe_format(stream) if stream.state is StreamState.RECEIVING else ""]
    parts.append(f"{stream.reason}: {stream.message}" if stream.reason else "")
    tail = ", ".join(part for part in parts if part)
    return f"{stream.name}: {stream.state.value}" + (f" ({tail})" if tail else "")


def describe_incident(kind: str, incident: Incident) -> str:
    """One plain line about an incident event."""
    tail = f" ({incident.end_reason.value})" if incident.end_reason else ""
    tail += ", in an ad break" if incident.ad_break else ""
    return (
        f"{incident.stream}: {kind} {describe_span(incident)}, {incident.severity.value}, "
        f"incident {incident.id}{tail}"
    )


def describe_format(stream: StreamStatus) -> str:
    """Codec, size and rate in few characters."""
    parts = []
    if stream.video:
        video = stream.video
        parts.append(f"{video.codec} {video.width}x{video.height}@{video.frame_rate:g}")
    if stream.audio:
        audio = stream.audio
        parts.append(f"{audio.codec} {audio.sample_rate / 1000:g}kHz {audio.channels}ch")
    return " + ".join(parts)


def describe_span(incident: Incident) -> str:
    """Defect and media time, as in `freeze 12.0s-16.0s`."""
    end = "" if incident.end_s is None else _at(incident.end_s)
    return f"{incident.defect} {_at(incident.start_s)}-{end}"


def _at(seconds: float) -> str:
    return f"{seconds:.1f}s"


def _state(stream: StreamStatus) -> str:
    style = _STATE_STYLE[stream.state]
    why = f"\n[dim]{escape(stream.reason)}[/]" if stream.reason else ""
    return f"[{style}]{stream.state.value}[/]{why}"


def _detectors(stream: StreamStatus) -> str:
    return "\n".join(
        f"{escape(name)} [{_DETECTOR_STYLE[state]}]{state.value}[/]"
        for name, state in stream.detectors.items()
    )


def _colour(incident: Incident, text: str) -> str:
    style = "bold red" if incident.severity is Severity.CRITICAL else "yellow"
    return f"[{style}]{escape(text)}[/]"
