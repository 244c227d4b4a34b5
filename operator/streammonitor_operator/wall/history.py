"""The incidents that ended lately, also those of workers that are gone. Bounded, in memory only."""

from collections import OrderedDict, deque
from collections.abc import Iterator

from streammonitor_api.worker_status import WorkerStatus
from streammonitor_operator.children import Key, WorkerPod
from streammonitor_operator.wall.tiles import Document, brief

MOST = 5000
"""Of all StreamMonitors together, in about 3 MB."""
PER_STREAM = 200


class History:
    """What ended. Listens to what workers say."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[Key, str], tuple[str, Document]] = OrderedDict()

    def heard(self, pod: WorkerPod, status: WorkerStatus) -> None:
        """A worker said something new."""
        key = (pod.namespace, pod.monitor)
        for incident in status.incidents:
            if incident.active or incident.expires_at is not None:
                self._known.pop((key, incident.id), None)  # it goes on, or may
            elif (key, incident.id) not in self._known:
                self._known[key, incident.id] = incident.stream, brief(incident)
        while len(self._known) > MOST:
            self._known.popitem(last=False)

    def of(self, key: Key, stream: str) -> list[Document]:
        """What ended on a stream, the newest last."""
        found: deque[Document] = deque(self._of(key, stream), maxlen=PER_STREAM)
        return sorted(found, key=lambda one: str(one["startedAt"]))

    def _of(self, key: Key, stream: str) -> Iterator[Document]:
        for (owner, _), (name, incident) in self._known.items():
            if owner == key and name == stream:
                yield incident
