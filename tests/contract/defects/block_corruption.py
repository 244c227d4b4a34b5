from collections.abc import Iterator
from itertools import chain

from tests.contract.material import View, damaged, pan, views


def defective() -> Iterator[View]:
    return views(chain(pan(75, seed=1), damaged(25, seed=1, first=75), pan(75, seed=1)))
