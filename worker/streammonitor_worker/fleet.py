"""All streams of a process: brings them in line with an assignment, disturbing no others."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from streammonitor_api.assignment import Assignment, Turn
from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.spec import Stream
from streammonitor_api.worker_status import StreamState, StreamStatus
from streammonitor_worker.alerts import AlertDesk
from streammonitor_worker.analysis import EventKind, IncidentEvent
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.caution import Caution
from streammonitor_worker.checks import check_detector
from streammonitor_worker.figures import Figures
from streammonitor_worker.ingest import EVERYTHING, Access
from streammonitor_worker.journal import Journal
from streammonitor_worker.logs import write_incident
from streammonitor_worker.results import ResultsDesk
from streammonitor_worker.stream import StreamRunner
from streammonitor_worker.surroundings import Surroundings, unread
from streammonitor_worker.ticker import Ticker

STALLED_S = 90.0
"""A stream's thread that made no step for so long hangs: every wait in it is shorter."""

_log = logging.getLogger(__name__)
Detectors = Mapping[str, Mapping[str, Any]]


class Fleet:
    """The streams that this process monitors.

    `apply` and the stopping functions are called from one thread at a time; streams report from
    their own.

    Args:
        board: The status document.
        journal: Where open incidents are saved; None: nowhere.
        caution: Knows which streams may have killed the process before; None: nobody does.
        worker: Name of this worker.
        secrets_folder: Mounted Secrets.
        access: Which sources may be opened.
        evidence: Whether small pictures and sound of incidents are kept.
        alerts: Tells the sinks; None: there are none.
        results: Sums up every minute of every stream; None: nobody does.
        on_incident: Called with each incident event; default: a JSON line on standard output.
    """

    def __init__(
        self,
        board: StatusBoard,
        *,
        journal: Journal | None,
        caution: Caution | None = None,
        worker: str,
        secrets_folder: Path,
        access: Access = EVERYTHING,
        evidence: bool = True,
        alerts: AlertDesk | None = None,
        results: ResultsDesk | None = None,
        on_incident: Callable[[str, Incident], None] = write_incident,
    ) -> None:
        self._board = board
        self._journal = journal
        self._caution = caution
        self._worker = worker
        self._secrets_folder = secrets_folder
        self._access = access
        self._evidence = evidence
        self._alerts = alerts
        self._results = results
        self._on_incident = on_incident
        self._runners: dict[str, StreamRunner] = {}
        self._detectors: dict[str, dict[str, Any]] = {}
        self._profile: str | None = None
        self._monitor_uid = ""
        self._shows_decrypted = False
        self._leaving: list[StreamRunner] = []
        self._ticker = Ticker(lambda: list(self._runners.values()))
        if journal is not None:
            self._tell_journal(journal)
        if alerts is not None:
            alerts.ask(self._speaks)

    @property
    def empty(self) -> bool:
        """Whether no stream is left."""
        return not self._runners

    @property
    def completed(self) -> bool:
        """Whether every stream was played to its end, or cannot be played at all."""
        over = (StreamState.COMPLETED, StreamState.FAILED)
        return all(runner.status.state in over for runner in list(self._runners.values()))

    def healthy(self) -> list[str]:
        """Name the streams whose threads died or hang; empty when all is well."""
        now = time.monotonic()
        return [
            runner.name
            for runner in list(self._runners.values())
            if not runner.alive or (not runner.completed and now - runner.progress_at > STALLED_S)
        ]

    def find(self, stream: str) -> StreamRunner | None:
        """A stream that is monitored here, by its name."""
        return self._runners.get(stream)

    def figures(self) -> dict[str, tuple[StreamStatus, Figures]]:
        """What each stream is and has done."""
        return {
            name: (runner.status, runner.figures()) for name, runner in list(self._runners.items())
        }

    def apply(self, assignment: Assignment, *, stale: bool = False) -> list[str]:
        """Carry out an assignment. Returns what could not be, as sentences.

        Args:
            assignment: What to do.
            stale: It may be out of date: analyse, and tell of it once it is applied again.
        """
        self._monitor_uid = assignment.monitor_uid
        self._shows_decrypted = bool(assignment.show_decrypted_pictures)
        if self._alerts is not None:
            self._alerts.configure(assignment.alerts, assignment.monitor)
        if self._results is not None:
            self._results.configure(assignment.results, assignment.monitor, assignment.group)
        detectors, problems = _usable(assignment.detectors)
        wanted = {stream.name: stream for stream in assignment.streams}
        muted = set(assignment.warming)
        turns = {turn.stream: turn for turn in assignment.turns}
        released = {release.stream: release.reason for release in assignment.released}
        held = self._held(assignment)
        for name in [name for name in self._runners if name not in wanted]:
            self._stop(name, released.get(name))
        changed = (detectors, assignment.profile) != (self._detectors, self._profile)
        self._detectors, self._profile = detectors, assignment.profile
        caution = self._caution
        for name, stream in wanted.items():
            self._bring_in_line(stream, changed)
            self._runners[name].listen(assignment.ports.get(name))
            turn = self._clocked(turns.get(name) or Turn(stream=name))
            if name in muted:
                self._runners[name].follow(turn)
                continue
            tell = self._runners[name].follow if stale else self._runners[name].hold
            tell(turn, self._adopted(held.pop(name, [])))
        for name in wanted:
            delay_s = caution.delay_s(name, wanted) if caution is not None else 0.0
            self._runners[name].start(delay_s)
        self._ticker.start()
        if not stale:
            self._settle(held, released)
        self._board.acknowledge(assignment.epoch)
        return problems

    def interrupt(self) -> None:
        """Stop everything; what is open is reported as interrupted and stays in the journal."""
        for runner in self._runners.values():
            runner.finish(EndReason.INTERRUPTED)
        self._leaving.extend(self._runners.values())
        self._runners.clear()

    def finish(self, reason: EndReason) -> None:
        """Stop everything and end what is open."""
        for name in list(self._runners):
            self._stop(name, reason)

    def join(self, timeout_s: float) -> bool:
        """Wait for the threads of stopped streams; False if some are still in FFmpeg."""
        deadline = time.monotonic() + timeout_s
        self._ticker.stop()
        return all([r.join(max(0.0, deadline - time.monotonic())) for r in self._leaving])

    def stream_changed(self, status: StreamStatus) -> None:
        """A stream reports its state."""
        if self._caution is not None:
            self._caution.note(status)
        if self._journal is not None and status.clock_s is not None:
            self._journal.clocked(status.name, status.clock_s)
        self._board.set_stream(status)

    def incident_changed(self, event: IncidentEvent) -> None:
        """A stream reports an incident: saved first, then told."""
        incident = event.incident
        if self._journal is not None and self._journal.was_closed(incident.id):
            return  # seen again: a process before this one told of all of it
        if self._alerts is not None:
            # Before the journal: a process that dies in between raises it anew, with the same id.
            told = self._alerts.tell(event)
            muted = None if told else True
            if incident.muted is not muted:
                incident = incident.model_copy(update={"muted": muted})
        if self._results is not None:
            self._results.tell(event)
        if self._journal is not None:
            # What this process interrupts, its successor on this node goes on with.
            if incident.active or incident.expires_at is not None:
                self._journal.opened(incident)
            else:
                self._journal.closed(incident)
            self._tell_journal(self._journal)
        self._board.set_incident(incident)
        if self._alerts is None or not self._alerts.logs:
            self._on_incident(event.kind.value, incident)

    def _speaks(self, stream: str) -> bool:
        """Whether this worker tells of a stream's incidents now."""
        runner = self._runners.get(stream)
        return runner is not None and runner.speaks

    def _let_go(self, stream: str) -> None:
        """What is open on a stream is another worker's, or nobody's."""
        if self._journal is not None:
            self._journal.let_go(stream)
        if self._alerts is not None:
            self._alerts.let_go(stream)

    def _tell_journal(self, journal: Journal) -> None:
        self._board.set_problems("journal", [journal.problem] if journal.problem else [])

    def _bring_in_line(self, stream: Stream, others_changed: bool) -> None:
        runner = self._runners.get(stream.name)
        if runner is not None and runner.completed and runner.stream.source != stream.source:
            self._stop(stream.name, None)
            runner = None
        if runner is None:
            self._prepare(stream)
        elif others_changed or runner.stream != stream:
            runner.configure(stream, self._detectors, self._profile)

    def _prepare(self, stream: Stream) -> None:
        around = Surroundings(
            reporter=self,
            secrets_folder=self._secrets_folder,
            monitor_uid=self._monitor_uid,
            worker=self._worker,
            access=self._access,
            evidence=self._evidence,
            shows_decrypted=lambda: self._shows_decrypted,
            minutes=self._results.minutes if self._results is not None else unread,
        )
        self._runners[stream.name] = StreamRunner(stream, self._detectors, around, self._profile)
        _log.info("stream started", extra={"fields": {"stream": stream.name}})

    def _clocked(self, turn: Turn) -> Turn:
        """With the clock that a process before this one used, if the assignment has none."""
        if turn.clock_s is not None or self._journal is None:
            return turn
        return turn.model_copy(update={"clock_s": self._journal.clock(turn.stream)})

    def _adopted(self, held: list[Incident]) -> list[Incident]:
        """Open incidents of others that are this worker's from now on."""
        mine = {"worker": self._worker}
        fresh = [item.model_copy(update=mine) for item in held if item.defect in self._detectors]
        for incident in fresh:
            if self._journal is not None:
                self._journal.opened(incident)
            self._board.set_incident(incident)
        if self._alerts is not None:
            self._alerts.adopt(fresh)
        if self._results is not None:
            self._results.adopt(fresh)
        return fresh

    def _stop(self, name: str, reason: EndReason | None) -> None:
        runner = self._runners.pop(name)
        if reason is None:
            runner.let_go()
        else:
            runner.finish(reason)
        if self._results is not None:
            self._results.drop(name)
        self._let_go(name)
        self._board.drop_stream(name)
        if self._caution is not None:
            self._caution.forget(name)
        self._leaving = [gone for gone in self._leaving if not gone.join(0)] + [runner]
        fields = {"stream": name, "reason": reason.value if reason else "moved"}
        _log.info("stream stopped", extra={"fields": fields})

    def _held(self, assignment: Assignment) -> dict[str, list[Incident]]:
        """Incidents to adopt, by stream: from the journal and from the assignment.

        An assignment goes on listing an incident after this worker ended it, and while it holds
        it: neither opens it again.
        """
        known = {
            item.id
            for item in self._board.document().incidents
            if item.end_reason is not EndReason.INTERRUPTED
        }
        candidates = {item.id: _reopened(item) for item in assignment.open_incidents}
        if self._journal is not None:
            candidates |= {item.id: _reopened(item) for item in self._journal.open_incidents()}
        held: dict[str, list[Incident]] = {}
        for incident in candidates.values():
            closed = self._journal is not None and self._journal.was_closed(incident.id)
            ours = incident.monitor_uid == assignment.monitor_uid
            if ours and not closed and incident.id not in known:
                held.setdefault(incident.stream, []).append(incident)
        return held

    def _settle(
        self, held: Mapping[str, list[Incident]], released: Mapping[str, EndReason]
    ) -> None:
        """Deal with open incidents of streams that are not ours to monitor (any more)."""
        for name, incidents in held.items():
            reason = released.get(name)
            if self._alerts is not None and reason:
                self._alerts.adopt(incidents)  # so that who was told of a start is told of the end
            for incident in incidents if reason else []:
                ended = incident.model_copy(
                    update={"ended_at": datetime.now(UTC), "end_reason": reason}
                )
                self.incident_changed(IncidentEvent(EventKind.ENDED, ended))
            self._let_go(name)


def _reopened(incident: Incident) -> Incident:
    """An interrupted incident goes on when it is adopted."""
    return incident.model_copy(
        update={"ended_at": None, "end_s": None, "end_reason": None, "expires_at": None}
    )


def _usable(detectors: Detectors) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Leave out detectors that this version lacks or whose parameters it refuses."""
    usable: dict[str, dict[str, Any]] = {}
    problems = []
    for name, params in detectors.items():
        refusals = check_detector(name, params)
        problems += [f"{text}: it does not run" for text in refusals.fatal]
        problems += [f"{text}: it is ignored" for text in refusals.ignored]
        if not refusals.fatal:
            usable[name] = dict(params)
    return usable, problems
