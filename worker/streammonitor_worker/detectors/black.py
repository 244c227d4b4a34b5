"""Black: nothing is shown."""

from collections.abc import Iterator
from typing import ClassVar

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
from streammonitor_worker.measures.picture import PictureMeasures

CLEAR_DARK_MARGIN = 0.03
"""How far the dark share must fall below its threshold before a picture is surely not black."""
MAX_SPREAD = 0.025
"""Between the 2nd and 98th percentile: 5 codes of 219. A night scene spreads wider, a fade too."""
CLEAR_SPREAD = 0.05
LETTERING_MARGIN = 0.1
"""Lettering stands out by at least this much from the darkest luma that still counts as dark."""
MAX_LETTERING = 0.0005
"""Share of the picture: one short line of small credits covers several times as much."""


class BlackParams(DetectorParams):
    """Parameters of the black detector."""

    min_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long the picture must be black before an incident is raised."""
    clear_duration: Duration = Field(default=1.0, ge=0.1, le=3600)
    """How long there must be a picture again before the incident ends."""
    critical_after: Duration = Field(default=10.0, ge=0.1, le=86400)
    """How long the picture must be black for the incident to become critical."""
    threshold: float = Field(default=0.1, ge=0.0, le=0.5)
    """Luma up to which a pixel counts as dark, as a share of the way from black to white."""
    dark_ratio: float = Field(default=0.98, ge=0.5, le=1.0)
    """Share of the picture, letterbox bars excluded, that must be dark."""

    units: ClassVar[Units] = {"threshold": "ratio", "darkRatio": "ratio"}
    profiles: ClassVar[Profiles] = {
        "strict": {"minDuration": "1s", "criticalAfter": "5s"},
        "relaxed": {"minDuration": "10s", "clearDuration": "2s", "criticalAfter": "30s"},
    }


class BlackDetector(Detector[BlackParams, PictureMeasures]):
    """Finds pictures that are dark throughout and show nothing.

    Dark alone is not black: a night scene spreads over more codes than a black picture with noise,
    and credits are lettering outside the corners. Both are told from it by their luma only.

    Input: pictures of 8 to 16 bits in limited or full range. Bars are excluded. The first picture
    of a fade that is found black is the one from which 95 % of the picture lies within 5 codes.

    Values: `darkRatio` (share of dark luma, 0..1), `meanLuma` (0 is black, 1 is white), and
    `spread` (2nd to 98th percentile of luma, same unit; absent while the picture is not dark).

    Source: share of dark luma as in FFmpeg's blackdetect; spread and lettering are our own.

    Blind spots: chroma is not seen, so a uniformly tinted dark picture counts as black; a dark
    scene with almost no contrast does too.
    """

    name: ClassVar[str] = "black"
    kind: ClassVar[Kind] = Kind.VIDEO
    summary: ClassVar[str] = "The picture is black: dark throughout and without contrast."
    params_type: ClassVar[type[DetectorParams]] = BlackParams
    cost: ClassVar[float] = 0.04
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(
            ("darkRatio",), "", lambda p: p.dark_ratio, lambda p: p.dark_ratio - CLEAR_DARK_MARGIN
        ),
    )

    def reset(self) -> None:
        """Nothing is remembered: every picture is judged by itself."""

    def observe(self, measures: PictureMeasures) -> Iterator[Measurement]:
        """Judge one picture."""
        view = measures.view
        values = {"darkRatio": measures.dark_ratio(self.params.threshold)}
        verdict = self._verdict(measures, values)
        yield Measurement(
            start_s=view.time_s,
            end_s=view.time_s + view.duration_s,
            arrived_at=view.arrived_at,
            verdict=verdict,
            confidence=_confidence(values),
            values=values,
        )

    def _verdict(self, measures: PictureMeasures, values: dict[str, float]) -> Verdict:
        dark = values["darkRatio"]
        if dark < self.params.dark_ratio - CLEAR_DARK_MARGIN:
            return Verdict.GOOD
        values["meanLuma"] = measures.mean
        values["spread"] = measures.percentile(98) - measures.percentile(2)
        if values["spread"] > CLEAR_SPREAD:
            return Verdict.GOOD
        if measures.lettering_ratio(self.params.threshold + LETTERING_MARGIN) > MAX_LETTERING:
            return Verdict.GOOD
        if dark >= self.params.dark_ratio and values["spread"] <= MAX_SPREAD:
            return Verdict.BAD
        return Verdict.BETWEEN


def _confidence(values: dict[str, float]) -> float:
    """Full for a picture without any contrast, half at the limit."""
    spread = values.get("spread", 0.0)
    return round(1.0 - 0.5 * min(1.0, spread / MAX_SPREAD), 3)
