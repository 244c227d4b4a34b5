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
