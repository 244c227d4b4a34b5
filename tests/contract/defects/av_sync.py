from collections.abc import Iterator

from tests.contract.material import View, compared


def defective() -> Iterator[View]:
    yield from compared(10, 20, 0.0)
    yield from compared(30, 20, 0.12)
