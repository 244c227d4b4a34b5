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
MAX_CONTRAST = 0.02
"""Between the darkest and the brightest tile: 4 codes of 219. Encoders add up to 2 to black."""
CLEAR_CONTRAST = 0.04
MAX_SPREAD = 0.07
"""Between the 2nd and 98th percentile: noise of 3 codes spreads over 12 of 219."""
CLEAR_SPREAD = 0.12
MAX_SATURATION = 0.025
"""5 codes of 224; encoders stay within 2 of grey, and a dim blue begins at 8."""
CLEAR_SATURATION = 0.05
LETTERING_MARGIN = 0.1
"""Lettering stands out by at least this much from the darkest luma that still counts as dark."""
MAX_LETTERING = 0.0003
"""Share of the picture: one short line of small credits covers several times as much."""


LIMITS = (
    ("spread", MAX_SPREAD, CLEAR_SPREAD),
    ("contrast", MAX_CONTRAST, CLEAR_CONTRAST),
    ("saturation", MAX_SATURATION, CLEAR_SATURATION),
)
"""Values that black stays within, and beyond which a picture is surely not black."""


class BlackParams(DetectorParams):
    """Parameters of the black detector."""

    min_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long the picture must be black before an incident is raised."""
    clear_duration: Duration = Field(default=1.0, ge=0.1, le=3600)
    """How long there must be a picture again before the incident ends."""
    critical_after: Duration = Field(default=10.0, ge=0.1, le=86400)
    """How long the picture must be black for the incident to become critical."""
    threshold: float = Field(default=0.1, ge=0.0, le=0.5)
    """Luma up to which a pixel counts as dark, as a share of the way from black to white; HDR is
    compared at the code that shows the same light."""
    dark_ratio: float = Field(default=0.98, ge=0.5, le=1.0)
    """Share of the picture, letterbox bars excluded, that must be dark."""

    units: ClassVar[Units] = {"threshold": "ratio", "darkRatio": "ratio"}
    profiles: ClassVar[Profiles] = {
        "strict": {"minDuration": "1s", "criticalAfter": "5s"},
        "relaxed": {"minDuration": "10s", "clearDuration": "2s", "criticalAfter": "30s"},
    }


class BlackDetector(Detector[BlackParams, PictureMeasures]):
    """Finds pictures that are dark throughout and show nothing.

    Dark alone is not black. A night scene has tiles that differ, and noise, which evens out within
    a tile, has not; a tinted picture is saturated, however dark; credits are lettering, and stars
    and lights are as bright, outside the corners, to which a station's logo keeps.

    Input: pictures of 8 to 16 bits in limited or full range, SDR, PQ or HLG, with chroma or grey.
    Bars are excluded. The first picture of a fade that is found black is the one from which no tile
    differs from another by more than 4 codes of 8 bits.

    Values: `darkRatio` (share of dark luma, 0..1), `meanLuma` (0 is black, 1 is white) and, while
    the picture is dark, `spread` (2nd to 98th percentile of luma), `contrast` (darkest to brightest
    tile outside the corners; both as shares of the way from black to white) and `saturation`
    (distance from grey, 0..0.7).

    Source: share of dark luma as in FFmpeg's blackdetect; light of PQ and HLG after ITU-R BT.2100
    tables 4 and 5, of SDR after BT.1886; contrast, saturation and lettering are our own.

    Blind spots: a dark scene without any contrast, a lens cap for one, is black; so is black with a
    logo of which the station itself lets nothing else be seen. Black that carries lettering outside
    the corners (a slate, a ticker) is a picture.
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
            tiles=measures.dark_tiles(self.params.threshold) if verdict is Verdict.BAD else None,
        )

    def _verdict(self, measures: PictureMeasures, values: dict[str, float]) -> Verdict:
        dark = values["darkRatio"]
        if dark < self.params.dark_ratio - CLEAR_DARK_MARGIN:
            return Verdict.GOOD
        values["meanLuma"] = measures.mean
        values["spread"] = measures.percentile(98) - measures.percentile(2)
        values["contrast"] = measures.contrast
        values["saturation"] = measures.saturation
        if any(values[name] > clear for name, _, clear in LIMITS):
            return Verdict.GOOD
        if measures.lettering_ratio(self.params.threshold + LETTERING_MARGIN) > MAX_LETTERING:
            return Verdict.GOOD
        black = all(values[name] <= limit for name, limit, _ in LIMITS)
        return Verdict.BAD if black and dark >= self.params.dark_ratio else Verdict.BETWEEN


def _confidence(values: dict[str, float]) -> float:
    """Full for a picture that shows nothing at all, half at the limits."""
    worst = max(values.get(name, 0.0) / limit for name, limit, _ in LIMITS)
    return round(1.0 - 0.5 * min(1.0, worst), 3)
