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
    REGION,
    BlockBorders,
    Evidence,
    unwritten_blocks,
)
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.picture import PictureMeasures
from streammonitor_worker.measures.snaps import Snaps, brightness, tile_changes
from streammonitor_worker.measures.taint import TAINTED, Taint

PICTURES = 3
"""What is to be seen in each of so many pictures: a flash is not damage."""
WARM_UP_S = 0.3
"""How much must be seen before pixels say anything: what a scene's borders do by themselves."""
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
UNCHANGED_RATIO = 0.15
"""Of a new scene, at most so much looks as before."""
CUT_CODES, CUT_FACTOR = 4.0, 2.0
"""The rest of it changes by more codes of luma than these and more than so many times the usual."""
CHANGE_KEPT = 0.95
"""How fast that is forgotten, by picture: what jumps all the time has no cuts."""
SUDDEN_S = 1.0
"""Damage comes at once: where nothing jumped or halted for so long, borders are the encoder's."""
STRUCK_RATIO = 0.5
"""Share of a block that must have jumped or halted."""
FLASH_CODES, FLASH_RATIO = 6, 0.5
"""A light goes on or off where so much of a picture gets brighter, or darker, by more codes."""


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
        self._brightness: Luma8 | None = None
        self._sudden_s: Tiles | None = None

    def take(
        self, measures: PictureMeasures, changes: Luma8 | None, snaps: Snaps, *, reported: bool
    ) -> None:
        """Take the next picture; where damage is `reported` or likely, less evidence will do."""
        found = self._borders.measure(measures.view.luma, measures.view.bit_depth)
        ignored = None if found is None else measures.ignored_tiles(BLOCK_PX, *found.shape)
        if found is not None:
            unwritten = unwritten_blocks(measures.view)
            if unwritten is not None:
                found[unwritten] = MOST
                self._strike(unwritten)
            if ignored is not None:
                found[ignored] = 0
        # Both are asked each time: they remember. Coding is coarse under a light that is new.
        cut, flash = self._is_cut(changes), self._is_flash(measures)
        if found is None or cut or flash or not self._fits(found):
            # Of a new scene, nothing is usual yet.
            self._lately.clear()
            self.tiles = self._usual = None
            self._seen_s = 0.0
        if found is not None:
            self._lately.append(found)
            self._judge(measures.view, self._struck(measures.view, snaps), reported)

    def _fits(self, found: Evidence) -> bool:
        return not self._lately or self._lately[-1].shape == found.shape

    def _struck(self, view: FrameView, snaps: Snaps) -> npt.NDArray[np.bool_]:
        """Which blocks jumped or halted not long ago, or did before they were seen damaged."""
        shape = self._lately[-1].shape
        if snaps.sudden is not None and snaps.sudden.any():
            share = cv2.resize(
                snaps.sudden * np.float32(1), shape[::-1], interpolation=cv2.INTER_AREA
            )
            self._strike(share >= STRUCK_RATIO)
        if self.tiles is not None:
            self._strike(self.tiles)
        if self._sudden_s is None or self._sudden_s.shape != shape:
            return np.zeros(shape, np.bool_)
        struck: npt.NDArray[np.bool_] = self._sudden_s > 0.0
        self._sudden_s -= view.duration_s
        return struck

    def _strike(self, blocks: npt.NDArray[np.bool_]) -> None:
        if self._sudden_s is None or self._sudden_s.shape != blocks.shape:
            self._sudden_s = np.zeros(blocks.shape, np.float32)
        self._sudden_s[blocks] = SUDDEN_S

    def _judge(self, view: FrameView, struck: npt.NDArray[np.bool_], reported: bool) -> None:
        """Tell what was there in each of the last pictures and is not usual."""
        now = np.minimum.reduce(list(self._lately)).astype(np.float32)
        if self._usual is None:
            self._usual = np.zeros_like(now)
        self._seen_s += view.duration_s
        unusual = self._lately[-1] - self._usual
        warm = self._seen_s > WARM_UP_S and len(self._lately) == PICTURES
        asked = EVIDENCE * (GAP_FACTOR if reported else 1.0) if warm else STRONG_EVIDENCE
        damaged, seeds = np.zeros(now.shape, np.bool_), unusual >= asked
        if not reported:
            seeds &= cv2.dilate(struck.view(np.uint8), REGION).view(np.bool_)
        if seeds.any():
            damaged = _grown(seeds, unusual >= WEAK_EVIDENCE)
        # The most that was seen lately; damage must not become usual.
        kept = np.float32(math.exp(-view.duration_s / SCENE_S))
        self._usual = np.maximum(self._usual * kept, np.where(damaged, np.float32(0), now))
        if not reported:
            # A neighbourhood is evidence for the block in its middle, whether or not it was hit.
            damaged &= struck
        self.tiles = damaged if warm or damaged.any() else None
        self.told |= warm

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

    def _is_flash(self, measures: PictureMeasures) -> bool:
        """Much of the picture gets brighter at once, or darker; motion does both."""
        before, self._brightness = self._brightness, brightness(measures.reduced)
        if before is None or before.shape != self._brightness.shape:
            return False
        brighter, darker = (
            np.count_nonzero(cv2.subtract(one, other) > FLASH_CODES)
            for one, other in ((self._brightness, before), (before, self._brightness))
        )
        return bool(max(brighter, darker) >= FLASH_RATIO * before.size)


def _grown(seeds: npt.NDArray[np.bool_], weak: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """The connected parts of `weak` that contain a seed."""
    labels = np.asarray(cv2.connectedComponents(weak.view(np.uint8))[1])
    chosen = np.unique(labels[seeds])
    return np.isin(labels, chosen[chosen > 0])


def _joined(
    tiles: npt.NDArray[np.bool_] | None, more: npt.NDArray[np.bool_] | None
) -> npt.NDArray[np.bool_] | None:
    """Both of two maps of the same picture, on the grid of the first."""
    if tiles is None or more is None:
        return more if tiles is None else tiles
    size = tiles.shape[::-1]
    grid = cv2.resize(more.view(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    both: npt.NDArray[np.bool_] = tiles | grid.view(np.bool_)
    return both


def _values(area: float, *, reported: bool, gap: bool) -> dict[str, float]:
    return {
        "damagedAreaRatio": round(area, 4),
        "flagged": float(reported),
        "gap": float(gap),
    }


class BlockCorruptionDetector(Detector[BlockCorruptionParams, PictureMeasures]):
    """Finds pictures of which parts were lost or damaged on their way.

    Four witnesses are heard. The decoder flags a picture that it had to patch up, the demultiplexer
    missed a part of it, or the numbers in pictures of H.264 and MPEG-2 tell that it is predicted
    from one that never came: it is damaged, and so is all that is predicted from it, up to the next
    whole key frame; where none is due, that is ever less sure, because damage may heal before. A
    picture that is missing by its timestamps makes damage likely, and the next key frame proves it
    if there a part of the picture changes far more than from picture to picture just before.
    Pixels show damage where the flags are gone, because it was encoded anew: steps along the
    borders of blocks, many near each other and in both directions, more than off the grid of blocks
    and more than usual in this scene, in blocks that jumped or halted just before; what an encoder
    does by itself comes gently, or with a cut or a new light. And blocks whose memory was never
    written have a colour that no camera gives.

    `damaged` holds the last picture's map of what is damaged, for evidence.

    Input: pictures of 8 to 16 bits at their native size, their chroma if there is any, whether they
    are key frames, whether they were reported as damaged, which macroblocks never came if that is
    known, and their times.

    Values: `damagedAreaRatio` (share of the picture that is damaged as far as that is known, 0..1:
    blocks that look damaged, and where damage was reported also slices that never came, what jumped
    with the report and what the next key frame undid; damage that is smooth is missing from it),
    `flagged` (1 if damage was reported since the last whole key frame, else 0) and `gap` (1 if a
    picture is missing since then, else 0).

    Source: step excess on a grid as in GBIM and FFmpeg's blockdetect, but by whole borders, against
    the same measure off the grid and against the scene; ITU-T H.264 clause 7.4.3 (frame_num) and
    H.262 clause 6.3.9 (temporal_reference); fusion and key-frame taint are our own.

    Blind spots: without flags, damage that a decoder conceals well (lost slices that are patched
    with the picture before, smeared motion) leaves no borders. Of 45 events of the tuning clips in
    which such damage was encoded anew, 2 were found. In 24 a part of the picture jumps as the
    damage comes and in 20 also as it goes, but parts of clean pictures do so far more often, with
    lights, graphics and the shots of a split screen, and on the grid of blocks lies neither.
    Decoders of HEVC report nothing, so there only lost transport packets, gaps and pixels count.
    Nor is damage seen that came with a cut or a flash, on a grid that was scaled, or in pictures
    below 96 pixels. What has the look of damage is taken for it: a mosaic effect or a pattern of
    cells that appears exactly on the grid in the middle of a scene, a game whose picture is made of
    such cells, an encoder that loses its way in strobe lights.
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
        self._taint = Taint()
        self._evidence = _Evidence()
        self._snaps = Snaps()

    @property
    def damaged(self) -> npt.NDArray[np.bool_] | None:
        """Which parts of the last picture are damaged, shape (rows, columns) over all of it."""
        return self._damaged()

    def reset(self) -> None:
        """Forget the scene, and what was reported of it."""
        self._taint = Taint()
        self._evidence = _Evidence()
        self._snaps = Snaps()

    def observe(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """Hear the witnesses of one picture."""
        view, taint = measures.view, self._taint
        reported, gap = taint.flagged > 0.0, taint.gap
        taint.take(view)
        before = measures.previous
        changes = None if before is None else tile_changes(measures.reduced, before)
        if changes is not None:
            yield from self._look_back(view, changes, reported=reported, gap=gap)
        likely = taint.gap or taint.flagged > 0.0
        self._evidence.take(measures, changes, self._snaps, reported=likely)
        seen, tiles = self._evidence.area(), self._damaged()
        area = 0.0 if tiles is None else float(np.count_nonzero(tiles) / tiles.size)
        yield Measurement(
            start_s=view.time_s,
            end_s=view.time_s + view.duration_s,
            arrived_at=view.arrived_at,
            verdict=self._verdict(seen),
            confidence=self._confidence(seen),
            values=_values(area, reported=taint.flagged > 0.0, gap=taint.gap),
            tiles=tiles,
        )

    def _damaged(self) -> npt.NDArray[np.bool_] | None:
        """What looks damaged, and of reported damage what never came and what jumped."""
        taint, tiles = self._taint, self._evidence.tiles
        if taint.flagged < TAINTED:
            return tiles
        for more in (taint.lost, self._snaps.jumped):
            tiles = _joined(tiles, more)
        return tiles

    def _look_back(
        self, view: FrameView, changes: Luma8, *, reported: bool, gap: bool
    ) -> Iterator[Measurement]:
        """A key frame may tell that what came before it was damaged, and how much of it."""
        late = self._taint.late and self._taint.gap
        snap = self._snaps.take(view, changes, late=late)
        if snap is not None and self._taint.joined and snap.area >= self.params.threshold:
            yield Measurement(
                start_s=snap.start.time_s,
                end_s=view.time_s,
                arrived_at=snap.start.arrived_at,
                verdict=Verdict.BAD,
                confidence=0.95 if reported else 0.7,
                values=_values(snap.area, reported=reported, gap=gap),
                tiles=snap.tiles,
            )

    def _verdict(self, area: float) -> Verdict:
        taint, threshold = self._taint, self.params.threshold
        if not taint.joined:
            # Whoever joins in the middle sees damage that nobody else does.
            return Verdict.UNKNOWN
        if taint.flagged >= 0.5 or area >= threshold:
            return Verdict.BAD
        if taint.flagged >= TAINTED or area >= threshold / 2:
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
