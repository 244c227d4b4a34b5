from collections.abc import Iterator

import numpy as np

from tests.contract.material import View, buffers, notes, within


def defective() -> Iterator[View]:
    music = notes(14)
    music[:, within(11, 13)] *= 10
    return buffers(np.clip(music, -1, 1))
