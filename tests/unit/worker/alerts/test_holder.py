"""Whose incidents a worker's sinks are told of: those of the streams that it holds."""

from pathlib import Path
from typing import Any

import pytest

from dev.alerting import Receiver
from streammonitor_api.assignment import Assignment
from streammonitor_worker.fleet import Fleet
from streammonitor_worker.journal import Journal
from tests.unit.worker.alerts.conftest import MONITOR, Rig
from tests.unit.worker.alerts.incidents import ended, incident, over, started


def fleet(rig: Rig, journal: Journal, **more: Any) -> Fleet:
    return Fleet(
        rig.board,
        journal=journal,
        worker="w-1",
        secrets_folder=rig.folder,
        alerts=rig.desk,
        on_incident=more.get("on_incident", lambda kind, incident: None),
    )


def assignment(hook: Receiver, **more: Any) -> Assignment:
    sinks = [{"name": "hook", "webhook": {"url": hook.url}}]
    document = {"epoch": 1, "monitorUid": "uid", "monitor": MONITOR, "alerts": {"sinks": sinks}}
    return Assignment.model_validate(document | more)


def test_who_was_told_of_a_start_by_a_process_before_is_told_of_the_end(
    rig: Rig, hook: Receiver, tmp_path: Path
) -> None:
    before = Journal(tmp_path / "journal")
    before.opened(incident("gone"))
    before.close()
    after = Journal(tmp_path / "journal")
    released = [{"stream": "gone", "reason": "removed"}]
    fleet(rig, after).apply(assignment(hook, released=released))
    hook.wait(lambda: hook.requests)
    (event,) = hook.events()
    assert event.get_type() == "io.streammonitor.incident.ended"
    data = event.get_data()
    assert isinstance(data, dict)
    assert data["endReason"] == "removed"
    after.close()


def test_what_moved_to_another_worker_is_not_ended_here(
    rig: Rig, hook: Receiver, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "journal")
    journal.opened(incident("moved"))
    one = fleet(rig, journal)
    one.apply(assignment(hook))
    # It would have been told before this one.
    one.incident_changed(started(incident("mine")))
    hook.wait(lambda: hook.requests)
    assert [event.get_subject() for event in hook.events()] == ["mine"]
    assert rig.desk.lasting() == []
    journal.close()


def test_what_was_told_to_its_end_is_not_told_again(
    rig: Rig, hook: Receiver, tmp_path: Path
) -> None:
    journal = Journal(tmp_path / "journal")
    one = fleet(rig, journal)
    one.apply(assignment(hook))
    whole = incident("a")
    for event in (started(whole), over(ended(whole)), started(whole), started(incident("b"))):
        one.incident_changed(event)
    hook.wait(lambda: len(hook.requests) == 3)
    # Streams are told of side by side, in an order of chance.
    told = [(str(event.get_subject()), event.get_type()) for event in hook.events()]
    assert sorted(subject for subject, _ in told) == ["a", "a", "b"]
    kinds = [kind.rpartition(".")[2] for subject, kind in told if subject == "a"]
    assert kinds == ["started", "ended"]
    journal.close()


@pytest.mark.parametrize(("log", "lines"), [(False, 1), (True, 0)])
def test_a_sink_that_logs_takes_the_place_of_the_log(
    rig: Rig, tmp_path: Path, log: bool, lines: int
) -> None:
    journal, told = Journal(tmp_path / "journal"), []
    one = fleet(rig, journal, on_incident=lambda kind, incident: told.append(kind))
    sinks = [{"name": "log", "minSeverity": "critical", "log": {}}] if log else []
    one.apply(Assignment.model_validate({"epoch": 1, "alerts": {"sinks": sinks}}))
    one.incident_changed(started(incident()))
    assert len(told) == lines
    journal.close()
