"""Puts the wall together, and leads people to the replica that serves it."""

import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from streammonitor_api import names
from streammonitor_operator.http import PortTaken
from streammonitor_operator.kube import PODS, Kube, KubeError
from streammonitor_operator.kube_client import KubeClient
from streammonitor_operator.observe import Observer
from streammonitor_operator.settings import Settings
from streammonitor_operator.wall.access import Access
from streammonitor_operator.wall.board import Board
from streammonitor_operator.wall.glimpses import Glimpses
from streammonitor_operator.wall.history import History
from streammonitor_operator.wall.server import Wall, serving
from streammonitor_operator.wall.streams import StreamPages
from streammonitor_operator.work import World

log = logging.getLogger(__name__)


async def mark(kube: Kube, settings: Settings, *, leading: bool) -> None:
    """Say on this process's pod whether it leads: the wall's Service selects the pod that does.

    A process that lost the Lease ends, and says so when it starts again.
    """
    labels = {names.LABEL_LEADER: "true" if leading else None}
    patch = {"metadata": {"labels": labels}}
    try:
        await kube.patch(PODS, settings.namespace, settings.identity, patch)
    except KubeError as error:
        log.warning("The wall's Service may not lead to this replica: its pod: %s", error)


@asynccontextmanager
async def showing(
    settings: Settings, configuration: Any, world: World, observer: Observer
) -> AsyncIterator[None]:
    """Serve the wall for as long as this process leads.

    Raises:
        PortTaken: WALL_PORT cannot be listened on.
    """
    async with AsyncExitStack() as stack:
        # Reviews change nothing, and must not queue behind a thousand writes.
        kube = KubeClient(configuration)
        stack.push_async_callback(kube.close)
        glimpses = Glimpses(names.WORKER_PORT)
        stack.callback(glimpses.close)
        history = History()
        observer.listeners.append(history.heard)
        wall = Wall(
            Access(kube),
            Board(world, observer.of),
            StreamPages(world, observer.of, history),
            glimpses,
        )
        try:
            await stack.enter_async_context(serving(wall.application(), settings.wall_port))
        except OSError as error:
            text = f"WALL_PORT {settings.wall_port} cannot be used: {error.strerror}"
            raise PortTaken(text) from error
        await mark(kube, settings, leading=True)
        log.info("The wall is served on port %d.", settings.wall_port)
        yield
