"""Programme time: on which the workers that follow the same source agree.

Media time begins at 0 in every worker. The source's own timestamps are the same for all of them,
but wrap, and start over with the encoder. Programme time is the timestamps plus a number of seconds
that the first worker chose so that it is about UTC, and that it passes on. Where timestamps jump,
programme time goes on as media time does, in every worker alike.
"""

WRAP_S = 2**33 / 90_000
"""MPEG-2 transport streams count 33 bits of 90 kHz (ISO/IEC 13818-1, 2.4.3.7): 26.5 hours."""
JUMP_S = 0.5
"""Timestamps that are off by more than this do not continue."""
PLAUSIBLE_S = 60.0
"""Programme time is this near to the wall clock, whatever the latency; else the clock is another
source's, or the encoder's before it started anew."""
RESUMED_S = 20.0
"""The same for a sender that has connected again: it is not behind, and may have begun anew."""


class ProgrammeClock:
    """Media time of one worker -> programme time.

    Attributes:
        clock_s: Seconds from timestamps to programme time; None where there are none to share.
        plausible_s: How far from the wall clock programme time may be where the source begins.
    """

    def __init__(self) -> None:
        self.clock_s: float | None = None
        self.plausible_s = PLAUSIBLE_S
        self._given_s: float | None = None
        self._offset_s: float | None = None
        self._rejoined = False

    def use(self, clock_s: float | None) -> None:
        """Take over what other workers add to timestamps; later than the first frame: too late."""
        self._given_s = clock_s

    def rejoined(self) -> None:
        """The source was opened again: how much media is missing was measured by the wall clock."""
        self._rejoined = True

    def place(self, time_s: float, source_s: float | None, arrived_at: float) -> None:
        """Take a frame: media time, timestamp, and Unix time of its arrival, all in seconds."""
        if source_s is None:
            self.clock_s = self._offset_s = None
            return
        source_s %= WRAP_S
        if self.clock_s is None or self._offset_s is None:
            given_s = self._given_s
            if given_s is None or abs(source_s + given_s - arrived_at) > self.plausible_s:
                given_s = arrived_at - source_s
            self.clock_s, self._offset_s = given_s, source_s + given_s - time_s
        drift_s = source_s + self.clock_s - (time_s + self._offset_s)
        if abs(drift_s) > JUMP_S:
            if self._rejoined and abs(drift_s) <= self.plausible_s:
                self._offset_s += drift_s
            else:
                self.clock_s -= drift_s
        self._rejoined = False

    def programme_s(self, time_s: float) -> float | None:
        """Programme time of media time; None without one."""
        return None if self._offset_s is None else time_s + self._offset_s

    def media_s(self, programme_s: float) -> float | None:
        """Media time of programme time; None without one."""
        return None if self._offset_s is None else programme_s - self._offset_s
