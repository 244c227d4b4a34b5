"""The probes and /metrics over real HTTP."""

import asyncio
import socket
from dataclasses import dataclass, field

import aiohttp
import pytest

from streammonitor_operator.http import Health, PortTaken, serve


@dataclass
class Watch:
    heard_at: float
    synced: asyncio.Event = field(default_factory=asyncio.Event)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_silent_watch_is_a_reason_to_restart() -> None:
    health = Health(clock=lambda: 1000.0)
    health.watches = [Watch(heard_at=990.0), Watch(heard_at=600.0)]
    assert "silent for 400 s" in health.fault()


def test_one_that_waits_for_its_turn_is_ready() -> None:
    assert Health(clock=lambda: 1000.0).unready() == ""


def test_a_leader_is_ready_once_it_has_listed() -> None:
    health = Health(clock=lambda: 1000.0)
    watch = Watch(heard_at=1000.0)
    health.watches = [watch]
    assert "not listed" in health.unready()
    watch.synced.set()
    assert health.unready() == ""


async def test_the_server_answers() -> None:
    port = free_port()
    health = Health(clock=lambda: 1000.0)
    runner = await serve(health, port, "127.0.0.1")
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            async with session.get("/healthz") as response:
                assert (response.status, await response.text()) == (200, "ok\n")
            health.watches = [Watch(heard_at=0.0)]
            async with session.get("/healthz") as response:
                assert response.status == 503
            async with session.get("/metrics") as response:
                assert "streammonitor_operator_leader" in await response.text()
        with pytest.raises(PortTaken, match=str(port)):
            await serve(health, port, "127.0.0.1")
    finally:
        await runner.cleanup()
