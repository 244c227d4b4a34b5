"""Doing the same to many workers: a few at a time, none keeping the others from it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from streammonitor_operator.kube import KubeError, NotLeader
from streammonitor_operator.work import Work

T = TypeVar("T")
_AT_ONCE = 8


class Gone(Exception):
    """The StreamMonitor does not exist any more."""


async def each(
    work: Work, items: Iterable[T], name: Callable[[T], str], act: Callable[[T], Awaitable[None]]
) -> None:
    """Do something for every item; what the API refuses becomes a failure of that item."""
    todo = list(items)
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(item: T) -> None:
        async with slots:
            try:
                await act(item)
            except NotLeader:
                raise
            except KubeError as error:
                work.failures.append((name(item), error))

    if len(todo) > 1:
        await asyncio.gather(*map(one, todo))
    elif todo:
        await one(todo[0])  # a task of its own would only cost time


def soonest(delays: Iterable[float | None]) -> float | None:
    """The shortest of some delays; None when there is none."""
    return min((delay for delay in delays if delay is not None), default=None)
