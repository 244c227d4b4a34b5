"""What the decoder and the timestamps say of damage, and how long it lasts.

What is predicted from a damaged picture inherits its damage, up to the next whole key frame.
"""

import math

import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import FrameView

JOIN_S = 10.0
"""Damage before the first whole key frame is that of joining in the middle, but not for ever."""
TAINT_HALF_LIFE_S = 2.0
"""A stream without key frames heals by itself, and nothing says when."""
TAINTED = 0.1
"""How sure that must be to count at all."""
KEY_FRAMES_S = 10.0
"""Key frames that come at most so far apart are waited for: they heal it at once."""
GAP_PICTURES = 0.6
"""A picture that comes later than expected by this share of its duration follows a gap."""
USUAL_GAP_RATIO = 0.05
"""Where more pictures than this come late, gaps are the stream's cadence."""


class Taint:
    """What the decoder and the timestamps say.

    Attributes:
        joined: A whole key frame was seen, or none ever comes.
        flagged: How surely the picture inherits reported damage, 0..1. It stays up to the next key
            frame, if one is due, and else halves with time.
        lost: Which macroblocks never came since the last whole key frame; None if that is unknown.
        gap: A picture is missing since the last key frame.
        late: Pictures are missing just before this one.
    """

    def __init__(self) -> None:
        self.joined = False
        self.flagged = 0.0
        self.lost: npt.NDArray[np.bool_] | None = None
        self.gap = self.late = False
        self._seen_s = self._since_key_s = 0.0
        self._key_frames_s = math.inf
        self._next_s: float | None = None
        self._late_ratio = 0.0

    def take(self, view: FrameView) -> None:
        """Take the next picture."""
        self._seen_s += view.duration_s
        self._since_key_s += view.duration_s
        self.late = late = self._is_late(view)
        if view.key_frame:
            if self.joined:
                self._key_frames_s = self._since_key_s
            self._since_key_s = 0.0
        if view.key_frame and not view.corrupt:
            self.joined, self.flagged, self.lost, self.gap = True, 0.0, None, False
        elif view.corrupt:
            self.flagged = 1.0
            if view.lost is not None:
                self.lost = view.lost if self.lost is None else self.lost | view.lost
        else:
            if not self._since_key_s < self._key_frames_s <= KEY_FRAMES_S:
                self.flagged *= 0.5 ** (view.duration_s / TAINT_HALF_LIFE_S)
            self.gap |= late and self._late_ratio < USUAL_GAP_RATIO
        self.joined |= self._seen_s > JOIN_S

    def _is_late(self, view: FrameView) -> bool:
        expected_s, self._next_s = self._next_s, view.time_s + view.duration_s
        if expected_s is None:
            return False
        late = view.time_s - expected_s > GAP_PICTURES * view.duration_s > 0.0
        self._late_ratio += 0.02 * (late - self._late_ratio)
        return late
