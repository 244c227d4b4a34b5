import json
import os
import signal
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from dev.cluster import cgroups
from dev.cluster.processes import Processes, Record, boot_id, is_ours, start_time

_SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Processes:
    entrance = tmp_path / "cgroup.procs"
    monkeypatch.setattr(cgroups, "entrance", lambda group: entrance)
    return Processes(tmp_path)


def _record(pid: int) -> Record:
    started = start_time(pid)
    assert started is not None
    return Record(pid, started, boot_id(), [])


def test_this_very_process_is_recognised() -> None:
    assert is_ours(_record(os.getpid()))


def test_a_number_that_another_process_got_is_not_ours() -> None:
    mine = _record(os.getpid())
    assert not is_ours(replace(mine, started=mine.started - 1))


def test_after_a_reboot_nothing_is_ours() -> None:
    assert not is_ours(replace(_record(os.getpid()), boot="another"))


def test_stopping_never_signals_a_process_that_took_the_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stale = replace(_record(os.getpid()), started=1)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "etcd.json").write_text(json.dumps(asdict(stale)))
    sent: list[int] = []
    monkeypatch.setattr(signal, "pidfd_send_signal", lambda descriptor, number: sent.append(number))
    Processes(tmp_path).stop("etcd", force=True)
    assert sent == []
    assert Processes(tmp_path).names() == []


def test_ensure_starts_once_and_again_after_death(running: Processes) -> None:
    assert running.ensure("sleeper", _SLEEP, group="any")
    pid = running.pid("sleeper")
    assert pid
    assert not running.ensure("sleeper", _SLEEP, group="any")
    os.kill(pid, 9)
    while start_time(pid):
        time.sleep(0.01)
    assert running.pid("sleeper") is None
    assert running.ensure("sleeper", _SLEEP, group="any")
    assert running.pid("sleeper") != pid
    running.stop("sleeper")
    assert running.names() == []


@pytest.mark.parametrize(
    ("command", "settings"), [([*_SLEEP, "more"], "a"), (_SLEEP, "b")], ids=["command", "settings"]
)
def test_ensure_restarts_what_runs_differently(
    running: Processes, command: list[str], settings: str
) -> None:
    running.ensure("sleeper", _SLEEP, group="any", settings="a")
    before = running.pid("sleeper")
    assert running.ensure("sleeper", command, group="any", settings=settings)
    assert before
    assert start_time(before) is None
    running.stop("sleeper", force=True)


def test_a_process_enters_its_group_and_writes_to_its_log(
    running: Processes, tmp_path: Path
) -> None:
    running.ensure(
        "talker", ["/bin/sh", "-c", "echo heard; echo too >&2; exec sleep 60"], group="g"
    )
    while "too" not in running.last_words("talker"):
        time.sleep(0.01)
    assert running.last_words("talker").splitlines() == ["heard", "too"]
    assert (tmp_path / "cgroup.procs").read_text().strip() == str(running.pid("talker"))
    running.stop("talker", force=True)
