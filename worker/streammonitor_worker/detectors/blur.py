"""Blur: the picture suddenly lost its detail."""

from collections import deque
from collections.abc import Iterator
from typing import ClassVar

import cv2
import numpy as np
import numpy.typing as npt
from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_worker.detectors.base import (
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
from streammonitor_worker.measures.luma import Luma8
from streammonitor_worker.measures.picture import PictureMeasures

SAMPLE_EVERY_S = 0.5
"""Detail does not come and go faster; looking rarely is what makes full resolution affordable."""
TILES_ACROSS = 20
TILES = 16
"""So many of the sharpest tiles are looked at: a shot with a soft background has some, too."""
MIN_TILE_PX = 32
COARSE = 8
"""A tile that is so many times smaller has only its shapes left: what blur leaves alone."""
MIN_CONTRAST = 1.5
"""Least contrast of those shapes, in codes: below it there is no detail to be lost."""
BASELINE_S = 120.0
BASELINE_PERCENT = 20
"""The stream's soft shots are its baseline, so that one more of them is nothing new."""
WARM_UP_S = 5.0
CLEAR_FACTOR = 1.25
"""So many times the threshold is surely sharp again."""
THUMBNAIL_PX = (40, 22)
SAME_SHOT = 0.6
"""Correlation of two thumbnails from which on they belong to one shot."""
MIN_CUT = 0.03
CUT_STEP = 3.0
"""A mean change of so much, and so many times that of the picture before, may be a cut."""
STRONG = 0.6
MIN_CUTS = 3
"""What is soft from the first picture of a shot may be meant to be. It is a defect if it falls
below so many thresholds, and still does after so many cuts."""
ADOPT_S = 60.0
"""A programme that is softer than the one before becomes the baseline after so long."""

Thumbnail = npt.NDArray[np.float32]


class BlurParams(DetectorParams):
    """Parameters of the blur detector."""

    min_duration: Duration = Field(default=10.0, ge=0.1, le=3600)
    """How long the picture must lack detail before an incident is raised."""
    clear_duration: Duration = Field(default=3.0, ge=0.1, le=3600)
    """How long the picture must be sharp again before the incident ends."""
    critical_after: Duration = Field(default=3600.0, ge=0.1, le=86400)
    """How long the picture must lack detail for the incident to become critical."""
    threshold: float = Field(default=0.55, ge=0.05, le=0.95)
    """Share of the stream's usual detail up to which the picture counts as blurred."""

    units: ClassVar[Units] = {"threshold": "ratio"}
    profiles: ClassVar[Profiles] = {
        "strict": {"minDuration": "5s", "criticalAfter": "30m"},
        "relaxed": {"minDuration": "30s", "clearDuration": "5s", "criticalAfter": "2h"},
    }


class BlurDetector(Detector[BlurParams, PictureMeasures]):
    """Finds that the picture has far less detail than the stream usually has.

    Detail is the energy of the two finest scales relative to that of shapes, in the sharpest tiles
    of the full picture: fades change all of them alike, a soft background is not among the
    sharpest. The stream's own soft shots of the last two minutes are what it is compared with. What
    is soft from the first picture of a shot may be meant to be: it counts only if next to nothing
    is left in the shots that follow, too.

    Input: pictures of 8 to 16 bits, a few each second.

    Values: `detail` (energy of fine scales, relative to that of shapes), `usualDetail` (the same of
    the stream's soft shots) and `detailRatio` (their quotient, 1 is as usual).

    Source: a ratio of gradient energies between scales, as in no-reference sharpness metrics since
    Marziliano et al., "A no-reference perceptual blur metric" (2002); the baseline is our own.

    Blind spots: blur from the very beginning, as of SD that was scaled up; a picture that was soft
    before; blur that sets in together with a cut, unless it is heavy and outlasts several; pictures
    with almost no contrast and the first seconds of a stream (both unknown). A programme that is
    softer for good becomes the baseline after a minute, unless it was found blurred: then it stays
    so until it is sharp again.
    """

    name: ClassVar[str] = "blur"
    kind: ClassVar[Kind] = Kind.VIDEO
    summary: ClassVar[str] = "The picture lost its detail."
    params_type: ClassVar[type[DetectorParams]] = BlurParams
    causes: ClassVar[tuple[str, ...]] = ("black", "freeze")
    cost: ClassVar[float] = 0.02
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(
            ("detailRatio",), "", lambda p: p.threshold, lambda p: p.threshold * CLEAR_FACTOR, True
        ),
    )

    def __init__(self, params: BlurParams) -> None:
        super().__init__(params)
        self.reset()

    def reset(self) -> None:
        """Forget the baseline: another format has another."""
        self._baseline: deque[float] = deque(maxlen=round(BASELINE_S / SAMPLE_EVERY_S))
        self._pending: list[float] = []
        self._step = 0.0
        self._cut = False
        self._next_s = float("-inf")
        self._cuts: int | None = None
        self._verdict = Verdict.UNKNOWN
        self._values: dict[str, float] = {}

    def observe(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """Look at the picture if it is time to; otherwise what was last seen holds."""
        view = measures.view
        self._watch(measures)
        if view.time_s >= self._next_s:
            self._next_s = view.time_s + SAMPLE_EVERY_S
            self._look(measures)
        ratio = self._values.get("detailRatio", 1.0)
        depth = max(0.0, 1.0 - ratio / self.params.threshold)
        yield Measurement(
            start_s=view.time_s,
            end_s=view.time_s + view.duration_s,
            arrived_at=view.arrived_at,
            verdict=self._verdict,
            confidence=round(min(1.0, 0.5 + 0.7 * depth), 3),
            values=self._values,
        )

    def _watch(self, measures: PictureMeasures) -> None:
        """Notice a cut: the picture changes suddenly, and its shapes with it."""
        step, before = measures.mean_step or 0.0, self._step
        self._step = step
        if measures.previous is not None and step > max(MIN_CUT, CUT_STEP * before):
            shapes = _thumbnail(measures.previous) * _thumbnail(measures.reduced)
            self._cut |= float(np.mean(shapes)) < SAME_SHOT

    def _look(self, measures: PictureMeasures) -> None:
        detail = _detail(measures)
        cut, self._cut = self._cut, False
        if detail is None:
            self._verdict, self._values = Verdict.UNKNOWN, {}
        elif len(self._baseline) < WARM_UP_S / SAMPLE_EVERY_S:
            self._baseline.append(detail)
        else:
            usual = float(np.percentile(self._baseline, BASELINE_PERCENT))
            ratio = detail / max(usual, 1e-6)
            self._values = {
                "detail": round(detail, 4),
                "usualDetail": round(usual, 4),
                "detailRatio": round(ratio, 4),
            }
            self._verdict = self._judge(ratio, cut)
            self._learn(detail)

    def _judge(self, ratio: float, cut: bool) -> Verdict:
        limit = self.params.threshold
        if ratio > limit * CLEAR_FACTOR:
            self._cuts = None
            return Verdict.GOOD
        if ratio > limit:
            return Verdict.BETWEEN
        if self._verdict is Verdict.GOOD and cut:
            self._cuts = 0
        elif self._cuts is not None:
            self._cuts += cut
        meant = self._cuts is not None and (self._cuts < MIN_CUTS or ratio > limit * STRONG)
        return Verdict.BETWEEN if meant else Verdict.BAD

    def _learn(self, detail: float) -> None:
        """Soft shots enter the baseline once it is known that they are not a defect."""
        if self._verdict is Verdict.BAD:
            self._pending.clear()
            return
        self._pending.append(detail)
        if self._verdict is Verdict.GOOD or len(self._pending) >= ADOPT_S / SAMPLE_EVERY_S:
            self._baseline += self._pending
            self._pending.clear()


def _thumbnail(reduced: Luma8) -> Thumbnail:
    """The picture's shapes with mean 0 and variance 1, shape (22, 40)."""
    small = cv2.resize(reduced, THUMBNAIL_PX, interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()
    small /= max(float(small.std()), 1.0)
    return small


def _detail(measures: PictureMeasures) -> float | None:
    """Energy of the two finest scales relative to that of shapes; None without contrast."""
    fine = medium = shapes = 0.0
    count = 0
    for tile in _sharpest(measures):
        half = cv2.resize(tile, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        side = tile.shape[0] // COARSE
        coarse = cv2.resize(tile, (side, side), interpolation=cv2.INTER_AREA)
        fine += _energy(tile)
        medium += _energy(half)  # type: ignore[arg-type]
        shapes += _energy(coarse)  # type: ignore[arg-type]
        count += 1
    if not count or shapes / count < MIN_CONTRAST**2:
        return None
    return float(np.sqrt(np.sqrt(fine * medium) / shapes))


def _energy(tile: Luma8) -> float:
    """Mean square of the Laplacian."""
    return cv2.norm(cv2.Laplacian(tile, cv2.CV_16S), cv2.NORM_L2SQR) / tile.size


def _sharpest(measures: PictureMeasures) -> Iterator[Luma8]:
    """The tiles of the picture in full resolution that change most from pixel to pixel."""
    view, reduced = measures.view, measures.reduced
    height, width = view.luma.shape
    side = max(MIN_TILE_PX, width // TILES_ACROSS)
    rows, columns = height // side, width // side
    if not rows or not columns:
        return
    steps = cv2.absdiff(reduced[:, 1:], reduced[:, :-1])
    means = np.asarray(cv2.resize(steps, (columns, rows), interpolation=cv2.INTER_AREA))
    ignored = measures.ignored_tiles(side, rows, columns)
    if ignored is not None:
        # Blanks have sharp edges, and keep them when the picture has none.
        means = np.where(ignored, -1.0, means)
    chosen = np.argsort(means.ravel(), kind="stable")[-TILES:]
    for index in chosen[means.ravel()[chosen] >= 0].tolist():
        row, column = divmod(index, columns)
        yield _tile(view, row * side, column * side, side)


def _tile(view: FrameView, top: int, left: int, side: int) -> Luma8:
    tile = view.luma[top : top + side, left : left + side]
    if tile.dtype == np.uint8:
        return tile  # type: ignore[return-value]
    return cv2.convertScaleAbs(tile, alpha=2.0 ** (8 - view.bit_depth))  # type: ignore[return-value]
