"""Reads every StreamMonitor anew now and then: what a watch missed is noticed all the same.

Kopf tells of what its watch yields. When that was down, it lists again, but says nothing of what
was deleted meanwhile; and should it ever hang, nobody would be told of anything.
"""

import asyncio
import logging
import random
import time

from streammonitor_operator.kube import MONITORS, Kube, KubeError
from streammonitor_operator.monitors import Monitors

log = logging.getLogger(__name__)

INTERVAL_S = 120.0
_RETRY_S = 10.0


class Resync:
    """Compares the index with a list."""

    def __init__(self, kube: Kube, namespace: str, monitors: Monitors) -> None:
        self._kube = kube
        self._namespace = namespace
        self._monitors = monitors
        self.synced = asyncio.Event()
        """Set once there was a list."""
        self.heard_at = time.monotonic()
        """When the API last answered."""

    async def run(self) -> None:
        """List for ever."""
        while True:
            pause_s = INTERVAL_S
            try:
                answer = await self._kube.list_all(MONITORS, self._namespace, "")
                version = int(answer["metadata"]["resourceVersion"])
                self._monitors.replace(self._namespace, answer["items"], version)
                self.heard_at = time.monotonic()
                self.synced.set()
            except KubeError as error:
                log.warning("StreamMonitors could not be listed: %s", error)
                pause_s = _RETRY_S
            await asyncio.sleep(pause_s * random.uniform(0.9, 1.1))
