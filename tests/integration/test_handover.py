"""Two real workers pass a live stream to and fro: every picture and incident is one's only."""

from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from dev.media.clips import Defect, write_clip
from streammonitor_api.incident import Incident
from streammonitor_api.worker_status import StreamStatus
from tests.integration.live import LiveOrigin
from tests.integration.rig import WorkerRig, eventually

CLIP_S = 6.0
RATE = 25
BLACK = {"black": {"minDuration": "500ms", "clearDuration": "300ms"}}


@pytest.fixture(scope="module")
def blinking(tmp_path_factory: pytest.TempPathFactory) -> LiveOrigin:
    """A channel that is black for a second in six; its timestamps start over as often."""
    clip = tmp_path_factory.mktemp("clips") / "blinking.ts"
    black = Defect("black", 2.0, 3.0)
    write_clip(clip, duration_s=CLIP_S, size=(160, 96), gop_s=1, defects=[black], audio=False)
    return LiveOrigin(clip)


class Worker(WorkerRig):
    """One of the two, and what it said of the stream when it fell silent."""

    def says(self) -> StreamStatus:
        said = self.stream("a")
        assert said is not None
        return said

    def told(self, phase: str) -> list[Incident]:
        return [incident for kind, incident in self.events() if kind == phase]


def _hand_over(url: str, old: Worker, new: Worker) -> tuple[StreamStatus, StreamStatus]:
    """What the operator does; returns what the old one said last, and what the new one says."""
    clock = {"stream": "a", "clockS": old.says().clock_s}
    new.wait_epoch(new.assign({"a": url}, detectors=BLACK, warming=["a"], turns=[clock]))
    eventually("the new one is warm", lambda: new.says().warm)
    warm_s = new.says().warm_from_s
    old.assign({"a": url}, detectors=BLACK, turns=[{"stream": "a", "untilS": warm_s}])
    eventually("the old one fell silent", lambda: old.says().held_until_s is not None)
    left = old.says()
    open_ones = [one.to_json_object() for one in old.status().incidents if one.active]
    turn = {**clock, "fromS": left.held_until_s}
    taken = new.assign({"a": url}, detectors=BLACK, turns=[turn], openIncidents=open_ones)
    new.wait_epoch(taken)
    old.wait_epoch(old.assign({}, detectors=BLACK))
    return left, new.says()


def test_a_stream_goes_to_and_fro_and_nothing_is_lost_or_told_twice(
    tmp_path: Path, blinking: LiveOrigin
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with (
        blinking.serving() as url,
        Worker(tmp_path / "one") as one,
        Worker(tmp_path / "two") as two,
    ):
        one.assign({"a": url}, detectors=BLACK)
        two.assign({})
        one.start()
        two.start()
        one.wait_incident(lambda incident: not incident.active)
        last_s = None
        for old, new in ((one, two), (two, one), (one, two)):
            left, taken = _hand_over(url, old, new)
            assert left.held_until_s is not None
            assert left.held_from_s is not None
            if last_s is not None:
                assert left.held_from_s == last_s, "where the one before fell silent"
            last_s = left.held_until_s
            assert left.held_frames == round((left.held_until_s - left.held_from_s) * RATE)
            assert taken.held_from_s == last_s
        ended = len(two.status().incidents)
        eventually("one more", lambda: len(two.status().incidents) > ended)
        one.kill()
        two.kill()
        started, over = one.told("started") + two.told("started"), one.told("ended")
        keys = Counter(incident.id for incident in started)
        assert set(keys.values()) == {1}
        assert all(incident.end_reason == "cleared" for incident in over)
        starts = sorted(int(incident.episode) / 1000 for incident in started)
        gaps_s = [round(later - sooner, 3) for sooner, later in pairwise(starts)]
        assert gaps_s == [CLIP_S] * len(gaps_s), "one in each round of the clip"
