from collections.abc import Iterator

from tests.contract.material import View, buffers, notes, within


def defective() -> Iterator[View]:
    music = notes(6)
    music[:, within(3, 3.1)] = 0
    return buffers(music)
