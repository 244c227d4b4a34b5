"""Answers that are kept for a moment, and asked for once however many people want them."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Brief(Generic[K, V]):
    """Keeps what was found out for a few seconds. What fails is not kept.

    Args:
        keep_s: How long an answer holds.
        most: So many are kept; the oldest go first.
        clock: In seconds.
    """

    def __init__(
        self, keep_s: float, most: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._keep_s = keep_s
        self._most = most
        self._clock = clock
        self._kept: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._asking: dict[K, asyncio.Future[V]] = {}

    async def get(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        """What is known of `key`, or what `ask` finds out."""
        kept = self._kept.get(key)
        if kept is not None and self._clock() - kept[0] < self._keep_s:
            return kept[1]
        asking = self._asking.get(key)
        if asking is None:
            asking = asyncio.ensure_future(self._ask(key, ask))
            self._asking[key] = asking
        # One who goes away must not take the answer from the others.
        return await asyncio.shield(asking)

    async def _ask(self, key: K, ask: Callable[[], Awaitable[V]]) -> V:
        try:
            found = await ask()
        finally:
            del self._asking[key]
        self._kept[key] = self._clock(), found
        self._kept.move_to_end(key)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return found
