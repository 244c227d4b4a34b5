from collections.abc import Iterator
from itertools import chain

from tests.contract.material import View, blurring, pan, views


def defective() -> Iterator[View]:
    return views(chain(blurring(150, 225), pan(50)))
