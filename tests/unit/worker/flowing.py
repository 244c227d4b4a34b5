"""A stream that flows, pauses, stops and comes back, on a clock that a test turns."""

from collections.abc import Iterable

import numpy as np

from streammonitor_worker.facts import Packet, Track
from streammonitor_worker.frames import FrameView, LumaArray, MediaItem, TransportView
from streammonitor_worker.programme import ProgrammeClock
from streammonitor_worker.splice import Splice

RATE = 25
STEP_S = 1 / RATE
GREY = np.full((18, 32), 120, np.uint8)


class Flow:
    """A stream as its runner hands it to the analysis.

    Attributes:
        now_s: The wall clock, and the monotonic one.
        splice: What places what comes.
    """

    def __init__(self) -> None:
        self.now_s = 100.0
        self.splice = Splice(ProgrammeClock(), clock=lambda: self.now_s, wall=lambda: self.now_s)
        self.splice.connected()

    def place(self, *raw: MediaItem) -> list[MediaItem]:
        """Something comes."""
        return [item for one in raw for item in self.splice.place(one)]

    def flow(
        self, start_s: float, duration_s: float, pictures: Iterable[LumaArray] = ()
    ) -> list[MediaItem]:
        """Frames that come as they are shown, each with its packet; grey ones unless given."""
        found: list[MediaItem] = []
        shown = iter(pictures)
        for index in range(round(duration_s * RATE)):
            time_s = start_s + index * STEP_S
            packet = Packet(Track.VIDEO, time_s, time_s, STEP_S, 1000)
            told = TransportView(time_s, self.now_s, packet)
            found += self.place(told, self.frame(time_s, next(shown, GREY)))
            self.now_s += STEP_S
        return found

    def frame(self, time_s: float, luma: LumaArray = GREY) -> FrameView:
        """One frame that comes now."""
        return FrameView(time_s=time_s, duration_s=STEP_S, arrived_at=self.now_s, luma=luma)

    def wait(self, duration_s: float) -> list[TransportView]:
        """Nothing comes."""
        found: list[TransportView] = []
        for _ in range(round(duration_s * 4)):
            self.now_s += 0.25
            found += self.splice.wait()
        return found
