"""Every simulated worker in one process: `python -m bench.scale.workers PORT`.

KWOK gives each pod an address of its own in 127.0.0.0/8, so the address that is asked tells which
worker is meant. A worker reads its assignment when its pod starts and when the pod is nudged, as
the kubelet makes a real one do, and then receives every stream of it.
"""

import asyncio
import json
import os
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from bench.scale.client import Api, connect
from streammonitor_api import names

SELECTOR = f"{names.LABEL_NAME}=streammonitor-worker"
STARTED = "2026-01-01T00:00:00Z"


@dataclass
class SimulatedWorker:
    """One worker: what it was given and what it says."""

    name: str
    pod: str
    nudge: str = ""
    revision: int = 1
    epoch: int = 0
    streams: list[dict[str, Any]] = field(default_factory=list)
    incidents: list[dict[str, Any]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def said(self) -> bytes:
        """`/status`."""
        document = {
            "version": "simulated",
            "worker": self.name,
            "process": self.pod,
            "startedAt": STARTED,
            "revision": self.revision,
            "epoch": self.epoch,
            "streams": self.streams,
            "incidents": self.incidents,
        }
        return json.dumps(document).encode()

    def tell(self) -> None:
        """Something is worth knowing."""
        self.revision += 1
        self.changed.set()
        self.changed = asyncio.Event()

    def read(self, assignment: dict[str, Any]) -> None:
        """Carry out an assignment."""
        if assignment["epoch"] <= self.epoch:
            return
        self.epoch = assignment["epoch"]
        warming = set(assignment.get("warming", ()))
        self.streams = [
            {"name": one["name"], "state": "receiving", "since": STARTED,
             "warm": one["name"] in warming, "loadM": 25}
            for one in assignment.get("streams", ())
        ]  # fmt: skip
        self.tell()


class Simulation:
    """All of them.

    Args:
        api: Where assignments and pods are.
        kind: What each worker is.
    """

    def __init__(self, api: Api, kind: type[SimulatedWorker] = SimulatedWorker) -> None:
        self._api = api
        self._kind = kind
        self._by_address: dict[str, SimulatedWorker] = {}
        self._by_name: dict[tuple[str, str], SimulatedWorker] = {}
        self._assignments: dict[tuple[str, str], dict[str, Any]] = {}
        self.asked = 0

    async def follow_assignments(self) -> None:
        """Know the newest assignment of every worker."""
        async for event in self._api.watch("/api/v1/configmaps", SELECTOR):
            metadata = event["object"]["metadata"]
            place = (metadata["namespace"], metadata["name"])
            if event["type"] == "DELETED":
                self._assignments.pop(place, None)
                continue
            self._assignments[place] = json.loads(event["object"]["data"][names.ASSIGNMENT_KEY])
            worker = self._by_name.get(place)
            if worker is not None:
                self._mount(place, worker)

    async def follow_pods(self) -> None:
        """Start, nudge and end workers as their pods are."""
        async for event in self._api.watch("/api/v1/pods", SELECTOR):
            pod = event["object"]
            address = pod.get("status", {}).get("podIP")
            if not address:
                continue
            metadata = pod["metadata"]
            name = metadata["labels"][names.LABEL_WORKER]
            place = (metadata["namespace"], name)
            if event["type"] == "DELETED":
                if self._by_address.get(address, None) is self._by_name.get(place):
                    self._by_name.pop(place, None)
                self._by_address.pop(address, None)
                continue
            worker = self._by_address.get(address)
            if worker is None or worker.pod != metadata["uid"]:
                worker = self._kind(name, metadata["uid"])
                self._by_address[address] = self._by_name[place] = worker
            nudge = metadata.get("annotations", {}).get(names.ANNOTATION_NUDGE, "")
            worker.nudge = nudge
            self._mount(place, worker)

    def _mount(self, place: tuple[str, str], worker: SimulatedWorker) -> None:
        """Read what is mounted: at first whatever there is, then what the nudge speaks of."""
        assignment = self._assignments.get(place)
        if assignment is None:
            return
        if worker.epoch == 0 or assignment["epoch"] <= int(worker.nudge.partition(".")[0] or 0):
            worker.read(assignment)

    def asked_for(self, request: web.Request) -> SimulatedWorker | None:
        """The worker of the address that was asked."""
        assert request.transport is not None  # noqa: S101 - it asks right now
        return self._by_address.get(request.transport.get_extra_info("sockname")[0])

    async def status(self, request: web.Request) -> web.Response:
        """What the worker of the address that was asked says; it waits as a real one does."""
        worker = self.asked_for(request)
        if worker is None:
            return web.Response(status=503)
        self.asked += 1
        since = int(request.query.get("since", -1))
        if worker.revision <= since:
            wait_s = float(request.query.get("wait", "0s").removesuffix("s"))
            try:
                async with asyncio.timeout(wait_s):
                    await worker.changed.wait()
            except TimeoutError:
                pass
        if request.headers.get("If-None-Match") == f'"{worker.pod}.{worker.revision}"':
            return web.Response(status=304)
        return web.Response(body=worker.said(), content_type="application/json")

    async def incident(self, request: web.Request) -> web.Response:
        """Open an incident on a worker's first stream, or end it."""
        worker = self._by_name[request.match_info["namespace"], request.match_info["worker"]]
        now = datetime.now(UTC).isoformat()
        if request.method == "POST":
            worker.incidents.append(
                {"id": f"incident-{time.time_ns()}", "monitorUid": "", "severity": "critical",
                 "stream": worker.streams[0]["name"], "defect": "freeze", "episode": "1",
                 "startedAt": now, "detectedAt": now, "startS": 0.0, "detectedS": 2.0}
            )  # fmt: skip
        else:
            worker.incidents[-1] |= {"endedAt": now, "endReason": "cleared", "endS": 9.0}
        worker.tell()
        return web.Response()


async def main(port: int) -> None:
    """Answer for ever."""
    async with connect(os.environ["KUBECONFIG"]) as api:
        simulation = Simulation(api)
        app = web.Application()
        app.router.add_get("/status", simulation.status)
        app.router.add_route("*", "/incident/{namespace}/{worker}", simulation.incident)
        runner = web.AppRunner(app, access_log=None, keepalive_timeout=75)
        await runner.setup()
        await web.TCPSite(runner, "0.0.0.0", port, backlog=4096).start()
        await asyncio.gather(simulation.follow_assignments(), simulation.follow_pods())


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
