"""Evidence as HTML that needs no script: pictures with their damaged tiles, strips of sound."""

import base64

import numpy as np
import numpy.typing as npt

from streammonitor_worker.report.recorder import Shot
from streammonitor_worker.report.text import timecode
from streammonitor_worker.thumbnails import Tiles
from streammonitor_worker.waveform import Waveform

LANE_PX = 44
"""Height of one channel."""
MAX_PEAKS = 500
"""A strip is about so many pixels wide."""
FLOOR_DB = -60.0
"""Where a strip ends at the bottom: a linear one would show nothing of quiet sound."""


def picture(shot: Shot) -> str:
    """A picture, and over it the tiles that are defective."""
    data = base64.b64encode(shot.jpeg).decode()
    text = f"the picture at {timecode(shot.time_s)}"
    return (
        f'<span class="picture"><img src="data:image/jpeg;base64,{data}" width="{shot.width}"'
        f' height="{shot.height}" alt="{text}">{_tiles(shot)}</span>'
    )


def _tiles(shot: Shot) -> str:
    if shot.tiles is None or not shot.tiles.any():
        return ""
    rows, columns = shot.tiles.shape
    return (
        f'<svg viewBox="0 0 {columns} {rows}" preserveAspectRatio="none" aria-hidden="true">'
        f'<path class="tiles" d="{tiles_path(shot.tiles)}"/></svg>'
    )


def tiles_path(tiles: Tiles) -> str:
    """The defective tiles as the path of an SVG that is as many units wide as there are columns."""
    return "".join(
        f"M{start} {row}h{end - start}v1h{start - end}z"
        for row in range(tiles.shape[0])
        for start, end in _runs(tiles[row])
    )


def _runs(row: npt.NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Start and end of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], row, [False])).astype(np.int8)))
    return [(int(start), int(end)) for start, end in edges.reshape(-1, 2)]


def strip(waveform: Waveform, start_s: float, end_s: float) -> str:
    """The sound around an incident, one lane for each channel, on a scale in decibels.

    Args:
        waveform: The peaks.
        start_s: Where the incident began, media time in seconds.
        end_s: Where it ended.
    """
    waveform = waveform.within(MAX_PEAKS)
    channels, count = waveform.peaks.shape
    height = channels * LANE_PX
    begin, end = ((at - waveform.start_s) / waveform.bin_s for at in (start_s, end_s))
    begin, end = (min(max(0.0, at), float(count)) for at in (begin, end))
    lanes = "".join(_channel(waveform, index) for index in range(channels))
    marks = "".join(f'<path class="mark" d="M{at:.1f} 0V{height}"/>' for at in (begin, end))
    return (
        f'<figure class="wave"><svg viewBox="0 0 {count} {height}" height="{height}"'
        f' preserveAspectRatio="none" role="img" aria-label="waveform of {channels} channels">'
        f'<rect class="during" x="{begin:.1f}" width="{max(end - begin, 0.5):.1f}" y="0"'
        f' height="{height}"/>{lanes}{marks}</svg><figcaption>'
        f"<span>{timecode(waveform.start_s)}</span>"
        f"<span>peaks of {_milliseconds(waveform.bin_s)}, down to {FLOOR_DB:g} dBFS</span>"
        f"<span>{timecode(waveform.end_s)}</span></figcaption></figure>"
    )


def _channel(waveform: Waveform, index: int) -> str:
    peaks = waveform.peaks[index].astype(np.float64)
    missing = np.isnan(peaks)
    level_db = 20 * np.log10(np.maximum(np.nan_to_num(peaks), 1e-9))
    reach = np.clip(1 - level_db / FLOOR_DB, 0.0, 1.0) * (LANE_PX / 2 - 2)
    middle = LANE_PX * (index + 0.5)
    upper = [f"{at} {middle - one:.1f}H{at + 1}" for at, one in enumerate(reach)]
    lower = [f"{at + 1} {middle + one:.1f}H{at}" for at, one in enumerate(reach)][::-1]
    top = LANE_PX * index
    holes = "".join(
        f'<rect class="gap" x="{start}" width="{end - start}" y="{top}" height="{LANE_PX}"/>'
        for start, end in _runs(missing)
    )
    return (
        f'<path class="zero" d="M0 {middle:g}H{len(reach)}"/>'
        f'<path class="peaks" d="M{"L".join(upper)}L{"L".join(lower)}z"/>{holes}'
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:g} ms" if seconds < 1 else f"{seconds:g} s"
