from collections.abc import Iterator
from itertools import chain

from tests.contract.material import View, hold, pan, scene, views


def defective() -> Iterator[View]:
    return views(chain(pan(50), hold(scene()[:180, :320], 100), pan(25, seed=1)))
