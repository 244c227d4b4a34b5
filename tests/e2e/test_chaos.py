"""The operator is killed at random moments of changes; `make bench-chaos` does it 50 times."""

import json
import os
import platform
import secrets
from collections.abc import Iterator

import pytest

from dev.kube import Access
from dev.product import RELEASE, SYSTEM_NAMESPACE
from tests.e2e import chaos
from tests.e2e.monitor import Monitor

MANY = bool(os.environ.get("CHAOS_KILLS"))
KILLS = int(os.environ.get("CHAOS_KILLS") or 3)
SEED = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(1_000_000))


@pytest.fixture
def short_lease(access: Access) -> Iterator[None]:
    """Many kills would mostly wait for the Lease of the one before."""
    if MANY:
        _set_lease(access, *(f"{name}={value}" for name, value in chaos.LEASE.items()))
    yield
    if MANY:
        _set_lease(access, *(f"{name}-" for name in chaos.LEASE))


def _set_lease(access: Access, *changes: str) -> None:
    deployment, where = f"deployment/{RELEASE}-operator", ("-n", SYSTEM_NAMESPACE)
    access.kubectl("set", "env", deployment, *where, *changes)
    access.kubectl("rollout", "status", deployment, *where, "--timeout=90s", timeout=100)


@pytest.mark.usefixtures("short_lease")
@pytest.mark.timeout(KILLS * chaos.CONVERGED_WITHIN_S)
def test_what_a_killed_operator_began_is_finished_and_no_stream_goes_unwatched(
    monitor: Monitor, access: Access
) -> None:
    print(f"seed {SEED}")  # noqa: T201  # pytest shows it below a failure
    kills, watch = chaos.run(monitor, KILLS, SEED)
    if MANY:
        server = json.loads(access.kubectl("get", "--raw", "/version"))["gitVersion"]
        kernel = ".".join(platform.release().split(".")[:2])
        machine = f"{os.cpu_count()} cores, {platform.machine()}, Linux {kernel}"
        versions = f"{machine}; Kubernetes {server}; Python {platform.python_version()}."
        chaos.PAGE.write_text(chaos.page(kills, watch, SEED, versions))
    assert [kill for kill in kills if kill.converged_s is None] == []
    assert watch.looks > 0
    assert watch.gaps == []
