"""Sources of every protocol are lost and come back; `make bench-ingest` does it 200 times."""

from pathlib import Path

import pytest

from bench.ingest.__main__ import disconnect
from bench.ingest.page import took

COUNT, FIRST = 16, 8
"""Two faults for each of the protocols; what the process holds is compared after one each."""


@pytest.mark.timeout(300)
def test_every_source_that_was_lost_is_analysed_again_and_nothing_is_left_open(
    tmp_path: Path,
) -> None:
    outcome = disconnect(tmp_path, count=COUNT, first=FIRST, seed=4)

    assert {recovery.strike.peer for recovery in outcome.recoveries} == {
        "hls", "http", "tcp", "rtmp", "rtsp", "rtsp-udp", "srt", "udp",
    }  # fmt: skip
    assert len(took(outcome.recoveries)) == COUNT
    # A thread or a socket that a fault leaves behind would be there eight times.
    assert outcome.late.threads < outcome.early.threads + FIRST
    assert outcome.late.files < outcome.early.files + FIRST
