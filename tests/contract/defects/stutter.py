from collections.abc import Iterator
from itertools import chain

from tests.contract.material import View, judder, pan, views


def defective() -> Iterator[View]:
    return views(chain(judder(150, seed=2), pan(150, seed=3)))
