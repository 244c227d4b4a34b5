from collections.abc import Iterator

from tests.contract.material import View, buffers, notes, within


def defective() -> Iterator[View]:
    music = notes(10)
    music[1, within(7, 9)] = 0
    return buffers(music)
