"""A stream on which processes die is found, taken out and left alone; the others go on."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dev import cluster, images, product
from dev.kube import Access, eventually
from tests.e2e import poison
from tests.e2e.chaos import Watch
from tests.e2e.monitor import Monitor, channel

Figure = Callable[[str, str, str], None]
SIBLINGS = ("channel-0", "channel-1")
STEADY = timedelta(seconds=11)
"""A stream that is received for so long is not taken for the culprit."""
LOOKS = 40
"""So many times everything is looked at: eight seconds."""


@pytest.fixture
def deadly_workers(access: Access, tmp_path: Path) -> Iterator[None]:
    """Workers that a certain source kills."""
    loaded = images.load_into_cluster()
    made = poison.build(tmp_path)
    cluster.load([made.archive])
    product.install(access, product.Images(loaded.operator, made.ref))
    yield
    product.install(access, loaded)


@pytest.mark.usefixtures("deadly_workers")
def test_a_stream_that_kills_costs_two_workers_and_is_quarantined(
    monitor: Monitor, figure: Figure
) -> None:
    streams = [channel(0), channel(1)]
    monitor.apply(streams=streams)
    monitor.wait("Ready")
    eventually("its streams are steady", lambda: _steady(monitor), timeout_s=40)

    deadly = {**channel(2), "name": "deadly"}
    deadly["url"] += f"?{poison.MARK}=1"
    with Watch(monitor, SIBLINGS) as watch:
        monitor.patch(streams=[*streams, deadly])
        problem = monitor.wait_problem("deadly", "Quarantined", timeout_s=120)
        monitor.wait("Receiving", "False")
        _look_on(watch)  # the death that led to it may not have been seen yet
        died = dict(watch.deaths)
        _look_on(watch)
        assert watch.deaths == died, "it is not tried again and again"
    assert "worker processes died on it" in problem["message"]
    assert "deadly (Quarantined)" in monitor.condition("Degraded")["message"]
    assert 1 <= sum(died.values()) <= 2, died
    for sibling in SIBLINGS:
        gaps = [gap.lasted_s for gap in watch.gaps if gap.stream == sibling]
        assert len(gaps) <= 1, "its siblings are interrupted once"
        figure(f"{sibling}: gap when the process died", f"{sum(gaps):.1f} s", "5 s")
    assert monitor.status()["streams"]["receiving"] == len(SIBLINGS)


def _look_on(watch: Watch) -> None:
    looked = watch.looks
    eventually("a while", lambda: watch.looks > looked + LOOKS, timeout_s=90)


def _steady(monitor: Monitor) -> bool:
    said = [monitor.stream(name) for name in SIBLINGS]
    return all(one is not None and datetime.now(UTC) - one.since > STEADY for one in said)
