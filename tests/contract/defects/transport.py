from collections.abc import Iterator

from dev.media.made_ts import transport_stream
from streammonitor_worker.deliveries import Connected, Container, Delivered, Presented
from streammonitor_worker.frames import TransportView
from tests.contract.material import EPOCH_S, View

LENGTH_S = 12


def defective() -> Iterator[View]:
    """Packets are missing for a while."""
    data = transport_stream(LENGTH_S, lost_s=(5.0, 7.0))
    yield TransportView(0.0, EPOCH_S, Connected())
    steps = LENGTH_S * 5
    for step in range(steps):
        piece = data[step * len(data) // steps : (step + 1) * len(data) // steps]
        yield TransportView(step / 5, EPOCH_S + step / 5, Delivered("", Container.TS, piece))
        yield TransportView(step / 5, EPOCH_S + step / 5, Presented(step / 5))
