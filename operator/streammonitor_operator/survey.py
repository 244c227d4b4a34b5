"""Reads what there is of one StreamMonitor from a live cluster, once, with a user's rights."""

import asyncio

from pydantic import ValidationError

from streammonitor_api import names
from streammonitor_api.spec import Stream, StreamMonitorSpec
from streammonitor_api.worker_status import WorkerStatus
from streammonitor_operator.cache import Store
from streammonitor_operator.children import (
    SELECTOR,
    Key,
    read_assignment_map,
    read_deployment,
    read_pod,
    read_service,
)
from streammonitor_operator.demand import measured
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.health import QUARANTINED
from streammonitor_operator.kube import (
    CONFIG_MAPS,
    DEPLOYMENTS,
    MONITORS,
    NODES,
    PODS,
    Kube,
    KubeError,
    Rejected,
)
from streammonitor_operator.ledger import Ledger
from streammonitor_operator.monitors import Monitors
from streammonitor_operator.naming import label_value
from streammonitor_operator.nodes import read_node
from streammonitor_operator.observe import Observation
from streammonitor_operator.preview import Present
from streammonitor_operator.settings import WorkerSettings
from streammonitor_operator.specs.recipe import Recipe, all_secret_names, read_recipe, recipe_of
from streammonitor_operator.work import Memory, World, find_workers


async def survey(kube: Kube, namespace: str, name: str, spec: StreamMonitorSpec) -> Present | None:
    """What there is; None if the StreamMonitor does not exist.

    Raises:
        KubeError: The API does not answer, or the user may not read what is needed.
    """
    try:
        manifest = await kube.get(MONITORS, namespace, name)
    except Rejected as error:
        if error.missing:
            return None
        raise
    world = await _world(kube, namespace, name)
    world.monitors.put(manifest)
    monitor = world.monitors.get((namespace, name))
    if monitor is None:
        return None
    said = await _statuses(kube, world, (namespace, name))
    now = asyncio.get_running_loop().time()
    memory = Memory(monitor.owner.uid, now, Ledger(monitor.owner.uid))
    views = list(find_workers(world, monitor, memory, said.get).values())
    status = monitor.last_status.streams
    locked = {one.name for one in status.problems if one.reason == QUARANTINED} if status else set()
    return Present(
        views=views,
        loads=measured(views),
        recipes=_recipes(spec, views),
        locked=frozenset(locked),
        uid=monitor.owner.uid,
    )


def with_discovered(spec: StreamMonitorSpec, present: Present) -> StreamMonitorSpec:
    """A specification with the streams that its list names now, as workers were given them."""
    listed = {stream.name for stream in spec.streams}
    found: dict[str, Stream] = {}
    for view in present.views:
        for stream in view.assignment.streams if view.assignment else ():
            if stream.name not in listed:
                found.setdefault(stream.name, stream)
    return spec.model_copy(update={"streams": [*spec.streams, *found.values()]})


async def _world(kube: Kube, namespace: str, name: str) -> World:
    def ignore(_: Key) -> None:
        """Nobody waits for changes."""

    world = World(
        kube=kube,
        monitors=Monitors(ignore),
        maps=Store(read_assignment_map, ignore),
        deployments=Store(read_deployment, ignore),
        pods=Store(read_pod, ignore),
        services=Store(read_service, ignore),
        nodes=Store(read_node, ignore),
        settings=WorkerSettings(image=""),
    )
    mine = f"{SELECTOR},{names.LABEL_MONITOR}={label_value(name)}"
    for item in (await kube.list_all(CONFIG_MAPS, namespace, mine))["items"]:
        world.maps.put(item)
    for item in (await kube.list_all(DEPLOYMENTS, namespace, mine))["items"]:
        world.deployments.put(item)
    for item in (await kube.list_all(PODS, namespace, mine))["items"]:
        world.pods.put(item)
    try:
        for item in (await kube.list_all(NODES, "", ""))["items"]:
            world.nodes.put(item)
    except Rejected as error:
        if not error.forbidden:  # whoever may not read nodes is not told what leaves them
            raise
    return world


async def _statuses(kube: Kube, world: World, key: Key) -> dict[str, Observation]:
    """What each worker says of itself, asked through the API."""
    found = {}
    for pod in world.pods.of(key).values():
        path = f"{pod.name}:{names.WORKER_PORT}/proxy/status"
        try:
            answer = await kube.get(PODS, pod.namespace, path)
            found[pod.uid] = Observation(WorkerStatus.model_validate(answer))
        except (KubeError, ValidationError, ValueError):
            continue  # it is starting; what its streams cost is estimated
    return found


def _recipes(spec: StreamMonitorSpec, views: list[WorkerView]) -> dict[str, Recipe]:
    """What pods would be asked to be: with the image and the settings that workers have now."""
    made_of = [
        recipe
        for view in views
        if view.deployment is not None
        and (recipe := read_recipe(view.deployment.manifest)) is not None
    ]
    if not made_of:
        return {}
    secrets = all_secret_names(spec)
    settings = made_of[0].settings
    return {group.name: recipe_of(group, secrets, settings) for group in spec.groups}
