"""An in-memory Kubernetes API behind the operator's `Kube` protocol.

It keeps what matters here: resource versions and conflicts, uids, generations, the status
subresource, owner references, watches, and injected failures. It merges instead of tracking the
ownership of fields.
"""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

from streammonitor_operator.kube import (
    BUDGETS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    PODS,
    SERVICES,
    KubeError,
    Manifest,
    Rejected,
    Resource,
)

Place = tuple[str, str, str]
Watcher = tuple[str, str, asyncio.Queue[Manifest | None]]


def rejected(status: int, reason: str = "Error") -> Rejected:
    return Rejected(status, reason, "injected")


class FakeKube:
    def __init__(self) -> None:
        self.objects: dict[Place, Manifest] = {}
        self.writes: list[tuple[str, str, str]] = []
        """(verb, plural, name) of everything that was written, refused writes included."""
        self.fail: Callable[[str, Resource, str], KubeError | None] = lambda *_: None
        self._version = 100
        self._log: list[tuple[str, str, Manifest]] = []
        self._watchers: list[Watcher] = []

    # What the operator calls.

    async def get(self, resource: Resource, namespace: str, name: str) -> Manifest:
        self._maybe_fail("get", resource, name)
        return copy.deepcopy(self._find(resource, namespace, name))

    async def list_all(self, resource: Resource, namespace: str, selector: str) -> Manifest:
        self._maybe_fail("list", resource, "")
        items = [
            copy.deepcopy(manifest)
            for (plural, space, _), manifest in sorted(self.objects.items())
            if plural == resource.plural
            and namespace in ("", space)
            and _selected(manifest, selector)
        ]
        return {"metadata": {"resourceVersion": str(self._version)}, "items": items}

    async def watch(
        self, resource: Resource, namespace: str, selector: str, resource_version: str
    ) -> AsyncIterator[Manifest]:
        self._maybe_fail("watch", resource, resource_version)
        queue: asyncio.Queue[Manifest | None] = asyncio.Queue()
        self._watchers.append((resource.plural, namespace, queue))
        for kind, plural, manifest in self._log:
            if int(manifest["metadata"]["resourceVersion"]) > int(resource_version):
                self._offer(kind, plural, manifest, self._watchers[-1:])
        while (event := await queue.get()) is not None:
            if _selected(event["object"], selector):
                yield event

    async def create(self, resource: Resource, manifest: Manifest) -> Manifest:
        place = self._writing("create", resource, manifest)
        if place in self.objects:
            raise Rejected(409, "AlreadyExists", place[2])
        new = copy.deepcopy(manifest)
        new["metadata"] |= {"uid": f"uid-{self._version}", "generation": 1}
        return self._store("ADDED", place, new)

    async def apply(
        self, resource: Resource, manifest: Manifest, *, subresource: str = ""
    ) -> Manifest:
        place = self._writing("apply", resource, manifest)
        old = self.objects.get(place)
        if old is None:
            if subresource:
                raise Rejected(404, "NotFound", place[2])
            self.writes.pop()
            return await self.create(resource, manifest)
        for field in ("resourceVersion", "uid"):
            wanted = manifest["metadata"].get(field)
            if wanted not in (None, old["metadata"][field]):
                raise Rejected(409, "Conflict", f"{field} of {place[2]}")
        if subresource:
            new = {**old, "status": copy.deepcopy(manifest["status"])}
        else:
            new = _merge(old, manifest)
        return self._update(place, old, new)

    async def replace(self, resource: Resource, manifest: Manifest) -> Manifest:
        place = self._writing("replace", resource, manifest)
        old = self._find(resource, place[1], place[2])
        if manifest["metadata"].get("resourceVersion") != old["metadata"]["resourceVersion"]:
            raise Rejected(409, "Conflict", place[2])
        return self._update(place, old, copy.deepcopy(manifest))

    async def patch(
        self, resource: Resource, namespace: str, name: str, patch: Manifest
    ) -> Manifest:
        place = self._writing(
            "patch", resource, {"metadata": {"namespace": namespace, "name": name}}
        )
        old = self._find(resource, namespace, name)
        return self._update(place, old, _merge(old, patch))

    async def delete(self, resource: Resource, namespace: str, name: str, uid: str) -> None:
        self._writing("delete", resource, {"metadata": {"namespace": namespace, "name": name}})
        if self._find(resource, namespace, name)["metadata"]["uid"] != uid:
            raise Rejected(409, "Conflict", name)
        self.remove(resource, namespace, name)

    # What tests do to it, as a user or another component would.

    def put(self, resource: Resource, manifest: Manifest) -> Manifest:
        """Create or change an object as somebody else."""
        metadata = manifest["metadata"]
        place = (resource.plural, metadata["namespace"], metadata["name"])
        old = self.objects.get(place)
        if old is None:
            manifest["metadata"] = {"uid": f"uid-{self._version}", "generation": 1, **metadata}
            return self._store("ADDED", place, manifest)
        return self._update(place, old, _merge(old, manifest))

    def remove(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete an object and, as the garbage collector does, what it owns."""
        manifest = self.objects.pop((resource.plural, namespace, name), None)
        if manifest is None:
            return
        self._bump(manifest)
        self._tell("DELETED", resource.plural, manifest)
        uid = manifest["metadata"]["uid"]
        for plural, space, child in list(self.objects):
            owned = self.objects.get((plural, space, child), {"metadata": {}})
            owners = owned["metadata"].get("ownerReferences") or []
            if any(owner["uid"] == uid for owner in owners):
                kind = {r.plural: r for r in (CONFIG_MAPS, DEPLOYMENTS, PODS, SERVICES, BUDGETS)}[
                    plural
                ]
                self.remove(kind, space, child)

    def all(self, resource: Resource) -> list[Manifest]:
        return [
            self.objects[place] for place in sorted(self.objects) if place[0] == resource.plural
        ]

    def drop_watches(self) -> None:
        """End every watch, as a server that restarts."""
        for _, _, queue in self._watchers:
            queue.put_nowait(None)
        self._watchers.clear()

    def _find(self, resource: Resource, namespace: str, name: str) -> Manifest:
        try:
            return self.objects[resource.plural, namespace, name]
        except KeyError:
            raise Rejected(404, "NotFound", name) from None

    def _maybe_fail(self, verb: str, resource: Resource, name: str) -> None:
        error = self.fail(verb, resource, name)
        if error is not None:
            raise error

    def _writing(self, verb: str, resource: Resource, manifest: Manifest) -> Place:
        metadata = manifest["metadata"]
        self.writes.append((verb, resource.plural, metadata["name"]))
        self._maybe_fail(verb, resource, metadata["name"])
        return (resource.plural, metadata["namespace"], metadata["name"])

    def _update(self, place: Place, old: Manifest, new: Manifest) -> Manifest:
        if _without_version(old) == _without_version(new):
            return copy.deepcopy(old)
        if old.get("spec") != new.get("spec"):
            new["metadata"] = {
                **new["metadata"], "generation": old["metadata"].get("generation", 1) + 1
            }  # fmt: skip
        return self._store("MODIFIED", place, new)

    def _store(self, kind: str, place: Place, manifest: Manifest) -> Manifest:
        self._bump(manifest)
        self.objects[place] = manifest
        self._tell(kind, place[0], manifest)
        return copy.deepcopy(manifest)

    def _bump(self, manifest: Manifest) -> None:
        self._version += 1
        manifest["metadata"] = {**manifest["metadata"], "resourceVersion": str(self._version)}

    def _tell(self, kind: str, plural: str, manifest: Manifest) -> None:
        self._log.append((kind, plural, copy.deepcopy(manifest)))
        self._offer(kind, plural, manifest, self._watchers)

    def _offer(self, kind: str, plural: str, manifest: Manifest, watchers: list[Watcher]) -> None:
        for wanted, namespace, queue in watchers:
            if wanted == plural and namespace in ("", manifest["metadata"]["namespace"]):
                queue.put_nowait({"type": kind, "object": copy.deepcopy(manifest)})


def assignment_of(manifest: Manifest) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(manifest["data"]["assignment.json"])
    return document


def _selected(manifest: Manifest, selector: str) -> bool:
    labels = manifest["metadata"].get("labels") or {}
    wanted = (one.partition("=") for one in selector.split(",") if one)
    return all(labels.get(key) == value for key, _, value in wanted)


def _merge(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        merged = {**old, **{key: _merge(old.get(key), value) for key, value in new.items()}}
        return {key: value for key, value in merged.items() if value is not None}
    return copy.deepcopy(new)


def _without_version(manifest: Manifest) -> Manifest:
    metadata = {k: v for k, v in manifest["metadata"].items() if k != "resourceVersion"}
    return {**manifest, "metadata": metadata}
