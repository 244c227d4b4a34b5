"""Block corruption: parts of the picture are not what was sent."""

import math
from collections.abc import Iterator
from typing import ClassVar, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_worker.detectors.base import (
    AreaParams,
    Detector,
    DetectorParams,
    Kind,
    Measurement,
    Profiles,
    Trace,
    Units,
    Verdict,
)
from streammonitor_worker.frames import FrameView
from streammonitor_worker.measures.blocks import BLOCK_PX, BlockSteps, Tiles
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.picture import PictureMeasures

WARM_UP_S = 0.5
"""How much must be seen before pixels say anything: what a scene's borders do by themselves."""
JOIN_S = 10.0
"""Damage before the first whole key frame is that of joining in the middle, but not for ever."""
REGION_BLOCKS = 5
"""Side of the neighbourhood that is judged, in blocks: single borders fall in line by chance."""
EVIDENCE_S = 0.2
"""Time constant within which evidence adds up."""
SCENE_S = 2.0
"""Time constant of what is usual in a scene."""
EVIDENCE = 8.0
"""Borders in excess of chance that a damaged neighbourhood shows within the time constant."""
ONE_PICTURE = 0.6
"""Share of that evidence which one picture can give at most: a flash is not damage."""
FEWER_FACTOR = np.float32(4.0)
"""Evidence is at most so many times that of the rarer direction: one straight edge has only one."""
USUAL_FACTOR = 1.5
"""How far evidence must exceed what is usual where it is found."""
GAP_FACTOR = 0.6
"""After a missing picture, less evidence will do."""
TAINT_HALF_LIFE_S = 2.0
"""A stream without key frames heals by itself, and nothing says when."""
CUT_CHANGE = 0.08
"""Mean change of luma, as a ratio of black to white, from which a picture begins a new scene."""
CUT_FACTOR = 2.0
"""A cut also exceeds the usual change by this factor."""
SNAP_FACTOR = 1.25
SNAP_CODES = 6
"""By how much a key frame that undoes damage changes a tile more than pictures before it did."""
GAP_PICTURES = 0.6
"""A picture that comes later than expected by this share of its duration follows a gap."""
USUAL_GAP_RATIO = 0.05
"""Where more pictures than this come late, gaps are the stream's cadence."""


class BlockCorruptionParams(AreaParams):
    """Parameters of the blockCorruption detector."""

    min_duration: Duration = Field(default=0.1, ge=0.02, le=3600)
    """How long the picture must be damaged before an incident is raised."""
    clear_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long the picture must be whole again before the incident ends."""
    critical_after: Duration = Field(default=5.0, ge=0.1, le=86400)
    """How long a `criticalArea` must be damaged for the incident to become critical."""
    threshold: float = Field(default=0.02, ge=0.001, le=1.0)
    """Share of the picture that must look damaged where the decoder did not report damage."""

    units: ClassVar[Units] = {"threshold": "ratio", "criticalArea": "ratio"}
    profiles: ClassVar[Profiles] = {
        "strict": {"minDuration": "40ms", "criticalAfter": "2s"},
        "relaxed": {"minDuration": "1s", "criticalAfter": "30s", "threshold": 0.05},
    }


class _Taint:
    """What the decoder and the timestamps say.

    Attributes:
        joined: A whole key frame was seen, or none ever comes.
        flagged: How surely the picture inherits reported damage, 0..1; it halves with time.
        gap: A picture is missing since the last key frame.
    """

    def __init__(self) -> None:
        self.joined = False
        self.flagged = 0.0
        self.gap = False
        self._seen_s = 0.0
        self._next_s: float | None = None
        self._late_ratio = 0.0

    def take(self, view: FrameView) -> None:
        """Take the next picture."""
        self._seen_s += view.duration_s
        late = self._is_late(view)
        if view.key_frame and not view.corrupt:
            self.joined, self.flagged, self.gap = True, 0.0, False
        elif view.corrupt:
            self.flagged = 1.0
        else:
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


class _Moment(NamedTuple):
    """Media time and Unix time of a picture; the picture itself must not be kept."""

    time_s: float
    arrived_at: float


class _Snap:
    """Damage after a missing picture, which a key frame reveals by undoing it.

    What is predicted from a picture that is missing may look whole, only misplaced. The next key
    frame then changes far more than any picture since the gap did.
    """

    def __init__(self) -> None:
        self.start: _Moment | None = None
        self._most: Luma8 | None = None

    def take(self, measures: PictureMeasures, gap: bool) -> float:
        """Return the share of the picture that a key frame put right, 0..1."""
        view, before = measures.view, measures.previous
        if self.start is None or before is None:
            self.start = _Moment(view.time_s, view.arrived_at) if gap else None
            self._most = None
            return 0.0
        change = _tile_changes(measures.reduced, before)
        if not gap:
            most, self._most, self.start = self._most, None, None
            if most is None:
                return 0.0
            usual = cv2.dilate(most, np.ones((3, 3), np.uint8))
            snapped = change > SNAP_FACTOR * usual + SNAP_CODES
            return float(np.count_nonzero(snapped) / snapped.size)
        self._most = change if self._most is None else np.maximum(change, self._most)
        return 0.0


def _tile_changes(now: Luma8, before: Luma8) -> Luma8:
    """Mean absolute difference of tiles of 8x8 pixels of the reduced picture, in codes."""
    size = (max(1, now.shape[1] // 8), max(1, now.shape[0] // 8))
    return cv2.resize(cv2.absdiff(now, before), size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


class _Evidence:
    """Block borders that add up in a neighbourhood beyond what is usual there.

    Attributes:
        tiles: Which blocks look damaged, shape (height / 16, width / 16); None if that is unknown.
        told: That was known at least once.
    """

    def __init__(self) -> None:
        self.told = False
        self.tiles: npt.NDArray[np.bool_] | None = None
        self._steps = BlockSteps()
        self._sums: tuple[Tiles, Tiles] | None = None
        self._usual: Tiles | None = None
        self._seen_s = 0.0
        self._change = 0.0

    def take(self, measures: PictureMeasures, factor: float) -> None:
        """Take the next picture; `factor` scales the evidence that is asked for."""
        view = measures.view
        found = self._steps.measure(view.luma, view.bit_depth)
        ignored = None if found is None else measures.ignored_tiles(BLOCK_PX, *found.shape)
        if found is not None and ignored is not None:
            found[ignored] = 0.0
        if found is None or self._is_cut(measures):
            # Of a new scene, nothing is usual yet.
            self._sums = self._usual = self.tiles = None
            self._seen_s = 0.0
            return
        density = cv2.boxFilter(
            found, -1, (REGION_BLOCKS,) * 2, normalize=False, borderType=cv2.BORDER_REFLECT
        )
        asked = np.float32(EVIDENCE * factor)
        now = self._add(np.minimum(density, asked * np.float32(ONE_PICTURE)), view.duration_s)
        if self._usual is None:
            self._usual = np.zeros_like(now)
        self._seen_s += view.duration_s
        warm = self._seen_s > WARM_UP_S
        damaged = (now > np.float32(USUAL_FACTOR) * self._usual + asked) & warm
        self.tiles = damaged if warm else None
        self.told |= self.tiles is not None
        self._learn(now, damaged, view.duration_s)

    def _add(self, density: Tiles, duration_s: float) -> Tiles:
        """Add one picture's borders; return the evidence of upright and level ones together."""
        kept = np.float32(math.exp(-duration_s / EVIDENCE_S))
        before = self._sums or (np.zeros_like(density), np.zeros_like(density))
        # The borders of one direction are found in turn with those of the other.
        self._sums = before[1] * kept, before[0] * kept + density
        fewer = np.maximum(np.minimum(*self._sums), np.float32(0))
        evidence: Tiles = np.minimum(self._sums[0] + self._sums[1], FEWER_FACTOR * fewer)
        return evidence

    def area(self) -> float:
        """Share of the picture that looks damaged, 0..1."""
        return 0.0 if self.tiles is None else float(np.count_nonzero(self.tiles) / self.tiles.size)

    def _learn(self, now: Tiles, damaged: npt.NDArray[np.bool_], duration_s: float) -> None:
        if self._usual is not None:
            # The most that was seen lately; damage must not become usual.
            kept = np.float32(math.exp(-duration_s / SCENE_S))
            self._usual = np.maximum(self._usual * kept, np.where(damaged, np.float32(0), now))

    def _is_cut(self, measures: PictureMeasures) -> bool:
        before = measures.previous
        if before is None:
            return False
        reduced = measures.reduced
        change = cv2.norm(reduced, before, cv2.NORM_L1) / reduced.size / measures.scale.span
        cut = change > CUT_CHANGE and change > CUT_FACTOR * self._change
        self._change = change if cut else self._change + 0.2 * (change - self._change)
        return cut


class BlockCorruptionDetector(Detector[BlockCorruptionParams, PictureMeasures]):
    """Finds pictures of which parts were lost or damaged on their way.

    Three witnesses are heard. The decoder flags a picture that it had to patch up: that picture is
    damaged, and so is all that is predicted from it, up to the next whole key frame; because damage
    may heal before, that is ever less sure. A picture that is missing by its timestamps makes
    damage likely, and the next key frame proves it if that changes more than any picture since.
    And pixels show it where the flags are gone, because it was encoded anew: steps
    appear at the borders of blocks, several near each other and over at least two pictures, more
    than off the grid of blocks and more than usual in this scene.

    `damaged` holds the last picture's map of damaged blocks, for evidence.

    Input: pictures of 8 to 16 bits at their native size, whether they are key frames, whether the
    decoder flagged them, and their times.

    Values: `damagedAreaRatio` (share of the picture that looks damaged, 0..1; less than what is
    damaged where damage is smooth), `flagged` (1 if the decoder reported damage since the last
    whole key frame, else 0) and `gap` (1 if a picture is missing since then, else 0).

    Source: step excess on a grid as in GBIM and FFmpeg's blockdetect, but on the temporal residual
    and against the same measure off the grid; fusion and key-frame taint are our own.

    Blind spots: without flags, damage that an encoder's own prediction conceals well (even motion,
    still or fine texture) leaves no borders and is not seen, nor is damage that came with a cut,
    within half a second after one, on a grid that was scaled, or in pictures below 64 pixels.
    A mosaic effect that appears on the grid of blocks in the middle of a scene looks like damage.
    """

    name: ClassVar[str] = "blockCorruption"
    kind: ClassVar[Kind] = Kind.VIDEO
    summary: ClassVar[str] = "Blocks of the picture are damaged or missing."
    params_type: ClassVar[type[DetectorParams]] = BlockCorruptionParams
    cost: ClassVar[float] = 0.15
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(("damagedAreaRatio",), "", lambda p: p.threshold, lambda p: p.threshold / 2),
    )
    area: ClassVar[str | None] = "damagedAreaRatio"

    def __init__(self, params: BlockCorruptionParams) -> None:
        super().__init__(params)
        self._taint = _Taint()
        self._evidence = _Evidence()
        self._snap = _Snap()

    @property
    def damaged(self) -> npt.NDArray[np.bool_] | None:
        """Which blocks of the last picture look damaged, shape (height / 16, width / 16)."""
        return self._evidence.tiles

    def reset(self) -> None:
        """Forget the scene, and what was reported of it."""
        self._taint = _Taint()
        self._evidence = _Evidence()
        self._snap = _Snap()

    def observe(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """Hear the witnesses of one picture."""
        view, taint = measures.view, self._taint
        taint.take(view)
        yield from self._look_back(measures)
        self._evidence.take(measures, GAP_FACTOR if taint.gap or taint.flagged else 1.0)
        area = self._evidence.area()
        yield Measurement(
            start_s=view.time_s,
            end_s=view.time_s + view.duration_s,
            arrived_at=view.arrived_at,
            verdict=self._verdict(area),
            confidence=self._confidence(area),
            values={
                "damagedAreaRatio": round(area, 4),
                "flagged": float(taint.flagged > 0.0),
                "gap": float(taint.gap),
            },
            tiles=self._evidence.tiles,
        )

    def _look_back(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """After a missing picture: the key frame tells whether those in between were damaged."""
        first = self._snap.start
        area = self._snap.take(measures, self._taint.gap and not self._taint.flagged)
        if first is not None and area >= self.params.threshold:
            yield Measurement(
                start_s=first.time_s,
                end_s=measures.view.time_s,
                arrived_at=first.arrived_at,
                verdict=Verdict.BAD,
                confidence=0.7,
                values={"damagedAreaRatio": round(area, 4), "flagged": 0.0, "gap": 1.0},
            )

    def _verdict(self, area: float) -> Verdict:
        taint, threshold = self._taint, self.params.threshold
        if not taint.joined:
            # Whoever joins in the middle sees damage that nobody else does.
            return Verdict.UNKNOWN
        if taint.flagged >= 0.5 or area >= threshold:
            return Verdict.BAD
        if taint.flagged >= 0.1 or area >= threshold / 2:
            return Verdict.BETWEEN
        if self._evidence.tiles is None and not taint.flagged:
            # After a cut, what is known of the stream stays so.
            return Verdict.BETWEEN if self._evidence.told else Verdict.UNKNOWN
        return Verdict.GOOD

    def _confidence(self, area: float) -> float:
        """Of reported damage, as sure as it still is; of pixels, by how much of the picture."""
        if not self._taint.joined:
            return 0.0
        pixels = 0.6 + 0.3 * min(1.0, area / (5 * self.params.threshold)) if area else 0.6
        return round(max(0.95 * self._taint.flagged, pixels), 3)
