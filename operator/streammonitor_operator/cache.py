"""Caches of the objects that the operator owns (by label), and of nodes, kept fresh by watches.

A watch may end at any time: by the server's time-out (go on), with 410 (list again), by a broken
or silently dead connection (back off, go on). Answers to our own writes go into the store at once,
so that a reconciler never acts on what it has just changed; older news is ignored.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from streammonitor_operator.children import SELECTOR, Child, Key
from streammonitor_operator.kube import Kube, KubeError, Manifest, Rejected, Resource
from streammonitor_operator.metrics import WATCH_RESTARTS

log = logging.getLogger(__name__)

C = TypeVar("C", bound=Child)
_BACKOFF_S = (0.5, 20.0)
_FORBIDDEN_S = 60.0
"""How often to ask again for what may not be read: the right may be given at any time."""


class Store(Generic[C]):
    """The newest known state of one kind of object, indexed by StreamMonitor."""

    def __init__(self, read: Callable[[Manifest], C], changed: Callable[[Key], None]) -> None:
        self._read = read
        self._changed = changed
        self._objects: dict[Key, C] = {}
        self._by_monitor: dict[Key, dict[str, C]] = {}
        self.listeners: list[Callable[[C | None, C | None], None]] = []
        """Called with the old and the new state of every object that changed."""

    def of(self, monitor: Key) -> dict[str, C]:
        """The objects of one StreamMonitor by name."""
        return self._by_monitor.get(monitor, {})

    def find(self, namespace: str, name: str) -> C | None:
        """One object by its name."""
        return self._objects.get((namespace, name))

    def all(self) -> Iterable[C]:
        """Every object."""
        return self._objects.values()

    def put(self, manifest: Manifest, *, quiet: bool = False) -> C:
        """Take note of an object as it was read or as a write left it.

        Args:
            manifest: The object.
            quiet: Wake nobody: whoever wrote it knows.
        """
        child = self._read(manifest)
        old = self._objects.get((child.namespace, child.name))
        if old is not None and old.version >= child.version:
            return old
        self._forget(old)
        self._objects[child.namespace, child.name] = child
        self._by_monitor.setdefault((child.namespace, child.monitor), {})[child.name] = child
        self._tell(old, child, quiet=quiet)
        return child

    def drop(self, namespace: str, name: str, version: int) -> None:
        """Take note that an object was gone at a resource version."""
        old = self._objects.get((namespace, name))
        if old is None or old.version > version:
            return
        del self._objects[namespace, name]
        self._forget(old)
        self._tell(old, None)

    def replace(self, namespace: str, manifests: Iterable[Manifest], version: int) -> None:
        """Take note of a complete list (of one namespace, or of all with an empty name)."""
        present = {(child.namespace, child.name) for child in map(self.put, manifests)}
        for space, name in list(self._objects):
            if namespace in ("", space) and (space, name) not in present:
                self.drop(space, name, version)

    def _forget(self, child: C | None) -> None:
        if child is None:
            return
        key = (child.namespace, child.monitor)
        siblings = self._by_monitor.get(key, {})
        siblings.pop(child.name, None)
        if not siblings:
            self._by_monitor.pop(key, None)

    def _tell(self, old: C | None, new: C | None, *, quiet: bool = False) -> None:
        if old is not None and new is not None and not new.differs(old):
            return
        for listener in self.listeners:
            listener(old, new)
        if quiet:
            return
        for key in {(child.namespace, child.monitor) for child in (old, new) if child is not None}:
            self._changed(key)


class Informer(Generic[C]):
    """Keeps a store fresh from one list and watch.

    Args:
        kube: The API.
        resource: What to watch.
        namespace: Where; empty for everywhere.
        store: What to keep fresh.
        selector: Labels of the objects; empty for all.
        without: What is left undone without the right to read these objects, as a sentence; empty
            if nothing can be done without it.
    """

    def __init__(
        self, kube: Kube, resource: Resource, namespace: str, store: Store[C],
        *, selector: str = SELECTOR, without: str = "",
    ) -> None:  # fmt: skip
        self._kube = kube
        self._selector = selector
        self._without = without
        self._missed = False
        self._resource = resource
        self._namespace = namespace
        self._store = store
        self._version = ""
        self.synced = asyncio.Event()
        """Set once the first list is in the store, or is known not to be had."""
        self.heard_at = time.monotonic()
        """When the API last answered."""

    async def run(self) -> None:
        """List and watch for ever."""
        delay_s = _BACKOFF_S[0]
        while True:
            cause, pause_s = "ended", 0.0
            try:
                if not self._version:
                    await self._list()
                await self._watch()
                delay_s = _BACKOFF_S[0]
            except KubeError as error:
                cause, pause_s = self._failed(error, delay_s)
                delay_s = min(_BACKOFF_S[1], delay_s * 2)
            WATCH_RESTARTS.labels(self._resource.plural, cause).inc()
            await asyncio.sleep(pause_s * random.uniform(0.7, 1.3))

    def _failed(self, error: KubeError, delay_s: float) -> tuple[str, float]:
        if isinstance(error, Rejected):
            # Whatever the API objects to, a fresh list is the sound way back in.
            self._version = ""
            if error.expired:
                # Once is in the nature of watches; again and again would be a flood of lists.
                return "expired", 0.0 if delay_s == _BACKOFF_S[0] else delay_s
            if error.forbidden and self._without:
                return "forbidden", self._do_without(error)
            delay_s = max(delay_s, error.retry_after_s)
        log.warning("Watch of %s broke: %s", self._resource.plural, error)
        return "broken", delay_s

    def _do_without(self, error: Rejected) -> float:
        """Go on without what may not be read; returns when to ask again, in seconds."""
        if not self._missed:
            log.warning("%s The API says: %s", self._without, error)
        self._missed = True
        self.heard_at = time.monotonic()
        self.synced.set()
        return _FORBIDDEN_S

    async def _list(self) -> None:
        answer = await self._kube.list_all(self._resource, self._namespace, self._selector)
        self._missed = False
        self._version = answer["metadata"]["resourceVersion"]
        self._store.replace(self._namespace, answer["items"], int(self._version))
        self.heard_at = time.monotonic()
        self.synced.set()

    async def _watch(self) -> None:
        stream = self._kube.watch(self._resource, self._namespace, self._selector, self._version)
        async for event in stream:
            self.heard_at = time.monotonic()
            manifest = event["object"]
            metadata = manifest["metadata"]
            if event["type"] == "DELETED":
                version = int(metadata["resourceVersion"])
                self._store.drop(metadata.get("namespace", ""), metadata["name"], version)
            elif event["type"] != "BOOKMARK":
                self._store.put(manifest)
            self._version = metadata["resourceVersion"]
        self.heard_at = time.monotonic()
