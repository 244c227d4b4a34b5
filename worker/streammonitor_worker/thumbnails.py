"""Small pictures of a stream: what is kept so that an incident can be shown later.

While all is well, four pictures a second are copied, reduced to 320 pixels, and forgotten after
three seconds; nothing is encoded. A detector may find out late where a defect began, and a
decoder's picture is gone by then.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import cv2
import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import Chroma, FrameView
from streammonitor_worker.measures.colour import rgb_of
from streammonitor_worker.measures.picture import PictureMeasures

SIDE_PX = 320
"""A thumbnail is at most this wide, and this high."""
EVERY_S = 0.25
KEPT = 12
"""So many pictures are kept: three seconds, in at most 1.1 MB."""
JPEG_QUALITY = 80

Tiles = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small copy of one picture.

    Attributes:
        view: The picture as it was judged (its region, ignored parts blanked), at most 320 pixels
            wide and high, in 8 bits, with planes of its own.
        tiles: Which parts are defective, shape (rows, columns) over the whole picture; None if that
            is not known.
    """

    view: FrameView
    tiles: Tiles | None = field(default=None, compare=False)

    @property
    def time_s(self) -> float:
        """Media time at which it was presented, in seconds."""
        return self.view.time_s

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.view.luma.shape
        return width, height

    def jpeg(self) -> bytes:
        """The picture as JPEG, in colour if it has any; the tiles are not drawn in.

        PQ and HLG are shown as they are coded, which looks flat.
        """
        picture = np.rint(rgb_of(self.view, *self.size)[..., ::-1] * 255).astype(np.uint8)
        done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
        if not done:
            raise ValueError(f"a picture of {self.size} pixels cannot be encoded")
        return encoded.tobytes()


def thumbnail(measures: PictureMeasures) -> Thumbnail:
    """Copy a picture that is being observed."""
    view, reduced = measures.view, measures.reduced
    height, width = reduced.shape
    factor = min(1.0, SIDE_PX / width, SIDE_PX / height)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    # Averaging is quick for whole factors only; less than half needs none.
    how = cv2.INTER_AREA if factor <= 0.5 else cv2.INTER_LINEAR
    # What is reduced belongs to the measures: it stays valid and nobody changes it.
    luma = reduced if factor == 1.0 else cv2.resize(reduced, size, interpolation=how)
    chroma = None if view.chroma is None else _chroma(view.chroma, size, view.bit_depth)
    small = np.asarray(luma, np.uint8)
    return Thumbnail(replace(view, luma=small, chroma=chroma, bit_depth=8, ignored=()))


def _chroma(planes: Chroma, size: tuple[int, int], bit_depth: int) -> Chroma:
    """Every n-th sample: coarse colours will do, and averaging would cost more than all else."""
    step = max(1, -(-2 * planes.u.shape[1] // size[0]))
    u, v = (np.right_shift(one[::step, ::step], bit_depth - 8).astype(np.uint8) for one in planes)
    return Chroma(u, v)


class Gallery:
    """The recent pictures of one stream."""

    def __init__(self) -> None:
        self._kept: deque[Thumbnail] = deque(maxlen=KEPT)
        self._shown: PictureMeasures | None = None
        self._copy: Thumbnail | None = None

    @property
    def last(self) -> Thumbnail | None:
        """The latest picture that is kept."""
        return self._kept[-1] if self._kept else None

    @contextmanager
    def showing(self, measures: PictureMeasures) -> Iterator[None]:
        """While a picture is observed, it can be copied."""
        self._shown, self._copy = measures, None
        last = self.last
        if last is None or measures.view.time_s >= last.time_s + EVERY_S:
            self._kept.append(self._now(measures))
        try:
            yield
        finally:
            self._shown = self._copy = None

    def between(self, start_s: float, end_s: float) -> Thumbnail | None:
        """A picture from a span of media time: the one that is shown, or the first that is kept.

        Without any, the first one after it.
        """
        shown = self._shown
        if shown is not None and start_s <= shown.view.time_s < end_s:
            return self._now(shown)
        return self.first(start_s)

    def first(self, start_s: float) -> Thumbnail | None:
        """The first picture from a point of media time on that there is."""
        kept = next((one for one in self._kept if one.time_s >= start_s), None)
        return self._now(self._shown) if kept is None and self._shown is not None else kept

    def _now(self, shown: PictureMeasures) -> Thumbnail:
        if self._copy is None:
            self._copy = thumbnail(shown)
        return self._copy


def with_tiles(one: Thumbnail | None, tiles: Tiles | None) -> Thumbnail | None:
    """The same picture with the map of its defective parts."""
    return one if one is None or tiles is None else replace(one, tiles=tiles)
