"""Where incidents become alerts: decides what is told at all, and saves it for the sinks."""

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from streammonitor_api.alerts import Alerts, Mute
from streammonitor_api.incident import Incident, Severity
from streammonitor_api.worker_status import SinkProblem
from streammonitor_worker.alerts.delivery import Delivery, SinkFigures
from streammonitor_worker.alerts.events import AlertEvent, now
from streammonitor_worker.alerts.mutes import mute_faults, muting
from streammonitor_worker.alerts.sink import Around
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.incidents import EventKind, IncidentEvent
from streammonitor_worker.ingest import Access
from streammonitor_worker.spool import Spool

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Open:
    """An incident that lasts, and how bad it was when it was told last; None: it was not."""

    incident: Incident
    told: Severity | None


class AlertDesk:
    """Tells every sink of the incidents of one worker. Thread-safe.

    Args:
        board: Where it says what is wrong.
        folder: Where the spool is kept.
        worker: Name of this worker.
        secrets_folder: Secret S, key K is the file S/K in it.
        access: Where sinks may lead.
    """

    def __init__(
        self, board: StatusBoard, folder: Path, *, worker: str, secrets_folder: Path, access: Access
    ) -> None:
        self._board = board
        self._folder = folder
        self._worker = worker
        self._secrets_folder = secrets_folder
        self._access = access
        self._lock = threading.Lock()
        self._alerts = Alerts()
        self._monitor = ""
        self._mutes: list[Mute] = []
        self._faults: list[SinkProblem] = []
        self._spool: Spool | None = None
        self._deliveries: dict[str, Delivery] = {}
        self._open: dict[str, _Open] = {}
        self._muted: dict[str, int] = {}
        self._speaks: Callable[[str], bool] = lambda stream: True
        self.unsaved = 0

    @property
    def logs(self) -> bool:
        """Whether a sink writes incidents to standard output, so that nobody else needs to."""
        return any(sink.log is not None for sink in self._alerts.sinks)

    def ask(self, speaks: Callable[[str], bool]) -> None:
        """Ask `speaks` whether this worker speaks for a stream, before it reminds anybody."""
        self._speaks = speaks

    def configure(self, alerts: Alerts | None, monitor: str) -> None:
        """Tell whom is asked for from now on. Sinks that stay go on where they are.

        Args:
            alerts: Who is told; None: nobody.
            monitor: namespace/name of the StreamMonitor.
        """
        wanted = alerts or Alerts()
        if (wanted, monitor) == (self._alerts, self._monitor):
            return
        spool = self._spool
        if spool is None and wanted.sinks:
            spool = self._spool = Spool(self._folder)
        before = {sink.name: sink for sink in self._alerts.sinks}
        with self._lock:
            moved, self._monitor = monitor != self._monitor, monitor
            self._alerts, self._mutes = wanted, [*wanted.mutes]
        names = {sink.name for sink in wanted.sinks}
        for name in [name for name in self._deliveries if name not in names]:
            gone = self._deliveries.pop(name)
            gone.stop(0.0)
            gone.join()
        for sink in wanted.sinks if spool is not None else ():
            fresh = sink.name not in self._deliveries
            if fresh and spool is not None:
                self._deliveries[sink.name] = Delivery(
                    sink.name, spool, self.lasting, self._say_problems
                )
            if fresh or moved or before.get(sink.name) != sink:
                self._deliveries[sink.name].configure(sink, self._around())
        if spool is not None:
            spool.forget_others(names)
        self._faults = _faults(self._mutes)
        self._say_problems()

    def tell(self, event: IncidentEvent) -> bool:
        """Have everybody told of an event. It is saved on return; nothing is waited for.

        Returns:
            Whether people may know of the incident: False as long as it is muted from its start.
        """
        with self._lock:
            known = self._known(event)
            alert = self._judge(event, known)
            spool = self._spool if self._alerts.sinks else None
            if alert is not None:
                known.told = event.incident.severity
        if alert is not None and spool is not None:
            self._save(alert, spool)
        return known.told is not None

    def _save(self, alert: AlertEvent, spool: Spool) -> None:
        """Have it delivered, now or by a process after this one."""
        try:
            spool.append(alert.to_line(), expendable=alert.expendable)
        except OSError as error:
            self.unsaved += 1
            _log.error("an alert is lost: it cannot be saved anywhere: %s", error)
        for delivery in list(self._deliveries.values()):
            delivery.poke()
        if spool.problem is not None:
            self._say_problems()

    def adopt(self, incidents: Iterable[Incident]) -> None:
        """Go on with incidents that another process told of."""
        at = now()
        with self._lock:
            for one in incidents:
                # What was muted when it was raised and is still was never told.
                silent = muting(self._mutes, one, one.detected_at) and muting(self._mutes, one, at)
                self._open.setdefault(one.id, _Open(one, None if silent else one.severity))

    def let_go(self, stream: str) -> None:
        """Another worker has the stream now, and goes on with what lasts there."""
        with self._lock:
            self._open = {k: one for k, one in self._open.items() if one.incident.stream != stream}

    def lasting(self) -> list[Incident]:
        """The incidents that last, were told, and that this worker speaks for."""
        with self._lock:
            told = [one.incident for one in self._open.values() if one.told is not None]
        return [one for one in told if self._speaks(one.stream)]

    def figures(self) -> dict[str, SinkFigures]:
        """What each sink was told so far."""
        return {name: one.figures() for name, one in list(self._deliveries.items())}

    @property
    def spool_bytes(self) -> int:
        """What the spool holds on disk."""
        return self._spool.size if self._spool is not None else 0

    def muted(self) -> dict[str, int]:
        """Incidents that were not told, by the mute."""
        with self._lock:
            return dict(self._muted)

    def close(self, patience_s: float) -> None:
        """Deliver what can be delivered within a time, and end. The rest stays in the spool."""
        for delivery in self._deliveries.values():
            delivery.stop(patience_s)
        for delivery in self._deliveries.values():
            delivery.join()
        if self._spool is not None:
            self._spool.close()

    def _known(self, event: IncidentEvent) -> _Open:
        """What is known of an incident, the event included."""
        incident = event.incident
        known = self._open.setdefault(incident.id, _Open(incident, None))
        known.incident = incident
        if not incident.active:
            del self._open[incident.id]
        return known

    def _judge(self, event: IncidentEvent, known: _Open) -> AlertEvent | None:
        """What is told of an event; None if nothing is."""
        at = now()
        mute = muting(self._mutes, event.incident, at)
        kind = event.kind
        if known.told is None and kind is EventKind.ENDED:
            return None  # nobody was told that it began
        if mute is not None and (known.told is None or kind is EventKind.UPDATED):
            if kind is EventKind.STARTED:
                self._muted[mute] = self._muted.get(mute, 0) + 1
            return None
        if known.told is None:
            kind = EventKind.STARTED
        return AlertEvent(kind, event.incident, at, known.told)

    def _around(self) -> Around:
        return Around(self._monitor, self._worker, self._secrets_folder, self._access)

    def _say_problems(self) -> None:
        failing = [one.problem for one in list(self._deliveries.values())]
        self._board.set_sinks([*self._faults, *(one for one in failing if one is not None)])
        spool = self._spool
        self._board.set_problems("alerts", [spool.problem] if spool and spool.problem else [])


def _faults(mutes: Iterable[Mute]) -> list[SinkProblem]:
    since = now().replace(microsecond=0)
    return [
        SinkProblem(name=mute.name, reason="InvalidMute", message=fault, since=since)
        for mute in mutes
        for fault in mute_faults([mute])
    ]
