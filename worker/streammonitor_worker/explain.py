"""`streammonitor explain`: every parameter as it holds on each stream, and where it comes from."""

import json
from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from streammonitor_api.durations import format_duration, is_duration
from streammonitor_api.regions import Region
from streammonitor_api.spec import Stream, StreamMonitorSpec
from streammonitor_worker.ingest import redact
from streammonitor_worker.monitor_file import ELSEWHERE, MonitorFileError, load_monitor
from streammonitor_worker.options import Format, UsageError, select_stream
from streammonitor_worker.parameters import Origin, Resolution, Resolved, resolve

SCHEMA_VERSION = 1
USAGE = 2
"""Exit code: usage or an invalid specification."""
HEADER = ("DETECTOR", "PARAMETER", "VALUE", "UNIT", "FROM", "BOUNDS")
WIDEST = 40
"""Values are cut at so many characters: a model may have a thousand labels."""


def explain_command(
    file: Annotated[
        Path, typer.Option("--file", "-f", help="A StreamMonitor, as for kubectl apply.")
    ],
    stream: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this stream. Default: all.")
    ] = None,
    output: Annotated[Format, typer.Option("--format", help="How it is written.")] = Format.TEXT,
) -> None:
    """Show every parameter as it holds on each stream, and where it comes from."""
    try:
        monitor = load_monitor(file)
        streams = [select_stream(monitor.spec, stream)] if stream else monitor.spec.streams
    except (MonitorFileError, UsageError) as error:
        _refuse(str(error))
    if not streams:
        _refuse(f"{file}: {ELSEWHERE}")
    if output is Format.JSON:
        typer.echo(json.dumps(document(monitor.name, monitor.spec, streams), indent=1))
    else:
        typer.echo("\n\n".join(sections(monitor.spec, streams)))


def _refuse(text: str) -> NoReturn:
    typer.echo(text, err=True)
    raise typer.Exit(USAGE)


def document(monitor: str, spec: StreamMonitorSpec, streams: Iterable[Stream]) -> dict[str, Any]:
    """What holds, for programs. A key that does not apply is absent."""
    return {"schemaVersion": SCHEMA_VERSION, "monitor": monitor} | {
        "streams": [_stream(one, resolve(one, spec.detectors, spec.profile)) for one in streams]
    }


def _stream(stream: Stream, resolution: Resolution) -> dict[str, Any]:
    regions = stream.to_json_object()
    return {
        "name": stream.name,
        "url": redact(stream.url),
        "profile": resolution.profile,
        **{key: regions[key] for key in ("region", "ignoreRegions") if key in regions},
        "detectors": {
            name: {row["parameter"]: _without(row, "parameter") for row in _rows(resolved)}
            for name, resolved in sorted(resolution.detectors.items())
        },
    }


def _without(row: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != key}


def _rows(resolved: Resolved) -> Iterator[dict[str, Any]]:
    """What is said of each parameter of a detector; durations as on the wire."""
    params = resolved.params
    values = params.to_json_object()
    for field, info in type(params).model_fields.items():
        name = info.alias or field
        duration = is_duration(info)
        row = {
            "parameter": name,
            "value": values[name],
            "from": resolved.origins[name].value,
            "unit": "duration" if duration else params.units.get(name),
            "minimum": _bound(info, Ge, "ge", duration),
            "maximum": _bound(info, Le, "le", duration),
            "choices": _choices(info),
        }
        yield {key: value for key, value in row.items() if value is not None}


def _bound(info: FieldInfo, kind: type[Ge | Le], key: str, duration: bool) -> object:
    found = next((getattr(item, key) for item in info.metadata if isinstance(item, kind)), None)
    return format_duration(float(found)) if duration and found is not None else found


def _choices(info: FieldInfo) -> list[str] | None:
    kind = info.annotation
    is_choice = isinstance(kind, type) and issubclass(kind, StrEnum)
    return [str(one) for one in kind] if is_choice else None  # type: ignore[union-attr]


def sections(spec: StreamMonitorSpec, streams: Iterable[Stream]) -> Iterator[str]:
    """What holds, for people: a table for all streams on which the same holds."""
    alike: dict[str, list[str]] = {}
    for stream in streams:
        resolution = resolve(stream, spec.detectors, spec.profile)
        alike.setdefault(_section(stream, resolution), []).append(stream.name)
    for text, names in alike.items():
        yield f"stream{'s' * (len(names) > 1)} {', '.join(names)}: {text}"


def _section(stream: Stream, resolution: Resolution) -> str:
    whose = "" if stream.profile is None else ", the stream's own"
    lines = [f"profile {resolution.profile}{whose}"]
    if stream.region is not None:
        lines.append(f"looks only at {_place(stream.region)}")
    for one in stream.ignore_regions or ():
        lines.append(f"ignores {one.name or 'a region'} at {_place(one)}")
    return "\n".join([*lines, "", *_table(resolution)])


def _place(region: Region) -> str:
    sides = ("left", "top", "width", "height")
    return ", ".join(f"{side} {getattr(region, side):g}" for side in sides)


def _table(resolution: Resolution) -> Iterator[str]:
    rows: list[tuple[str, ...]] = [HEADER]
    for name, resolved in sorted(resolution.detectors.items()):
        rows += [_cells(name, row, resolution.profile) for row in _rows(resolved)]
    return _aligned(rows)


def _cells(detector: str, row: dict[str, Any], profile: str) -> tuple[str, ...]:
    origin = f"profile {profile}" if row["from"] == Origin.PROFILE else row["from"]
    unit = row.get("unit", "")
    if "choices" in row:
        bounds = " | ".join(row["choices"])
    else:
        bounds = f"{_short(row['minimum'])} to {_short(row['maximum'])}" if "minimum" in row else ""
    # A duration carries its unit.
    shown = "" if unit == "duration" else unit
    return detector, row["parameter"], _short(row["value"]), shown, origin, bounds


def _short(value: object) -> str:
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else f"{value:g}"
    text = value if isinstance(value, str) and value else json.dumps(value)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()
