"""The assignment's file: found when it changes, refused with a sentence, never half carried out."""

import json
from pathlib import Path
from typing import Any

import pytest

from streammonitor_api.names import ASSIGNMENT_KEY
from streammonitor_worker.assignments import AssignmentFile


def _write(folder: Path, epoch: int = 1, **more: Any) -> None:
    document = {"schemaVersion": 1, "epoch": epoch, "detectors": {"black": {}}, **more}
    (folder / ASSIGNMENT_KEY).write_text(json.dumps(document))


def _problem(file: AssignmentFile) -> str:
    reading = file.poll()
    assert reading is not None
    assert reading.assignment is None
    return " ".join(reading.problems)


def test_it_is_read_once_per_change(tmp_path: Path) -> None:
    file = AssignmentFile(tmp_path)
    assert "cannot be read" in _problem(file)
    assert file.poll() is None

    _write(tmp_path, streams=[{"name": "a", "url": "http://h/a"}])
    reading = file.poll()
    assert reading is not None
    assert reading.assignment is not None
    assert [stream.name for stream in reading.assignment.streams] == ["a"]
    assert file.poll() is None

    _write(tmp_path, epoch=2)
    assert file.poll() is not None


def test_a_kubelets_swap_of_the_data_link_is_seen(tmp_path: Path) -> None:
    for epoch in (1, 2):
        (tmp_path / f"..{epoch}").mkdir()
        _write(tmp_path / f"..{epoch}", epoch)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / ASSIGNMENT_KEY).symlink_to(f"..data/{ASSIGNMENT_KEY}")
    file = AssignmentFile(tmp_path)
    file.poll()

    (tmp_path / "..new").symlink_to("..2")
    (tmp_path / "..new").rename(tmp_path / "..data")

    reading = file.poll()
    assert reading is not None
    assert reading.assignment is not None
    assert reading.assignment.epoch == 2


def test_an_older_epoch_is_ignored_and_said(tmp_path: Path) -> None:
    file = AssignmentFile(tmp_path)
    _write(tmp_path, epoch=7)
    file.poll()
    _write(tmp_path, epoch=6)

    assert "epoch 6, older than 7" in _problem(file)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ('{"epoch": 1', "refused"),
        ('{"streams": []}', "epoch: Field required"),
        ('{"epoch": 1, "schemaVersion": 99}', "schemaVersion 99"),
        ('{"epoch": 1, "streams": [{"name": "A b", "url": "http://u:pw@h/"}]}', "streams.0.name"),
        (
            '{"epoch": 1, "streams": [{"name": "a", "url": "u"}, {"name": "a", "url": "u"}]}',
            "'a' twice",
        ),
    ],
)
def test_what_is_wrong_is_said_without_credentials(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / ASSIGNMENT_KEY).write_text(content)

    problem = _problem(AssignmentFile(tmp_path))

    assert said in problem
    assert "pw" not in problem


def test_unknown_keys_are_reported_not_fatal(tmp_path: Path) -> None:
    _write(tmp_path, sampling="every", streams=[{"name": "a", "url": "http://h/", "captions": {}}])

    reading = AssignmentFile(tmp_path).poll()

    assert reading is not None
    assert reading.assignment is not None
    assert len(reading.problems) == 2
    assert "'sampling'" in reading.problems[0]
    assert "'streams[0].captions'" in reading.problems[1]
