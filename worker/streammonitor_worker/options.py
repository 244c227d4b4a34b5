"""What the command line asks `analyze` for: which inputs, with which parameters and regions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from streammonitor_api.regions import Region
from streammonitor_api.source import Program
from streammonitor_api.spec import PROFILES, Stream, StreamMonitorSpec
from streammonitor_worker.checks import check_detector
from streammonitor_worker.detectors import registry
from streammonitor_worker.monitor_file import ELSEWHERE, MonitorFileError, load_monitor
from streammonitor_worker.parameters import RawParameters
from streammonitor_worker.parameters import resolve as resolve_parameters

BY_DEFAULT = sorted(name for name, detector in registry.items() if detector.self_contained)
"""The detectors that run where none are named: those that need nothing from their user."""
COMPARING = sorted(name for name, detector in registry.items() if detector.compares)
"""Those that run as well where there is a reference to compare with."""

Parameters = dict[str, dict[str, Any]]


class UsageError(Exception):
    """The command line is not valid. The text has one sentence a line."""


class Format(StrEnum):
    """How results are written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Task:
    """One input to examine.

    Attributes:
        name: A path or URL.
        detectors: Detectors by name, with the parameters that are not as built in.
        region: The part of the picture to look at; None: all of it.
        ignored: Parts of it that are not looked at.
        program: Which program of a transport stream; None: the first one with a picture.
        reference: A feed of the same programme to compare it with; None: none.
    """

    name: str
    detectors: RawParameters
    region: Region | None = None
    ignored: tuple[Region, ...] = ()
    program: Program | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What a command line says.

    Attributes:
        inputs: Paths or URLs; none: the streams of the monitor.
        detectors: Names, separated by commas; None: those of the monitor, else all.
        settings: DETECTOR.PARAMETER=VALUE, stronger than anything that the monitor says.
        monitor: A StreamMonitor's file.
        stream: The stream of the monitor whose parameters and regions count; None: the only one.
        profile: In place of what the monitor and its streams say.
        program: Number or name, in place of what the streams say.
        reference: A feed of the same programme, in place of what the streams say.
    """

    inputs: Sequence[str] = ()
    detectors: str | None = None
    settings: Sequence[str] = ()
    monitor: Path | None = None
    stream: str | None = None
    profile: str | None = None
    program: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What there is to do.

    Attributes:
        tasks: The inputs, in order.
        notes: Sentences for people.
    """

    tasks: list[Task]
    notes: list[str] = field(default_factory=list)


def resolve(request: Request) -> Work:
    """Find out what a command line asks for.

    Raises:
        UsageError: It is not valid; says what, where and the remedy.
    """
    spec = _spec(request.monitor)
    by_default = BY_DEFAULT if request.reference is None else [*BY_DEFAULT, *COMPARING]
    chosen = _chosen(
        request.detectors, spec.detectors if spec else {name: {} for name in by_default}
    )
    settings = _settings(request.settings, chosen)
    refused = [text for name, params in settings.items() for text in _refusals(name, params)]
    if request.profile not in (None, *PROFILES):
        refused.append(f"--profile is {request.profile!r}: use one of {', '.join(PROFILES)}")
    streams, notes = _streams(request, spec)
    if not streams:
        refused.append("there is nothing to analyze: name a file or URL, or a monitor with -f")
    if refused:
        raise UsageError("\n".join(refused))
    profile = spec.profile if spec else None
    if request.program is not None:
        program = _program(request.program)
        streams = [stream.model_copy(update={"program": program}) for stream in streams]
    if request.reference is not None:
        reference = {"reference_url": request.reference}
        streams = [stream.model_copy(update=reference) for stream in streams]
    tasks = [_task(_with(stream, settings, request.profile), chosen, profile) for stream in streams]
    return Work(tasks, notes)


def _program(text: str) -> Program:
    """By its number, or else by its name."""
    try:
        return Program(number=int(text)) if text.isdecimal() else Program(service=text)
    except ValueError:
        raise UsageError(
            f"--program {text}: write a number from 1 to 65535, or the name of a service"
        ) from None


def _spec(monitor: Path | None) -> StreamMonitorSpec | None:
    try:
        return None if monitor is None else load_monitor(monitor).spec
    except MonitorFileError as error:
        raise UsageError(str(error)) from None


def select_stream(spec: StreamMonitorSpec, name: str) -> Stream:
    """The stream of this name.

    Raises:
        UsageError: There is none.
    """
    names = [stream.name for stream in spec.streams]
    if name not in names:
        there = ", ".join(names) or f"none; {ELSEWHERE}"
        raise UsageError(f"there is no stream {name!r} in the monitor: it has {there}")
    return spec.streams[names.index(name)]


def _streams(request: Request, spec: StreamMonitorSpec | None) -> tuple[list[Stream], list[str]]:
    """What is examined as which stream of the monitor."""
    if spec is None:
        if request.stream is not None:
            raise UsageError("--stream names one of a StreamMonitor: name its file with -f")
        chosen, known = None, []
    else:
        known = spec.streams
        only = known[0] if len(known) == 1 else None
        chosen = only if request.stream is None else select_stream(spec, request.stream)
    if not request.inputs:
        if spec is not None and spec.streams_from is not None and request.stream is None:
            raise UsageError(ELSEWHERE)
        return ([chosen] if chosen else known), []
    own = [stream.name for stream in known if stream != stream.source]
    notes = []
    if chosen is None and own:
        notes = [
            f"of the monitor's streams, {', '.join(own)} set parameters or regions of their own, "
            f"which do not count here: choose one with --stream"
        ]
    # Not validated: a path is no name of a stream.
    base = chosen or Stream.model_construct(name="input", url="")
    return [base.model_copy(update={"url": url}) for url in request.inputs], notes


def _with(stream: Stream, settings: Parameters, profile: str | None) -> Stream:
    """What the command line says is stronger than what the stream says."""
    merged = dict(stream.detectors or {})
    for name, params in settings.items():
        own = merged.get(name, {})
        # First: of two spellings of a parameter, the first counts.
        merged[name] = params | {key: own[key] for key in own if key not in params}
    return stream.model_copy(update={"detectors": merged, "profile": profile or stream.profile})


def _task(stream: Stream, detectors: Parameters, profile: str | None) -> Task:
    """What is examined; detectors of the stream that were not chosen say nothing."""
    own = {name: params for name, params in (stream.detectors or {}).items() if name in detectors}
    resolution = resolve_parameters(
        stream.model_copy(update={"detectors": own}), detectors, profile
    )
    if resolution.faults:
        raise UsageError("\n".join(resolution.faults))
    ignored = tuple(stream.ignore_regions or ())
    return Task(
        stream.url,
        resolution.values,
        stream.region,
        ignored,
        stream.program,
        stream.reference_url,
    )


def _chosen(detectors: str | None, declared: Parameters) -> Parameters:
    if detectors is None:
        return dict(declared)
    names = [name.strip() for name in detectors.split(",") if name.strip()]
    if not names:
        raise UsageError("--detectors names none: write some, as in --detectors black,freeze")
    refused = [text for name in names for text in _refusals(name, {})]
    if refused:
        raise UsageError("\n".join(refused))
    return {name: declared.get(name, {}) for name in names}


def _settings(texts: Sequence[str], chosen: Parameters) -> Parameters:
    found: Parameters = {}
    for text in texts:
        detector, parameter, value = _setting(text)
        if detector not in chosen:
            raise UsageError(
                f"--set {text}: detector {detector!r} is not among {', '.join(chosen)}: "
                "correct it, or add it with --detectors"
            )
        found.setdefault(detector, {})[parameter] = value
    return found


def _setting(text: str) -> tuple[str, str, Any]:
    path, equals, value = text.partition("=")
    detector, dot, parameter = path.strip().partition(".")
    if not (equals and dot and parameter):
        raise UsageError(f"--set {text}: write DETECTOR.PARAMETER=VALUE, as in black.threshold=0.1")
    if _is_text(detector, parameter):
        return detector, parameter, value
    try:
        return detector, parameter, yaml.safe_load(value)
    except yaml.YAMLError:
        return detector, parameter, value


def _is_text(detector: str, parameter: str) -> bool:
    """Whether a parameter is a text, which may look like a number."""
    fields = registry[detector].params_type.model_fields if detector in registry else {}
    return any(
        info.annotation is str for name, info in fields.items() if parameter in (name, info.alias)
    )


def _refusals(name: str, params: Mapping[str, Any]) -> list[str]:
    found = check_detector(name, params)
    return [*found.fatal, *found.ignored]
