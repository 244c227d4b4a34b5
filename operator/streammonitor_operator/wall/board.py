"""Every tile of the wall, and what of them changed since somebody looked last.

Brought up to date when somebody asks, at most twice a second; what did not change costs a look at
whether it is still the same object.
"""

import asyncio
import hashlib
import uuid
from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime

import orjson

from streammonitor_operator.children import Key
from streammonitor_operator.monitors import Monitor
from streammonitor_operator.wall.tiles import Observe, look, tiles
from streammonitor_operator.work import World

EVERY_S = 0.5
DUTY = 20
"""Looking at everything takes at most one part in so many of the time."""
MAX_GONE = 2000
"""Tiles that went away are remembered; who has not asked for longer is told everything anew."""


@dataclass(frozen=True, slots=True)
class _Tile:
    namespace: str
    body: bytes
    revision: int


@dataclass(frozen=True, slots=True)
class News:
    """What changed.

    Attributes:
        cursor: Where to go on.
        whole: It is everything, and what is not in it is gone.
        tiles: As JSON.
        gone: Ids of tiles.
    """

    cursor: str
    whole: bool
    tiles: tuple[bytes, ...]
    gone: tuple[str, ...]

    @property
    def body(self) -> bytes:
        """As JSON."""
        return orjson.dumps(
            {
                "cursor": self.cursor,
                "whole": self.whole,
                "tiles": [orjson.Fragment(one) for one in self.tiles],
                "gone": self.gone,
            }
        )


class Board:
    """The tiles.

    Args:
        world: The caches.
        observe: What is known of a pod, by uid.
        utc: The time.
    """

    def __init__(
        self,
        world: World,
        observe: Observe,
        utc: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._world = world
        self._observe = observe
        self._utc = utc
        self._process = uuid.uuid4().hex[:8]
        self._revision = 1
        self._tiles: dict[str, _Tile] = {}
        self._of: dict[Key, set[str]] = {}
        self._seen: dict[Key, list[object]] = {}
        self._gone: deque[tuple[int, str, str]] = deque(maxlen=MAX_GONE)
        self._due = 0.0

    @property
    def namespaces(self) -> set[str]:
        """Those with StreamMonitors."""
        return {namespace for namespace, _ in self._world.monitors}

    async def news(self, cursor: str, namespaces: frozenset[str], wait_s: float) -> News:
        """What changed in some namespaces, at once or when something does.

        Args:
            cursor: Of the last news; empty or of another process: everything is told.
            namespaces: What may be told of.
            wait_s: How long to wait at most.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        while True:
            self.refresh()
            found = self._since(cursor, namespaces)
            if found.whole or found.tiles or found.gone or loop.time() >= deadline:
                return found
            await asyncio.sleep(min(EVERY_S, max(0.01, deadline - loop.time())))

    def refresh(self) -> None:
        """Look at everything that changed, unless that was just done."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        if began < self._due:
            return
        monitors = self._world.monitors
        for key in monitors:
            monitor = monitors.get(key)
            if monitor is not None:
                self._look_at(key, monitor, began)
        for key in self._of.keys() - set(monitors):
            self._put(key, {})
            del self._of[key], self._seen[key]
        self._due = began + max(EVERY_S, DUTY * (loop.time() - began))

    def _look_at(self, key: Key, monitor: Monitor, now: float) -> None:
        facts = self._facts(key, monitor)
        before = self._seen.get(key)
        if (
            before is not None
            and len(before) == len(facts)
            and all(old is new for old, new in zip(before, facts, strict=True))
        ):
            return
        scene = look(self._world, self._observe, monitor, now)
        # Silence means more with time: look again until it is over.
        silent = any(pod.decisive_in_s is not None for view in scene.workers for pod in view.pods)
        self._seen[key] = [] if silent else facts
        shown = {str(one["id"]): orjson.dumps(one) for one in tiles(scene, self._utc())}
        self._put(key, shown)

    def _facts(self, key: Key, monitor: Monitor) -> list[object]:
        """What tiles are made of: objects that are replaced when they change."""
        facts: list[object] = [monitor.spec, monitor.status_text]
        facts += self._world.maps.of(key).values()
        for pod in self._world.pods.of(key).values():
            facts += (pod, self._observe(pod.uid))
        return facts

    def _put(self, key: Key, shown: dict[str, bytes]) -> None:
        before = self._of.get(key, set())
        changed = [
            name
            for name, body in shown.items()
            if name not in self._tiles or self._tiles[name].body != body
        ]
        gone = before - shown.keys()
        if changed or gone:
            self._revision += 1
        for name in changed:
            self._tiles[name] = _Tile(key[0], shown[name], self._revision)
        for name in gone:
            del self._tiles[name]
            self._gone.append((self._revision, key[0], name))
        self._of[key] = set(shown)

    def _since(self, cursor: str, namespaces: frozenset[str]) -> News:
        allowed = _digest(namespaces)
        process, _, rest = cursor.partition("-")
        number, _, before = rest.partition("-")
        since = int(number) if number.isascii() and number.isdecimal() else -1
        forgotten = self._gone[0][0] if len(self._gone) == MAX_GONE else 0
        whole = (process, before) != (self._process, allowed) or not forgotten <= since
        since = 0 if whole else since
        return News(
            f"{self._process}-{self._revision}-{allowed}",
            whole,
            tuple(
                one.body
                for one in self._tiles.values()
                if one.revision > since and one.namespace in namespaces
            ),
            ()
            if whole
            else tuple(
                name
                for revision, namespace, name in self._gone
                if revision > since and namespace in namespaces and name not in self._tiles
            ),
        )


def _digest(namespaces: Collection[str]) -> str:
    return hashlib.sha256("\0".join(sorted(namespaces)).encode()).hexdigest()[:8]
