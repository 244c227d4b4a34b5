"""Who looks, and what they may see."""

import asyncio

import pytest

from streammonitor_operator.kube import Unreachable
from streammonitor_operator.wall.access import KEEP_S, Access
from tests.unit.operator.wall.reviews import Reviews

KNOWN = {"video", "sport", "secret"}


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def seen(access: Access, token: str) -> set[str]:
    visitor = await access.visitor(token)
    assert visitor is not None
    return set(await access.namespaces(visitor, KNOWN))


async def test_a_person_sees_the_namespaces_whose_monitors_they_may_get() -> None:
    access = Access(Reviews())
    assert await seen(access, "alice-token") == {"video"}
    assert await seen(access, "nobody-token") == set()
    assert await seen(access, "root-token") == KNOWN, "who may get them everywhere, everywhere"


@pytest.mark.parametrize("token", ["", "unknown", "a b", "a\nb", "ü", "x" * 20_000])
async def test_what_is_no_token_of_the_cluster_is_nobody(token: str) -> None:
    reviews = Reviews()
    assert await Access(reviews).visitor(token) is None
    assert [one for one in reviews.asked if one[1] != "unknown"] == []


async def test_the_cluster_is_asked_once_in_half_a_minute() -> None:
    reviews, clock = Reviews(), Clock()
    access = Access(reviews, clock)
    await asyncio.gather(*(seen(access, "alice-token") for _ in range(20)))
    asked = len(reviews.asked)
    assert len(set(reviews.asked)) == asked == 5
    reviews.grants["alice"].clear()
    clock.now_s = KEEP_S - 1
    assert await seen(access, "alice-token") == {"video"}
    clock.now_s = KEEP_S
    assert await seen(access, "alice-token") == set()
    del reviews.users["alice-token"]
    clock.now_s = 2 * KEEP_S
    assert await access.visitor("alice-token") is None


async def test_what_the_cluster_did_not_answer_is_not_kept() -> None:
    reviews = Reviews()
    access = Access(reviews)
    reviews.away = True
    with pytest.raises(Unreachable):
        await access.visitor("alice-token")
    reviews.away = False
    assert await seen(access, "alice-token") == {"video"}
    visitor = await access.visitor("alice-token")
    assert visitor is not None
    assert not await access.may_see(visitor, "sport")
    assert await access.may_see(visitor, "video")
