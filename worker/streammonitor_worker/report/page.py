"""One page that holds everything: it opens offline, and asks nobody for anything.

All text that came with the input (names, reasons) is escaped; what scripts read is JSON in which no
`<` is left; and the page's own policy lets a browser load nothing and run nothing but the one
script whose hash it states.
"""

import base64
import hashlib
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from string import Template
from typing import Any

from streammonitor_worker import __version__
from streammonitor_worker.ingest import FFMPEG_VERSION
from streammonitor_worker.report.drawings import picture, strip
from streammonitor_worker.report.lines import Values
from streammonitor_worker.report.recorder import Exhibit, Graph, Lane, Record
from streammonitor_worker.report.text import describe_media, timecode

LIBRARIES = {"av": "PyAV", "numpy": "NumPy", "opencv-python-headless": "OpenCV"}
ROLES = {"start": "start", "worst": "worst", "end": "after"}
_LEGEND = (
    ('<rect class="incident critical" width="14" height="12"/>', "critical"),
    ('<rect class="incident warning" width="14" height="12"/>', "warning"),
    ('<rect class="unknown" width="14" height="12"/>', "could not tell"),
    ('<path class="limit" d="M0 6h14"/>', "raise threshold"),
    ('<path class="limit clear" d="M0 6h14"/>', "clear threshold"),
)
_BUTTONS = (
    ("earlier", "◀", "earlier"),
    ("later", "▶", "later"),
    ("closer", "+", "look closer"),
    ("wider", "-", "look from further away"),
    ("all", "all", "show the whole input"),
)


@dataclass(frozen=True, slots=True)
class Chapter:
    """What a page says of one input.

    Attributes:
        document: What the contract says of it.
        record: What else was gathered.
        notes: Sentences for people.
    """

    document: Mapping[str, Any]
    record: Record
    notes: Sequence[str]


def render_page(chapters: Sequence[Chapter], now: datetime | None = None) -> str:
    """Return the whole page.

    Args:
        chapters: One for each input.
        now: When it was made; default: now.
    """
    style, script = _asset("page.css"), _asset("page.js")
    names = [chapter.document["input"] for chapter in chapters]
    incidents = [one for chapter in chapters for one in chapter.document["incidents"]]
    made = (now or datetime.now(UTC)).strftime("%Y-%m-%d %H:%M UTC")
    return Template(_asset("page.html")).substitute(
        title=escape(f"Stream report: {', '.join(names)}"[:200]),
        summary=f"{_count(len(names), 'input')}, {_count(len(incidents), 'incident')}; {made}",
        sections="\n".join(_section(index, one) for index, one in enumerate(chapters)),
        versions=escape(_versions()),
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
    )


def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _versions() -> str:
    found = [f"StreamMonitor {__version__}", f"Python {platform.python_version()}"]
    for package, name in LIBRARIES.items():
        try:
            found.append(f"{name} {version(package)}")
        except PackageNotFoundError:
            # Some systems package the same library under another name.
            continue
    return ", ".join([*found, f"FFmpeg {FFMPEG_VERSION}"])


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"


def _section(index: int, chapter: Chapter) -> str:
    document, record = chapter.document, chapter.record
    parts = [
        f'<section class="input" id="input-{index}">',
        f"<h2>{escape(document['input'])}</h2>",
        f'<p class="facts">{escape(describe_media(document))}</p>',
        _verdict(document),
        *(f'<p class="note">{escape(note)}</p>' for note in chapter.notes),
    ]
    if document["duration"]:
        parts += [_timeline(index, document, record), _incidents(index, document, record)]
        parts += [_evidence(index, document, record)]
    parts += [_detectors(document, record), "</section>"]
    return "\n".join(parts)


def _verdict(document: Mapping[str, Any]) -> str:
    found = [one["severity"] for one in document["incidents"]]
    chips = [
        f'<li class="{severity}">{found.count(severity)} {severity}</li>'
        for severity in ("critical", "warning")
        if severity in found
    ]
    if document["endReason"] != "eof":
        chips.insert(0, '<li class="critical">not read to its end</li>')
    elif not found:
        chips.append('<li class="fine">no incidents</li>')
    return f'<ul class="verdict">{"".join(chips)}</ul>'


def _timeline(index: int, document: Mapping[str, Any], record: Record) -> str:
    buttons = "".join(
        f'<button type="button" data-action="{action}" aria-label="{label}" title="{label}">'
        f"{text}</button>"
        for action, text, label in _BUTTONS
    )
    legend = "".join(
        f'<li><svg width="14" height="12" aria-hidden="true">{mark}</svg>{text}</li>'
        for mark, text in _LEGEND
    )
    return (
        f'<div class="bar"><h3>Timeline</h3><span class="screen">{buttons}</span></div>'
        f'<script type="application/json" class="data">{_data(index, document, record)}</script>'
        '<figure class="timeline"></figure>'
        f'<ul class="legend timeline">{legend}</ul>'
        '<noscript><p class="note">The timeline is drawn by a script; the table below holds the'
        " same incidents.</p></noscript>"
    )


def _data(index: int, document: Mapping[str, Any], record: Record) -> str:
    data = {
        "id": index,
        "duration": document["duration"],
        "incidents": [
            {
                **{key: one[key] for key in ("id", "defect", "severity", "start", "end")},
                "anchor": f"incident-{index}-{number}",
            }
            for number, one in enumerate(document["incidents"], 1)
        ],
        "lanes": [_lane(lane) for lane in record.lanes],
    }
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _lane(lane: Lane) -> dict[str, Any]:
    return {
        "name": lane.name,
        "summary": lane.summary,
        "unknown": [[round(start_s, 2), round(end_s, 2)] for start_s, end_s in lane.unknown],
        "graphs": [_graph(graph) for graph in lane.graphs],
    }


def _graph(graph: Graph) -> dict[str, Any]:
    limits = [
        {"value": _short(one.value), "raises": one.raises, "below": one.below}
        for one in graph.limits
    ]
    return {
        "name": graph.name,
        "unit": graph.unit,
        "bin": graph.curve.bin_s,
        "low": _numbers(graph.curve.low),
        "high": _numbers(graph.curve.high),
        "limits": limits,
    }


def _numbers(values: Values) -> list[float | None]:
    return [None if value != value else _short(value) for value in values.tolist()]  # noqa: PLR0124


def _short(value: float) -> float | int:
    """Four digits are more than a screen shows, and short to write."""
    rounded = float(f"{value:.4g}")
    return int(rounded) if rounded.is_integer() else rounded


def _incidents(index: int, document: Mapping[str, Any], record: Record) -> str:
    if not document["incidents"]:
        return ""
    headings = (
        "#", "defect", "severity", "start", "end", "lasted", "raised after", "ended", "confidence",
        "worst measurement", "",
    )  # fmt: skip
    rows = "".join(
        _row(f"incident-{index}-{number}", number, one, record.consequences.get(one["id"], []))
        for number, one in enumerate(document["incidents"], 1)
    )
    head = "".join(f"<th>{heading}</th>" for heading in headings)
    return (
        f'<h3>Incidents</h3><div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )


def _row(anchor: str, number: int, one: Mapping[str, Any], consequences: Sequence[str]) -> str:
    start_s, end_s = one["start"], one["end"]
    measured = ", ".join(f"{name} {value:g}" for name, value in one["measurements"].items())
    because = f"; explains {', '.join(consequences)}" if consequences else ""
    cells = (
        ("", str(number)),
        ("", f"<b>{escape(one['defect'])}</b>{escape(because)}"),
        ("", f'<span class="severity {one["severity"]}">{one["severity"]}</span>'),
        ("number", timecode(start_s)),
        ("number", timecode(end_s)),
        ("number", f"{end_s - start_s:.2f} s"),
        ("number", f"{one['detectedAt'] - start_s:.2f} s"),
        ("", escape(one["endReason"])),
        ("number", f"{one['confidence']:.2f}"),
        ("", escape(measured)),
        (
            "screen",
            f'<button type="button" data-start="{start_s}" data-end="{end_s}"'
            f' aria-label="show incident {number} in the timeline">show</button>',
        ),
    )
    row = "".join(f'<td class="{name}">{text}</td>' for name, text in cells)
    return f'<tr id="{anchor}">{row}</tr>'


def _evidence(index: int, document: Mapping[str, Any], record: Record) -> str:
    shown = [
        (number, one, record.exhibits[one["id"]])
        for number, one in enumerate(document["incidents"], 1)
        if one["id"] in record.exhibits
    ]
    if not shown:
        return ""
    cards = "".join(_exhibit(*each) for each in shown)
    missing = len(document["incidents"]) - len(shown)
    note = f'<p class="facts">Not shown: that of {_count(missing, "more incident")}.</p>'
    tiles = any(shot.tiles is not None for _, _, exhibit in shown for shot in exhibit.shots)
    button = (
        '<button type="button" class="screen" data-action="tiles" aria-pressed="true">damaged tiles'
        "</button>"
    )
    return (
        f'<div class="bar"><h3>Evidence</h3>{button if tiles else ""}</div>'
        f'<div class="gallery">{cards}</div>{note if missing else ""}'
    )


def _exhibit(number: int, one: Mapping[str, Any], exhibit: Exhibit) -> str:
    span = f"{timecode(one['start'])} to {timecode(one['end'])}"
    heading = (
        f'{number}. {escape(one["defect"])}, <span class="{one["severity"]}">{one["severity"]}'
        f"</span>, {span}"
    )
    figures = "".join(
        f"<figure>{picture(shot)}<figcaption>{ROLES[shot.role]} {timecode(shot.time_s)}"
        "</figcaption></figure>"
        for shot in exhibit.shots
    )
    pictures = f'<div class="shots">{figures}</div>' if figures else ""
    wave = strip(exhibit.waveform, one["start"], one["end"]) if exhibit.waveform else ""
    return f'<article class="exhibit"><h4>{heading}</h4>{pictures}{wave}</article>'


def _detectors(document: Mapping[str, Any], record: Record) -> str:
    rows = "".join(
        f"<tr><td><b>{escape(lane.name)}</b></td>"
        f'<td class="number">{document["detectors"][lane.name]["observed"]:.1f} s</td>'
        f'<td class="number">{document["detectors"][lane.name]["unknown"]:.1f} s</td>'
        f'<td class="number">{_cpu(document["detectors"][lane.name]["cpuSeconds"])}</td>'
        f"<td><code>{escape(_parameters(lane))}</code></td></tr>"
        for lane in record.lanes
    )
    head = "<th>detector</th><th>judged</th><th>unknown</th><th>CPU</th><th>parameters</th>"
    return (
        "<details><summary>Detectors and their parameters</summary>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        "</div>"
        f'<p class="facts">CPU {document["cpuSeconds"]:.1f} s in all, decoding included;'
        f" {document['wallSeconds']:.1f} s by the clock.</p></details>"
    )


def _cpu(seconds: float | None) -> str:
    """Of a stream that goes on it is not told apart by detector."""
    return "" if seconds is None else f"{seconds:.2f} s"


def _parameters(lane: Lane) -> str:
    return ", ".join(f"{key}: {value}" for key, value in lane.params.to_json_object().items())
