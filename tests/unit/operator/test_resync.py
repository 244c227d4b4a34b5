import asyncio
import time
from typing import Any

import pytest

from streammonitor_operator.kube import MONITORS, Unreachable
from streammonitor_operator.monitors import Monitors
from streammonitor_operator.resync import Resync
from tests.unit.operator.fake_kube import FakeKube


@pytest.mark.looptime(start=time.monotonic)
async def test_what_the_watch_missed_is_found() -> None:
    kube, monitors = FakeKube(), Monitors(lambda _: None)
    body: dict[str, Any] = {"metadata": {"namespace": "video", "name": "sports"}, "spec": {}}
    kube.put(MONITORS, body)
    resync = Resync(kube, "", monitors)
    task = asyncio.create_task(resync.run())
    await resync.synced.wait()
    assert monitors.get(("video", "sports")) is not None
    broken = [Unreachable("x")]
    kube.fail = lambda *_: broken.pop() if broken else None
    kube.remove(MONITORS, "video", "sports")
    await asyncio.sleep(300)
    assert monitors.get(("video", "sports")) is None
    task.cancel()


async def test_an_answer_that_was_on_its_way_revives_nobody() -> None:
    woken: list[tuple[str, str]] = []
    monitors = Monitors(woken.append)
    kube = FakeKube()
    kube.put(MONITORS, {"metadata": {"namespace": "video", "name": "sports"}, "spec": {}})
    live = await kube.get(MONITORS, "video", "sports")
    monitors.put(live)
    monitors.drop(("video", "sports"), live["metadata"]["uid"])
    late = {**live, "metadata": {**live["metadata"], "resourceVersion": "999"}}
    monitors.put(late)
    assert monitors.get(("video", "sports")) is None
    monitors.replace("", [late], 1000)
    assert monitors.get(("video", "sports")) is not None
