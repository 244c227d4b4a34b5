"""Roll-outs of a revision that is worse: reverted by themselves, streams monitored throughout."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dev import images, product
from dev.kube import Access, Object, eventually
from tests.e2e.chaos import Watch
from tests.e2e.monitor import DETECTORS, Monitor, channel, now

Figure = Callable[[str, str, str], None]
HEAVY = {**DETECTORS, "blur": {}, "blockCorruption": {}, "stutter": {}}
"""Enough work for three streams that a tenth of a core is too little."""
MISSING = "localhost/streammonitor/worker:there-is-no-such-image"


def _spec(**group: Any) -> dict[str, Any]:
    return {
        "streams": [channel(0), channel(1), channel(2)],
        "detectors": HEAVY,
        "workers": [{"name": "all", "detectors": list(HEAVY), **group}],
    }


def _rollout(monitor: Monitor) -> Object:
    found: Object = monitor.status()["groups"][0].get("rollout", {})
    return found


def _pods(monitor: Monitor) -> list[str]:
    return [one["metadata"]["uid"] for one in monitor.pods()]


def _wait_reverted(monitor: Monitor) -> Object:
    def reverted() -> Object | None:
        found = _rollout(monitor)
        return found if found.get("phase") == "Reverted" else None

    return eventually("it is reverted", reverted, timeout_s=240)


@pytest.fixture
def missing_image(access: Access) -> Iterator[Callable[[], None]]:
    """Upgrades the product to a worker image that does not exist; takes that back at the end."""
    loaded = images.load_into_cluster()
    yield lambda: product.install(access, product.Images(loaded.operator, MISSING))
    product.install(access, loaded)


def test_an_image_that_does_not_exist_is_reverted(
    monitor: Monitor, missing_image: Callable[[], None], figure: Figure
) -> None:
    monitor.apply(**_spec())
    monitor.wait("Ready")
    before = _pods(monitor)
    with Watch(monitor) as watch:
        missing_image()
        upgraded_at = now()
        record = _wait_reverted(monitor)
        figure("image that does not exist -> reverted", f"{now() - upgraded_at:.0f} s", "-")
        eventually("its clone is gone", lambda: _pods(monitor) == before, timeout_s=60)
    assert record["reason"] in ("ErrImagePull", "ImagePullBackOff")
    assert watch.looks > 0
    assert watch.gaps == []
    assert monitor.condition("Degraded")["reason"] == "RolloutReverted"
    assert monitor.condition("Ready")["status"] == "True"
    assert monitor.status()["groups"][0]["revision"] == record["fromRevision"]
    reasons = {event["reason"] for event in monitor.events()}
    assert {"RolloutStarted", "RolloutPaused", "RolloutReverted"} <= reasons


def test_pods_that_are_too_slow_are_reverted(monitor: Monitor, figure: Figure) -> None:
    terms = {"deadline": "2m"}
    monitor.apply(**_spec(rollout=terms))
    monitor.wait("Ready")
    before = _pods(monitor)
    with Watch(monitor) as watch:
        limited = {"resources": {"limits": {"cpu": "100m"}}}
        monitor.patch(**_spec(rollout=terms, template=limited))
        changed_at = now()
        record = _wait_reverted(monitor)
        figure("pods with too little CPU -> reverted", f"{now() - changed_at:.0f} s", "-")
        eventually("its clone is gone", lambda: _pods(monitor) == before, timeout_s=60)
    # Where the machine itself is short of CPU, they do not even come as far as being compared.
    assert record["reason"] in ("Slower", "NotWarm", "CrashLoopBackOff"), record
    assert watch.gaps == []
