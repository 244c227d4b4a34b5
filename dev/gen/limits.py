"""A parameter's default and limits in words, the same in the CRD and in the reference."""

from typing import Any

from annotated_types import Ge, Le
from pydantic.fields import FieldInfo

from streammonitor_api.durations import format_duration, is_duration

Schema = dict[str, Any]


def bounds(info: FieldInfo) -> tuple[float | None, float | None]:
    """The least and the greatest value of a number or a duration, in seconds if it is one."""
    low = next((item.ge for item in info.metadata if isinstance(item, Ge)), None)
    high = next((item.le for item in info.metadata if isinstance(item, Le)), None)
    return low, high  # type: ignore[return-value]  # annotated_types says "comparable"


def written(value: Any, *, duration: bool = False) -> str:
    """A value as YAML has it.

    >>> written(1.5, duration=True), written([0.5, 1.0]), written(""), written(True)
    ('1.5s', '[0.5, 1]', '""', 'true')
    """
    if isinstance(value, list | tuple):
        return f"[{', '.join(written(one) for one in value)}]"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return value or '""'
    return format_duration(float(value)) if duration else f"{value:g}"


def default(info: FieldInfo) -> str:
    """A parameter's built-in value."""
    value = info.get_default(call_default_factory=True)
    return written(value, duration=is_duration(info))


def limits(info: FieldInfo, schema: Schema) -> str:
    """What a parameter may be, as a phrase; `schema` is its JSON schema.

    Raises:
        ValueError: It has no limits: every parameter needs some.
    """
    if is_duration(info):
        low, high = bounds(info)
        if low is None or high is None:
            raise ValueError("a duration needs bounds: Field(ge=..., le=...)")
        return f"from {written(low, duration=True)} to {written(high, duration=True)}"
    return _limits(schema)


def _limits(schema: Schema) -> str:
    if "enum" in schema:
        return f"one of {', '.join(map(str, schema['enum']))}"
    if schema.get("type") == "boolean":
        return "true or false"
    if {"minimum", "maximum"} <= schema.keys():
        return f"from {written(schema['minimum'])} to {written(schema['maximum'])}"
    if schema.get("type") == "array" and "maxItems" in schema:
        return f"{_count(schema)}, each {_limits(schema['items'])}"
    if schema.get("type") == "string" and "maxLength" in schema:
        return f"at most {schema['maxLength']} characters"
    raise ValueError(f"a parameter without limits: {schema!r}")


def _count(schema: Schema) -> str:
    least, most = schema.get("minItems", 0), schema["maxItems"]
    return f"{most} items" if least == most else f"{least} to {most} items"
