"""What `streammonitor results` tells of what lies in a folder."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from streammonitor_api.incident import EndReason, Severity
from streammonitor_api.results import Minute, score_of
from streammonitor_worker.results.command import results_command
from tests.unit.worker.alerts.incidents import ended, incident, over
from tests.unit.worker.results.conftest import NOON, Rig

FULL = 2**60 - 1
Ask = Callable[..., Any]


def minute(number: int, worker: str = "w-1", stream: str = "a", **more: Any) -> Minute:
    return Minute(stream=stream, worker=worker, minute=NOON + timedelta(minutes=number), **more)


@pytest.fixture
def ask(rig: Rig) -> Ask:
    """Ask for the day that the tests are in; rows by column, or what is written on failure."""
    app = typer.Typer()
    app.command()(results_command)

    def one(*options: str, code: int = 0) -> Any:
        since = ["--since", "2026-11-21T00:00:00Z", "--until", "2026-11-22T00:00:00Z"]
        done = CliRunner().invoke(app, [str(rig.store), *since, "-o", "json", *options])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout)["rows"] if code == 0 else done.output

    return one


def written(rig: Rig, *minutes: Minute) -> None:
    rig.configure()
    rig.desk._keep(list(minutes))


def test_how_available_a_stream_was(rig: Rig, ask: Ask) -> None:
    written(
        rig,
        minute(0, watched=FULL, analysed=FULL, frames=1500),
        minute(1, watched=FULL, analysed=2**30 - 1, frames=750, corrupt_frames=2),
        minute(2, watched=FULL, analysed=FULL, critical=2**6 - 1, warning=2**12 - 1),
        minute(0, stream="b", watched=FULL, analysed=FULL, loudness_lufs=-23.0, loudness_blocks=9),
    )
    rig.desk.close(30.0)
    a, b = ask()
    assert (a["stream"], a["watched_s"], a["lost_s"]) == ("a", 180, 30)
    assert a["availability"] == pytest.approx(100 * (60 + 30 + 54) / 180, abs=0.001)
    assert a["score"] == pytest.approx(100 * (60 + 30 + 54 - 3) / 180, abs=0.01)
    assert (a["frames"], a["damaged"]) == (2250, 2)
    assert (b["stream"], b["availability"], b["score"]) == ("b", 100.0, 100.0)
    assert b["loudness_lufs"] == -23.0


def test_the_workers_of_a_hand_over_are_put_together(rig: Rig, ask: Ask) -> None:
    old, new = 2**25 - 1, FULL ^ (2**20 - 1)
    written(
        rig,
        minute(0, "w-1", watched=old, analysed=old, frames=625),
        minute(0, "w-2", watched=new, analysed=new, frames=1000),
        minute(0, "w-1", critical=2**6 - 1),
    )
    rig.desk.close(30.0)
    (found,) = ask()
    assert (found["watched_s"], found["availability"], found["frames"]) == (60, 90.0, 1000)
    (row,) = ask("--sql", "SELECT workers, score FROM minutes")
    expected = score_of(watched=FULL, analysed=FULL, warning=0, critical=2**6 - 1)
    assert row == {"workers": ["w-1", "w-2"], "score": expected}


def test_incidents_are_counted_and_listed_once(rig: Rig, ask: Ask) -> None:
    rig.configure()
    rig.desk._keep([minute(0, watched=FULL, analysed=FULL)])
    moved = incident(episode=1, severity=Severity.CRITICAL)
    rig.desk.tell(over(ended(moved, end_reason=EndReason.INTERRUPTED)))
    rig.desk.tell(over(ended(moved, end_s=61.0)))
    rig.desk.tell(over(ended(incident(episode=2), end_s=4.0)))
    rig.desk.close(30.0)
    (found,) = ask()
    assert (found["incidents"], found["critical"], found["most_often"]) == (2, 1, "black")
    listed = {row["id"]: row for row in ask("--incidents")}
    assert len(listed) == 2
    assert listed[moved.id]["end_reason"] == "cleared"
    assert listed[moved.id]["duration_s"] == 60.0


def test_rows_by_the_hour(rig: Rig, ask: Ask) -> None:
    written(rig, *(minute(number, watched=FULL, analysed=FULL) for number in (0, 59, 60)))
    rig.desk.close(30.0)
    found = {row["period"][11:13]: row["watched_s"] for row in ask("--by", "hour")}
    assert found == {"12": 120, "13": 60}


def test_what_is_not_asked_about_is_not_told(rig: Rig, ask: Ask) -> None:
    written(rig, minute(0, watched=FULL), minute(30, watched=FULL), minute(-24 * 60, watched=FULL))
    rig.desk.close(30.0)
    (found,) = ask("--since", "2026-11-21T12:10:00Z")
    assert found["watched_s"] == 60
    assert len(ask("--monitor", "video/*")) == 1
    assert ask("--monitor", "other/*") == []


def test_bad_questions_are_told_what_is_wrong(rig: Rig, ask: Ask) -> None:
    rig.store.mkdir()
    assert ask() == []
    assert "since" in ask("--since", "yesterday", code=2)
    assert "not before" in ask("--since", "1h", "--until", "2h", code=2)
    assert "nowhere" in ask("--sql", "SELECT * FROM nowhere", code=2)


def test_a_table_is_for_people(rig: Rig) -> None:
    written(rig, minute(0, watched=FULL, analysed=FULL))
    rig.desk.close(30.0)
    app = typer.Typer()
    app.command()(results_command)
    done = CliRunner().invoke(app, [str(rig.store), "--since", "2026-11-21T00:00:00Z"])
    assert done.exit_code == 0
    header, row = done.stdout.strip().splitlines()
    assert "AVAILABILITY" in header
    assert "100.0" in row
    empty = CliRunner().invoke(app, [str(rig.store), "--since", "2020-01-01", "--until", "99h"])
    assert empty.exit_code in (0, 2)


@pytest.mark.parametrize("where", ["s3://bucket?x", "ftp://bucket"])
def test_what_is_no_store_is_refused(where: str) -> None:
    app = typer.Typer()
    app.command()(results_command)
    done = CliRunner().invoke(app, [where])
    assert done.exit_code == 2
    assert "url" in done.output
