"""How the process ends that leads."""

import asyncio
from typing import Any

import pytest

from streammonitor_operator import app
from streammonitor_operator.reconcile import Reconciler
from streammonitor_operator.settings import Settings, WorkerSettings
from tests.unit.operator.fake_kube import FakeKube

SETTINGS = Settings(worker=WorkerSettings(image="registry.example/worker:1"))


@pytest.mark.parametrize("starts", [True, False])
@pytest.mark.parametrize("tidy", [True, False])
async def test_it_does_not_lead_on_without_kopf(
    monkeypatch: pytest.MonkeyPatch, starts: bool, tidy: bool
) -> None:
    """Kopf ends on what it takes for fatal, as when the API answers a watch with 415."""

    async def fails(*arguments: Any) -> None:
        if starts:
            arguments[-1].set()
            await asyncio.sleep(0)
        others = asyncio.all_tasks() - before - {asyncio.current_task()}
        for task in others if tidy else ():
            task.cancel()  # as Kopf does with what was begun since it runs
        await asyncio.gather(*(others if tidy else ()), return_exceptions=True)
        raise RuntimeError("415")

    monkeypatch.setattr(app, "watch_monitors", fails)
    monkeypatch.setattr(app, "_handle_signals", lambda _: None)
    reconciler, stop = Reconciler(FakeKube(), SETTINGS.worker), asyncio.Event()
    working = asyncio.ensure_future(app._watch(SETTINGS, None, reconciler, stop))
    before = {*asyncio.all_tasks()}
    with pytest.raises((app.ShellFailed, RuntimeError)) as caught:
        await asyncio.wait_for(working, 30)
    assert "415" in f"{caught.value} {caught.value.__cause__}"
