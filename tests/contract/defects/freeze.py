from collections.abc import Iterator
from itertools import chain

from tests.contract.material import View, hold, pan, views


def defective() -> Iterator[View]:
    *_, last = moving = list(pan(50))
    return views(chain(moving, hold(last, 100), pan(25, seed=1)))
