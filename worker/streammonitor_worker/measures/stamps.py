"""Timestamps of one elementary stream against how long its packets last."""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from streammonitor_worker.facts import Packet, Track

WRAP_S = 2**33 / 90_000
"""MPEG-2 transport streams count 33 bits of 90 kHz (ISO/IEC 13818-1, 2.4.3.7): 26.5 hours."""
JUMP_S = 60.0
"""A step of more is another clock: nothing says how much is missing."""
RECENT = 500
"""The jitter is that of so many packets: ten seconds of sound, twenty of pictures."""
USUAL_RATIO = 0.95
"""The rest of them may be out of the ordinary."""
JITTER_RATIO = 3.0
"""A step is out of the ordinary beyond so much of the usual jitter."""
LEARN_EVERY = 25
FEWEST = 100
"""Until so many were seen, pictures may have any rate."""
IRREGULAR_S = 0.02
"""Pictures whose steps usually differ by more have no constant rate."""
IRREGULAR_GAP_S = 1.0
"""They may pause for so long: nothing on the screen moves."""


class Fault(StrEnum):
    """What is wrong with a timestamp."""

    GAP = "gap"
    """It lies behind the end of the packet before."""
    OVERLAP = "overlap"
    """It lies before the end of the packet before."""
    BACKWARD = "backward"
    """It lies before the beginning of the packet before."""
    JUMP = "jump"
    """It is of another clock."""


@dataclass(frozen=True, slots=True)
class Step:
    """A packet's timestamp against the packet before.

    Attributes:
        fault: What is wrong; None if nothing is.
        by_s: By how much, in seconds; never negative.
        error_s: How far it lies behind the end of the packet before, in seconds.
    """

    fault: Fault | None
    by_s: float
    error_s: float


class Stamps:
    """Follows the timestamps of one elementary stream.

    Decoding times are followed: those of presentation go back and forth. They may wrap at 33 bits.

    Args:
        tolerance_s: What a step may be off, whatever the jitter.
    """

    def __init__(self, tolerance_s: float) -> None:
        self._tolerance_s = tolerance_s
        self._last_s: float | None = None
        self._next_s = 0.0
        self._step_s = 0.0
        self._errors: deque[float] = deque(maxlen=RECENT)
        self._usual_s = 0.0
        self._since = 0

    def seam(self) -> None:
        """What follows need not adjoin."""
        self._last_s = None

    def take(self, packet: Packet) -> Step | None:
        """Take the next packet; None where nothing can be said of it."""
        at_s = packet.dts_s
        if at_s is None and packet.track is Track.AUDIO:
            at_s = packet.pts_s
        if at_s is None:
            return None
        last_s, self._last_s = self._last_s, at_s
        if last_s is None:
            self._expect(at_s, packet.duration_s or self._step_s)
            return None
        step_s, error_s = _unwrapped(at_s - last_s), _unwrapped(at_s - self._next_s)
        if not packet.duration_s and not self._step_s:
            error_s = 0.0  # how long it lasts is not known yet
        fault = self._fault(packet, step_s, error_s)
        if fault is None:
            self._step_s = max(0.0, step_s)
            self._follow(abs(error_s))
        elif fault is not Fault.JUMP:
            self._follow(abs(error_s))
        by_s = -step_s if fault is Fault.BACKWARD else abs(error_s)
        self._expect(at_s, packet.duration_s or self._step_s)
        return Step(fault, by_s, error_s)

    def _expect(self, at_s: float, duration_s: float) -> None:
        self._next_s = at_s + duration_s

    def _fault(self, packet: Packet, step_s: float, error_s: float) -> Fault | None:
        allowed_s = max(self._tolerance_s, JITTER_RATIO * self._usual_s)
        irregular = self._usual_s > IRREGULAR_S or len(self._errors) < FEWEST
        if packet.track is Track.VIDEO and irregular:
            allowed_s = max(allowed_s, IRREGULAR_GAP_S)
        if abs(error_s) > JUMP_S:
            return Fault.JUMP
        if -step_s > self._tolerance_s:
            return Fault.BACKWARD
        if abs(error_s) <= allowed_s:
            return None
        return Fault.GAP if error_s > 0 else Fault.OVERLAP

    def _follow(self, error_s: float) -> None:
        """Learn the jitter: the greatest error but for the few that are out of the ordinary."""
        self._errors.append(error_s)
        self._since += 1
        if self._since >= LEARN_EVERY:
            self._since = 0
            self._usual_s = sorted(self._errors)[int(len(self._errors) * USUAL_RATIO)]


def _unwrapped(step_s: float) -> float:
    """The same step, on a clock that did not wrap in between."""
    return step_s - round(step_s / WRAP_S) * WRAP_S
