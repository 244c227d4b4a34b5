"""Kopf, as a thin shell: it watches StreamMonitors and tells the index.

There is an event handler and nothing else. Handlers of creations and updates, timers and daemons
would make Kopf put a finalizer and its own annotations on the resources.
"""

import asyncio
from collections.abc import Sequence
from typing import Any

import kopf
from kubernetes.aio import client

from streammonitor_api import names
from streammonitor_operator.kube import Manifest
from streammonitor_operator.monitors import Monitors

_SERVER_TIMEOUT_S = 45
_INACTIVITY_S = 60.0
"""Longer than the server lets a watch live: silence for so long means that it is dead."""


def register(registry: kopf.OperatorRegistry, monitors: Monitors) -> None:
    """Make Kopf fill the index."""

    @kopf.on.event(names.GROUP, names.VERSION, names.PLURAL, registry=registry)
    async def monitor_changed(event: kopf.RawEvent, **_: Any) -> None:
        manifest: Manifest = {**event["object"]}
        metadata = manifest["metadata"]
        if event["type"] == "DELETED":
            monitors.drop((metadata["namespace"], metadata["name"]), metadata["uid"])
        else:
            monitors.put(manifest)


async def watch_monitors(
    monitors: Monitors,
    configuration: client.Configuration,
    namespaces: Sequence[str],
    stop: asyncio.Event,
    ready: asyncio.Event,
) -> None:
    """Run Kopf until `stop` is set.

    Args:
        monitors: the index to fill.
        configuration: credentials; Kopf uses the same as everything else here.
        namespaces: which to watch; none means the whole cluster.
        stop: ends it.
        ready: set once Kopf runs. Kopf takes over the process's signals before that.
    """
    registry = kopf.OperatorRegistry()
    register(registry, monitors)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await credentials(configuration)

    await kopf.operator(
        registry=registry,
        settings=shell_settings(),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=list(namespaces),
        stop_flag=stop,
        ready_flag=ready,
    )


def shell_settings() -> kopf.OperatorSettings:
    """Kopf without anything that writes to the cluster."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.server_timeout = _SERVER_TIMEOUT_S
    settings.watching.connect_timeout = 10
    settings.watching.inactivity_timeout = _INACTIVITY_S
    settings.networking.request_timeout = 30
    settings.queueing.idle_timeout = 1.0
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.persistence.progress_storage = _NoProgress()
    # Never used without handlers that need it; named so that it could not be mistaken for another.
    settings.persistence.finalizer = f"{names.GROUP}/unused"
    return settings


class _NoDiffs(kopf.DiffBaseStorage):
    """Keeps nothing: Kopf copies every object to compare it, and nobody asks what changed."""

    def build(self, **_: Any) -> Any:
        """The part of an object that would be compared."""
        return {}

    def fetch(self, **_: Any) -> None:
        """What was kept."""

    def store(self, **_: Any) -> None:
        """Keep it."""


class _NoProgress(kopf.ProgressStorage):
    """Keeps nothing: there are no handlers that could have been half done."""

    def fetch(self, **_: Any) -> None:
        """What was kept."""

    def store(self, **_: Any) -> None:
        """Keep it."""

    def purge(self, **_: Any) -> None:
        """Forget it."""

    def touch(self, **_: Any) -> None:
        """Change something, so that it comes back."""

    def clear(self, *, essence: Any) -> Any:
        """An object without what was kept in it."""
        return essence


async def credentials(configuration: client.Configuration) -> kopf.ConnectionInfo:
    """The official client's configuration in Kopf's words; asked again when a token expires."""
    header = await configuration.get_api_key_with_prefix("BearerToken", alias="authorization")
    # "Bearer" from a kubeconfig, "bearer" from a service account.
    scheme, _, token = (header or "").strip().partition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert or None,
        insecure=not configuration.verify_ssl or None,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file or None,
        private_key_path=configuration.key_file or None,
    )
