"""When a worker speaks for a stream, and when it only follows it: to the picture, and counted.

A stream is handed over at one moment of programme time. The worker that lets go chooses it: when it
is past the moment since when the other is warm, and nothing is in the balance that the other did
not see begin. What it measures up to there it tells; later measurements it keeps. The other tells
of exactly those later ones, from what it measured itself.
"""

from collections import deque
from collections.abc import Sequence

from streammonitor_api.assignment import Turn
from streammonitor_api.incident import Incident
from streammonitor_api.push import Push
from streammonitor_worker.analysis import IncidentEvent, StreamAnalysis
from streammonitor_worker.frames import AudioView, FrameView
from streammonitor_worker.programme import PLAUSIBLE_S, RESUMED_S
from streammonitor_worker.rehearsal import KEPT_S
from streammonitor_worker.severity import TOLERANCE_S

BALANCE_S = 30.0
"""What is in the balance for longer than this is handed over all the same."""
STRAGGLERS_S = 5.0
"""Sound and pictures arrive apart; after so much media nothing more is waited for."""
SILENT_S = 30.0
"""Nobody took over within this time: the worker speaks again, from where it fell silent."""
AGAIN_S = 10.0
"""Then so long until it tries to hand over again."""
LED_AWAY_S = 0.5
"""Datagrams that are to go to another worker go there when none came for so long."""
LEADING_S = 3.0
"""Nor are they waited for any longer."""
NOW = float("inf")


class Voice:
    """Says when one stream's incidents are told. Its stream's lock guards it."""

    def __init__(self, analysis: StreamAnalysis) -> None:
        self._analysis = analysis
        self._programme = analysis.programme
        self._push: Push | None = None
        self._came_at = 0.0
        self._asked_at: float | None = None
        self._begun = False
        self._from_s = float("-inf")
        self._hush_s = NOW
        self._frames = 0
        self._unspoken: deque[float] = deque()
        self._held_from_s: float | None = None
        self._held_until_s: float | None = None
        self._warm_from_s: float | None = None
        self._waiting: tuple[float, list[Incident]] | None = None
        self._asked_s: float | None = None
        self._since = 0.0
        self._recall: Sequence[Incident] | None = None
        self._first_s: float | None = None
        self._seen_s = 0.0

    @property
    def silent(self) -> bool:
        """Whether what is found now is not told."""
        return self._hush_s < NOW

    def connect(self, push: Push | None) -> None:
        """The source is about to be opened.

        Args:
            push: What is listened for, if the stream is sent to this worker, and to no other.
        """
        self._push = push
        again = push is not None and push.connects
        self._programme.plausible_s = RESUMED_S if again else PLAUSIBLE_S

    def follow(self, turn: Turn | None, recall: Sequence[Incident] | None = None) -> None:
        """Tell nobody of anything.

        Args:
            turn: What the assignment says of the stream.
            recall: What is open, if all of it is to be told once this worker holds the stream.
        """
        self._use_clock(turn)
        self._recall = recall
        self._asked_s = self._waiting = self._held_from_s = self._held_until_s = None
        self._mute(float("-inf"))

    def hold(self, turn: Turn | None, incidents: Sequence[Incident]) -> list[IncidentEvent]:
        """Speak: from the moment that the turn says, or where this worker fell silent, or now.

        Args:
            turn: What the assignment says of the stream.
            incidents: What is open elsewhere.
        """
        self._use_clock(turn)
        asked_s, from_s = (turn.until_s, turn.from_s) if turn else (None, None)
        silent_s = self._programme.programme_s(self._hush_s) if abs(self._hush_s) < NOW else None
        if asked_s is not None and silent_s is not None:
            return []  # it was handed over already, as far as this worker is concerned
        self._asked_s, self._since = asked_s, 0.0
        self._asked_at = None if asked_s is None else self._asked_at
        if not self._begun and from_s is not None and not self.silent:
            self._mute(float("-inf"))
        if self._waiting is not None:
            self._waiting[1].extend(incidents)
            return []
        if not self.silent:
            return self._analysis.speak(NOW, incidents)
        if self._recall is not None:
            incidents, self._recall = [*self._recall, *incidents], None
            if from_s is None:
                return self._begin(-NOW, incidents)
        if from_s is None or (silent_s is not None and silent_s > from_s):
            from_s = silent_s  # it was asked to hand it over, and is not any more
        return self._speak(from_s, list(incidents))

    def place(self, view: FrameView | AudioView, *, timed: bool) -> None:
        """A frame is about to be analysed; `timed`: it is of the kind that sets the clock."""
        if timed:
            self._seen_s = max(self._seen_s, view.time_s + view.duration_s)
            self._first_s = view.time_s if self._first_s is None else self._first_s
            self._programme.place(view.time_s, view.source_s, view.arrived_at)
            self._begun = True
        if not isinstance(view, FrameView):
            return
        end_s = view.time_s + view.duration_s
        if end_s > self._hush_s + TOLERANCE_S:
            self._unspoken.append(end_s)
            while self._unspoken[0] < end_s - KEPT_S:
                self._unspoken.popleft()
        elif end_s > self._from_s + TOLERANCE_S:
            if self._held_from_s is None:
                self._held_from_s = self._programme.programme_s(view.time_s)
            self._frames += 1

    def step(self, now: float) -> tuple[list[IncidentEvent], bool]:
        """A frame was analysed: begin or cease to speak if the moment has come.

        Args:
            now: Monotonic clock, seconds.

        Returns:
            What is told because of it, and whether the other worker waits to hear of it.
        """
        self._came_at = now
        if self._waiting is not None and self._begun:
            (from_s, incidents), self._waiting = self._waiting, None
            return self._speak(from_s, incidents), True
        if self._asked_s is None:
            return [], False
        if not self.silent and self._asked_at is None:
            self._fall_silent(self._asked_s, now)
        if not self.silent:
            return [], False
        if self._held_until_s is None:
            return [], self._close(now)
        if now - self._since < SILENT_S:
            return [], False
        self._since = now + AGAIN_S
        return self._speak(self._held_until_s, []), True

    def yield_now(self, now: float) -> bool:
        """Fall silent at once if that is asked for: nobody else receives the stream before.

        Datagrams are led elsewhere: a port that was closed before that would turn them away.

        Args:
            now: Monotonic clock, seconds.
        """
        if self._asked_s is None or self.silent or not self._begun:
            return False
        if self._push is not None and not self._push.connects:
            self._asked_at = now if self._asked_at is None else self._asked_at
            return False
        self._cease(now)
        return True

    def led_away(self, now: float) -> bool:
        """Fall silent once the datagrams that another worker is to have come no more.

        Args:
            now: Monotonic clock, seconds.
        """
        if self._asked_at is None or self.silent:
            return False
        if now - self._came_at < LED_AWAY_S and now - self._asked_at < LEADING_S:
            return False
        self._cease(now)
        return True

    def depart(self) -> None:
        """The process ends: say until when it spoke, where nobody else received the stream."""
        if self._push is not None and self._begun and not self.silent:
            self._cease(0.0)

    def status(self, *, warm: bool) -> dict[str, object]:
        """What the worker's status says of it."""
        seen_s = min(self._analysis.told_s, self._seen_s)  # time also passes while nothing comes
        seen_s = self._seen_s if self._push else seen_s  # nobody else could judge the rest
        told_s = self._programme.programme_s(seen_s) if self._begun else None
        self._warm_from_s = (self._warm_from_s or told_s) if warm else None
        return {
            "warm": warm,
            "clock_s": _rounded(self._programme.clock_s),
            "warm_from_s": _rounded(self._warm_from_s),
            "alone": True if self._push else None,
            "position_s": _rounded(told_s),
            "held_from_s": _rounded(self._held_from_s),
            "held_until_s": _rounded(self._held_until_s),
            "held_frames": self._frames,
        }

    def _cease(self, now: float) -> None:
        self._mute(self._seen_s)
        self._held_until_s, self._since = self._programme.programme_s(self._seen_s), now

    def _use_clock(self, turn: Turn | None) -> None:
        if turn is not None and turn.clock_s is not None:
            self._programme.use(turn.clock_s)

    def _mute(self, hush_s: float) -> None:
        self._hush_s = hush_s
        self._analysis.mute(hush_s)

    def _speak(self, from_s: float | None, incidents: list[Incident]) -> list[IncidentEvent]:
        """Speak from a moment of programme time on; None: from now on."""
        if from_s is not None and not self._begun:
            self._waiting = (from_s, incidents)
            return []
        media_s = None if from_s is None else self._programme.media_s(from_s)
        return self._begin(NOW if media_s is None else media_s, incidents)

    def _begin(self, media_s: float, incidents: Sequence[Incident]) -> list[IncidentEvent]:
        """Speak from a moment of media time on; infinity: from now on."""
        first_s = self._first_s or 0.0
        begins_s = self._analysis.until_s if media_s == NOW else max(first_s, media_s)
        if abs(begins_s - self._hush_s) > TOLERANCE_S:  # else it goes on where it fell silent
            self._from_s, self._frames = begins_s, 0
            self._held_from_s = self._programme.programme_s(begins_s)
        self._hush_s, self._held_until_s = NOW, None
        self._frames += sum(end_s > begins_s + TOLERANCE_S for end_s in self._unspoken)
        self._unspoken.clear()
        return self._analysis.speak(media_s, incidents)

    def _fall_silent(self, asked_s: float, now: float) -> None:
        """Choose the moment of the hand-over, if this is a good one."""
        warm_s = self._programme.media_s(asked_s)
        if warm_s is None or self._analysis.until_s < warm_s or now < self._since:
            return
        self._since = self._since or now
        if self._analysis.settled(warm_s) or now - self._since >= BALANCE_S:
            self._mute(self._analysis.until_s)

    def _close(self, now: float) -> bool:
        """Say until when it spoke, once everything up to then was judged."""
        late = self._analysis.until_s > self._hush_s + STRAGGLERS_S
        if not late and self._analysis.told_s < self._hush_s - TOLERANCE_S:
            return False
        self._held_until_s, self._since = self._programme.programme_s(self._hush_s), now
        return True


def _rounded(time_s: float | None) -> float | None:
    return None if time_s is None else round(time_s, 6)
