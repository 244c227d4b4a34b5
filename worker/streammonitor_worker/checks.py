"""Is this detector known, and are its parameters what it accepts? Sentences for people."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from streammonitor_api.durations import format_duration
from streammonitor_api.model import unknown_keys
from streammonitor_worker.detectors import registry

_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}


@dataclass(slots=True)
class Refusals:
    """What is wrong with a detector's declaration.

    Attributes:
        fatal: It cannot run.
        ignored: Keys that it does not have.
    """

    fatal: list[str] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)


def check_detector(name: str, params: Mapping[str, Any]) -> Refusals:
    """Check a detector's name and the parameters that a user set.

    >>> check_detector("blakc", {}).fatal[0].split(":")[0]
    "there is no detector 'blakc'"
    """
    found = Refusals()
    if name not in registry:
        found.fatal.append(
            f"there is no detector {name!r}: use one of {', '.join(sorted(registry))}"
        )
        return found
    try:
        parsed = registry[name].params_type.model_validate(dict(params))
    except ValidationError as error:
        found.fatal += [f"{name}.{sentence(fault, params)}" for fault in error.errors()]
        return found
    has = ", ".join(sorted(info.alias or key for key, info in type(parsed).model_fields.items()))
    found.ignored += [
        f"{name} has no parameter {key!r} (it has {has})" for key in unknown_keys(parsed)
    ]
    return found


def sentence(fault: ErrorDetails, document: object) -> str:
    """Turn one of pydantic's findings about `document` into field, value, limit and remedy."""
    where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in fault["loc"]).lstrip(".")
    value = _written(fault, document)
    if fault["type"] in _BOUNDS:
        key, words = _BOUNDS[fault["type"]]
        limit = fault["ctx"][key]
        # Durations are compared in seconds and written with their unit.
        shown = format_duration(limit) if isinstance(value, str) else f"{limit:g}"
        return f"{where} is {value!r}: set {words} {shown}"
    if fault["type"] == "missing":
        return f"{where} is missing: add it"
    text = fault["msg"].removeprefix("Value error, ")
    if isinstance(value, str | int | float) and fault["type"] != "value_error":
        return f"{where} is {value!r}: {text}"
    return f"{where}: {text}" if where else text


def _written(fault: ErrorDetails, document: object) -> object:
    """What the user wrote: pydantic knows only what a validator before it made of that."""
    value = document
    for part in fault["loc"]:
        try:
            value = value[part]  # type: ignore[index]
        except (KeyError, IndexError, TypeError):
            return fault.get("input")
    return value
