"""Block corruption: parts of the picture are not what was sent."""

import math
from collections import deque
from collections.abc import Iterator
from typing import ClassVar

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
from streammonitor_worker.measures.blocks import (
    BLOCK_PX,
    MOST,
    BlockBorders,
    Evidence,
    unwritten_blocks,
)
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.picture import PictureMeasures
from streammonitor_worker.measures.snaps import Snaps, tile_changes

PICTURES = 3
"""What is to be seen in each of so many pictures: a flash is not damage."""
WARM_UP_S = 0.3
"""How much must be seen before pixels say anything: what a scene's borders do by themselves."""
JOIN_S = 10.0
"""Damage before the first whole key frame is that of joining in the middle, but not for ever."""
SCENE_S = 3.0
"""Time constant of what is usual in a scene."""
EVIDENCE = 0.45 * MOST
"""Evidence beyond what is usual from which a neighbourhood is damaged."""
STRONG_EVIDENCE = 0.7 * MOST
"""The same while what is usual is not known yet."""
WEAK_EVIDENCE = 0.2 * MOST
"""The same for one that adjoins such a neighbourhood."""
GAP_FACTOR = 0.6
"""After a missing picture, less evidence will do."""
TAINT_HALF_LIFE_S = 2.0
"""A stream without key frames heals by itself, and nothing says when."""
KEY_FRAMES_S = 10.0
"""Key frames that come at most so far apart are waited for: they heal it at once."""
UNCHANGED_RATIO = 0.15
"""Of a new scene, at most so much looks as before."""
CUT_CODES, CUT_FACTOR = 4.0, 2.0
"""The rest of it changes by more codes of luma than these and more than so many times the usual."""
CHANGE_KEPT = 0.95
"""How fast that is forgotten, by picture: what jumps all the time has no cuts."""
GAP_PICTURES = 0.6
"""A picture that comes later than expected by this share of its duration follows a gap."""
USUAL_GAP_RATIO = 0.05
"""Where more pictures than this come late, gaps are the stream's cadence."""


Tiles = npt.NDArray[np.float32]


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
        "strict": {"minDuration": "80ms", "criticalAfter": "2s"},
        "relaxed": {"minDuration": "1s", "criticalAfter": "30s", "threshold": 0.05},
    }


class _Taint:
    """What the decoder and the timestamps say.

    Attributes:
        joined: A whole key frame was seen, or none ever comes.
        flagged: How surely the picture inherits reported damage, 0..1. It stays up to the next key
            frame, if one is due, and else halves with time.
        gap: A picture is missing since the last key frame.
        late: Pictures are missing just before this one.
    """

    def __init__(self) -> None:
        self.joined = False
        self.flagged = 0.0
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
            self.joined, self.flagged, self.gap = True, 0.0, False
        elif view.corrupt:
            self.flagged = 1.0
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


class _Evidence:
    """Block borders that crowd in a neighbourhood, picture after picture, beyond what is usual.

    Attributes:
        tiles: Which blocks look damaged, shape (height / 16, width / 16); None if that is unknown.
        told: That was known at least once.
    """

    def __init__(self) -> None:
        self.told = False
        self.tiles: npt.NDArray[np.bool_] | None = None
        self._borders = BlockBorders()
        self._lately: deque[Evidence] = deque(maxlen=PICTURES)
        self._usual: Tiles | None = None
        self._seen_s = 0.0
        self._change = 0.0

    def take(self, measures: PictureMeasures, changes: Luma8 | None, factor: float) -> None:
        """Take the next picture; `factor` scales the evidence that is asked for."""
        found = self._borders.measure(measures.view.luma, measures.view.bit_depth)
        ignored = None if found is None else measures.ignored_tiles(BLOCK_PX, *found.shape)
        if found is not None:
            unwritten = unwritten_blocks(measures.view)
            if unwritten is not None:
                found[unwritten] = MOST
            if ignored is not None:
                found[ignored] = 0
        cut = self._is_cut(changes)
        if found is None or cut or not self._fits(found):
            # Of a new scene, nothing is usual yet.
            self._lately.clear()
            self.tiles = self._usual = None
            self._seen_s = 0.0
        if found is not None:
            self._lately.append(found)
            self._judge(measures.view, factor)

    def _fits(self, found: Evidence) -> bool:
        return not self._lately or self._lately[-1].shape == found.shape

    def _judge(self, view: FrameView, factor: float) -> None:
        """Tell what was there in each of the last pictures and is not usual."""
        now = np.minimum.reduce(list(self._lately)).astype(np.float32)
        if self._usual is None:
            self._usual = np.zeros_like(now)
        self._seen_s += view.duration_s
        unusual = self._lately[-1] - self._usual
        damaged = np.zeros(now.shape, np.bool_)
        warm = self._seen_s > WARM_UP_S and len(self._lately) == PICTURES
        asked = EVIDENCE * factor if warm else STRONG_EVIDENCE
        if unusual.max(initial=0) >= asked:
            damaged = _grown(unusual >= asked, unusual >= WEAK_EVIDENCE)
        self.tiles = damaged if warm or damaged.any() else None
        self.told |= warm
        # The most that was seen lately; damage must not become usual.
        kept = np.float32(math.exp(-view.duration_s / SCENE_S))
        self._usual = np.maximum(self._usual * kept, np.where(damaged, np.float32(0), now))

    def area(self) -> float:
        """Share of the picture that looks damaged, 0..1."""
        return 0.0 if self.tiles is None else float(np.count_nonzero(self.tiles) / self.tiles.size)

    def _is_cut(self, changes: Luma8 | None) -> bool:
        """Nearly all of the picture changes at once, more than it did lately."""
        if changes is None:
            return False
        ordered = np.sort(changes, axis=None)
        change = float(ordered[int(UNCHANGED_RATIO * ordered.size)])
        cut = change > CUT_CODES + CUT_FACTOR * self._change
        self._change = change if cut else max(change, self._change * CHANGE_KEPT)
        return cut


def _grown(seeds: npt.NDArray[np.bool_], weak: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The connected parts of `weak` that contain a seed."""
    labels = np.asarray(cv2.connectedComponents(weak.view(np.uint8))[1])
    chosen = np.unique(labels[seeds])
    return np.isin(labels, chosen[chosen > 0])


class BlockCorruptionDetector(Detector[BlockCorruptionParams, PictureMeasures]):
    """Finds pictures of which parts were lost or damaged on their way.

    Four witnesses are heard. The decoder flags a picture that it had to patch up, or the
    demultiplexer missed a part of it: that picture is damaged, and so is all that is predicted from
    it, up to the next whole key frame; because damage may heal before, that is ever less sure. A
    picture that is missing by its timestamps makes damage likely, and the next key frame proves it
    if there a part of the picture changes far more than from picture to picture just before.
    Pixels show damage where the flags are gone, because it was encoded anew: steps along the
    borders of blocks, many near each other and in both directions, more than off the grid of blocks
    and more than usual in this scene. And blocks whose memory was never written have a colour that
    no camera gives.

    `damaged` holds the last picture's map of damaged blocks, for evidence.

    Input: pictures of 8 to 16 bits at their native size, their chroma if there is any, whether they
    are key frames, whether they were flagged as damaged, and their times.

    Values: `damagedAreaRatio` (share of the picture that looks damaged, 0..1; less than what is
    damaged where damage is smooth), `flagged` (1 if damage was reported since the last whole key
    frame, else 0) and `gap` (1 if a picture is missing since then, else 0).

    Source: step excess on a grid as in GBIM and FFmpeg's blockdetect, but by whole borders, against
    the same measure off the grid and against the scene; fusion and key-frame taint are our own.

    Blind spots: without flags, damage that an encoder's own prediction conceals well (lost slices
    that are patched with the picture before, smeared motion) leaves no borders and is not seen. Of
    the tuning clips in which such damage was encoded anew, a tenth was found; of drawn mosaics
    (displaced, smeared, grey or green blocks) nine tenths were, and half of those that are frozen
    in a picture that moves little. Decoders of HEVC report nothing, so there only lost transport
    packets, gaps and pixels count. Nor is damage seen that came with a cut, on a grid that was
    scaled, or in pictures below 96 pixels. A mosaic effect or a pattern of cells that appears
    exactly on the grid in the middle of a scene may look like damage.
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
        self._snaps = Snaps()

    @property
    def damaged(self) -> npt.NDArray[np.bool_] | None:
        """Which blocks of the last picture look damaged, shape (height / 16, width / 16)."""
        return self._evidence.tiles

    def reset(self) -> None:
        """Forget the scene, and what was reported of it."""
        self._taint = _Taint()
        self._evidence = _Evidence()
        self._snaps = Snaps()

    def observe(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """Hear the witnesses of one picture."""
        view, taint = measures.view, self._taint
        taint.take(view)
        before = measures.previous
        changes = None if before is None else tile_changes(measures.reduced, before)
        if changes is not None:
            yield from self._look_back(view, changes)
        factor = GAP_FACTOR if taint.gap or taint.flagged else 1.0
        self._evidence.take(measures, changes, factor)
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

    def _look_back(self, view: FrameView, changes: Luma8) -> Iterator[Measurement]:
        """A key frame may tell that what came before it was damaged."""
        late = self._taint.late and self._taint.gap
        snap = self._snaps.take(view, changes, late=late)
        if snap is not None and self._taint.joined and snap.area >= self.params.threshold:
            yield Measurement(
                start_s=snap.start.time_s,
                end_s=view.time_s,
                arrived_at=snap.start.arrived_at,
                verdict=Verdict.BAD,
                confidence=0.7,
                values={
                    "damagedAreaRatio": round(snap.area, 4),
                    "flagged": 0.0,
                    "gap": 1.0,
                },
                tiles=snap.tiles,
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
