"""A channel goes on through wraps and jumps of its clock; `make bench-ingest` replays a day."""

from pathlib import Path

import pytest

from bench.ingest import replay


def test_wraps_and_jumps_of_the_clock_are_no_defects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "JUMP_EVERY", 3)
    day = replay.replay(tmp_path, media_s=6 * replay.CLIP_S)

    assert day.incidents == []
    assert day.jumps == 2
    assert day.media_s == pytest.approx(6 * replay.CLIP_S, abs=0.1)
