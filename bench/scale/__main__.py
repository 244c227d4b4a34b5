"""Measures everything and writes docs/bench-scale.md."""

import argparse
import asyncio
import json
import os
import sys
import time
from typing import Any

import aiohttp

from bench.scale import monitors, page, scenes
from bench.scale.client import Api, connect
from bench.scale.nodes import PODS_PER_NODE, start_nodes
from bench.scale.product import Operator, start_operator
from bench.scale.results import Population, Results
from dev.cluster.loopback import Loopback, cpu_s, free_port, loopback
from dev.host import REPOSITORY, Failure, exit_code, say, wait_for

PLANES: list[Loopback] = []
"""The one control plane, once it runs."""
_CRD = REPOSITORY / "crds" / "streammonitors.yaml"


def prepare(plane: Loopback) -> None:
    """Have the CRD and the namespace."""
    plane.kubectl("apply", "--server-side", "-f", str(_CRD))
    plane.kubectl("create", "namespace", monitors.NAMESPACE)
    wait_for("The StreamMonitors' storage", lambda: _listable(plane), timeout=60)


def _listable(plane: Loopback) -> bool:
    try:
        plane.kubectl("get", "streammonitors", "--all-namespaces")
    except Failure:
        return False
    return True


async def sample_status(api: Api, operator: Operator) -> dict[str, Any]:
    """What the operator writes first as a status; it warms everything up, too."""
    await scenes.assigned(api, 20, operator)
    made = await api.send("GET", f"{monitors.MONITORS_PATH}/m00000")
    await scenes.clear(api, operator)
    status: dict[str, Any] = made["status"]
    return status


async def race(
    plane: Loopback, api: Api, port: int, number: int, rounds: int
) -> dict[str, list[scenes.Created]]:
    """The operator, the floor and the peer, in turns."""
    took: dict[str, list[scenes.Created]] = {"floor": [], "operator": [], "peer": []}
    operator = start_operator(plane, port)
    status = await sample_status(api, operator)
    plane.end("operator")
    for _ in range(rounds):
        took["floor"].append(await scenes.floor(api, number, status))
        await scenes.clear(api)
        operator = start_operator(plane, port)
        took["operator"].append(await scenes.assigned(api, number, operator))
        await scenes.clear(api, operator)
        plane.end("operator")
        start_peer(plane, status)
        await asyncio.sleep(3)
        took["peer"].append(await scenes.assigned(api, number, None))
        plane.end("peer")
        await scenes.clear(api)
        say(f"{number}: " + ", ".join(f"{k} {v[-1].wall_s:.1f} s" for k, v in took.items()))
    return took


def start_peer(plane: Loopback, status: dict[str, Any]) -> None:
    """The minimal Kopf operator."""
    settings = [f"KUBECONFIG={plane.kubeconfig}", f"STATUS={json.dumps(status)}"]
    paths = ":".join(str(REPOSITORY / part) for part in ("crds", "operator", "worker", "."))
    command = [sys.executable, "-m", "bench.scale.peer"]
    plane.start("peer", ["env", *settings, f"PYTHONPATH={paths}", *command])


async def populate(plane: Loopback, api: Api, port: int, options: argparse.Namespace) -> Population:
    """Make StreamMonitors with simulated workers, and look at how they live."""
    number = options.number
    operator = start_operator(plane, port)
    began, cpu0 = time.monotonic(), operator.cpu_s
    created = await scenes.assigned(api, number, operator)
    control = {name: cpu_s(p.pid) for name, p in plane.processes.items()}
    await scenes.until_ready(api, number)
    ready_s = time.monotonic() - began
    await scenes.until_quiet(operator)
    whole_cpu_s, writes = operator.cpu_s - cpu0, operator.writes()
    spent = {n: cpu_s(p.pid) - control.get(n, 0.0) for n, p in plane.processes.items()}
    say(f"{number} ready after {ready_s:.0f} s; operator {1000 * whole_cpu_s / number:.1f} ms each")
    quiet = await scenes.idle(operator, options.idle)
    say(f"idle: {quiet}")
    edited = await scenes.edits(api, operator, min(options.edits, number), number)
    async with aiohttp.ClientSession() as session:

        async def tell(method: str, _: str, worker: str) -> None:
            url = f"http://127.0.0.1:{port}/incident/{monitors.NAMESPACE}/{worker}"
            async with session.request(method, url) as answer:
                answer.raise_for_status()

        per_incident = await scenes.incidents(api, operator, min(20, number), number, tell)
    plane.end("operator")
    began = time.monotonic()
    operator = start_operator(plane, port)
    await until_polled(operator, number)
    steady_s = time.monotonic() - began
    await scenes.until_quiet(operator)
    return Population(
        number, created, ready_s, whole_cpu_s, writes, spent, quiet, edited, per_incident,
        steady_s, operator.writes(), operator.memory_mib,
    )  # fmt: skip


async def until_polled(operator: Operator, number: int) -> None:
    """Wait until every StreamMonitor was looked at and every worker has answered."""

    def done() -> bool:
        return (
            operator.value("streammonitor_operator_worker_polls_total") >= number
            and operator.value("streammonitor_operator_reconcile_passes_total") >= number
        )

    while not await asyncio.to_thread(done):  # noqa: ASYNC110 - another process is asked
        await asyncio.sleep(0.2)


async def measure(options: argparse.Namespace) -> Results:
    """Everything."""
    port = free_port()
    results = Results(loads=[os.getloadavg()[0]])
    with loopback() as plane:
        PLANES.append(plane)
        prepare(plane)
        async with connect(str(plane.kubeconfig)) as api:
            for number, rounds in options.races:
                results.races[number] = await race(plane, api, port, number, rounds)
            most = max(options.populations, default=0)
            if most:
                start_nodes(plane, -(-most // PODS_PER_NODE) + 1)
                plane.start_controllers()
                workers = ["env", f"KUBECONFIG={plane.kubeconfig}", sys.executable]
                plane.start("workers", [*workers, "-m", "bench.scale.workers", port])
            for number in options.populations:
                options.number = number
                results.populations[number] = await populate(plane, api, port, options)
                if number != most:
                    await scenes.clear(api)
                    plane.end("operator")
                    await scenes.until_none(api, monitors.PODS_PATH)
    results.loads.append(os.getloadavg()[0])
    return results


async def guarded(options: argparse.Namespace) -> Results:
    """Measure, and fail as soon as a process that is needed ends by itself."""
    measuring = asyncio.create_task(measure(options))
    while not measuring.done():
        await asyncio.wait([measuring], timeout=2)
        for plane in PLANES:
            ended = [name for name, one in plane.processes.items() if one.poll() is not None]
            if ended and not measuring.done():
                words = plane.last_words(ended[0])
                measuring.cancel()
                await asyncio.gather(measuring, return_exceptions=True)
                raise Failure(f"{ended[0]} ended:\n{words}")
    return measuring.result()


def _pairs(text: str) -> list[tuple[int, int]]:
    """1000x3,5000x1 as numbers and rounds."""
    return [(int(a), int(b)) for a, _, b in (one.partition("x") for one in text.split(",") if one)]


def _numbers(text: str) -> list[int]:
    return [int(one) for one in text.split(",") if one]


def options(arguments: list[str] | None = None) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--races", type=_pairs, default="1000x3,5000x1", metavar="NxROUNDS,…")
    parser.add_argument("--populations", type=_numbers, default="1000,5000", metavar="N,…")
    parser.add_argument("--idle", type=float, default=60, help="seconds of looking at idleness")
    parser.add_argument("--edits", type=int, default=200)
    parser.add_argument("--dry", action="store_true", help="print, do not write the page")
    return parser.parse_args(arguments)


def main() -> int:
    """Measure, print and write."""
    chosen = options()

    def action() -> None:
        text = page.render(asyncio.run(guarded(chosen)))
        print(text)  # noqa: T201 - what the command is for
        if not chosen.dry:
            page.PATH.write_text(text)

    return exit_code(action)


if __name__ == "__main__":
    sys.exit(main())
