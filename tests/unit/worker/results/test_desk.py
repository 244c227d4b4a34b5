"""From what streams tell to objects in a store, and to what a worker keeps in its memory."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from streammonitor_api.incident import EndReason
from streammonitor_api.results import Results
from streammonitor_worker.evidence import Evidence
from streammonitor_worker.frames import FrameView
from streammonitor_worker.ingest import Access
from streammonitor_worker.results import desk as module
from streammonitor_worker.thumbnails import Thumbnail
from tests.unit.worker.alerts.incidents import ended, incident, over, started
from tests.unit.worker.results.conftest import NOON, Rig

PATIENT_S = 30.0


def picture() -> Thumbnail:
    luma = np.full((18, 32), 120, np.uint8)
    return Thumbnail(FrameView(time_s=1.0, duration_s=0.04, arrived_at=0.0, luma=luma))


SHOWN = Evidence(start=picture(), worst=picture(), end=picture())


def test_minutes_of_every_stream_are_uploaded_into_the_hour_that_they_belong_to(rig: Rig) -> None:
    rig.configure()
    rig.watch("a", "b")
    rig.pass_minutes(62)
    rig.desk.close(PATIENT_S)
    (first, second) = (path.relative_to(rig.store) for path in rig.files("summary"))
    folder = Path("kind=summary/namespace=video/monitor=sports/date=2026-11-21")
    assert (first.parent, second.parent) == (folder / "hour=12", folder / "hour=13")
    assert first.name.startswith("w-1-")
    what = 'stream, "group", worker, minute, bit_count(watched), date, hour, namespace, monitor'
    found = rig.rows("summary", what)
    assert len(found) == 2 * 63
    minute = NOON + timedelta(minutes=30)
    assert ("b", "all", "w-1", minute, 60, NOON.date(), 12, "video", "sports") in found


def test_an_incident_is_a_row_when_it_ended(rig: Rig) -> None:
    rig.configure()
    rig.watch("a")
    one = incident()
    rig.desk.tell(started(one))
    rig.desk.tell(over(ended(one, end_s=11.5)))
    rig.desk.close(PATIENT_S)
    (found,) = rig.rows("incident", "id, stream, defect, severity, started_at, duration_s")
    assert found == (one.id, "a", "black", "warning", NOON, 10.5)
    assert rig.rows("incident", "end_reason, measurements, pictures") == [
        ("cleared", [{"name": "darkRatio", "value": 0.98}], [])
    ]


def test_what_a_process_did_not_upload_the_next_one_does_once(rig: Rig) -> None:
    rig.configure()
    rig.watch("a")
    rig.pass_minutes(10)
    rig.desk.close(0.0)
    rig.begin()
    rig.configure()
    rig.desk.close(PATIENT_S)
    minutes = [row[0] for row in rig.rows("summary", "minute")]
    assert sorted(minutes) == [NOON + timedelta(minutes=number) for number in range(11)]


def test_without_a_store_memory_holds_the_last_of_it(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "KEPT_MINUTES", 8)
    rig.begin().configure(None, "video/sports")
    rig.watch("a", "b")
    rig.pass_minutes(10)
    rig.desk.tell(over(ended(incident())))
    minutes, incidents = rig.desk.kept()
    assert len(minutes) == 8
    assert [one.stream for one in incidents] == ["a"]
    of_b, none = rig.desk.kept("b", NOON + timedelta(minutes=7))
    assert [one.minute.minute for one in of_b] == [7, 8]
    assert none == []
    assert not (rig.folder / "spool").exists()


def test_a_store_that_nobody_asks_for_any_more_gets_nothing(rig: Rig) -> None:
    rig.configure()
    rig.watch("a")
    rig.pass_minutes(3)
    rig.desk.configure(None, "video/sports")
    rig.pass_minutes(3)
    rig.desk.close(PATIENT_S)
    assert rig.files("summary") == []
    assert not (rig.folder / "spool").exists()
    assert len(rig.desk.kept()[0]) == 7


def test_pictures_are_kept_if_that_is_asked_for(rig: Rig) -> None:
    rig.configure(evidence={"pictures_per_day": 4})
    rig.watch("a")
    for episode in (1, 2):
        one = ended(incident(episode=episode))
        rig.desk.tell(replace(over(one), evidence=SHOWN))
    rig.desk.close(PATIENT_S)
    files = rig.files("evidence")
    assert len(files) == 4  # of six: no more are asked for of a day
    assert all(path.read_bytes().startswith(b"\xff\xd8") for path in files)
    pictures = [path for (row,) in rig.rows("incident", "pictures") for path in row]
    assert sorted(rig.store / path for path in pictures) == files


def test_no_pictures_are_kept_by_default(rig: Rig) -> None:
    rig.configure()
    rig.watch("a")
    rig.desk.tell(replace(over(ended(incident())), evidence=SHOWN))
    rig.desk.close(PATIENT_S)
    assert rig.files("evidence") == []


def test_what_is_interrupted_and_goes_on_elsewhere_is_told_as_such(rig: Rig) -> None:
    rig.configure()
    rig.desk.tell(over(ended(incident(), end_reason=EndReason.INTERRUPTED)))
    rig.desk.close(PATIENT_S)
    assert rig.rows("incident", "end_reason, duration_s") == [("interrupted", None)]


def test_a_store_that_is_not_allowed_is_named(rig: Rig) -> None:
    rig.desk._access = Access(hosts=("minio.example",))
    rig.desk.configure(Results(url="s3://quality"), "video/sports")
    rig.desk.tell(over(ended(incident())))
    uploader = rig.desk._uploader
    assert uploader is not None
    for _ in range(2):
        uploader.step(hurry=True)
    problem = rig.board.document().results
    assert problem is not None
    assert problem.reason == "HostNotAllowed"
    assert "s3.us-east-1.amazonaws.com" in problem.message
