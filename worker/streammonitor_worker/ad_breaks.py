"""When a stream said that it is in an ad break: context of incidents, never a defect."""

from collections import deque
from dataclasses import dataclass, replace

from streammonitor_worker.deliveries import AdCue
from streammonitor_worker.incidents import EventKind, IncidentEvent

MAX_BREAK_S = 900.0
"""A break whose end nobody announces is over after this."""
MAX_BREAKS = 64
"""So many of the last ones are remembered."""
MAX_INCIDENTS = 64
"""Of so many of the last incidents that began in one."""


@dataclass(frozen=True, slots=True)
class _Break:
    kind: int
    event: int
    start_s: float
    end_s: float


class AdBreaks:
    """The breaks of a stream, on its media time."""

    def __init__(self) -> None:
        self._breaks: deque[_Break] = deque(maxlen=MAX_BREAKS)
        self._explained: deque[str] = deque(maxlen=MAX_INCIDENTS)

    def take(self, cue: AdCue, told_s: float) -> None:
        """Take what the stream announces.

        Args:
            cue: It.
            told_s: Media time at which it is told, in seconds.
        """
        at_s = told_s + cue.in_s
        if cue.cancelled:
            self.cancel(cue.kind, cue.event)
        elif cue.leaves:
            self.leave(cue.kind, cue.event, at_s, cue.duration_s)
        else:
            self.come_back(cue.kind, at_s)

    def leave(self, kind: int, event: int, at_s: float, duration_s: float | None = None) -> None:
        """The programme is left; said again, it is the same break.

        Args:
            kind: Tells breaks apart that are announced in different ways, and may overlap.
            event: Identity of the break within its kind.
            at_s: When, in seconds of media time.
            duration_s: For how long, if that is known.
        """
        known = self._find(kind, event)
        end_s = at_s + min(MAX_BREAK_S, MAX_BREAK_S if duration_s is None else duration_s)
        if known is None:
            self._breaks.append(_Break(kind, event, at_s, end_s))
        elif known.end_s > at_s:
            start_s = min(known.start_s, at_s)
            self._replace(known, replace(known, start_s=start_s, end_s=max(start_s, end_s)))
        else:
            self._replace(known, _Break(kind, event, at_s, end_s))

    def come_back(self, kind: int, at_s: float) -> None:
        """The programme comes back, from whatever break of this kind; not all name the right one.

        Args:
            kind: See `leave`.
            at_s: When, in seconds of media time.
        """
        for one in list(self._breaks):
            if one.kind == kind and one.start_s <= at_s < one.end_s:
                self._replace(one, replace(one, end_s=at_s))

    def cancel(self, kind: int, event: int) -> None:
        """A break that was announced does not take place.

        Args:
            kind: See `leave`.
            event: See `leave`.
        """
        known = self._find(kind, event)
        if known is not None:
            self._breaks.remove(known)

    def covers(self, time_s: float) -> bool:
        """Whether a moment of media time lies in a break."""
        return any(one.start_s <= time_s < one.end_s for one in self._breaks)

    def explain(self, event: IncidentEvent) -> IncidentEvent:
        """The same event, with whether its incident began in a break."""
        incident = event.incident
        if event.kind is EventKind.STARTED and self.covers(incident.start_s):
            self._explained.append(incident.id)
        if incident.id not in self._explained:
            return event
        return replace(event, incident=incident.model_copy(update={"ad_break": True}))

    def _find(self, kind: int, event: int) -> _Break | None:
        of_event = (one for one in self._breaks if (one.kind, one.event) == (kind, event))
        return next(of_event, None)

    def _replace(self, known: _Break, by: _Break) -> None:
        self._breaks[self._breaks.index(known)] = by
