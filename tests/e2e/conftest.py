"""The real cluster with the product installed, as `make demo` leaves it.

A cluster that runs already is used and left running; otherwise it is started here and stopped at
the end, also when the run is interrupted.
"""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dev import cluster, images, kube, product
from dev.host import Failure
from dev.kube import Access
from dev.media.clips import write_clip
from dev.origin.origin import Defect
from tests.e2e.monitor import (
    CLIP_BLACK_S,
    CYCLE_S,
    DEFECTS,
    ORIGIN_NAMESPACE,
    SECOND_NODE,
    Monitor,
)
from tests.terminal import Terminal

_FIGURES: list[tuple[str, str, str]] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "/e2e/" in str(item.path):
            item.add_marker(pytest.mark.timeout(420))


@pytest.fixture(scope="session")
def access() -> Iterator[Access]:
    """The cluster, product installed, origin serving."""
    was_running = cluster.is_up()
    try:
        cluster.up()
        loaded = images.load_into_cluster()
        cluster_access = kube.local()
        product.install(cluster_access, loaded)
        origin = (
            "--channels",
            "4",
            "--cycle",
            str(CYCLE_S),
            "--segment",
            "1",
            "--size",
            "320x180",
            "--prepare",
            "--control",
        )
        product.origin(
            cluster_access, ORIGIN_NAMESPACE, loaded.worker, *origin, "--defects", DEFECTS
        )
        yield cluster_access
        cluster_access.delete("namespace", ORIGIN_NAMESPACE)
    finally:
        if not was_running:
            cluster.down()


@pytest.fixture(scope="session")
def video_only_url(access: Access, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A finite MPEG-TS clip without sound, served in the cluster."""
    clip = tmp_path_factory.mktemp("clips") / "mute.ts"
    black = Defect("black", *CLIP_BLACK_S)
    write_clip(clip, duration_s=20, size=(160, 96), frame_rate=25, defects=[black], audio=False)
    image = images.image("worker").ref
    product.serve(access, ORIGIN_NAMESPACE, image, "files", files=[clip])
    return f"http://files.{ORIGIN_NAMESPACE}.svc:{product.ORIGIN_PORT}/{clip.name}"


@pytest.fixture(scope="module")
def two_nodes(access: Access) -> Iterator[None]:
    """A second node for as long as these tests run."""
    there = len(access.items("nodes")) > 1
    cluster.join(SECOND_NODE)
    yield
    if not there:
        cluster.leave(SECOND_NODE)


@pytest.fixture
def namespace(access: Access) -> Iterator[str]:
    """A namespace of its own for each test, Pod Security `restricted` enforced."""
    name = f"smon-e2e-{secrets.token_hex(3)}"
    access.apply(kube.namespace(name))
    yield name
    access.kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture
def monitor(access: Access, namespace: str, request: pytest.FixtureRequest) -> Iterator[Monitor]:
    """A StreamMonitor's name and namespace; the test applies it."""
    yield (made := Monitor(access, namespace, "monitor"))
    if getattr(request.node, "failed", False):
        print(_diagnosis(made))  # noqa: T201  # pytest shows it below the failure


@pytest.fixture
def figure() -> Callable[[str, str, str], None]:
    """Record a figure that was measured: what, value, bar. Figures are printed, never asserted."""

    def record(what: str, value: str, bar: str) -> None:
        _FIGURES.append((what, value, bar))

    return record


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    if outcome.get_result().failed:  # type: ignore[attr-defined]  # pluggy's untyped wrapper
        item.failed = True  # type: ignore[attr-defined]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _FIGURES:
        terminalreporter.section("figures measured on the real cluster")
        for what, value, bar in _FIGURES:
            terminalreporter.write_line(f"{what:<72} {value:>14}   bar {bar}")


def _diagnosis(monitor: Monitor) -> str:
    commands = (
        ("get", "smon", "-n", monitor.namespace, "-o", "yaml"),
        ("get", "pods,events", "-n", monitor.namespace, "-o", "wide"),
        (
            "logs",
            "-n",
            monitor.namespace,
            "--tail=40",
            "--prefix",
            "-l",
            "app.kubernetes.io/managed-by=streammonitor",
        ),
        (
            "logs",
            "-n",
            product.SYSTEM_NAMESPACE,
            "--tail=80",
            "-l",
            "app.kubernetes.io/name=streammonitor-operator",
        ),
    )
    said = []
    for command in commands:
        said.append(f"$ kubectl {' '.join(command)}")
        try:
            said.append(monitor.access.kubectl(*command, check=False))
        except Failure as failure:
            said.append(str(failure))
    return "\n".join(said)


@pytest.fixture
def terminal(
    access: Access, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Terminal:
    """The kubectl plugin, as typed in the namespace of the test."""
    assert access.kubeconfig is not None
    return Terminal(namespace, access.kubeconfig, tmp_path, monkeypatch)
