"""Which value each parameter has on a stream, and where that comes from.

Key by key, the first that says something wins: the stream, the monitor, the profile, what is built
in. A value that a detector refuses counts as not said, and becomes a sentence.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import ValidationError

from streammonitor_api.regions import region_faults
from streammonitor_api.spec import BROADCAST, PROFILES, Stream
from streammonitor_worker.checks import sentence
from streammonitor_worker.detectors import registry
from streammonitor_worker.detectors.base import DetectorParams

RawParameters = Mapping[str, Mapping[str, Any]]
"""Detectors by name, with the parameters that a user set, as they are on the wire."""


class Origin(StrEnum):
    """Where a parameter's value comes from, the strongest first."""

    STREAM = "stream"
    MONITOR = "monitor"
    PROFILE = "profile"
    BUILT_IN = "built-in"


class _Level(NamedTuple):
    """What one level says of a detector."""

    origin: Origin
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Resolved:
    """One detector's parameters on one stream.

    Attributes:
        params: All of them.
        values: Those that some level sets, as on the wire.
        origins: Where each comes from, by its name on the wire.
    """

    params: DetectorParams
    values: dict[str, Any]
    origins: dict[str, Origin]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What holds on one stream.

    Attributes:
        profile: The profile that is in force.
        detectors: The detectors by name.
        faults: What is wrong with what the stream says: field, value, limit and remedy.
    """

    profile: str
    detectors: dict[str, Resolved]
    faults: tuple[str, ...]

    @property
    def values(self) -> dict[str, dict[str, Any]]:
        """Every detector with the parameters that some level sets, as on the wire."""
        return {name: resolved.values for name, resolved in self.detectors.items()}


def resolve(stream: Stream, detectors: RawParameters, profile: str | None) -> Resolution:
    """Find out what holds on a stream.

    Args:
        stream: What the stream says.
        detectors: What the monitor says: detectors that exist, with parameters that they accept.
        profile: The profile of the monitor; None: broadcast.
    """
    chosen, faults = _profile(stream.profile, profile)
    said = stream.detectors or {}
    faults += [
        f"detectors.{name} is set, but {name!r} does not run: declare it in spec.detectors or take "
        f"it out of the stream"
        for name in said
        if name not in detectors
    ]
    faults += region_faults(stream.region, stream.ignore_regions or [])
    found = {}
    for name, params in detectors.items():
        own = said.get(name) or {}
        faults += [f"detectors.{name}.{text}" for _, text in _faults(name, own)]
        refused = {key for key, _ in _faults(name, own)}
        found[name] = _resolved(
            name,
            (
                _Level(Origin.STREAM, {k: v for k, v in own.items() if k not in refused}),
                _Level(Origin.MONITOR, params or {}),
                _Level(Origin.PROFILE, registry[name].params_type.profiles.get(chosen, {})),
            ),
        )
    return Resolution(chosen, found, tuple(faults))


def _profile(own: str | None, monitors: str | None) -> tuple[str, list[str]]:
    """The profile in force, and what is wrong with those that were asked for."""
    asked = [name for name in (own, monitors) if name is not None]
    known = [name for name in asked if name in PROFILES]
    faults = [
        f"profile is {name!r}: use one of {', '.join(PROFILES)}"
        for name in asked
        if name not in PROFILES
    ]
    return known[0] if known else BROADCAST, faults


def _faults(name: str, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Parameters that a detector does not have or refuses, and a sentence about each."""
    wire = _wire_names(registry[name].params_type)
    for key, value in values.items():
        if key not in wire:
            yield (
                key,
                f"{key} is no parameter of {name}: it has {', '.join(sorted({*wire.values()}))}",
            )
            continue
        try:
            registry[name].params_type.model_validate({key: value})
        except ValidationError as error:
            # What else is missing is said by another level, or built in.
            mine = [fault for fault in error.errors() if fault["loc"][:1] in ((key,), (wire[key],))]
            yield from ((key, sentence(fault, values)) for fault in mine)


def _resolved(name: str, levels: Sequence[_Level]) -> Resolved:
    """Merge levels; where what they say does not go together, the weaker go without the stronger.

    Raises:
        ValidationError: The monitor alone says what the detector refuses.
    """
    stream, monitor, profile = levels
    for some in ((stream, monitor, profile), (monitor, profile)):
        try:
            return _merged(name, some)
        except ValidationError:
            continue
    return _merged(name, (monitor,))


def _merged(name: str, levels: Iterable[_Level]) -> Resolved:
    kind = registry[name].params_type
    wire = _wire_names(kind)
    values: dict[str, Any] = {}
    origins = dict.fromkeys(wire.values(), Origin.BUILT_IN)
    for level in levels:
        for key, value in level.values.items():
            if key in wire and wire[key] not in values:
                values[wire[key]] = value
                origins[wire[key]] = level.origin
    return Resolved(kind.model_validate(values), values, origins)


def _wire_names(params: type[DetectorParams]) -> dict[str, str]:
    """How each parameter is called on the wire, by every name that it answers to."""
    names = {}
    for field, info in params.model_fields.items():
        names[field] = names[info.alias or field] = info.alias or field
    return names
