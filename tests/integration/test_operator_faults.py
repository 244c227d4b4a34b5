"""Two operators and faulty networks, on a real API server."""

import json
import os
import random
import signal
from collections.abc import Iterator
from functools import partial

import pytest

from bench.scale.monitors import NAMESPACE, monitor
from bench.scale.product import Operator, start_operator
from dev.cluster.loopback import Loopback, free_port
from dev.host import Failure, wait_for
from streammonitor_api import names
from tests.integration.faulty_proxy import FaultyProxy, Watches

pytestmark = pytest.mark.timeout(600)

SEED = int(os.environ.get("STREAMMONITOR_SEED", "1"))
LEASE = {"LEASE_DURATION": "12s", "LEASE_RENEW_DEADLINE": "10s", "LEASE_RETRY": "500ms"}
PATIENCE_S = 180
"""Nothing of this is about speed: a machine may have much else to do."""
eventually = partial(wait_for, timeout=PATIENCE_S)
IMPATIENT = """
from streammonitor_operator import handlers, kube_client, resync
kube_client.WATCH_SERVER_TIMEOUT_S = handlers._SERVER_TIMEOUT_S = 4
kube_client.WATCH_SILENCE_S = handlers._INACTIVITY_S = 6.0
resync.INTERVAL_S = 10.0
"""
SELECTOR = f"{names.LABEL_NAME}=streammonitor-worker"


@pytest.fixture(autouse=True)
def _nothing_left(plane: Loopback) -> Iterator[None]:
    yield
    for name in [one for one in plane.processes if one.startswith("operator")]:
        plane.end(name)
    for kind in ("streammonitors", "deployments", "configmaps"):
        plane.kubectl("-n", NAMESPACE, "delete", kind, "--all", "--wait=false")
    plane.kubectl("-n", "default", "delete", "lease", "--all")


def start(plane: Loopback, name: str, *, wait: bool = True) -> Operator:
    return start_operator(plane, free_port(), name=name, extra=LEASE, wait=wait)


def create(plane: Loopback, monitors: list[str]) -> None:
    items = [monitor(name) for name in monitors]
    plane.kubectl("apply", "-f", "-", stdin=json.dumps(
        {"apiVersion": "v1", "kind": "List", "items": items}))  # fmt: skip


def owners(plane: Loopback, kind: str) -> list[str]:
    """The StreamMonitors that have an object of a kind, once for each object."""
    said = plane.kubectl("-n", NAMESPACE, "get", kind, "-l", SELECTOR, "-o", "json")
    items = json.loads(said)["items"]
    return sorted(one["metadata"]["labels"][names.LABEL_MONITOR] for one in items)


def reported(plane: Loopback) -> list[str]:
    """The StreamMonitors with a status of their newest generation."""
    items = json.loads(plane.kubectl("-n", NAMESPACE, "get", "smon", "-o", "json"))["items"]
    return sorted(
        one["metadata"]["name"]
        for one in items
        if one.get("status", {}).get("observedGeneration") == one["metadata"]["generation"]
    )


def settled(plane: Loopback, monitors: list[str]) -> bool:
    """Whether everything is written about each of them, once."""
    try:
        return all(
            found == sorted(monitors)
            for found in (
                reported(plane), owners(plane, "configmaps"), owners(plane, "deployments")
            )
        )  # fmt: skip
    except Failure:
        return False


def wait_settled(plane: Loopback, monitors: list[str]) -> None:
    def evidence() -> str:
        return f"reported: {reported(plane)}, maps: {owners(plane, 'configmaps')}"

    eventually("Everything written", lambda: settled(plane, monitors), evidence=evidence)


def test_the_other_operator_finishes_what_a_killed_one_began(plane: Loopback) -> None:
    rng, known = random.Random(SEED), list[str]()
    leader = start(plane, "operator-0")
    for kill in range(2):
        other = start(plane, f"operator-{kill + 1}", wait=False)
        after = rng.randint(1, 40)
        known += [f"kill{kill}-{one}" for one in range(20)]
        writes = leader.writes()
        create(plane, known[-20:])
        # After so many writes, wherever that is in the work for one of them.
        eventually("Its writes", lambda: leader.writes() >= writes + after, pause=0.01)  # noqa: B023
        process = plane.processes.pop(leader.name)
        process.send_signal(signal.SIGKILL)
        process.wait()
        eventually("The other leads", other.leads)
        wait_settled(plane, known)
        leader = other
    assert leader.value("streammonitor_operator_leader") == 1


def test_a_leader_that_was_stopped_and_goes_on_ends_itself(plane: Loopback) -> None:
    start(plane, "operator-old")
    other = start(plane, "operator-new", wait=False)
    create(plane, ["before"])
    wait_settled(plane, ["before"])
    process = plane.processes.pop("operator-old")
    process.send_signal(signal.SIGSTOP)
    eventually("The other leads", other.leads)
    create(plane, ["after"])
    wait_settled(plane, ["after", "before"])
    process.send_signal(signal.SIGCONT)
    assert process.wait(PATIENCE_S) == 3
    assert settled(plane, ["after", "before"])


@pytest.fixture
def proxy(plane: Loopback) -> Iterator[FaultyProxy]:
    with FaultyProxy(plane).running() as proxy:
        yield proxy


@pytest.fixture
def behind(plane: Loopback, proxy: FaultyProxy) -> Iterator[Operator]:
    """An operator that sees the API server through the proxy only, and ends before that does."""
    kubeconfig = plane.folder / f"proxied-{proxy.port}"
    cluster = {"name": "c", "cluster": {"server": proxy.url}}
    context = {"name": "c", "context": {"cluster": "c", "user": "c"}}
    kubeconfig.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c", "clusters": [cluster],
        "contexts": [context], "users": [{"name": "c", "user": {"token": "unused"}}],
    }))  # fmt: skip
    yield start_operator(
        plane, free_port(), name="operator", kubeconfig=kubeconfig, prelude=IMPATIENT
    )
    plane.end("operator")


@pytest.mark.parametrize("fate", [Watches.DROP, Watches.FREEZE, Watches.EXPIRE])
def test_broken_watches_are_survived(
    plane: Loopback, proxy: FaultyProxy, behind: Operator, fate: Watches
) -> None:
    create(plane, ["one", "two"])
    wait_settled(plane, ["one", "two"])
    proxy.watches(fate)
    # Nobody tells the operator of any of these.
    eventually("Broken watches", lambda: proxy.broken >= 4)
    create(plane, ["three"])
    plane.kubectl("-n", NAMESPACE, "delete", "smon", "two")
    plane.kubectl("-n", NAMESPACE, "delete", "deployments", "-l", f"{names.LABEL_MONITOR}=one")
    proxy.watches(Watches.PASS)
    eventually("Knowing", lambda: reported(plane) == ["one", "three"])
    eventually("Forgetting", lambda: behind.value("streammonitor_operator_monitors") == 2)
    # No garbage collector is here to do it.
    for kind in ("deployments", "configmaps"):
        plane.kubectl("-n", NAMESPACE, "delete", kind, "-l", f"{names.LABEL_MONITOR}=two")
    wait_settled(plane, ["one", "three"])


def test_too_many_requests_are_survived(
    plane: Loopback, proxy: FaultyProxy, behind: Operator
) -> None:
    proxy.refuse = (429, 30)
    create(plane, ["one", "two", "three"])
    wait_settled(plane, ["one", "three", "two"])
    assert proxy.refused > 0
    assert behind.value("streammonitor_operator_monitors") == 3
