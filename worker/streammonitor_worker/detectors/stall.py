"""Stall: no media comes."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_worker.detectors.base import (
    Detector,
    DetectorParams,
    Kind,
    Measurement,
    Profiles,
    Trace,
    Verdict,
)
from streammonitor_worker.facts import Waiting
from streammonitor_worker.frames import TransportView


class StallParams(DetectorParams):
    """Parameters of the stall detector."""

    min_duration: Duration = Field(default=5.0, ge=0.1, le=3600)
    """How long media must be overdue before an incident is raised."""
    clear_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long media must flow again before the incident ends."""
    critical_after: Duration = Field(default=15.0, ge=0.1, le=86400)
    """How long media must be overdue for the incident to become critical."""

    profiles: ClassVar[Profiles] = {
        "strict": {"minDuration": "2s", "clearDuration": "1s", "criticalAfter": "5s"},
        "relaxed": {"minDuration": "15s", "clearDuration": "5s", "criticalAfter": "1m"},
    }


class StallDetector(Detector[StallParams, TransportView]):
    """Finds that no picture and no sound comes while media should flow.

    Input: how long nothing has come by the wall clock, and for how long nothing comes while all is
    well. That is learnt from the source itself: one that delivers a segment every six seconds
    pauses for six seconds, and only what goes beyond, by half a pause and two seconds, is a stall;
    it is counted from when media was due. Whether the connection holds does not matter: a
    reconnection that resumes in time is no stall, and one that brings nothing does not end it.

    Values: `overdueSeconds`, for how long media should have come; `waitedSeconds`, for how long
    nothing has come; and `usualPauseSeconds`, how long the source pauses while all is well.

    Source: broadcast monitors and players count a stall in wall time, from when the next media was
    due; that it is due by the source's own pauses rather than by a fixed time is this project's.

    Blind spots: a source that has not delivered anything yet has no rhythm: it is unknown, and its
    stream's status says what is wrong. A pause that comes twice within two minutes on the same
    connection is taken for the source's rhythm. Who was just sent several segments at once may wait
    for as long as they play. A file that `analyze` reads is not waited for. A
    finite source that was played to its end is completed.
    """

    name: ClassVar[str] = "stall"
    kind: ClassVar[Kind] = Kind.TRANSPORT
    summary: ClassVar[str] = "No media comes while it should flow."
    params_type: ClassVar[type[DetectorParams]] = StallParams
    cost: ClassVar[float] = 0.001
    root: ClassVar[bool] = True
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(("overdueSeconds",), "s", lambda p: p.min_duration),
    )

    def __init__(self, params: StallParams) -> None:
        super().__init__(params)
        self.reset()

    def reset(self) -> None:
        """Forget how far the media came."""
        self._until_s: float | None = None

    def observe(self, measures: TransportView) -> Iterator[Measurement]:
        """Judge the time that passed, and whether the media came further."""
        until_s = measures.time_s if self._until_s is None else self._until_s
        self._until_s = max(until_s, measures.time_s)
        fact = measures.fact
        if isinstance(fact, Waiting) and fact.overdue_s:
            yield self._stalled(measures, fact)
        elif measures.time_s > until_s:
            yield Measurement(until_s, measures.time_s, measures.arrived_at, Verdict.GOOD)

    @staticmethod
    def _stalled(view: TransportView, waiting: Waiting) -> Measurement:
        return Measurement(
            start_s=view.time_s - waiting.overdue_s,
            end_s=view.time_s,
            arrived_at=view.arrived_at - waiting.overdue_s,
            verdict=Verdict.BAD,
            values={
                "overdueSeconds": round(waiting.overdue_s, 2),
                "waitedSeconds": round(waiting.waited_s, 2),
                "usualPauseSeconds": round(waiting.due_s, 2),
            },
        )
