"""A picture that may be standing still: what differs from it, and by how much."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple, Self

import numpy as np

from streammonitor_worker.measures.halt import relative_change, spread_of
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.overlay import TileMask, grown, largest_outside
from streammonitor_worker.measures.picture import PictureMeasures
from streammonitor_worker.measures.tiles import Tiles

MAX_POP = 0.08
"""Key frames code a frozen picture anew: its worst tile moves by 1 to 17 codes; a cut, by more."""
MAX_KEY_DRIFT = 0.05
"""Key frames of one frozen picture differ by up to 8 codes; those of a zoom differ ever more."""
RECODED_TILES = 4
"""Fewer tiles than these may exceed it if the others come close to it."""
MAX_DRIFT = 0.25
"""Mean drift as a share of the picture's standard deviation: a residual stays below 0.15, and a
picture that goes on under a dim light exceeds 0.5 soon, however little its codes change."""
MAX_KEY_FRAME_DRIFT = 0.35
"""The same between the first picture and a key frame, which is coded anew."""
STIRRING = 0.01
"""By how much a picture must be further away than any before it to show that motion returns."""

MIN_STIRS, PAUSE_S = 10, 0.5
"""What goes on in so many pictures without such a pause is no clock, whose seconds are apart."""


class Look(Enum):
    """What a picture looks like beside the one before it."""

    STILL = auto()
    POPPED = auto()
    """A key frame coded it anew."""
    CREPT = auto()
    """Step by step it moved too far."""
    MOVED = auto()


class Moment(NamedTuple):
    """When something was shown, and had arrived."""

    time_s: float
    arrived_at: float


@dataclass(slots=True)
class Standstill:
    """A picture that came to a halt, and what was shown since.

    Changes and drift are those of the most changed tile beside the overlay, as shares of the way
    from black to white.

    Attributes:
        first: The picture that came to a halt, small; None: nothing has yet.
        anchor: The same, or the one after the last key frame.
        small: The anchor, small.
        key: The first key frame since then.
        after_key: The picture before was a key frame.
        most_overlay: Share of the picture in which something may go on.
        overlay: Tiles that go on over what stands still.
        step: How much the last picture differs from the one before it.
        drift: How much the last picture differs from `anchor`.
        pictures: How many resembled the one before them.
        exact: How many repeated it exactly.
        reach: The greatest drift so far.
        stirs: In how many pictures the overlay went on without a pause.
        stirred_s: Media time of the last one, in seconds.
        stirring: Where the pictures began to be further away, one after the other, than any before.
    """

    first: Luma8 | None = None
    anchor: Luma8 | None = None
    small: Luma8 | None = None
    key: Luma8 | None = None
    after_key: bool = False
    most_overlay: float = 0.0
    overlay: TileMask | None = None
    step: float = 0.0
    drift: float = 0.0
    pictures: int = 0
    exact: int = 0
    reach: float = 0.0
    stirs: int = 0
    stirred_s: float = 0.0
    stirring: Moment | None = None

    @classmethod
    def at(cls, measures: PictureMeasures, most_overlay: float) -> Self:
        """Begin with a picture."""
        key_frame = measures.view.key_frame
        return cls(
            first=measures.small,
            anchor=measures.reduced,
            small=measures.small,
            key=measures.reduced if key_frame else None,
            after_key=key_frame,
            most_overlay=most_overlay,
        )

    @property
    def exact_ratio(self) -> float:
        """Share of exact repeats."""
        return self.exact / self.pictures if self.pictures else 0.0

    @property
    def standing(self) -> TileMask | None:
        """The tiles that stand still; None if all of them do."""
        return None if self.overlay is None else ~self.overlay

    @property
    def overlay_ratio(self) -> float:
        """Share of the picture that goes on."""
        return 0.0 if self.overlay is None else float(self.overlay.mean())

    def look(self, measures: PictureMeasures, still: float, moved: float) -> Look:
        """Compare the next picture.

        Args:
            measures: Of the picture.
            still: Change beyond which a part that may be an overlay becomes one.
            moved: Change beyond which the picture moves.
        """
        tiles = measures.step_tiles
        if self.anchor is None or tiles is None:
            return Look.MOVED
        key_frame, after_key = measures.view.key_frame, self.after_key
        self.after_key = key_frame
        popping = key_frame or after_key
        self.step = self._beside_overlay(tiles, MAX_POP if popping else still, measures)
        if self.step > (MAX_POP if popping else moved):
            return Look.MOVED
        self._watch_overlay(tiles, still, measures.view.time_s)
        if popping:
            return self._look_at_key_frame(measures, still)
        if self.step > 0.0:
            # An exact repeat has not drifted: most frozen pictures cost one comparison.
            drift = measures.change_tiles(self.anchor)
            self.drift = 1.0 if drift is None else self._beside_overlay(drift, still, measures)
            if self.drift > moved or self.creeps(measures, self.small, MAX_DRIFT):
                return Look.CREPT
        return Look.STILL

    def take(self, measures: PictureMeasures) -> None:
        """Count a picture that resembles the one before it, and notice motion that returns."""
        self.pictures += 1
        self.exact += self.step == 0.0
        if self.drift <= self.reach + STIRRING:
            self.stirring = None
        elif self.stirring is None:
            self.stirring = Moment(measures.view.time_s, measures.view.arrived_at)
        self.reach = max(self.reach, self.drift)

    def overlay_stopped(self, time_s: float) -> bool:
        """Whether what seemed to be an overlay went on all the time, and then stopped."""
        return self.stirs >= MIN_STIRS and time_s - self.stirred_s > PAUSE_S

    def shown(self, measures: PictureMeasures) -> Luma8:
        """255 where the small picture shows through the overlay."""
        height, width = measures.small.shape
        return measures.frame.pixels(height, width, self.overlay)

    def creeps(self, measures: PictureMeasures, since: Luma8 | None, most: float) -> bool:
        """Whether the whole has moved away from a small picture by more than a residual."""
        if since is None or since.shape != measures.small.shape:
            return True
        shown = self.shown(measures)
        return relative_change(measures.small, since, shown, spread_of(since, shown)) > most

    def _look_at_key_frame(self, measures: PictureMeasures, still: float) -> Look:
        """A key frame, or the picture after it: both may differ from what stands still."""
        if not measures.view.key_frame:
            # The pictures that follow resemble this one rather than what stood before.
            self.anchor, self.small, self.drift = measures.reduced, measures.small, 0.0
        elif self.key is None:
            self.key = measures.reduced
        else:
            tiles = measures.change_tiles(self.key)
            if tiles is None:
                return Look.CREPT
            drift = self._beside_overlay(tiles, MAX_KEY_DRIFT, measures)
            if drift > MAX_KEY_DRIFT and not (drift <= MAX_POP and self._is_recoded(tiles)):
                return Look.CREPT
        if self.creeps(measures, self.first, MAX_KEY_FRAME_DRIFT):
            return Look.CREPT
        return Look.STILL if self.step <= still else Look.POPPED

    def _is_recoded(self, tiles: Tiles) -> bool:
        """Whether a few tiles changed a little more than the rest, as in text that is coded anew.

        A small thing that moves stands out of the rest, and a picture that creeps changes widely.
        """
        shown = tiles.ravel() if self.overlay is None else tiles[~self.overlay]
        rest = float(np.sort(shown)[-RECODED_TILES:][0])
        return MAX_KEY_DRIFT / 2 < rest <= MAX_KEY_DRIFT

    def _watch_overlay(self, tiles: Tiles, still: float, time_s: float) -> None:
        if self.overlay is None or float(tiles[self.overlay].max()) <= still:
            return
        self.stirs = self.stirs + 1 if time_s - self.stirred_s <= PAUSE_S else 1
        self.stirred_s = time_s

    def _beside_overlay(self, tiles: Tiles, limit: float, measures: PictureMeasures) -> float:
        """The largest change; what exceeds the limit along the edges becomes part of an overlay."""
        largest = largest_outside(tiles, self.overlay)
        if largest <= limit:
            return largest
        overlay = grown(self.overlay, tiles, limit, measures.frame, self.most_overlay)
        if overlay is None:
            return largest
        self.overlay = overlay
        return largest_outside(tiles, overlay)
