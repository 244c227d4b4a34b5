"""Media and servers that the integration tests share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.scale.__main__ import prepare
from dev.cluster.loopback import Loopback, loopback
from dev.media.clips import Defect, write_clip
from tests.integration.live import LiveOrigin
from tests.integration.rig import WorkerRig


@pytest.fixture(scope="session")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a clean clip as .ts and .mp4, and one without sound."""
    folder = tmp_path_factory.mktemp("media")
    for name in ("clean.ts", "clean.mp4"):
        write_clip(folder / name, duration_s=20, size=(320, 180), gop_s=1)
    write_clip(folder / "mute.ts", duration_s=20, size=(64, 36), gop_s=1, audio=False)
    write_clip(
        folder / "dark.ts",
        duration_s=30,
        size=(320, 180),
        gop_s=1,
        defects=[Defect("black", 2.0, 30.0)],
    )
    return folder


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[WorkerRig]:
    """A worker that is not started yet."""
    with WorkerRig(tmp_path) as one:
        yield one


@pytest.fixture(scope="session")
def clean_origin(media: Path) -> LiveOrigin:
    """A live channel without defects; serve it with `serving()`."""
    return LiveOrigin(media / "clean.ts")


@pytest.fixture(scope="session")
def plane() -> Iterator[Loopback]:
    """A real API server that knows StreamMonitors; who makes something there removes it."""
    with loopback() as plane:
        prepare(plane)
        yield plane
