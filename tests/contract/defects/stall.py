from collections.abc import Iterator

from streammonitor_worker.facts import Waiting
from streammonitor_worker.frames import TransportView
from tests.contract.material import EPOCH_S, View, packets


def defective() -> Iterator[View]:
    yield from packets(2.0)
    for index in range(1, 33):
        waited_s = index * 0.25
        late_s = waited_s if waited_s > 2.0 else 0.0
        yield TransportView(2.0 + late_s, EPOCH_S + 2.0 + waited_s, Waiting(waited_s, 0.0, late_s))
    yield from packets(2.0, start_s=10.0, clock_s=12.0)
