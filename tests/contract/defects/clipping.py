from collections.abc import Iterator

import numpy as np

from tests.contract.material import View, buffers, notes, within


def defective() -> Iterator[View]:
    music = notes(6)
    music[:, within(2, 4)] *= 40
    return buffers(np.clip(music, -1, 1))
