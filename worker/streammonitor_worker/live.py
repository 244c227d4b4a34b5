"""What is shown of the streams to who looks at them: picture, traces, evidence. Made on demand.

Nothing here is done while nobody asks: the pictures and peaks are those that are kept for evidence
anyway, and are encoded when they are asked for.
"""

import base64
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from streammonitor_api.worker_status import StreamStatus
from streammonitor_worker.detectors import registry
from streammonitor_worker.detectors.base import DetectorParams
from streammonitor_worker.evidence import Evidence
from streammonitor_worker.figures import Figures
from streammonitor_worker.report.drawings import MAX_PEAKS, tiles_path
from streammonitor_worker.thumbnails import Thumbnail
from streammonitor_worker.traces import BIN_S, BINS, Traces
from streammonitor_worker.waveform import Waveform

PICTURE_EVERY_S = 5.0
"""A picture is encoded at most so often, however many people look."""
MAX_KEPT = 512
"""Encoded pictures that are kept: about 8 MB."""

Document = dict[str, Any]


class Shown(Protocol):
    """One stream, as far as it can be looked at; it goes on meanwhile."""

    @property
    def hidden(self) -> bool:
        """Whether its pictures must not leave the worker."""

    @property
    def picture(self) -> Thumbnail | None:
        """The latest picture."""

    @property
    def status(self) -> StreamStatus:
        """What is known of it."""

    def figures(self) -> Figures:
        """What it has done so far."""

    def parameters(self) -> dict[str, DetectorParams]:
        """By which each detector judges."""

    def traces(self) -> Traces | None:
        """What was measured lately."""

    def evidence(self, incident_id: str) -> Evidence | None:
        """What can be shown of an incident."""


class HiddenPicture(Exception):
    """The pictures of a stream must not leave the worker."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded picture.

    Attributes:
        jpeg: The picture, at most 320 pixels wide and high.
        taken_at: Unix time at which its bytes had arrived, in seconds.
    """

    jpeg: bytes
    taken_at: float


class LiveView:
    """The streams of a worker, for who looks at them.

    Args:
        find: Finds a stream by its name; None if it is not here.
        clock: Of the time between pictures, in seconds.
    """

    def __init__(
        self, find: Callable[[str], Shown | None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._find = find
        self._clock = clock
        self._lock = threading.Lock()
        self._made: OrderedDict[str, tuple[float, Picture]] = OrderedDict()

    def picture(self, stream: str) -> Picture | None:
        """The latest picture of a stream, five seconds old at most; None without one.

        Raises:
            HiddenPicture: It must not be shown.
        """
        shown = self._find(stream)
        if shown is None:
            return None
        if shown.hidden:
            raise HiddenPicture(stream)
        with self._lock:
            at_s, made = self._made.get(stream, (-math.inf, None))
            if made is not None and self._clock() - at_s < PICTURE_EVERY_S:
                return made
        latest = shown.picture
        if latest is None:
            return None
        if made is None or made.taken_at != latest.view.arrived_at:
            made = Picture(latest.jpeg(), latest.view.arrived_at)
        with self._lock:
            self._made[stream] = self._clock(), made
            self._made.move_to_end(stream)
            while len(self._made) > MAX_KEPT:
                self._made.popitem(last=False)
        return made

    def traces(self, stream: str) -> Document | None:
        """What a stream's detectors know, and by what they judged in the last minutes."""
        shown = self._find(stream)
        traces = shown.traces() if shown is not None else None
        if shown is None or traces is None:
            return None
        now_s = time.time()
        until_s = int(now_s) // BIN_S * BIN_S + BIN_S
        return {
            "from": until_s - BINS * BIN_S,
            "binSeconds": BIN_S,
            "detectors": {name: one.value for name, one in shown.status.detectors.items()},
            "lagMs": round(shown.figures().lag_s * 1000),
            "graphs": [
                graph
                for name, params in sorted(shown.parameters().items())
                for graph in _graphs(name, params, traces, now_s)
            ],
        }

    def evidence(self, stream: str, incident_id: str) -> Document | None:
        """What can be shown of an incident; None if there is nothing (any more)."""
        shown = self._find(stream)
        found = shown.evidence(incident_id) if shown is not None else None
        if shown is None or found is None:
            return None
        roles = (("start", found.start), ("worst", found.worst), ("end", found.end))
        return {
            "hidden": shown.hidden,
            "shots": [
                _shot(role, one) for role, one in roles if one is not None and not shown.hidden
            ],
            "waveform": None if found.waveform is None else _strip(found.waveform),
        }


def _graphs(name: str, params: DetectorParams, traces: Traces, now_s: float) -> list[Document]:
    rings, found = traces.of(name), dict[tuple[str, ...], Document]()
    for trace in registry[name].traces:
        if trace.values not in rings:
            continue
        graph = found.get(trace.values)
        if graph is None:
            low, high = rings[trace.values].course(now_s)
            graph = found[trace.values] = {
                "detector": name,
                "name": " + ".join(trace.values),
                "unit": trace.unit,
                "low": low,
                "high": high,
                "limits": [],
            }
        limits = [(trace.raise_at(params), True)]
        if trace.clear_at is not None:
            limits.append((trace.clear_at(params), False))
        graph["limits"] += [
            {"value": value, "raises": raises, "below": trace.below}
            for value, raises in limits
            if math.isfinite(value)
        ]
    return list(found.values())


def _shot(role: str, picture: Thumbnail) -> Document:
    width, height = picture.size
    tiles = picture.tiles
    damaged = tiles is not None and bool(tiles.any())
    return {
        "role": role,
        "takenAt": picture.view.arrived_at,
        "width": width,
        "height": height,
        "jpeg": base64.b64encode(picture.jpeg()).decode(),
        "tiles": {"rows": tiles.shape[0], "columns": tiles.shape[1], "path": tiles_path(tiles)}
        if tiles is not None and damaged
        else None,
    }


def _strip(waveform: Waveform) -> Document:
    waveform = waveform.within(MAX_PEAKS)
    return {
        "startSeconds": waveform.start_s,
        "binSeconds": waveform.bin_s,
        "peaks": [
            [round(float(one), 4) if math.isfinite(one) else None for one in channel]
            for channel in waveform.peaks
        ],
    }
