"""Streams on which processes die."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streammonitor_api.assignment import Assignment
from streammonitor_api.spec import Stream
from streammonitor_api.worker_status import StreamState, StreamStatus, WorkerStatus
from streammonitor_operator.children import WorkerPod
from streammonitor_operator.fleet import PodView, WorkerView
from streammonitor_operator.kube import DEPLOYMENTS
from streammonitor_operator.observe import Observation
from streammonitor_operator.quarantine import Quarantine
from tests.unit.operator.fleet import KEY, Cluster, spec_of, stream
from tests.unit.operator.test_handover import lists, monitoring

looped = pytest.mark.looptime(start=time.monotonic)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def problems(cluster: Cluster) -> dict[str, str]:
    return {one["name"]: one["reason"] for one in cluster.status["streams"].get("problems", [])}


@looped
async def test_a_stream_that_kills_is_found_among_others_and_taken_out(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b", "c", "d")
    cluster.poison = {"c"}
    await cluster.settle(60)
    assert problems(cluster) == {"c": "Quarantined"}
    assert lists(cluster, "c") == {}
    assert len(set(cluster.died)) <= 2
    deaths = len(cluster.died)
    assert deaths <= 3
    await cluster.settle(200)
    assert len(cluster.died) == deaths
    for name in "abd":
        assert list(lists(cluster, name).values()) == ["holds"]
    assert cluster.status["streams"]["receiving"] == 3
    assert len(cluster.kube.all(DEPLOYMENTS)) == 2, "as many as before: trials are over"


@looped
async def test_a_stream_on_its_own_is_taken_out_after_two_deaths(cluster: Cluster) -> None:
    await monitoring(cluster, "a")
    cluster.poison = {"a"}
    await cluster.settle(60)
    assert problems(cluster) == {"a": "Quarantined"}
    assert len(cluster.died) == 2


@looped
async def test_another_operator_knows_who_is_quarantined(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b")
    cluster.poison = {"b"}
    await cluster.settle(60)
    deaths = len(cluster.died)
    await cluster.restart_operator()
    await cluster.settle(30)
    assert problems(cluster) == {"b": "Quarantined"}
    assert len(cluster.died) == deaths


@looped
async def test_another_url_is_tried(cluster: Cluster) -> None:
    await monitoring(cluster, "a", "b")
    cluster.poison = {"b"}
    await cluster.settle(60)
    cluster.poison = set()
    cluster.apply(spec_of("a") | {"streams": [stream("a"), {"name": "b", "url": "http://x.test/"}]})
    await cluster.settle(20)
    assert problems(cluster) == {}
    assert cluster.status["streams"]["receiving"] == 2
    assert KEY in cluster.reconciler.world.monitors


LONG_AGO = NOW - timedelta(hours=1)


def worker(
    name: str, streams: str, process: int, *, code: int = 139, new: str = "", silent: str = ""
) -> WorkerView:
    """A worker with its so-manieth process; those before it ended with this exit code.

    It receives its streams for an hour, but for those that are new, and says nothing of others.
    """
    ended = f"c{process - 1}" if process > 1 else ""
    pod = WorkerPod(
        "n", name, name, 1, "m", name, "10.0.0.1", True, False, "", "", ended=ended, exit_code=code
    )
    status = WorkerStatus(
        version="1", worker=name, process=f"p{process}", started_at=NOW, revision=1, epoch=1,
        streams=[
            StreamStatus(
                name=one, state=StreamState.RECEIVING, since=NOW if one in new else LONG_AGO
            )
            for one in streams
            if one not in silent
        ],
    )  # fmt: skip
    listed = [Stream(name=one, url="http://x.test/") for one in streams]
    assignment = Assignment(epoch=1, group="g", streams=listed)
    return WorkerView(name, "g", assignment, None, None, (PodView(pod, Observation(status), 0.0),))


class Trial:
    """A quarantine and its clock."""

    def __init__(self) -> None:
        self.quarantine = Quarantine()
        self.urls = dict.fromkeys((f"{one}" for one in "abcdefghijklmnopqrstuvwxyz"), "u")
        self.now = 0.0

    def look(self, *views: WorkerView, after_s: float = 1.0) -> tuple[str, str]:
        """Who is tried alone, and who is locked, after a while."""
        self.now += after_s
        time_ = NOW + timedelta(seconds=self.now)
        self.quarantine.absorb(views, self.urls, self.now, time_)
        alone, locked = self.quarantine.alone, self.quarantine.locked
        return "".join(sorted(alone)), "".join(sorted(locked))


def test_what_two_deaths_have_in_common_is_tried_alone() -> None:
    trial = Trial()
    assert trial.look(worker("w", "abc", 1)) == ("", "")
    assert trial.look(worker("w", "ab", 2)) == ("", ""), "one death may be anything's fault"
    assert trial.look(worker("w", "ab", 3)) == ("ab", "")


def test_deaths_that_are_far_apart_have_nothing_in_common() -> None:
    trial = Trial()
    trial.look(worker("w", "ab", 1))
    trial.look(worker("w", "ab", 2))
    assert trial.look(worker("w", "ab", 3), after_s=700) == ("", "")


@pytest.mark.parametrize("code", [0, 1, 137, 143])
def test_what_was_killed_or_gave_up_accuses_no_stream(code: int) -> None:
    trial = Trial()
    for process in range(1, 5):
        assert trial.look(worker("w", "ab", process, code=code)) == ("", "")


def test_too_many_suspects_are_none() -> None:
    trial = Trial()
    for process in range(1, 5):
        assert trial.look(worker("w", "abcdefghijklmnopqrstuvwxyz", process)) == ("", "")


def test_the_only_one_that_two_deaths_have_in_common_needs_no_trial() -> None:
    trial = Trial()
    trial.look(worker("v", "ab", 1), worker("w", "bc", 1))
    assert trial.look(worker("v", "ab", 2), worker("w", "bc", 2)) == ("", "b")


@pytest.mark.parametrize("how", [{"new": "c"}, {"silent": "c"}])
def test_the_one_that_was_new_when_a_process_died_is_tried_at_once(how: dict[str, Any]) -> None:
    trial = Trial()
    trial.look(worker("w", "abc", 1, **how))
    assert trial.look(worker("w", "abc", 2)) == ("c", "")
    assert trial.look(worker("w", "ab", 2), worker("x", "c", 1)) == ("c", "")
    assert trial.look(worker("w", "ab", 2), worker("x", "c", 2)) == ("", "c")


def test_where_all_or_many_were_new_nobody_is_tried_for_that() -> None:
    for streams, new in (("ab", "ab"), ("abcde", "abcd")):
        trial = Trial()
        trial.look(worker("w", streams, 1, new=new))
        assert trial.look(worker("w", streams, 2)) == ("", "")


def test_one_that_is_received_alone_for_a_minute_is_innocent() -> None:
    trial = Trial()
    for process in (1, 2, 3):
        trial.look(worker("w", "ab", process))
    alone = (worker("w", "a", 3), worker("v", "b", 1))
    assert trial.look(*alone) == ("ab", "")
    assert trial.look(*alone, after_s=59) == ("ab", "")
    assert trial.look(*alone, after_s=1) == ("", "")
    assert trial.quarantine.folding == {"v"}, "one of them is enough"
    assert trial.look(worker("w", "ab", 3)) == ("", "")
    assert not trial.quarantine.folding
    assert trial.look(worker("w", "ab", 4)) == ("", ""), "the old deaths are forgotten"


def test_a_quarantined_stream_is_tried_again_after_an_hour() -> None:
    trial = Trial()
    for process in (1, 2, 3):
        trial.look(worker("w", "a", process))
    assert trial.look() == ("", "a")
    assert trial.look(after_s=3590) == ("", "a")
    assert trial.look(after_s=20) == ("a", "")
    trial.look(worker("v", "a", 1))
    assert trial.look(worker("v", "a", 2)) == ("", "a"), "one death is enough then"


def test_a_quarantined_stream_whose_list_comes_late_is_quarantined_then() -> None:
    trial = Trial()
    trial.quarantine.seed({"a": NOW})
    urls, trial.urls = trial.urls, {}
    assert trial.look() == ("", "")
    trial.urls = urls
    assert trial.look() == ("", "a")
    trial.urls = {"a": "another"}
    assert trial.look() == ("a", "")


def test_a_stream_that_is_not_received_is_not_tried_for_ever() -> None:
    trial = Trial()
    for process in (1, 2, 3):
        trial.look(worker("w", "ab", process))
    assert trial.look(after_s=301) == ("", "")
