from collections.abc import Iterator

import numpy as np

from tests.contract.material import View, buffers, notes, within

PARAMS = {"target": -26, "tolerance": 6, "maxTruePeak": -1}


def defective() -> Iterator[View]:
    music = notes(14)
    music[:, within(11, 13)] *= 10
    return buffers(np.clip(music, -1, 1))
