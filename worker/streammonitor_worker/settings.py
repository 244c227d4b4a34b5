"""What a worker is told from outside: environment variables, read once at start."""

import os
import socket
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path

from streammonitor_api import names
from streammonitor_worker.ingest.access import DENIED_NETWORKS, Access, Network

GRACE_S = 15.0


class SettingsError(ValueError):
    """An environment variable cannot be read as what it should be."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A worker's surroundings.

    Attributes:
        worker: Name of this worker. STREAMMONITOR_WORKER, default: the host's name.
        assignment_folder: Where the assignment is mounted. STREAMMONITOR_ASSIGNMENT_FOLDER.
        secrets_folder: Secret S, key K is the file S/K in it. STREAMMONITOR_SECRETS_FOLDER.
        models_folder: Where models are mounted. STREAMMONITOR_MODELS_FOLDER.
        state_folder: Where the journal is kept. STREAMMONITOR_STATE_FOLDER.
        port: Port of the HTTP endpoints. STREAMMONITOR_PORT.
        grace_s: Seconds after SIGTERM in which another worker may take over. Keep it below the
            pod's terminationGracePeriodSeconds. STREAMMONITOR_GRACE_S.
        access: Which sources may be opened. Comma-separated: STREAMMONITOR_ALLOWED_SCHEMES,
            STREAMMONITOR_ALLOWED_HOSTS (names or patterns as in *.example.com),
            STREAMMONITOR_DENIED_NETWORKS (besides those that are always denied) and
            STREAMMONITOR_ALLOWED_NETWORKS (which win over denied ones), as in 10.0.0.0/8.
        sinks: Where alerts may be sent. STREAMMONITOR_SINK_ALLOWED_HOSTS (none: nowhere),
            STREAMMONITOR_SINK_DENIED_NETWORKS and STREAMMONITOR_SINK_ALLOWED_NETWORKS, as above.
        evidence: Whether small pictures and sound of incidents are kept in memory.
            STREAMMONITOR_EVIDENCE, on or off.
        log_level: STREAMMONITOR_LOG_LEVEL.
    """

    worker: str
    assignment_folder: Path = Path(names.ASSIGNMENT_FOLDER)
    secrets_folder: Path = Path(names.SECRETS_FOLDER)
    models_folder: Path = Path(names.MODELS_FOLDER)
    state_folder: Path = Path(names.STATE_FOLDER)
    port: int = names.WORKER_PORT
    grace_s: float = GRACE_S
    access: Access = field(default_factory=Access)
    sinks: Access = field(default_factory=lambda: Access(hosts=()))
    evidence: bool = True
    log_level: str = "INFO"


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: A variable has a value that it cannot have.

    >>> read_settings({"STREAMMONITOR_WORKER": "w", "STREAMMONITOR_GRACE_S": "3"}).grace_s
    3.0
    """

    def folder(name: str, default: str) -> Path:
        return Path(environ.get(f"STREAMMONITOR_{name}_FOLDER") or default)

    return Settings(
        worker=environ.get("STREAMMONITOR_WORKER") or socket.gethostname(),
        assignment_folder=folder("ASSIGNMENT", names.ASSIGNMENT_FOLDER),
        secrets_folder=folder("SECRETS", names.SECRETS_FOLDER),
        models_folder=folder("MODELS", names.MODELS_FOLDER),
        state_folder=folder("STATE", names.STATE_FOLDER),
        port=int(_number(environ, "STREAMMONITOR_PORT", names.WORKER_PORT, 0, 65535)),
        grace_s=_number(environ, "STREAMMONITOR_GRACE_S", GRACE_S, 0, 3600),
        access=_source_access(environ),
        sinks=_sink_access(environ),
        evidence=_switch(environ, "STREAMMONITOR_EVIDENCE"),
        log_level=_level(environ),
    )


def _source_access(environ: Mapping[str, str]) -> Access:
    schemes = _list(environ, "STREAMMONITOR_ALLOWED_SCHEMES")
    hosts = _list(environ, "STREAMMONITOR_ALLOWED_HOSTS")
    denied, allowed = _rules(environ, "STREAMMONITOR_")
    return Access(
        schemes=frozenset(schemes) or None, hosts=hosts or None, denied=denied, allowed=allowed
    )


def _sink_access(environ: Mapping[str, str]) -> Access:
    hosts = _list(environ, "STREAMMONITOR_SINK_ALLOWED_HOSTS")
    denied, allowed = _rules(environ, "STREAMMONITOR_SINK_")
    return Access(hosts=hosts, denied=denied, allowed=allowed)


def _rules(
    environ: Mapping[str, str], prefix: str
) -> tuple[tuple[Network, ...], tuple[Network, ...]]:
    """Which networks are denied, and which are reached all the same."""
    # The API server's own address means something only in the cluster.
    apiserver = environ.get("KUBERNETES_SERVICE_HOST")
    denied = (
        *DENIED_NETWORKS,
        *_networks(environ, f"{prefix}DENIED_NETWORKS"),
        *((ip_network(apiserver),) if apiserver else ()),
    )
    return denied, tuple(_networks(environ, f"{prefix}ALLOWED_NETWORKS"))


def _networks(environ: Mapping[str, str], name: str) -> Iterator[Network]:
    for text in _list(environ, name):
        try:
            yield ip_network(text)
        except ValueError as error:
            raise SettingsError(
                f"{name} names {text!r}: {error}: give networks as in 10.0.0.0/8"
            ) from None


def _list(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    parts = (part.strip().lower() for part in (environ.get(name) or "").split(","))
    return tuple(part for part in parts if part)


def _number(
    environ: Mapping[str, str], name: str, default: float, low: float, high: float
) -> float:
    text = environ.get(name) or str(default)
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not low <= value <= high:
        raise SettingsError(f"{name} is {text!r}: set a number from {low:g} to {high:g}")
    return value


def _switch(environ: Mapping[str, str], name: str) -> bool:
    text = (environ.get(name) or "on").lower()
    if text not in ("on", "off"):
        raise SettingsError(f"{name} is {text!r}: set on or off")
    return text == "on"


def _level(environ: Mapping[str, str]) -> str:
    level = (environ.get("STREAMMONITOR_LOG_LEVEL") or "INFO").upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise SettingsError(
            f"STREAMMONITOR_LOG_LEVEL is {level!r}: set DEBUG, INFO, WARNING or ERROR"
        )
    return level
