"""What is measured, each with the processes that it needs running already."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bench.scale.client import APPLY, MERGE, Api, Object, many
from bench.scale.monitors import (
    DEPLOYMENTS_PATH,
    MAPS_PATH,
    MONITORS_PATH,
    PODS_PATH,
    STREAMS,
    monitor,
    objects,
    stream,
)
from bench.scale.product import Operator
from streammonitor_api import names

AT_ONCE = 32
"""So many StreamMonitors are being created at any moment."""
_FORCE = f"?fieldManager={names.FIELD_MANAGER}&force=true"
_LIMIT_S = 1800.0


@dataclass(frozen=True)
class Created:
    """What making StreamMonitors took."""

    wall_s: float
    cpu_s: float = 0.0
    """Of the operator."""
    writes: float = 0.0
    """Of the operator."""


class Watcher:
    """Follows the StreamMonitors, as a user of `kubectl get --watch` does."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.statuses: dict[str, Object] = {}
        """The newest status of each, by name; those without one are left out."""
        self._news = asyncio.Event()
        self._failed: Exception | None = None

    async def follow(self) -> None:
        """For ever."""
        try:
            await self._follow()
        except Exception as error:
            self._failed = error
            self._news.set()

    async def _follow(self) -> None:
        async for event in self._api.watch(MONITORS_PATH):
            name, status = event["object"]["metadata"]["name"], event["object"].get("status")
            if event["type"] == "DELETED":
                self.statuses.pop(name, None)
            elif status:
                self.statuses[name] = status
            self._news.set()

    async def until(
        self, reached: Callable[[], bool], limit_s: float = _LIMIT_S, every_s: float = 0.0
    ) -> None:
        """Wait for something about the statuses, which is looked at no more often than that."""
        async with asyncio.timeout(limit_s):
            while not reached():
                if self._failed is not None:
                    raise self._failed
                self._news.clear()
                await self._news.wait()
                await asyncio.sleep(every_s)


@asynccontextmanager
async def watching(api: Api) -> AsyncIterator[Watcher]:
    """A watcher at work."""
    watcher = Watcher(api)
    task = asyncio.create_task(watcher.follow())
    try:
        yield watcher
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def names_of(number: int) -> list[str]:
    """The names of so many StreamMonitors."""
    return [f"m{one:05}" for one in range(number)]


async def make(api: Api, number: int) -> None:
    """Create StreamMonitors as quickly as the API takes them."""
    await many(
        names_of(number), lambda name: api.send("POST", MONITORS_PATH, monitor(name)), AT_ONCE
    )


async def floor(api: Api, number: int, status: Object) -> Created:
    """Write everything with nothing but a client."""

    async def one(name: str) -> None:
        made = await api.send("POST", MONITORS_PATH, monitor(name))
        found = objects(name, made["metadata"]["uid"], status)
        await api.send("POST", MAPS_PATH, found.map_text)
        path = f"{DEPLOYMENTS_PATH}/{found.deployment_name}{_FORCE}"
        await api.send("PATCH", path, found.deployment_text, APPLY)
        path = f"{MONITORS_PATH}/{name}/status{_FORCE}"
        await api.send("PATCH", path, found.status_text, APPLY)

    async with watching(api) as watcher:
        began = time.monotonic()
        await many(names_of(number), one, AT_ONCE)
        await watcher.until(lambda: len(watcher.statuses) == number)
        return Created(time.monotonic() - began)


async def assigned(api: Api, number: int, operator: Operator | None) -> Created:
    """Create StreamMonitors and wait until whoever runs has written everything about each."""
    cpu_s = operator.cpu_s if operator else 0.0
    writes = operator.writes() if operator else 0.0
    async with watching(api) as watcher:
        began = time.monotonic()
        await make(api, number)
        await watcher.until(lambda: len(watcher.statuses) == number)
        wall_s = time.monotonic() - began
    for path in (MAPS_PATH, DEPLOYMENTS_PATH):
        found = await api.count(path)
        if found != number:
            raise RuntimeError(f"{path}: {found} objects of {number}")
    if operator is None:
        return Created(wall_s)
    return Created(wall_s, operator.cpu_s - cpu_s, operator.writes() - writes)


async def clear(api: Api, operator: Operator | None = None) -> None:
    """Remove everything; there is no garbage collector yet."""
    await api.send("DELETE", MONITORS_PATH)
    # Before what they own: an operator that does not know yet would make that again.
    while operator and operator.value("streammonitor_operator_monitors"):  # noqa: ASYNC110
        await asyncio.sleep(0.2)
    for path in (DEPLOYMENTS_PATH, MAPS_PATH):
        await api.send("DELETE", path)


async def until_none(api: Api, path: str) -> None:
    """Wait until a collection is empty."""
    while await api.count(path):  # noqa: ASYNC110 - the API is asked
        await asyncio.sleep(0.5)


def receiving(status: Object) -> bool:
    """Whether all of its streams are received, and its workers ready."""
    said = {one["type"]: one["status"] for one in status.get("conditions", ())}
    return said.get("Ready") == "True" and said.get("Receiving") == "True"


async def until_ready(api: Api, number: int) -> float:
    """Wait until every StreamMonitor is Ready; how long that took, in seconds."""
    began = time.monotonic()
    async with watching(api) as watcher:
        await watcher.until(
            lambda: sum(map(receiving, watcher.statuses.values())) == number, every_s=0.5
        )
    return time.monotonic() - began


async def until_quiet(operator: Operator, quiet_s: float = 6.0) -> None:
    """Wait until the operator has written nothing for a while."""
    writes, since = operator.writes(), time.monotonic()
    while time.monotonic() - since < quiet_s:
        await asyncio.sleep(1)
        if (now := operator.writes()) != writes:
            writes, since = now, time.monotonic()


@dataclass(frozen=True)
class Idle:
    """What doing nothing takes."""

    cores: float
    writes_per_minute: float
    memory_mib: float


async def idle(operator: Operator, duration_s: float) -> Idle:
    """Measure for a while in which nothing happens."""
    cpu_s, writes, began = operator.cpu_s, operator.writes(), time.monotonic()
    await asyncio.sleep(duration_s)
    took_s = time.monotonic() - began
    return Idle(
        (operator.cpu_s - cpu_s) / took_s,
        (operator.writes() - writes) * 60 / took_s,
        operator.memory_mib,
    )


@dataclass(frozen=True)
class Edits:
    """What editing specifications took."""

    latencies_s: list[float]
    writes: float
    """For each stream that was added, until everything said so."""
    cpu_s: float
    """For each."""


async def edits(api: Api, operator: Operator, number: int, population: int) -> Edits:
    """Add a stream to some StreamMonitors, one after another; wait for each assignment."""
    chosen = random.Random(number).sample(names_of(population), number)
    written: dict[str, asyncio.Event] = {name: asyncio.Event() for name in chosen}
    added = stream(99)["name"]

    async def follow() -> None:
        async for event in api.watch(MAPS_PATH, f"{names.LABEL_NAME}=streammonitor-worker"):
            manifest = event["object"]
            name = manifest["metadata"]["labels"][names.LABEL_MONITOR]
            if name in written and f'"name":"{added}"' in manifest["data"][names.ASSIGNMENT_KEY]:
                written[name].set()

    task = asyncio.create_task(follow())
    await asyncio.sleep(2)
    cpu_s, writes, latencies_s = operator.cpu_s, operator.writes(), []
    patch = {"spec": {"streams": [*(stream(one) for one in range(STREAMS)), stream(99)]}}
    for name in chosen:
        began = time.monotonic()
        await api.send("PATCH", f"{MONITORS_PATH}/{name}", patch, MERGE)
        await asyncio.wait_for(written[name].wait(), 60)
        latencies_s.append(time.monotonic() - began)
    await until_quiet(operator)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return Edits(
        sorted(latencies_s),
        (operator.writes() - writes) / number,
        (operator.cpu_s - cpu_s) / number,
    )


async def incidents(
    api: Api, operator: Operator, number: int, population: int, tell: Callable[[str, str, str], Any]
) -> float:
    """Open an incident on some workers, then end it; API writes for each."""
    chosen = random.Random(number + 1).sample(names_of(population), number)
    workers = {
        one["metadata"]["labels"][names.LABEL_MONITOR]: one["metadata"]["name"]
        for one in (await api.send("GET", DEPLOYMENTS_PATH))["items"]
    }
    writes = operator.writes()
    for method in ("POST", "DELETE"):
        for name in chosen:
            await tell(method, name, workers[name])
        await until_quiet(operator)
    return (operator.writes() - writes) / number


async def pods_running(api: Api, number: int) -> None:
    """Wait until so many pods run."""
    seen: set[str] = set()
    async for event in api.watch(PODS_PATH, f"{names.LABEL_NAME}=streammonitor-worker"):
        pod = event["object"]
        if pod.get("status", {}).get("phase") == "Running":
            seen.add(pod["metadata"]["uid"])
        if len(seen) >= number:
            return
