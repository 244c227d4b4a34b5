"""What became of a live stream lately, as the page that `streammonitor analyze` makes of a file.

Made on demand, of what the worker keeps anyway: its incidents and minutes, the evidence of the last
few incidents, and the last minutes of what was measured.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from streammonitor_api.incident import Incident
from streammonitor_api.results import Minute
from streammonitor_api.worker_status import StreamStatus
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.detectors import registry
from streammonitor_worker.figures import Figures
from streammonitor_worker.live import Document, LiveView, Shown
from streammonitor_worker.report import Chapter, Record, render_page
from streammonitor_worker.report.lines import MAX_BINS, Curve, Values
from streammonitor_worker.report.recorder import Exhibit, Graph, Lane, Limit, Shot, encoded

LONGEST_S = 7 * 86_400.0
"""The longest time that is asked for."""
MOSTLY_S = 30.0
"""A minute of which a detector could not judge more than this is one that it could not judge."""
Kept = Callable[[str | None, datetime | None], tuple[list[Minute], list[Incident]]]
"""What is known of a stream (None: of all) since a moment: minutes, and incidents that ended."""


class Recaps:
    """Makes the pages.

    Args:
        board: Knows the incidents.
        find: Finds a stream by its name; None if it is not here.
        kept: What is in memory of a stream since a moment: minutes, and incidents that ended.
    """

    def __init__(
        self,
        board: StatusBoard,
        find: Callable[[str], Shown | None],
        kept: Kept = lambda stream, since: ([], []),
    ) -> None:
        self._board = board
        self._find = find
        self._kept = kept
        self._live = LiveView(find)

    def page(self, stream: str, since_s: float, now: datetime | None = None) -> str | None:
        """The page about the last `since_s` seconds of a stream; None if it is not here."""
        shown = self._find(stream)
        if shown is None:
            return None
        status, figures = shown.status, shown.figures()
        until = now or datetime.now(UTC)
        first = status.first_frame_at or until
        begin = max(until - timedelta(seconds=since_s), first)
        minutes, gone = self._kept(stream, begin)
        known = {one.id: one for one in [*gone, *self._board.document().incidents]}
        incidents = sorted(
            (
                one
                for one in known.values()
                if one.stream == stream and (one.ended_at or until) >= begin
            ),
            key=lambda one: one.started_at,
        )
        duration_s = (until - begin).total_seconds()
        record = Record(
            self._lanes(stream, shown, minutes, begin, duration_s),
            {one.id: shows for one in incidents if (shows := _exhibit(shown, one, begin))},
            {one.id: one.consequences for one in incidents},
        )
        document = _document(status, figures, record, duration_s)
        document["incidents"] = [_incident(one, begin, until) for one in incidents]
        return render_page([Chapter(document, record, _notes(begin))], until)

    def _lanes(
        self,
        stream: str,
        shown: Shown,
        minutes: Sequence[Minute],
        begin: datetime,
        duration_s: float,
    ) -> list[Lane]:
        traces = self._live.traces(stream)
        return [
            Lane(
                name,
                registry[name].summary,
                unknown(name, minutes, begin, duration_s),
                _graphs(name, traces, begin, duration_s),
                params,
            )
            for name, params in sorted(shown.parameters().items())
        ]


def unknown(
    detector: str, minutes: Sequence[Minute], begin: datetime, duration_s: float
) -> list[tuple[float, float]]:
    """When a detector could not tell: seconds without media, and minutes that it mostly missed."""
    spans: list[tuple[float, float]] = []
    for minute in minutes:
        missed_s = sum(one.unknown_s for one in minute.detectors if one.name == detector)
        missed = minute.watched if missed_s > MOSTLY_S else minute.watched & ~minute.analysed
        offset_s = (minute.minute - begin).total_seconds()
        for second in range(60):
            start_s = max(0.0, offset_s + second)
            end_s = min(duration_s, offset_s + second + 1)
            if not missed >> second & 1 or end_s <= start_s:
                continue
            if spans and spans[-1][1] >= start_s:
                start_s = spans.pop()[0]
            spans.append((start_s, end_s))
    return spans


def _document(
    status: StreamStatus, figures: Figures, record: Record, duration_s: float
) -> dict[str, Any]:
    """What the contract of `analyze` would say of it."""
    video = status.video.to_json_object() if status.video is not None else None
    if video is not None:
        video |= {"frames": figures.frames, "corruptFrames": figures.corrupt_frames}
    unknown_s = figures.unknown_s
    return {
        "input": status.name,
        "duration": round(duration_s, 3),
        "endReason": "eof",
        "video": video,
        "audio": status.audio.to_json_object() if status.audio is not None else None,
        "detectors": {
            lane.name: {
                "observed": max(0.0, figures.analysed_s - unknown_s.get(lane.name, 0.0)),
                "unknown": unknown_s.get(lane.name, 0.0),
                "cpuSeconds": None,
            }
            for lane in record.lanes
        },
        "cpuSeconds": figures.cpu_s,
        "wallSeconds": duration_s,
    }


def _incident(one: Incident, begin: datetime, until: datetime) -> dict[str, Any]:
    """An incident by the clock: what began before the page does begins with it."""
    start_s = max(0.0, (one.started_at - begin).total_seconds())
    end_s = ((one.ended_at or until) - begin).total_seconds()
    return {
        "id": one.id,
        "defect": one.defect,
        "severity": one.severity.value,
        "start": round(start_s, 3),
        "end": round(max(start_s, end_s), 3),
        "detectedAt": round(max(start_s, (one.detected_at - begin).total_seconds()), 3),
        "endReason": one.end_reason.value if one.end_reason is not None else "lasts",
        "confidence": one.confidence,
        "measurements": one.measurements,
    }


def _notes(begin: datetime) -> list[str]:
    return [
        f"Times are counted from {begin:%Y-%m-%d %H:%M:%S} UTC. There is evidence of the newest "
        "incidents only, and what was measured in the last ten minutes."
    ]


def _exhibit(shown: Shown, one: Incident, begin: datetime) -> Exhibit | None:
    """Its evidence, with the times of pictures counted as the page counts."""
    found = shown.evidence(one.id)
    if found is None:
        return None
    exhibit = encoded(found)
    offset_s = (one.started_at - begin).total_seconds() - one.start_s
    shots = [] if shown.hidden else [_moved(shot, offset_s) for shot in exhibit.shots]
    waveform = exhibit.waveform
    if waveform is not None:
        waveform = replace(waveform, start_s=waveform.start_s + offset_s)
    return Exhibit(tuple(shots), waveform) if shots or waveform is not None else None


def _moved(shot: Shot, offset_s: float) -> Shot:
    return replace(shot, time_s=max(0.0, shot.time_s + offset_s))


def _graphs(name: str, traces: Document | None, begin: datetime, duration_s: float) -> list[Graph]:
    """What was measured in the last minutes, where the page's time is short enough to show it."""
    if traces is None or duration_s / traces["binSeconds"] > MAX_BINS:
        return []
    missing = round((traces["from"] - begin.timestamp()) / traces["binSeconds"])

    def placed(values: list[float | None]) -> Values:
        known = [math.nan if value is None else value for value in values[max(0, -missing) :]]
        return np.array([math.nan] * max(0, missing) + known, np.float32)

    return [
        Graph(
            one["name"],
            one["unit"],
            Curve(traces["binSeconds"], placed(one["low"]), placed(one["high"])),
            tuple(Limit(**limit) for limit in one["limits"]),
        )
        for one in traces["graphs"]
        if one["detector"] == name
    ]
