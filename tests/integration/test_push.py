"""Two real workers, of which one at a time receives a stream: break before make, and the gap."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dev.media.clips import write_clip
from dev.media.senders import Encoder, contribution
from dev.media.servers import free_port
from streammonitor_api.worker_status import StreamStatus
from tests.integration.rig import WorkerRig, eventually

RATE = 25
BLACK: dict[str, dict[str, Any]] = {"black": {}}
URLS = {"calls": "srt://:{}?mode=listener", "publishes": "rtmp://:{}/live/key"}
SENDERS = {
    "calls": ("mpegts", "srt://127.0.0.1:{}"),
    "publishes": ("flv", "rtmp://127.0.0.1:{}/live/key"),
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips") / "clip.ts"
    write_clip(path, duration_s=20, size=(160, 96), frame_rate=RATE, gop_s=0.4)
    return path


def test_whoever_takes_over_says_which_pictures_nobody_saw(tmp_path: Path, clip: Path) -> None:
    ports = {name: (free_port(), free_port()) for name in URLS}
    old_urls, new_urls = urls(ports, 0), urls(ports, 1)
    encoders = [
        Encoder(container, *(url.format(port) for port in ports[name]))
        for name, (container, url) in SENDERS.items()
    ]
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    with WorkerRig(tmp_path / "old") as old, WorkerRig(tmp_path / "new") as new:
        old.assign(old_urls, detectors=BLACK)
        old.start()
        new.assign(new_urls, detectors=BLACK, warming=list(URLS))
        new.start()
        with contribution(clip, *encoders):
            every(old, lambda said: said.held_frames > RATE)
            asked = [{"stream": name, "untilS": 0.0} for name in URLS]
            old.assign(old_urls, detectors=BLACK, turns=asked)
            left = every(old, lambda said: said.held_until_s is not None)
            turns = [
                {"stream": name, "clockS": said.clock_s, "fromS": said.held_until_s}
                for name, said in left.items()
            ]
            new.assign(new_urls, detectors=BLACK, turns=turns)
            old.assign({}, detectors=BLACK)
            taken = every(new, lambda said: said.held_from_s is not None)
    for name in URLS:
        before, after = left[name], taken[name]
        assert before.held_from_s is not None
        assert before.held_until_s is not None
        assert after.held_from_s is not None
        assert before.held_frames == round((before.held_until_s - before.held_from_s) * RATE)
        assert after.clock_s == before.clock_s, "the encoder's clock ran on"
        assert after.held_from_s > before.held_until_s, "break before make"


def urls(ports: dict[str, tuple[int, int]], which: int) -> dict[str, str | dict[str, Any]]:
    """What each worker listens for."""
    return {name: url.format(ports[name][which]) for name, url in URLS.items()}


def every(worker: WorkerRig, fits: Callable[[StreamStatus], bool]) -> dict[str, StreamStatus]:
    """What a worker says of its streams, once that fits of each."""

    def found() -> dict[str, StreamStatus] | None:
        said = {one.name: one for one in worker.status().streams}
        return said if len(said) == len(URLS) and all(map(fits, said.values())) else None

    return eventually("all of its streams", found)
