"""The sinks, one file each.

A file that is added here, and a field of the API's `Sink` named after its kind, is a sink.

>>> sorted(registry)
['alertmanager', 'apprise', 'log', 'webhook']
"""

from collections.abc import Iterator
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from streammonitor_api import alerts as api
from streammonitor_worker.alerts.sink import Around, Sink


def _scan() -> Iterator[type[Sink[Any]]]:
    for module in iter_modules(__path__):
        found = vars(import_module(f"{__name__}.{module.name}")).values()
        yield from (
            item
            for item in found
            if isinstance(item, type) and issubclass(item, Sink) and item is not Sink
        )


registry: dict[str, type[Sink[Any]]] = {one.kind: one for one in _scan()}
"""Every sink by its kind: the field of `streammonitor_api.alerts.Sink` that asks for it."""


def build_sink(asked: api.Sink, around: Around) -> Sink[Any] | None:
    """The sink that is asked for; None if this version has no such kind."""
    for kind, found in registry.items():
        settings = getattr(asked, kind, None)
        if settings is not None:
            return found(settings, around)
    return None
