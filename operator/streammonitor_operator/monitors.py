"""The index of StreamMonitors, filled by Kopf's event handler."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import ValidationError

from streammonitor_api.spec import StreamMonitorSpec
from streammonitor_api.status import StreamMonitorStatus
from streammonitor_operator.children import Key
from streammonitor_operator.kube import Manifest
from streammonitor_operator.metrics import MONITORS_KNOWN
from streammonitor_operator.specs.identity import Owner


@dataclass(frozen=True)
class Monitor:
    """A StreamMonitor as it was read last."""

    owner: Owner
    generation: int
    version: int
    deleting: bool
    spec: StreamMonitorSpec | None
    """None when it is not valid."""
    fault: str
    """Why it is not valid: a sentence for a person."""
    status_text: bytes = field(repr=False)
    """As on the wire, its keys sorted: there are thousands of them."""
    read_at: float
    """Loop time at which the API last said that it exists."""

    @property
    def status(self) -> dict[str, Any]:
        """As on the wire."""
        status: dict[str, Any] = orjson.loads(self.status_text)
        return status

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.owner.namespace, self.owner.name

    @property
    def last_status(self) -> StreamMonitorStatus:
        """The status as a model; an empty one where somebody made it unreadable."""
        try:
            return StreamMonitorStatus.model_validate(self.status)
        except ValidationError:
            return StreamMonitorStatus()


class Monitors:
    """Every StreamMonitor that is known."""

    def __init__(self, changed: Callable[[Key], None]) -> None:
        self._changed = changed
        self._monitors: dict[Key, Monitor] = {}
        self._buried: set[str] = set()
        """The uids of those that are gone: an answer that was on its way must not revive them."""

    def get(self, key: Key) -> Monitor | None:
        """One of them."""
        return self._monitors.get(key)

    def __iter__(self) -> Iterator[Key]:
        return iter(list(self._monitors))

    def put(self, manifest: Manifest, *, quiet: bool = False) -> None:
        """Take note of one as it was read or as a write left it; older news is ignored.

        Args:
            manifest: The StreamMonitor.
            quiet: Wake nobody if only its status changed: whoever wrote that knows.
        """
        metadata = manifest["metadata"]
        key = (metadata["namespace"], metadata["name"])
        old = self._monitors.get(key)
        if old is not None and int(metadata["resourceVersion"]) <= old.version:
            return
        if metadata["uid"] in self._buried:
            return
        new = _read(manifest, old)
        self._monitors[key] = new
        MONITORS_KNOWN.set(len(self._monitors))
        if old is None or _facts(old) != _facts(new):
            if quiet and old is not None and old.generation == new.generation:
                return
            self._changed(key)

    def replace(self, namespace: str, manifests: Iterable[Manifest], version: int) -> None:
        """Take note of a complete list (of one namespace, or of all with an empty name)."""
        present = set()
        self._buried.clear()
        for manifest in manifests:
            present.add((manifest["metadata"]["namespace"], manifest["metadata"]["name"]))
            self.put(manifest)
        for key, monitor in list(self._monitors.items()):
            if namespace in ("", key[0]) and key not in present and monitor.version <= version:
                self.drop(key, monitor.owner.uid)

    def drop(self, key: Key, uid: str) -> None:
        """Take note that one is gone."""
        self._buried.add(uid)
        old = self._monitors.get(key)
        if old is not None and old.owner.uid == uid:
            del self._monitors[key]
            MONITORS_KNOWN.set(len(self._monitors))
            self._changed(key)


def _facts(monitor: Monitor) -> tuple[object, ...]:
    return (monitor.owner.uid, monitor.generation, monitor.deleting, monitor.status_text)


def _read(manifest: Manifest, old: Monitor | None) -> Monitor:
    metadata = manifest["metadata"]
    uid, generation = metadata["uid"], int(metadata.get("generation", 1))
    if old is not None and (old.owner.uid, old.generation) == (uid, generation):
        spec, fault = old.spec, old.fault
    else:
        spec, fault = parse_spec(manifest.get("spec"))
    return Monitor(
        owner=Owner(metadata["namespace"], metadata["name"], uid),
        generation=generation,
        version=int(metadata["resourceVersion"]),
        deleting="deletionTimestamp" in metadata,
        spec=spec,
        fault=fault,
        status_text=orjson.dumps(manifest.get("status") or {}, option=orjson.OPT_SORT_KEYS),
        read_at=asyncio.get_running_loop().time(),
    )


def parse_spec(document: object) -> tuple[StreamMonitorSpec | None, str]:
    """Read a specification; None and a sentence about the first fault if it is not valid."""
    try:
        spec = StreamMonitorSpec.model_validate(document or {})
    except ValidationError as error:
        return None, first_fault(error, "spec")
    if not spec.detectors:
        return None, "spec.detectors is empty: name at least one detector, as in freeze: {}"
    return spec, ""


def first_fault(error: ValidationError, root: str = "") -> str:
    """The first thing that is wrong, as a sentence that names the field."""
    first = error.errors()[0]
    parts = [f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"]]
    where = (root + "".join(parts)).removeprefix(".")
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"[:500]
