"""The election and its watchdog, in virtual time."""

import asyncio
import time

import pytest

from streammonitor_operator.kube import LEASES, KubeError, NotLeader, Unreachable
from streammonitor_operator.leader import Leader, LeadershipLost
from streammonitor_operator.settings import LeaseSettings
from tests.unit.operator.fake_kube import FakeKube

pytestmark = pytest.mark.looptime(start=time.monotonic)


def candidate(kube: FakeKube, identity: str) -> Leader:
    clock = asyncio.get_running_loop().time
    return Leader(kube, LeaseSettings(), namespace="ns", identity=identity, clock=clock)


def now() -> float:
    return asyncio.get_running_loop().time()


async def test_the_first_leads_at_once_and_the_second_waits() -> None:
    kube = FakeKube()
    first, second = candidate(kube, "a"), candidate(kube, "b")
    await first.acquire()
    holding = asyncio.create_task(first.hold())
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(120)
    assert first.leading
    assert not second.leading
    assert not waiting.done()
    for task in (holding, waiting):
        task.cancel()


async def test_a_released_lease_is_taken_over_within_one_try() -> None:
    kube = FakeKube()
    first, second = candidate(kube, "a"), candidate(kube, "b")
    await first.acquire()
    waiting = asyncio.create_task(second.acquire())
    await asyncio.sleep(1)
    await first.release()
    started = now()
    await waiting
    assert now() - started <= 2
    assert kube.all(LEASES)[0]["spec"]["leaseTransitions"] == 1
    with pytest.raises(NotLeader):
        first.guard()


async def test_a_lease_that_nobody_renews_is_taken_over_after_its_duration() -> None:
    kube = FakeKube()
    await candidate(kube, "a").acquire()
    started = now()
    await candidate(kube, "b").acquire()
    assert 15 <= now() - started <= 17


async def test_a_restarted_process_of_the_same_name_goes_on_at_once() -> None:
    kube = FakeKube()
    await candidate(kube, "a").acquire()
    started = now()
    await candidate(kube, "a").acquire()
    assert now() - started < 1


@pytest.mark.parametrize("hangs", [False, True], ids=["fails", "hangs"])
async def test_leadership_is_lost_when_no_renewal_is_confirmed(
    monkeypatch: pytest.MonkeyPatch, hangs: bool
) -> None:
    kube = FakeKube()
    leader = candidate(kube, "a")
    await leader.acquire()
    started = now()

    async def no_answer(*_: object) -> None:
        await asyncio.sleep(3600 if hangs else 0)
        raise Unreachable("refused")

    monkeypatch.setattr(kube, "replace", no_answer)
    with pytest.raises(LeadershipLost):
        await leader.hold()
    assert now() - started == pytest.approx(10, abs=0.1)
    with pytest.raises(NotLeader):
        leader.guard()


async def test_short_trouble_is_survived() -> None:
    kube = FakeKube()
    leader = candidate(kube, "a")
    await leader.acquire()
    until = now() + 7

    def broken(*_: object) -> KubeError | None:
        return Unreachable("refused") if now() < until else None

    kube.fail = broken
    holding = asyncio.create_task(leader.hold())
    await asyncio.sleep(30)
    assert leader.leading
    holding.cancel()


async def test_a_lease_in_other_hands_ends_leadership_at_the_next_renewal() -> None:
    kube = FakeKube()
    leader = candidate(kube, "a")
    await leader.acquire()
    lease = kube.all(LEASES)[0]
    kube.put(LEASES, {**lease, "spec": {**lease["spec"], "holderIdentity": "b"}})
    started = now()
    with pytest.raises(LeadershipLost, match="held by 'b'"):
        await leader.hold()
    assert now() - started <= 3


async def test_a_renewal_whose_answer_was_lost_is_recognised() -> None:
    kube = FakeKube()
    leader = candidate(kube, "a")
    await leader.acquire()
    lease = kube.all(LEASES)[0]
    kube.put(LEASES, {**lease, "spec": {**lease["spec"], "renewTime": "later"}})
    holding = asyncio.create_task(leader.hold())
    await asyncio.sleep(20)
    assert leader.leading
    holding.cancel()
