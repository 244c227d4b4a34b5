from collections.abc import Iterator
from itertools import chain

from tests.contract.material import View, flat, pan, views


def defective() -> Iterator[View]:
    return views(chain(pan(25), flat(25, 16), pan(25, seed=1)))
