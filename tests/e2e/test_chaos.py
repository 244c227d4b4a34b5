"""The operator is killed at random moments of changes; `make bench-chaos` does it 50 times."""

import secrets

from tests.e2e import chaos
from tests.e2e.monitor import Monitor

KILLS = 3


def test_what_a_killed_operator_began_is_finished_and_no_stream_goes_unwatched(
    monitor: Monitor,
) -> None:
    seed = secrets.randbelow(1_000_000)
    print(f"seed {seed}")  # noqa: T201  # pytest shows it below a failure
    kills, watch = chaos.run(monitor, KILLS, seed)
    assert [kill for kill in kills if kill.converged_s is None] == []
    assert watch.looks > 0
    assert watch.gaps == []
