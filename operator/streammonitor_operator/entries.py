"""Lists of streams that others wrote: read as strictly as the API reads `spec.streams`. Pure.

A list is whole or nothing; within it, a bad entry is refused alone. Nobody vouches for a list as
the author of a StreamMonitor does for it: so its entries name only the Secrets that they may.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from streammonitor_api.model import unknown_keys
from streammonitor_api.spec import MAX_STREAMS, PROFILES, URL_SCHEMES, Stream, StreamMonitorSpec

Entries = list[Any]
"""A list as it was written."""

_URL = re.compile(rf"^({'|'.join(URL_SCHEMES)})://[^/]+")
_LONGEST = 2 * MAX_STREAMS
"""What has more entries was not written for a StreamMonitor."""
_DEEPEST = 8
"""What is nested deeper than a stream's parameters ever are."""
_DEEPEST_YAML = 100
"""What is nested deeper could exhaust the stack of the parser."""
_MOST_EVENTS = 100 * _LONGEST
"""Beginnings, ends and values in YAML; what has more is not worth the time that it takes."""
_SHOWN = 60
_NAME = 63


class ListError(ValueError):
    """What was written is no list of streams at all; the text goes on from the source's name."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """An entry that is not monitored as it was written."""

    name: str
    """Its name, if it has one that no other stream bears; else as in "entry 3"."""
    stream: str
    """The stream of that name that is monitored all the same; empty if there is none."""
    message: str
    """Field, value, remedy."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What is left of a list."""

    streams: tuple[Stream, ...] = ()
    """In the order of their names."""
    refused: tuple[Refusal, ...] = ()


def read_list(text: str, *, allow_yaml: bool) -> Entries:
    """Read a list from JSON, or from YAML.

    Raises:
        ListError: It is not readable, or no list.
    """
    form = "YAML" if allow_yaml else "JSON"
    try:
        value = _from_yaml(text) if allow_yaml else json.loads(text)
        # Dates, NaN, lone surrogates: whatever could not be written into an assignment.
        plain = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError, yaml.YAMLError) as error:
        said = " ".join(str(error).split())[:120]
        raise ListError(f"is not readable as {form} ({said}): correct it") from None
    value = json.loads(plain)
    if not isinstance(value, list):
        raise ListError(
            f"holds {_kind(value)}: write a list of streams, as in "
            + ("- {name: a, url: ...}" if allow_yaml else '[{"name": "a", "url": "..."}]')
        )
    if len(value) > _LONGEST:
        raise ListError(
            f"holds {len(value)} entries, and a StreamMonitor has {MAX_STREAMS} streams at most: "
            "split it"
        )
    return value


def _from_yaml(text: str) -> Any:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth = 0
    for number, event in enumerate(yaml.parse(text, Loader=loader)):
        if number > _MOST_EVENTS:
            raise ValueError("it has too many parts")
        if isinstance(event, yaml.AliasEvent):
            # A few hundred characters of them can stand for gigabytes.
            raise ValueError("it has an alias, as in *name: write out what it stands for")
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST_YAML:
            raise ValueError("it is nested too deeply")
    return yaml.load(text, Loader=loader)  # noqa: S506 - it is a safe one


def examine(
    entries: Sequence[Any], spec: StreamMonitorSpec, known: Mapping[str, Stream]
) -> Examined:
    """Tell the good entries of a list from the bad ones.

    Args:
        entries: the list.
        spec: the StreamMonitor's own specification.
        known: the streams of the last list, by name; a bad entry leaves its stream as it was.
    """
    taken = {stream.name for stream in spec.streams}
    good: dict[str, Stream] = {}
    faults: list[tuple[int, str, str]] = []
    for number, entry in enumerate(entries, 1):
        name = _name(entry)
        fault = next(_faults(entry, spec, taken, good), "")
        if fault:
            faults.append((number, name, fault))
        else:
            good[name] = Stream.model_validate(entry)
    for _, name, _ in faults:
        if name in known and name not in taken and not _forbidden_secrets(known[name], spec):
            good.setdefault(name, known[name])
    kept, surplus = _fitting(good, MAX_STREAMS - len(taken), known)
    refused = [_refusal(*fault, kept, taken) for fault in faults]
    refused += [Refusal(name, "", _too_many(taken)) for name in surplus]
    return Examined(tuple(kept[name] for name in sorted(kept)), _distinct(refused))


def permitted(streams: Iterable[Stream], spec: StreamMonitorSpec) -> dict[str, Stream]:
    """Those by name that name no Secret but those that they may: permission can be taken back."""
    return {one.name: one for one in streams if not _forbidden_secrets(one, spec)}


def _forbidden_secrets(stream: Stream, spec: StreamMonitorSpec) -> list[str]:
    allowed = spec.streams_from.secrets if spec.streams_from else []
    return sorted(stream.secret_names.difference(allowed))


def _faults(
    entry: Any, spec: StreamMonitorSpec, taken: set[str], good: Mapping[str, Stream]
) -> Iterator[str]:
    """What is wrong with an entry; only the first counts, for others may follow from it."""
    if not isinstance(entry, dict):
        yield f"it is {_kind(entry)}: write a mapping with name and url"
        return
    if _depth(entry) > _DEEPEST:
        yield "it is nested too deeply: write a stream as in spec.streams"
        return
    try:
        stream = Stream.model_validate(entry)
    except ValidationError as error:
        yield _sentence(error.errors()[0])
        return
    for key in unknown_keys(stream.model_copy(update={"detectors": None})):
        yield f"{key[:_SHOWN]} is not known: remove it or correct its name"
    yield from _name_faults(stream.name, taken, good)
    yield from _value_faults(stream, spec)
    yield from spec.stream_faults(stream)


def _name_faults(name: str, taken: set[str], good: Mapping[str, Stream]) -> Iterator[str]:
    if name in taken:
        yield f"name is {name}, as one in spec.streams, which counts: take it out of one of both"
    if name in good:
        yield f"name is {name}, as an entry before it, which counts: give it another"


def _value_faults(stream: Stream, spec: StreamMonitorSpec) -> Iterator[str]:
    if not _URL.match(stream.url):
        # The rest of it may hold a password.
        yield (
            f"url begins with {stream.url.split('://')[0][:_SHOWN]}, which cannot be monitored: "
            f"write SCHEME://HOST/... with one of {', '.join(URL_SCHEMES)}"
        )
    if stream.profile not in (None, *PROFILES):
        yield f"profile is {stream.profile}: use one of {', '.join(PROFILES)}"
    for secret in _forbidden_secrets(stream, spec):
        yield (
            f"it names the Secret {secret}, which spec.streamsFrom.secrets does not: add it there "
            f"if this list may use it"
        )


def _fitting(
    good: Mapping[str, Stream], room: int, known: Mapping[str, Stream]
) -> tuple[dict[str, Stream], list[str]]:
    """As many as there may be, those first that are there already; and the names of the others."""
    order = sorted(good, key=lambda name: name not in known)
    return {name: good[name] for name in order[:room]}, order[room:]


def _too_many(taken: set[str]) -> str:
    others = f", {len(taken)} of them in spec.streams" if taken else ""
    return f"a StreamMonitor has {MAX_STREAMS} streams at most{others}: move it to another one"


def _refusal(
    number: int, name: str, fault: str, kept: Mapping[str, Stream], taken: set[str]
) -> Refusal:
    free = name and name not in taken and name not in kept
    place = f"entry {number}"
    return Refusal(
        name=name if free else place,
        stream=name if name in kept or name in taken else "",
        message=f"{place} of the list: {fault}",
    )


def _distinct(refused: list[Refusal]) -> tuple[Refusal, ...]:
    """One for each name: the status tells them apart by it."""
    first: dict[str, Refusal] = {}
    for refusal in refused:
        first.setdefault(refusal.name, refusal)
    return tuple(first.values())


def _name(entry: Any) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) and len(name) <= _NAME else ""


def _sentence(fault: Mapping[str, Any]) -> str:
    where = "".join(
        f"[{part}]" if isinstance(part, int) else f".{part}" for part in fault["loc"]
    ).removeprefix(".")
    if fault["type"] == "missing":
        return f"{where} is missing: add it"
    # Neither: a URL may hold a password, and a whole mapping is no value to show.
    secret = where == "url" or isinstance(fault["input"], dict | list)
    shown = "" if secret else f" is {str(fault['input'])[:_SHOWN]!r}"
    wanted = fault["msg"].removeprefix("Value error, ").replace("String should", "should")
    return f"{where}{shown}: {wanted}" if where else wanted


def _depth(value: Any) -> int:
    """How deeply it is nested, as far as that matters."""
    depth, level = 0, [value]
    while level and depth <= _DEEPEST:
        depth += 1
        level = [
            item
            for one in level
            if isinstance(one, dict | list)
            for item in (one.values() if isinstance(one, dict) else one)
        ]
    return depth


def _kind(value: Any) -> str:
    names = {
        dict: "a mapping",
        list: "a list",
        str: "a text",
        bool: "a boolean",
        type(None): "nothing",
    }
    return names.get(type(value), "a number")
