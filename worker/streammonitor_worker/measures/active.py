"""The active picture: what letterbox and pillarbox bars leave of the frame."""

from dataclasses import dataclass, field

import cv2

from streammonitor_worker.box import Box
from streammonitor_worker.measures.luma import Luma8


@dataclass(slots=True)
class ActivePicture:
    """Follows the part of the picture in which anything bright was seen lately.

    It grows at once and shrinks slowly: a bar must have been dark for a whole window of frames with
    a picture in them. Dark frames say nothing about bars, so they leave the box as it is.

    Attributes:
        window_s: How much media with a picture in it one window spans, in seconds.
    """

    window_s: float = 5.0
    _whole: Box | None = field(default=None, init=False)
    _previous: Box | None = field(default=None, init=False)
    _current: Box | None = field(default=None, init=False)
    _seen_s: float = field(default=0.0, init=False)

    def reset(self) -> None:
        """Forget everything: another picture format follows."""
        self._whole = self._previous = self._current = None
        self._seen_s = 0.0

    def update(self, picture: Luma8, dark_level: float, duration_s: float) -> Box:
        """Take a reduced picture and return the box of the active picture in it.

        Args:
            picture: Luma in 8-bit codes.
            dark_level: Luma up to which a pixel may belong to a bar.
            duration_s: How long the picture is presented.
        """
        height, width = picture.shape
        whole = Box(0, 0, width, height)
        if self._whole != whole:
            self.reset()
            # Until a window has passed, nothing is known about bars.
            self._whole = self._previous = whole
        lit = cv2.threshold(picture, dark_level, 255, cv2.THRESH_BINARY)[1]
        left, top, lit_width, lit_height = cv2.boundingRect(lit)
        if lit_width:
            self._extend(Box(left, top, left + lit_width, top + lit_height), duration_s)
        return self._box(whole)

    def _extend(self, lit: Box, duration_s: float) -> None:
        self._current = lit if self._current is None else self._current.union(lit)
        self._seen_s += duration_s
        if self._seen_s >= self.window_s:
            self._previous, self._current, self._seen_s = self._current, None, 0.0

    def _box(self, whole: Box) -> Box:
        if self._previous is None:
            return self._current or whole
        return self._previous if self._current is None else self._previous.union(self._current)
