"""A small run of the bench of scale, on a real API server, so that it cannot rot."""

import asyncio

import pytest

from bench.scale import __main__ as bench
from bench.scale import page

pytestmark = pytest.mark.timeout(600)

NUMBER = 20


def test_a_small_run_reaches_what_does_not_depend_on_the_machine() -> None:
    options = bench.options(
        ["--races", f"{NUMBER}x1", "--populations", str(NUMBER), "--idle", "5", "--edits", "5"]
    )
    results = asyncio.run(bench.guarded(options))
    one = results.populations[NUMBER]
    assert {who: len(rounds) for who, rounds in results.races[NUMBER].items()} == {
        "floor": 1, "operator": 1, "peer": 1,
    }  # fmt: skip
    assert one.idle.writes_per_minute == 0
    assert one.restart_writes == 0
    assert one.writes <= 3 * NUMBER * 4
    assert one.writes_per_incident <= 4
    assert len(one.edits.latencies_s) == 5
    verdicts = {what: reached for what, _, _, reached in page.bars(results)}
    assert len(verdicts) == 12
    assert "operator restart" in page.render(results)
