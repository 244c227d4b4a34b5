"""Reading a StreamMonitor from a YAML file, as strictly as a cluster does with validation on."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import ValidationError

from streammonitor_api import names
from streammonitor_api.model import unknown_keys
from streammonitor_api.spec import PROFILES, URL_SCHEMES, Stream, StreamMonitorSpec
from streammonitor_worker.checks import check_detector, sentence
from streammonitor_worker.detectors import registry
from streammonitor_worker.parameters import RawParameters, resolve

MAX_BYTES = 4_000_000
ELSEWHERE = (
    "spec.streamsFrom is read in a cluster only: write the streams that you mean into spec.streams"
)
"""What to say where its streams would be needed."""


class MonitorFileError(Exception):
    """The file is no valid StreamMonitor. The text has one sentence a line."""


@dataclass(frozen=True, slots=True)
class MonitorFile:
    """A StreamMonitor that was read from a file.

    Attributes:
        name: metadata.name.
        spec: What is asked for.
    """

    name: str
    spec: StreamMonitorSpec


def load_monitor(path: Path) -> MonitorFile:
    """Read and check a StreamMonitor.

    Raises:
        MonitorFileError: It cannot be read or is not valid; says what, where and the remedy.
    """
    document = _document(path)
    problems = list(_envelope(document))
    spec = None
    try:
        spec = StreamMonitorSpec.model_validate(document.get("spec") or {})
    except ValidationError as error:
        faults = [sentence(fault, document.get("spec")) for fault in error.errors()]
        # "sentence" may begin with a field below spec, or be one about the whole.
        problems += [f"spec.{text}" if _is_field(text) else text for text in faults]
    if spec is not None:
        problems += _spec_problems(spec)
    if problems or spec is None:
        raise MonitorFileError("\n".join(f"{path}: {text}" for text in problems))
    name = document.get("metadata", {}).get("name") or path.stem
    return MonitorFile(name=str(name), spec=spec)


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            documents = list(yaml.safe_load_all(file.read(MAX_BYTES)))
    except OSError as error:
        raise MonitorFileError(f"{path} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MonitorFileError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    wanted = [one for one in documents if isinstance(one, dict) and one.get("kind") == names.KIND]
    if len(wanted) != 1:
        raise MonitorFileError(
            f"{path} holds {len(wanted)} documents of kind {names.KIND}: it must hold one"
        )
    return dict(wanted[0])


def _envelope(document: dict[str, Any]) -> Iterator[str]:
    if document.get("apiVersion") != names.API_VERSION:
        yield f"apiVersion is {document.get('apiVersion')!r}: set {names.API_VERSION}"
    for key in document.keys() - {"apiVersion", "kind", "metadata", "spec", "status"}:
        yield f"unknown key {key!r}: remove it"
    if not isinstance(document.get("metadata") or {}, dict):
        yield "metadata must be a mapping with a name"
    if not isinstance(document.get("spec"), dict):
        yield "spec is missing or no mapping: add it"


def _spec_problems(spec: StreamMonitorSpec) -> Iterator[str]:
    for key in unknown_keys(spec.model_copy(update={"detectors": {}})):
        yield f"spec.{key} is not known: remove it or correct its name"
    if not spec.detectors:
        yield "spec.detectors is empty: declare at least one detector, as in black: {}"
    if spec.profile not in (None, *PROFILES):
        yield f"spec.profile is {spec.profile!r}: use one of {', '.join(PROFILES)}"
    for sink in spec.alerts.sinks if spec.alerts else ():
        for name in sink.defects or ():
            if name not in registry:
                yield (
                    f"spec.alerts.sinks[{sink.name}].defects names {name!r}: use some of "
                    f"{', '.join(sorted(registry))}"
                )
    usable = {}
    for name, params in spec.detectors.items():
        refusals = check_detector(name, params or {})
        yield from (f"spec.detectors: {text}" for text in (*refusals.fatal, *refusals.ignored))
        if name in registry:
            usable[name] = {} if refusals.fatal else params
    yield from (text for stream in spec.streams for text in _stream_problems(stream, usable))


def _stream_problems(stream: Stream, detectors: RawParameters) -> Iterator[str]:
    for fault in resolve(stream, detectors, None).faults:
        yield f"spec.streams[{stream.name}].{fault}"
    scheme = urlsplit(stream.url).scheme.lower() if "://" in stream.url else "file"
    if scheme not in (*URL_SCHEMES, "file"):
        yield (
            f"spec.streams[{stream.name}].url has scheme {scheme!r}: use one of "
            f"{', '.join(URL_SCHEMES)}, file, or a path"
        )


def _is_field(text: str) -> bool:
    field = text.split(" is ", 1)[0].split(":", 1)[0]
    fields = StreamMonitorSpec.model_fields.items()
    return field.split(".")[0].split("[")[0] in {info.alias or name for name, info in fields}
