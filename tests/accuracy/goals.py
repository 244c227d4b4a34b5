"""The figures that the detectors are meant to reach, and whether they do."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tests.accuracy.ebu import Reading
from tests.accuracy.run import Found, Tally
from tests.accuracy.score import percentile

CLEAN_HOURS, CLEAN_SOURCES = 2.0, 20
"""So much clean material without a false alarm, from so many distinct sources."""
ONSET_RANK = 0.95
"""The onset error is judged by this percentile of the events that were found."""


@dataclass(frozen=True)
class Goal:
    """What is asked of one detector; None where nothing is."""

    recall: float | None = None
    precision: float | None = None
    onset_frames: float | None = None
    onset_s: float | None = None


GOALS = {
    "black": Goal(0.98, 0.98, onset_frames=1),
    "freeze": Goal(0.98, 0.98, onset_frames=1),
    "blockCorruption": Goal(0.95, 0.98),
    "stutter": Goal(0.90, 0.90),
    "blur": Goal(0.90, 0.90),
    "silence": Goal(0.98, 0.98, onset_s=0.05),
    "channelLoss": Goal(0.98, 0.98, onset_s=0.05),
    "clipping": Goal(0.98, 0.98, onset_s=0.05),
    "audioDropout": Goal(0.98, 0.98, onset_s=0.05),
}
"""By defect. That of `loudness` is EBU's tolerance for its test signals: see `judge_loudness`."""


@dataclass(frozen=True)
class Judgement:
    """One figure held against its goal."""

    figure: str
    goal: str
    measured: str
    reached: bool | None
    """None where nothing was measured."""


def judge(defect: str, one: Tally, clean_sources: int) -> list[Judgement]:
    """Every goal of a detector; `clean_sources` counts those of the clean material it ran over."""
    goal = GOALS.get(defect, Goal())
    hits = len(one.hits)
    found = [
        *_share("recall", goal.recall, hits, one.events),
        *_share("precision", goal.precision, hits, hits + len(one.false)),
        *_onset("frames", goal.onset_frames, [_onset_frames(found) for found in one.hits]),
        *_onset("s", goal.onset_s, [found.onset_error_s for found in one.hits]),
    ]
    hours = one.clean_s / 3600
    enough = hours >= CLEAN_HOURS and clean_sources >= CLEAN_SOURCES
    unknown = one.clean_unknown_s / one.clean_s if one.clean_s else 0.0
    clean = Judgement(
        "false alarms in clean material",
        f"0 in {CLEAN_HOURS:g} h from {CLEAN_SOURCES} sources",
        f"{one.clean_alarms} in {hours:.2f} h from {clean_sources} sources ({unknown:.1%} unknown)",
        enough and one.clean_alarms == 0 if one.clean_s else None,
    )
    return [*found, clean]


def judge_loudness(readings: Sequence[Reading]) -> Judgement:
    """Whether loudness is within EBU's tolerance on all of its test signals."""
    within = sum(one.within for one in readings)
    return Judgement(
        "EBU Tech 3341 and 3342",
        "within 0.1 LU; range 1 LU; true peak -0.4 / +0.2 dB",
        f"{within} of {len(readings)} figures",
        within == len(readings) if readings else None,
    )


def _share(figure: str, goal: float | None, hits: int, trials: int) -> list[Judgement]:
    if goal is None:
        return []
    share = hits / trials if trials else math.nan
    reached = share >= goal if trials else None
    return [Judgement(figure, f">= {goal:.2f}", _number(share), reached)]


def _onset(unit: str, goal: float | None, errors: list[float]) -> list[Judgement]:
    if goal is None:
        return []
    error = percentile(errors, ONSET_RANK)
    figure = f"onset error, p{ONSET_RANK * 100:.0f}"
    # The slack is for timestamps that are rounded to 90 kHz.
    reached = error <= goal + 0.005 if errors else None
    return [Judgement(figure, f"<= {goal:g} {unit}", _number(error), reached)]


def _onset_frames(found: Found) -> float:
    return found.onset_error_s * float(Fraction(found.outcome.manifest.frame_rate))


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
