"""Uploads that fail, are repeated and are resumed: each line is in the store once."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from streammonitor_api.results import Minute
from streammonitor_worker.alerts.sink import Around, NotDelivered
from streammonitor_worker.ingest import EVERYTHING
from streammonitor_worker.results import uploader as module
from streammonitor_worker.results.objects import summary_line
from streammonitor_worker.results.retention import Retention
from streammonitor_worker.results.store import Store
from streammonitor_worker.results.uploader import Uploader
from streammonitor_worker.spool import Spool
from tests.unit.worker.results.conftest import MONITOR, NOON, Rig


class Process:
    """An uploader that a test drives, on the spool of a worker."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.now_s = 0.0
        self.spool = Spool(rig.folder / "spool")
        self.uploader = Uploader(self.spool, lambda: None, lambda: self.now_s)
        around = Around(MONITOR, "w-1", rig.folder, EVERYTHING)
        self.uploader._fresh = (rig.asked(), around)

    def save(self, *numbers: int) -> None:
        for number in numbers:
            at = NOON + timedelta(minutes=number)
            self.spool.append(summary_line(Minute(stream="a", worker="w-1", minute=at)))

    def minutes(self) -> list[int]:
        """The minutes in the store, a number as often as it is there."""
        found = self.rig.rows("summary", "minute")
        return sorted(round((at - NOON).total_seconds() / 60) for (at,) in found)


@pytest.fixture
def begin() -> Iterator[Callable[[Rig], Process]]:
    """Begin processes, each on the spool of its rig."""
    begun: list[Process] = []

    def one(rig: Rig) -> Process:
        begun.append(Process(rig))
        return begun[-1]

    yield one
    for process in begun:
        process.spool.close()


@pytest.fixture
def process(rig: Rig, begin: Callable[[Rig], Process]) -> Process:
    return begin(rig)


class Away:
    """Makes a store fail as a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.before = self.after = False
        put: Callable[[Store, str, bytes], None] = Store.put

        def failing(store: Store, path: str, body: bytes) -> None:
            if self.before:
                raise NotDelivered("Unavailable", "it is away")
            put(store, path, body)
            if self.after:
                raise NotDelivered("Unavailable", "its answer was lost")

        monkeypatch.setattr(Store, "put", failing)


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> Away:
    return Away(monkeypatch)


def test_nothing_is_uploaded_before_its_time_and_all_of_it_then(process: Process) -> None:
    process.save(0, 1)
    wait_s = process.uploader.step()
    assert 0 < wait_s <= 60
    assert process.minutes() == []
    process.now_s = 600
    process.uploader.step()
    assert process.minutes() == [0, 1]
    assert process.uploader.figures().behind == 0
    assert len(process.rig.files("summary")) == 1


def test_much_is_uploaded_before_its_time(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_RECORDS", 3)
    process.save(0, 1, 2, 3)
    process.uploader.step()
    assert process.minutes() == [0, 1, 2, 3]
    assert len(process.rig.files("summary")) == 2


def test_a_store_that_is_away_gets_everything_when_it_is_back(process: Process, away: Away) -> None:
    away.before = True
    for number in range(60):
        process.save(number)
        process.now_s += 60
        process.uploader.step()
    problem = process.uploader.problem
    assert problem is not None
    assert (problem.reason, problem.message) == ("Unavailable", "it is away")
    away.before = False
    process.now_s += module.BACKOFF_CAP_S
    process.uploader.step()
    assert process.minutes() == list(range(60))
    assert process.uploader.problem is None


def test_an_answer_that_was_lost_makes_no_second_row(process: Process, away: Away) -> None:
    process.save(0, 1)
    away.after = True
    process.uploader.step(hurry=True)
    process.save(2)
    away.after = False
    process.uploader.step(hurry=True)
    assert process.minutes() == [0, 1, 2]


def test_a_process_that_dies_in_an_upload_is_followed_by_one_that_ends_it(
    process: Process, away: Away, begin: Callable[[Rig], Process]
) -> None:
    process.save(0, 1)
    away.after = True  # it dies before it could note what the store has taken
    process.uploader.step(hurry=True)
    process.spool.close()
    away.after = False
    successor = begin(process.rig)
    successor.save(2)
    successor.uploader.step(hurry=True)
    assert successor.minutes() == [0, 1, 2]
    # Two uploads: the one that was under way, and what came after it.
    assert len(process.rig.files("summary")) == 2


def test_another_pod_of_a_worker_writes_over_nothing(
    process: Process, begin: Callable[[Rig], Process], tmp_path: Path
) -> None:
    process.save(0)
    process.uploader.step(hurry=True)
    other = Rig(tmp_path / "other")
    other.store = process.rig.store
    successor = begin(other)
    successor.save(1)
    successor.uploader.step(hurry=True)
    assert process.minutes() == [0, 1]


def test_a_line_that_cannot_be_read_stops_nothing(process: Process) -> None:
    process.save(0)
    process.spool.append(b'{"summary":{"stream":1}}')
    process.spool.append(b"[]")
    process.spool.append(b"torn")
    process.save(1)
    process.uploader.step(hurry=True)
    assert process.minutes() == [0, 1]
    assert process.uploader.figures().behind == 0


def test_what_is_too_old_is_deleted_by_whole_days(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = 24 * 60
    process.save(-3 * day, -2 * day, -day, 0)
    process.uploader.step(hurry=True)
    monkeypatch.setattr(module, "Retention", partial(Retention, today=lambda: NOON))
    asked = process.rig.asked(retention="24h")
    process.uploader._fresh = (asked, Around(MONITOR, "w-1", process.rig.folder, EVERYTHING))
    stranger = process.rig.store / "kind=summary/namespace=video/monitor=other/date=2020-01-01/x"
    stranger.parent.mkdir(parents=True)
    stranger.touch()
    process.uploader.step(hurry=True)
    assert process.minutes() == [-3 * day, -2 * day, -day, 0]  # it is not time to look for them
    process.now_s += 3600
    process.uploader.step(hurry=True)
    assert process.minutes() == [-day, 0]
    assert process.uploader.figures().deleted == 2
    assert stranger.exists()
