"""Durations on the wire are Go duration strings ("1.5s", "2m30s"); in Python they are seconds."""

import re
from datetime import timedelta
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic.fields import FieldInfo

PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$"
"""The part of Go's duration syntax that is accepted: decimal numbers with ms, s, m or h."""

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_TERM = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")


def parse_duration(text: str) -> float:
    """Return the seconds that a Go duration string means.

    Raises:
        ValueError: `text` is not a sequence of decimal numbers with a unit.

    >>> parse_duration("1m30s"), parse_duration("250ms")
    (90.0, 0.25)
    """
    if not re.fullmatch(PATTERN, text):
        raise ValueError(f"{text!r} is no duration: write numbers with ms, s, m or h, as in 1m30s")
    seconds = sum(float(number) * _UNIT_S[unit] for number, unit in _TERM.findall(text))
    # Go counts nanoseconds; 700 times a thousandth is not 0.7.
    return round(seconds, 9)


def format_duration(seconds: float) -> str:
    """Write seconds as the shortest Go duration string, to the millisecond.

    >>> format_duration(90), format_duration(0.25), format_duration(0)
    ('1m30s', '250ms', '0s')
    """
    milliseconds = round(seconds * 1000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest_ms = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else ""]
    if rest_ms or milliseconds == 0:
        parts.append(f"{rest_ms / 1000:g}s")
    return "".join(parts)


def _to_seconds(value: Any) -> Any:
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, float):
        # A bare number from YAML would let the type choose the unit. Python code passes floats.
        raise ValueError(f"{value!r} is no duration: write it with its unit, as in {value}s")
    return value


Duration = Annotated[
    float,
    BeforeValidator(_to_seconds),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "duration", "pattern": PATTERN}),
]
"""A duration: a Go duration string on the wire, seconds (float) in Python."""


def is_duration(info: FieldInfo) -> bool:
    """Whether a model's field is a duration."""
    return any(
        isinstance(item, WithJsonSchema) and (item.json_schema or {}).get("format") == "duration"
        for item in info.metadata
    )
