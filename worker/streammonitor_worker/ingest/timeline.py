"""Source timestamps → media time that starts at 0 and never goes back."""

from dataclasses import dataclass

from streammonitor_worker.frames import Discontinuity

GAP_S = 1.0
"""A step of more than this beyond what is expected is a gap. Below it, it is a variable frame
rate or jitter."""
BACKWARD_S = 0.5
"""A step back of more than this starts a new timeline (a wrap, an encoder that was restarted)."""
LOST_MEDIA_S = 60.0
"""A gap up to this is media that is missing, and media time advances by it. A longer one is a new
timeline: nothing says how much is missing."""


@dataclass(slots=True)
class _Track:
    """What is known of one elementary stream.

    Attributes:
        offset_s: Media time minus source time.
        next_s: Media time at which the next frame is expected.
        last_s: Media time of the last frame.
        told_until_s: Media time up to which a gap was reported already, by the other track.
    """

    offset_s: float
    next_s: float
    last_s: float
    told_until_s: float = 0.0


class Timeline:
    """Media time of the elementary streams of one source, which share one timeline.

    Feed it every frame in presentation order. The first call's `origin_s` is source time of media
    time 0.
    """

    def __init__(self, origin_s: float) -> None:
        self._tracks: dict[str, _Track] = {}
        self._offset_s = -origin_s

    def place(
        self, track: str, source_s: float | None, duration_s: float
    ) -> tuple[float, Discontinuity | None]:
        """Return the media time of a frame, and the discontinuity that precedes it, if any.

        Args:
            track: Which elementary stream.
            source_s: The frame's timestamp in seconds; None if it has none.
            duration_s: How long it is presented; 0 when unknown.
        """
        state = self._tracks.get(track)
        if state is None:
            # A track that begins before the origin (its first frame came late) begins at 0.
            first_s = 0.0 if source_s is None else max(0.0, source_s + self._offset_s)
            offset_s = self._offset_s
            self._tracks[track] = _Track(offset_s, first_s + duration_s, first_s)
            return first_s, None
        jump = None
        if source_s is None:
            time_s = state.next_s
        else:
            time_s = source_s + state.offset_s
            if not -BACKWARD_S <= time_s - state.next_s <= GAP_S:
                time_s, jump = self._jump(state, source_s)
        time_s = max(time_s, state.last_s)
        state.last_s, state.next_s = time_s, time_s + duration_s
        return time_s, jump

    def _jump(self, state: _Track, source_s: float) -> tuple[float, Discontinuity | None]:
        time_s = source_s + self._offset_s
        if state.offset_s != self._offset_s and self._near(state, time_s):
            # The other track made this jump first: go where it went, and say nothing twice.
            state.offset_s = self._offset_s
            return time_s, None
        time_s = source_s + state.offset_s
        gap_s = time_s - state.next_s
        if not 0 < gap_s <= LOST_MEDIA_S:
            time_s, gap_s = state.next_s, 0.0
            state.offset_s = self._offset_s = time_s - source_s
        if time_s <= state.told_until_s:
            return time_s, None
        for other in self._tracks.values():
            if other is not state:
                other.told_until_s = time_s + GAP_S
        return time_s, Discontinuity(time_s=time_s, gap_s=gap_s)

    @staticmethod
    def _near(state: _Track, time_s: float) -> bool:
        return -2 * BACKWARD_S <= time_s - state.next_s <= LOST_MEDIA_S
