from collections.abc import Iterator

from tests.contract.material import View, buffers, notes, within


def defective() -> Iterator[View]:
    music = notes(3)
    music[:, within(1, 2)] = 0
    return buffers(music)
