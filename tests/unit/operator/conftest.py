"""What the reconciler's tests share. They run in virtual time.

The fixture runs before virtual time begins, so that must begin where real time is:
`pytestmark = pytest.mark.looptime(start=time.monotonic)`.
"""

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.unit.operator.fleet import Cluster


@pytest_asyncio.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """An operator and everything around it, in memory."""
    cluster = Cluster()
    await cluster.start()
    yield cluster
    await cluster.stop()
