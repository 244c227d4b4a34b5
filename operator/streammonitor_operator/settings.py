"""What the operator is told from outside: environment variables, read once at start."""

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from uuid import uuid4

from streammonitor_api.durations import parse_duration

_HOST = re.compile(r"(\*\.)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?(:[0-9]{1,5})?", re.IGNORECASE)
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


class SettingsError(ValueError):
    """An environment variable is missing or cannot be read as what it should be."""


@dataclass(frozen=True)
class LeaseSettings:
    """How the leader is elected: the figures that Kubernetes' own components use."""

    name: str = "streammonitor-operator"
    """LEASE_NAME: name of the Lease in the operator's namespace."""
    duration_s: float = 15.0
    """LEASE_DURATION: a Lease that was not renewed for so long may be taken over."""
    renew_deadline_s: float = 10.0
    """LEASE_RENEW_DEADLINE: a leader that could not renew for so long ends its process. It must
    be shorter than the duration, so that the old leader is gone before the next one begins."""
    retry_s: float = 2.0
    """LEASE_RETRY: how often the Lease is renewed, or tried for."""


@dataclass(frozen=True)
class SourceRules:
    """Which sources workers may open; a worker says no to all others."""

    schemes: tuple[str, ...] = ()
    """WORKER_ALLOWED_SCHEMES: URL schemes; none means every one that is supported."""
    hosts: tuple[str, ...] = ()
    """WORKER_ALLOWED_HOSTS: host names, or patterns as in *.example.com; none means every host."""
    denied_networks: tuple[str, ...] = ()
    """WORKER_DENIED_NETWORKS: besides loopback, link-local and metadata addresses."""
    allowed_networks: tuple[str, ...] = ()
    """WORKER_ALLOWED_NETWORKS: networks that may be reached even if they are denied."""


@dataclass(frozen=True)
class SinkRules:
    """Where workers may send alerts."""

    hosts: tuple[str, ...] = ()
    """WORKER_SINK_ALLOWED_HOSTS: names, or patterns as in *.example.com; none means nowhere."""
    denied_networks: tuple[str, ...] = ()
    """WORKER_SINK_DENIED_NETWORKS: besides loopback, link-local and metadata addresses."""
    allowed_networks: tuple[str, ...] = ()
    """WORKER_SINK_ALLOWED_NETWORKS: networks that may be reached even if they are denied."""


@dataclass(frozen=True)
class WorkerSettings:
    """What every worker pod has unless the group's template says otherwise."""

    image: str
    """WORKER_IMAGE: the image of the workers; required."""
    pull_policy: str = "IfNotPresent"
    """WORKER_IMAGE_PULL_POLICY: Always, IfNotPresent or Never."""
    pull_secrets: tuple[str, ...] = ()
    """WORKER_IMAGE_PULL_SECRETS: names of pull Secrets in the StreamMonitors' namespaces."""
    cpu_request: str = "200m"
    """WORKER_CPU_REQUEST: CPU that a worker reserves."""
    memory_request: str = "256Mi"
    """WORKER_MEMORY_REQUEST: memory that a worker reserves."""
    memory_limit: str = "2Gi"
    """WORKER_MEMORY_LIMIT: memory at which a worker is killed. There is no CPU limit: throttling
    would make a monitor late exactly when there is most to see."""
    sources: SourceRules = field(default_factory=SourceRules)
    sinks: SinkRules = field(default_factory=SinkRules)


@dataclass(frozen=True)
class Settings:
    """Everything that can be set."""

    worker: WorkerSettings
    namespaces: tuple[str, ...] = ()
    """WATCH_NAMESPACES: comma-separated; empty means the whole cluster."""
    namespace: str = "default"
    """POD_NAMESPACE: where the operator runs and keeps its Lease."""
    identity: str = "streammonitor-operator"
    """POD_NAME: who holds the Lease; the host's name and a random suffix without it."""
    http_port: int = 8080
    """HTTP_PORT: /healthz /readyz /metrics."""
    wall_port: int = 0
    """WALL_PORT: the wall, for people; 0: there is none."""
    log_level: str = "INFO"
    """LOG_LEVEL: DEBUG, INFO, WARNING or ERROR."""
    discovery_hosts: tuple[str, ...] = ()
    """DISCOVERY_ALLOWED_HOSTS: comma-separated; the hosts that spec.streamsFrom.http may name, each
    as host (with any port), host:port or *.domain. None: there are no lists over HTTP."""
    hold_evictions: bool = True
    """HOLD_EVICTIONS: whether PodDisruptionBudgets keep workers from being evicted until their
    streams are elsewhere: true or false."""
    lease: LeaseSettings = field(default_factory=LeaseSettings)


def read_settings(environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings from the environment.

    Raises:
        SettingsError: a variable is missing or has no valid value; the text says which.
    """
    return Settings(
        worker=_worker(environ),
        namespaces=_names(environ, "WATCH_NAMESPACES"),
        namespace=environ.get("POD_NAMESPACE") or _own_namespace(),
        identity=environ.get("POD_NAME") or f"{socket.gethostname()}-{uuid4().hex[:8]}",
        http_port=_port(environ, "HTTP_PORT", Settings.http_port),
        wall_port=_port(environ, "WALL_PORT", Settings.wall_port),
        log_level=environ.get("LOG_LEVEL", "").upper() or "INFO",
        discovery_hosts=_hosts(environ, "DISCOVERY_ALLOWED_HOSTS"),
        hold_evictions=_flag(environ, "HOLD_EVICTIONS", default=True),
        lease=_lease(environ),
    )


def _worker(environ: Mapping[str, str]) -> WorkerSettings:
    image = environ.get("WORKER_IMAGE", "")
    if not image:
        raise SettingsError("WORKER_IMAGE is not set: name the image that workers run")
    return WorkerSettings(
        image=image,
        pull_policy=environ.get("WORKER_IMAGE_PULL_POLICY") or WorkerSettings.pull_policy,
        pull_secrets=_names(environ, "WORKER_IMAGE_PULL_SECRETS"),
        cpu_request=environ.get("WORKER_CPU_REQUEST") or WorkerSettings.cpu_request,
        memory_request=environ.get("WORKER_MEMORY_REQUEST") or WorkerSettings.memory_request,
        memory_limit=environ.get("WORKER_MEMORY_LIMIT") or WorkerSettings.memory_limit,
        sources=SourceRules(
            schemes=_names(environ, "WORKER_ALLOWED_SCHEMES"),
            hosts=_names(environ, "WORKER_ALLOWED_HOSTS"),
            denied_networks=_networks(environ, "WORKER_DENIED_NETWORKS"),
            allowed_networks=_networks(environ, "WORKER_ALLOWED_NETWORKS"),
        ),
        sinks=SinkRules(
            hosts=_names(environ, "WORKER_SINK_ALLOWED_HOSTS"),
            denied_networks=_networks(environ, "WORKER_SINK_DENIED_NETWORKS"),
            allowed_networks=_networks(environ, "WORKER_SINK_ALLOWED_NETWORKS"),
        ),
    )


def _lease(environ: Mapping[str, str]) -> LeaseSettings:
    lease = LeaseSettings(
        name=environ.get("LEASE_NAME") or LeaseSettings.name,
        duration_s=_seconds(environ, "LEASE_DURATION", LeaseSettings.duration_s),
        renew_deadline_s=_seconds(environ, "LEASE_RENEW_DEADLINE", LeaseSettings.renew_deadline_s),
        retry_s=_seconds(environ, "LEASE_RETRY", LeaseSettings.retry_s),
    )
    if not 0 < lease.retry_s < lease.renew_deadline_s < lease.duration_s:
        raise SettingsError(
            "LEASE_RETRY must be shorter than LEASE_RENEW_DEADLINE, and that shorter than "
            f"LEASE_DURATION; they are {lease.retry_s:g}s, {lease.renew_deadline_s:g}s and "
            f"{lease.duration_s:g}s"
        )
    return lease


def _seconds(environ: Mapping[str, str], name: str, default: float) -> float:
    text = environ.get(name)
    if not text:
        return default
    try:
        return parse_duration(text)
    except ValueError as error:
        raise SettingsError(f"{name}: {error}") from error


def _port(environ: Mapping[str, str], name: str, default: int) -> int:
    text = environ.get(name) or str(default)
    least = min(1, default)
    if not text.isdecimal() or not least <= int(text) < 65536:
        raise SettingsError(f"{name} is {text!r}: give a port from {least} to 65535")
    return int(text)


def _flag(environ: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = environ.get(name, "").strip().lower()
    if text not in ("", "true", "false"):
        raise SettingsError(f"{name} is {text!r}: give true or false")
    return text == "true" if text else default


def _names(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(sorted({part.strip() for part in environ.get(name, "").split(",")} - {""}))


def _networks(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    networks = _names(environ, name)
    for network in networks:
        try:
            ip_network(network)
        except ValueError as error:
            raise SettingsError(
                f"{name} names {network!r}: {error}: give networks as in 10.0.0.0/8"
            ) from None
    return networks


def _hosts(environ: Mapping[str, str], name: str) -> tuple[str, ...]:
    hosts = _names(environ, name)
    for host in hosts:
        if not _HOST.fullmatch(host):
            raise SettingsError(
                f"{name} names {host!r}: give hosts without scheme and path, as in "
                "lists.example.com, lists.example.com:8443 or *.example.com"
            )
    return hosts


def _own_namespace() -> str:
    return _NAMESPACE_FILE.read_text().strip() if _NAMESPACE_FILE.exists() else Settings.namespace
