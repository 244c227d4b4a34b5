"""What the wall shows of one stream."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from streammonitor_operator.fleet import PodView
from streammonitor_operator.wall.history import History
from streammonitor_operator.wall.tiles import (
    Document,
    Observe,
    Part,
    Scene,
    active_incidents,
    brief,
    look,
    spoken,
    tile,
)
from streammonitor_operator.work import World

MAX_INCIDENTS = 200


class StreamPages:
    """Describes streams.

    Args:
        world: The caches.
        observe: What is known of a pod, by uid.
        history: What ended lately.
        utc: The time.
    """

    def __init__(
        self,
        world: World,
        observe: Observe,
        history: History,
        utc: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._world = world
        self._observe = observe
        self._history = history
        self._utc = utc

    def describe(self, namespace: str, monitor: str, stream: str) -> Document | None:
        """The stream's tile, its groups and its incidents; None if it is not there."""
        scene = self._scene(namespace, monitor)
        if scene is None or stream not in scene.streams:
            return None
        status = scene.monitor.status
        problems = (status.get("streams") or {}).get("problems") or []
        active = active_incidents(scene, status, self._utc()).get(stream, [])
        problem = next((one for one in problems if one["name"] == stream), None)
        return {
            **tile(scene, stream, problem, active),
            "groups": [_group(part) for part in scene.parts(stream)],
            "ended": self._ended(scene, stream, {one["id"] for one in active}),
            "now": self._utc().isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        }

    def pods(self, namespace: str, monitor: str, stream: str) -> Iterable[PodView]:
        """The pods that can be asked for it."""
        scene = self._scene(namespace, monitor)
        return scene.pods(stream) if scene is not None else ()

    def _scene(self, namespace: str, monitor: str) -> Scene | None:
        found = self._world.monitors.get((namespace, monitor))
        if found is None:
            return None
        return look(self._world, self._observe, found, asyncio.get_running_loop().time())

    def _ended(self, scene: Scene, stream: str, active: set[str]) -> list[Document]:
        """The incidents that ended, the newest first."""
        found = {one["id"]: one for one in self._history.of(scene.monitor.key, stream)}
        for incident in spoken(scene):
            if incident.stream == stream and not incident.active and incident.expires_at is None:
                found[incident.id] = brief(incident)
        ended = [one for one in found.values() if one["id"] not in active]
        ended.sort(key=lambda one: str(one["startedAt"]), reverse=True)
        return ended[:MAX_INCIDENTS]


def _group(part: Part) -> Document:
    """What one group's worker says."""
    shown: Document = {"name": part.worker.group, "worker": part.worker.name}
    if part.said is not None:
        kept = ("state", "reason", "message", "since", "lagS", "loadM", "video", "audio")
        document = part.said.to_json_object()
        shown |= {key: document[key] for key in kept if key in document}
    return shown
