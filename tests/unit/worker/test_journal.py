"""What was open survives a process that dies at any moment."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from streammonitor_api.incident import Incident, Severity, incident_id
from streammonitor_worker import journal as module
from streammonitor_worker.journal import FILE_NAME, Journal


def _incident(stream: str = "a", episode: str = "1") -> Incident:
    return Incident(
        id=incident_id("u", stream, "black", episode),
        monitor_uid="u",
        stream=stream,
        defect="black",
        episode=episode,
        severity=Severity.WARNING,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        detected_at=datetime(2026, 1, 1, tzinfo=UTC),
        start_s=1.0,
        detected_s=3.0,
    )


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    one = Journal(tmp_path)
    yield one
    one.close()


def _again(folder: Path) -> Journal:
    journal = Journal(folder)
    journal.close()
    return journal


def test_open_incidents_survive_and_closed_ones_are_remembered(
    journal: Journal, tmp_path: Path
) -> None:
    journal.opened(_incident("a"))
    journal.opened(_incident("b"))
    journal.opened(_incident("c"))
    journal.closed(_incident("b"))
    journal.let_go("c")

    again = _again(tmp_path)

    assert again.problem is None
    assert again.open_incidents() == [_incident("a")]
    assert again.was_closed(_incident("b").id)
    assert not again.was_closed(_incident("a").id)


def test_a_torn_last_line_costs_only_itself(journal: Journal, tmp_path: Path) -> None:
    journal.opened(_incident("a"))
    journal.opened(_incident("b"))
    path = tmp_path / FILE_NAME
    path.write_bytes(path.read_bytes()[:-20])

    again = _again(tmp_path)

    assert again.open_incidents() == [_incident("a")]
    assert again.problem is None


@pytest.mark.parametrize("rubbish", [b"\x00" * 100, b"[]\n", b'{"open": 1}\n', b"{}\n"])
def test_rubbish_is_skipped(tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(rubbish)

    assert _again(tmp_path).open_incidents() == []


def test_the_journal_stays_small(
    journal: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 5_000)
    monkeypatch.setattr(module, "MAX_CLOSED", 10)
    for number in range(200):
        journal.opened(_incident(episode=str(number)))
        journal.closed(_incident(episode=str(number)))
    journal.opened(_incident("b"))

    assert (tmp_path / FILE_NAME).stat().st_size < 7_000
    assert _again(tmp_path).open_incidents() == [_incident("b")]


def test_a_folder_that_cannot_be_written_is_a_problem_not_a_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    journal = Journal(tmp_path / "file" / "state")
    journal.opened(_incident())

    assert journal.open_incidents() == [_incident()]
    assert journal.problem is not None
    assert "mount a writable volume" in journal.problem


def test_a_folder_that_is_missing_is_made(tmp_path: Path) -> None:
    _again(tmp_path / "new" / "state")

    assert (tmp_path / "new" / "state" / FILE_NAME).exists()


def test_clocks_survive_and_say_that_there_was_a_process_before(
    journal: Journal, tmp_path: Path
) -> None:
    assert not journal.resumed
    journal.clocked("s", 1.5)
    journal.clocked("s", 2.5)
    again = _again(tmp_path)
    assert again.resumed
    assert again.clock("s") == 2.5
    assert again.clock("other") is None
