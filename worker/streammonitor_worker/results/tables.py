"""Summaries and incidents as Parquet. docs/results.md lists the columns."""

from collections.abc import Callable, Sequence
from datetime import datetime
from io import BytesIO
from itertools import accumulate
from typing import Any

from arro3.core import Array, DataType, Field, Schema, Table, list_array, struct_array
from arro3.io import write_parquet

from streammonitor_api.incident import Incident
from streammonitor_api.results import DetectorMinute, Minute

_TEXT, _WHOLE, _NUMBER = DataType.utf8(), DataType.int64(), DataType.float64()
_FLAG, _MOMENT = DataType.bool(), DataType.timestamp("us", tz="UTC")

_MINUTE: dict[str, DataType] = {
    "stream": _TEXT,
    "group": _TEXT,
    "worker": _TEXT,
    "minute": _MOMENT,
    "watched": _WHOLE,
    "analysed": _WHOLE,
    "warning": _WHOLE,
    "critical": _WHOLE,
    "frames": _WHOLE,
    "corrupt_frames": _WHOLE,
    "decode_errors": _WHOLE,
    "discontinuities": _WHOLE,
    "connects": _WHOLE,
    "loudness_lufs": _NUMBER,
    "loudness_blocks": _WHOLE,
    "short_term_max_lufs": _NUMBER,
    "true_peak_max_dbtp": _NUMBER,
    "score": _NUMBER,
}
_DETECTOR: dict[str, DataType] = {
    "name": _TEXT,
    "unknown_s": _NUMBER,
    "incidents": _WHOLE,
    "defective": _WHOLE,
}


def duration_s(incident: Incident) -> float | None:
    """How long an incident lasted, in seconds of media time."""
    return None if incident.end_s is None else round(incident.end_s - incident.start_s, 3)


_INCIDENT: dict[str, tuple[DataType, Callable[[Incident], Any]]] = {
    "id": (_TEXT, lambda one: one.id),
    "stream": (_TEXT, lambda one: one.stream),
    "defect": (_TEXT, lambda one: one.defect),
    "severity": (_TEXT, lambda one: one.severity.value),
    "started_at": (_MOMENT, lambda one: one.started_at),
    "detected_at": (_MOMENT, lambda one: one.detected_at),
    "ended_at": (_MOMENT, lambda one: one.ended_at),
    "duration_s": (_NUMBER, duration_s),
    "end_reason": (_TEXT, lambda one: one.end_reason.value if one.end_reason else None),
    "confidence": (_NUMBER, lambda one: one.confidence),
    "ad_break": (_FLAG, lambda one: one.ad_break),
    "worker": (_TEXT, lambda one: one.worker),
    "monitor_uid": (_TEXT, lambda one: one.monitor_uid),
}


def summaries(minutes: Sequence[Minute]) -> bytes:
    """A Parquet file with a row for each contribution to a minute."""
    columns = {
        name: (kind, _column([getattr(one, name) for one in minutes], kind))
        for name, kind in _MINUTE.items()
    }
    columns["detectors"] = _detectors([one.detectors for one in minutes])
    return _parquet(columns)


def incidents(ended: Sequence[Incident], pictures: Sequence[Sequence[str]]) -> bytes:
    """A Parquet file with a row for each incident.

    Args:
        ended: The incidents.
        pictures: Of each, the paths of what shows it.
    """
    columns = {
        name: (kind, _column([read(one) for one in ended], kind))
        for name, (kind, read) in _INCIDENT.items()
    }
    columns["consequences"] = _lists([one.consequences for one in ended])
    columns["pictures"] = _lists(pictures)
    columns["measurements"] = _measurements([one.measurements for one in ended])
    return _parquet(columns)


_Column = tuple[DataType, Array]


def _column(values: Sequence[Any], kind: DataType) -> Array:
    if kind == _MOMENT:
        micros = [None if one is None else _micros(one) for one in values]
        return Array(micros, _WHOLE).cast(_MOMENT)
    return Array(list(values), kind)


def _micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)


def _detectors(rows: Sequence[Sequence[DetectorMinute]]) -> _Column:
    flat = [one for row in rows for one in row]
    return _structs(
        rows,
        {name: (kind, [getattr(one, name) for one in flat]) for name, kind in _DETECTOR.items()},
    )


def _measurements(rows: Sequence[dict[str, float]]) -> _Column:
    flat = [pair for row in rows for pair in row.items()]
    return _structs(
        [list(row) for row in rows],
        {"name": (_TEXT, [name for name, _ in flat]), "value": (_NUMBER, [v for _, v in flat])},
    )


def _structs(
    rows: Sequence[Sequence[Any]], parts: dict[str, tuple[DataType, list[Any]]]
) -> _Column:
    """A column of lists of structures, whose parts are given for all rows together."""
    fields = [Field(name, kind, nullable=False) for name, (kind, _) in parts.items()]
    arrays = [_column(values, kind) for kind, values in parts.values()]
    made = list_array(_offsets(rows), struct_array(arrays, fields=fields))
    return made.type, made


def _lists(rows: Sequence[Sequence[str]]) -> _Column:
    made = list_array(_offsets(rows), Array([one for row in rows for one in row], _TEXT))
    return made.type, made


def _offsets(rows: Sequence[Sequence[Any]]) -> Array:
    return Array(list(accumulate((len(row) for row in rows), initial=0)), DataType.int32())


def _parquet(columns: dict[str, _Column]) -> bytes:
    schema = Schema([Field(name, kind) for name, (kind, _) in columns.items()])
    table = Table.from_arrays([array for _, array in columns.values()], schema=schema)
    file = BytesIO()
    write_parquet(table, file, compression="zstd(3)", created_by="streammonitor")
    return file.getvalue()
