"""Puts the operator together: wait for the Lease, lead, let go."""

import asyncio
import gc
import logging
import os
import signal
import threading
import time
from contextlib import AsyncExitStack
from typing import Any, NoReturn

import aiohttp

from streammonitor_api import names
from streammonitor_operator.cache import Informer
from streammonitor_operator.fleet_metrics import FleetCollector
from streammonitor_operator.handlers import watch_monitors
from streammonitor_operator.http import Health, serve
from streammonitor_operator.kube import (
    BUDGETS,
    CONFIG_MAPS,
    DEPLOYMENTS,
    MONITORS,
    NODES,
    PODS,
    SERVICES,
    KubeError,
)
from streammonitor_operator.kube_client import KubeClient, load_configuration
from streammonitor_operator.leader import Leader, LeadershipLost
from streammonitor_operator.metrics import LEADER, REGISTRY
from streammonitor_operator.observe import Observer
from streammonitor_operator.reconcile import Reconciler
from streammonitor_operator.resync import Resync
from streammonitor_operator.settings import Settings
from streammonitor_operator.sources import Sources
from streammonitor_operator.wall.run import mark, showing

log = logging.getLogger(__name__)

EXIT_LEADERSHIP_LOST = 3
_CRD_RETRY_S = 3.0
_GUARD_S = 0.5
_LAST_WORDS_S = 10.0
"""How long Kopf has to say why it failed."""
_WITHOUT_NODES = (
    "Nodes may not be read: streams stay on a cordoned node until their worker is evicted from it."
)
_WITHOUT_BUDGETS = (
    "PodDisruptionBudgets may not be read: a worker that is evicted ends before its streams moved."
)
_WITHOUT_SERVICES = (
    "Services may not be read: streams that are sent to a worker have no stable address."
)


class ShellFailed(Exception):
    """Kopf ended by itself: without it, this process must not go on to lead."""


async def run(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT.

    The process ends at once, without any cleaning up, when it may no longer lead.
    """
    stop = asyncio.Event()
    _handle_signals(stop)
    async with AsyncExitStack() as stack:
        configuration = await load_configuration()
        # A client of its own: renewals must not queue behind a thousand other writes.
        lease_client = KubeClient(configuration)
        stack.push_async_callback(lease_client.close)
        leader = Leader(
            lease_client, settings.lease, namespace=settings.namespace, identity=settings.identity
        )
        if settings.wall_port:
            await mark(lease_client, settings, leading=False)
        health = Health()
        runner = await serve(health, settings.http_port)
        stack.push_async_callback(runner.cleanup)
        beat = asyncio.create_task(health.beat())
        stack.callback(beat.cancel)
        # The modules stay: the collector need not look through what they made ever again.
        gc.freeze()
        await _first(stop, leader.acquire())
        if not stop.is_set():
            await _lead(settings, configuration, leader, health, stop)


async def _lead(
    settings: Settings, configuration: Any, leader: Leader, health: Health, stop: asyncio.Event
) -> None:
    """Reconcile until told to stop, then give the Lease back."""
    LEADER.set(1)
    hold = asyncio.create_task(leader.hold())
    _guard(leader)
    client = KubeClient(configuration, guard=leader.guard)
    try:
        work = asyncio.create_task(_reconcile(settings, configuration, client, health, stop))
        await asyncio.wait((hold, work), return_when=asyncio.FIRST_COMPLETED)
        if hold.done():
            _die(hold.exception())
        await work
    finally:
        hold.cancel()
        await leader.release()
        await client.close()
        LEADER.set(0)


async def _reconcile(
    settings: Settings, configuration: Any, client: KubeClient, health: Health, stop: asyncio.Event
) -> None:
    await _first(stop, _wait_for_crd(client))
    if stop.is_set():
        return
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(_list_session())
        sources = Sources(client, session, settings.discovery_hosts)
        reconciler = Reconciler(
            client, settings.worker, sources, hold_evictions=settings.hold_evictions
        )
        world = reconciler.world
        observer = Observer(reconciler.wake)
        world.pods.listeners.append(observer.pod_changed)
        informers = [
            Informer(client, resource, namespace, store)
            for resource, store in (
                (CONFIG_MAPS, world.maps), (DEPLOYMENTS, world.deployments), (PODS, world.pods),
            )
            for namespace in settings.namespaces or ("",)
        ]  # fmt: skip
        nodes = Informer(client, NODES, "", world.nodes, selector="", without=_WITHOUT_NODES)
        informers.append(nodes)
        informers += [
            Informer(client, SERVICES, namespace, world.services, without=_WITHOUT_SERVICES)
            for namespace in settings.namespaces or ("",)
        ]
        informers += [
            Informer(client, BUDGETS, namespace, world.budgets, without=_WITHOUT_BUDGETS)
            for namespace in settings.namespaces or ("",)
        ]
        resyncs = [
            Resync(client, namespace, world.monitors) for namespace in settings.namespaces or ("",)
        ]
        fleet = FleetCollector(world.monitors, observer)
        REGISTRY.register(fleet)
        stack.callback(REGISTRY.unregister, fleet)
        health.watches = [*informers, *resyncs]
        loops = [*(one.run() for one in informers), *(one.run() for one in resyncs)]
        watches = [asyncio.create_task(loop) for loop in loops]
        stack.push_async_callback(_stop, health, reconciler, observer, watches)
        await _first(stop, *(informer.synced.wait() for informer in informers))
        reconciler.start(observer.of, observer.take_departed, lambda: observer.doubtful)
        if settings.wall_port:
            await stack.enter_async_context(showing(settings, configuration, world, observer))
        await _watch(settings, configuration, reconciler, stop)


async def _watch(
    settings: Settings, configuration: Any, reconciler: Reconciler, stop: asyncio.Event
) -> None:
    """Run Kopf; returns once everything that writes has stopped, raises when Kopf failed."""
    kopf_stop, ready = asyncio.Event(), asyncio.Event()
    monitors = reconciler.world.monitors
    shell = asyncio.create_task(
        watch_monitors(monitors, configuration, settings.namespaces, kopf_stop, ready)
    )
    try:
        await _first(stop, ready.wait(), asyncio.shield(shell), any_of=True)
        _handle_signals(stop)  # Kopf has taken them
        await _first(stop, asyncio.shield(shell))
    except asyncio.CancelledError as error:
        # Before Kopf says that it failed, it cancels what was begun since it runs: our waits, too.
        await asyncio.wait({shell}, timeout=_LAST_WORDS_S)
        cause = shell.exception() if shell.done() and not shell.cancelled() else error
        raise ShellFailed("Kopf does not watch StreamMonitors any more") from cause
    # Before Kopf: it would wait for our tasks, which it takes for its own.
    await reconciler.stop()
    kopf_stop.set()
    if shell.done():
        shell.result()
        stop.set()
        return
    shell.cancel()
    await asyncio.gather(shell, return_exceptions=True)


async def _stop(
    health: Health, reconciler: Reconciler, observer: Observer, watches: list[asyncio.Task[None]]
) -> None:
    health.watches = ()
    for watch in watches:
        watch.cancel()
    await asyncio.gather(*watches, return_exceptions=True)
    await reconciler.stop()
    await observer.stop()


async def _wait_for_crd(client: KubeClient) -> None:
    """Kopf would stay idle for ever if the resource were not there when it starts."""
    while True:
        try:
            if await client.serves(MONITORS):
                return
            log.warning(
                "The cluster does not know %s.%s: install the CRDs. Trying again.",
                names.PLURAL, names.GROUP,
            )  # fmt: skip
        except KubeError as error:
            log.warning("The API does not say what it serves: %s", error)
        await asyncio.sleep(_CRD_RETRY_S)


def _list_session() -> aiohttp.ClientSession:
    """For lists of streams: no proxy, no cookies."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
        cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False,
        trust_env=False,
    )


async def _first(stop: asyncio.Event, *others: Any, any_of: bool = False) -> None:
    """Wait for all (or any) of some awaitables, or for `stop`; what failed is raised."""
    stopping = asyncio.ensure_future(stop.wait())
    futures = [asyncio.ensure_future(other) for other in others]
    pending = set(futures)
    try:
        while pending and not stopping.done() and not (any_of and len(pending) < len(futures)):
            waiting = {*pending, stopping}
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            pending -= done
            for future in done:
                future.result()
    finally:
        for future in (stopping, *futures):
            future.cancel()
        await asyncio.gather(stopping, *futures, return_exceptions=True)


def _handle_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


def _guard(leader: Leader) -> None:
    """End the process from another thread if the event loop hangs beyond the Lease."""

    def watch() -> None:
        while True:
            time.sleep(_GUARD_S)
            remaining_s = leader.remaining_s
            if leader.released:
                return
            if remaining_s < -_GUARD_S:
                _die(LeadershipLost("the event loop hung beyond the Lease"))

    threading.Thread(target=watch, name="lease guard", daemon=True).start()


def _die(reason: BaseException | None) -> NoReturn:
    """End at once: whatever is still under way must not reach the cluster."""
    log.critical("This process may no longer lead: %s", reason)
    logging.shutdown()
    os._exit(EXIT_LEADERSHIP_LOST)
