from collections.abc import Iterator

from tests.contract.material import View, packets


def defective() -> Iterator[View]:
    yield from packets(6.0)
    yield from packets(4.0, start_s=6.5, clock_s=16.5)
