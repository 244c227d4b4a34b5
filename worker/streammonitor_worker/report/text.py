"""The results of `streammonitor analyze` for people: a table for each input."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_STYLES = {"critical": "bold red", "warning": "yellow"}


def render_text(documents: Sequence[dict[str, Any]], console: Console) -> None:
    """Print what was found.

    Args:
        documents: The inputs of the contract's document.
        console: Where to.
    """
    for document in documents:
        # Text, not markup: a file may be called [red].
        console.print(Text(document["input"], style="bold"), soft_wrap=True)
        if not (document["video"] or document["audio"]):
            console.print(Text("  could not be read", style="red"))
            continue
        console.print(Text("  " + describe_media(document)), soft_wrap=True)
        if document["incidents"]:
            console.print(_table(document["incidents"]))
        else:
            console.print(Text("  no incidents", style="green"))
        for line in _blind(document):
            console.print(Text(f"  {line}", style="yellow"), soft_wrap=True)


def describe_media(document: Mapping[str, Any]) -> str:
    """Length and formats of an input in one line."""
    video, audio = document["video"], document["audio"]
    parts = [timecode(document["duration"])]
    if video:
        parts.append(
            f"{video['codec']} {video['width']}x{video['height']} {video['frameRate']:g} fps, "
            f"{video['frames']} frames, {video['corruptFrames']} corrupt"
        )
    if audio:
        parts.append(f"{audio['codec']} {audio['sampleRate']} Hz, {audio['channels']} channels")
    return " | ".join(parts)


def _table(incidents: Sequence[dict[str, Any]]) -> Table:
    table = Table("defect", "severity", "start", "end", "lasted", "ended", "measured")
    for one in incidents:
        table.add_row(
            one["defect"],
            Text(one["severity"], style=_STYLES.get(one["severity"], "")),
            timecode(one["start"]),
            timecode(one["end"]),
            f"{one['end'] - one['start']:.2f} s",
            one["endReason"] + (", in an ad break" if one.get("adBreak") else ""),
            ", ".join(f"{name} {value:g}" for name, value in one["measurements"].items()),
        )
    return table


def _blind(document: dict[str, Any]) -> list[str]:
    return [
        f"{name} could not tell for {figures['unknown']:.1f} of {document['duration']:.1f} s"
        for name, figures in document["detectors"].items()
        if figures["unknown"] >= 1.0
    ]


def timecode(seconds: float) -> str:
    """Write media time as H:MM:SS.mmm.

    >>> timecode(3723.04)
    '1:02:03.040'
    """
    milliseconds = round(seconds * 1000)
    minutes, rest_ms = divmod(milliseconds, 60_000)
    return f"{minutes // 60}:{minutes % 60:02}:{rest_ms / 1000:06.3f}"
