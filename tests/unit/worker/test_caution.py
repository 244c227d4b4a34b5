"""What a process leaves its successor about streams that may have killed it."""

from datetime import UTC, datetime
from pathlib import Path

from streammonitor_api.worker_status import StreamState, StreamStatus
from streammonitor_worker.caution import FILE_NAME, HOLD_BACK_S, STEADY_S, Caution

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Process:
    """One process of a worker, and its clock."""

    def __init__(self, folder: Path) -> None:
        self.now = 0.0
        self.caution = Caution(folder, lambda: self.now)

    def says(self, states: dict[str, StreamState], after_s: float = 0.0) -> None:
        self.now += after_s
        for name, state in states.items():
            self.caution.note(StreamStatus(name=name, state=state, since=NOW))

    def delays_s(self, *streams: str) -> dict[str, float]:
        return {name: self.caution.delay_s(name, streams) for name in streams}


CONNECTING, RECEIVING = StreamState.CONNECTING, StreamState.RECEIVING


def steady(folder: Path) -> Process:
    """A process that has received a and b for long."""
    process = Process(folder)
    process.says({"a": CONNECTING, "b": CONNECTING})
    process.says({"a": RECEIVING, "b": RECEIVING})
    process.says({"a": RECEIVING, "b": RECEIVING}, after_s=STEADY_S)
    return process


def test_the_one_that_was_being_opened_is_opened_last(tmp_path: Path) -> None:
    steady(tmp_path).says({"c": CONNECTING})
    assert Process(tmp_path).delays_s("a", "b", "c") == {"a": 0, "b": 0, "c": HOLD_BACK_S}


def test_one_that_was_received_for_a_moment_is_too(tmp_path: Path) -> None:
    process = steady(tmp_path)
    process.says({"c": CONNECTING})
    process.says({"c": RECEIVING})
    process.says({"c": RECEIVING}, after_s=STEADY_S - 1)
    assert Process(tmp_path).delays_s("a", "c")["c"] == HOLD_BACK_S


def test_one_that_is_tried_alone_waits_until_it_may_be_taken_away(tmp_path: Path) -> None:
    Process(tmp_path).says({"a": CONNECTING})
    assert Process(tmp_path).delays_s("a") == {"a": HOLD_BACK_S}


def test_the_others_are_not_accused_when_it_kills_again(tmp_path: Path) -> None:
    steady(tmp_path).says({"c": CONNECTING})
    second = Process(tmp_path)
    second.delays_s("a", "b", "c")
    second.says({"a": CONNECTING, "b": CONNECTING, "c": CONNECTING})
    assert Process(tmp_path).delays_s("a", "b", "c") == {"a": 0, "b": 0, "c": HOLD_BACK_S}


def test_after_an_orderly_life_nobody_waits(tmp_path: Path) -> None:
    steady(tmp_path)
    assert Process(tmp_path).delays_s("a", "b") == {"a": 0, "b": 0}


def test_what_was_taken_away_is_forgotten(tmp_path: Path) -> None:
    process = steady(tmp_path)
    process.says({"c": CONNECTING})
    process.caution.forget("c")
    assert Process(tmp_path).delays_s("a", "c") == {"a": 0, "c": 0}


def test_what_cannot_be_read_or_written_delays_nobody(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_text("{")
    assert Process(tmp_path).delays_s("a", "b") == {"a": 0, "b": 0}
    Process(tmp_path / "missing").says({"a": CONNECTING})
