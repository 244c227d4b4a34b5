"""Where a stretch of one series is found in another: normalised cross-correlation.

J. P. Lewis, Fast Normalized Cross-Correlation, 1995, in one dimension and summed over the
components of a vector.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streammonitor_worker.comparison.signatures import Vector

LEAST_ENERGY_RATIO = 0.05
"""Where the series is quieter than so much of the stretch, nothing is found."""


class Match(NamedTuple):
    """Where a stretch was found.

    Attributes:
        offset: Of its first sample in the series, in samples and parts of them.
        score: How alike they are, -1..1.
        rival: The score of the best other place.
    """

    offset: float
    score: float
    rival: float


def find(stretch: Vector, series: Vector, apart: int) -> Match | None:
    """Find a stretch in a longer series.

    Args:
        stretch: Shape (n, components).
        series: Shape (m, components), m >= n.
        apart: A rival lies at least so many samples away from the best.

    Returns:
        None if the stretch is flat or longer than the series.
    """
    scores = _scores(stretch, series)
    if scores is None:
        return None
    best = int(scores.argmax())
    others = np.concatenate((scores[: max(0, best - apart)], scores[best + apart + 1 :]))
    rival = float(others.max()) if len(others) else 0.0
    return Match(best + _vertex(scores, best), float(scores[best]), rival)


def _scores(stretch: Vector, series: Vector) -> npt.NDArray[np.float64] | None:
    n, m = len(stretch), len(series)
    energy = float(np.sum(stretch.astype(np.float64) ** 2))
    if m < n or energy <= 0.0:
        return None
    size = 1 << (n + m - 1).bit_length()
    spectrum = np.fft.rfft(series, size, axis=0) * np.fft.rfft(stretch, size, axis=0).conj()
    products = np.fft.irfft(spectrum.sum(axis=1), size)[: m - n + 1]
    sums = np.concatenate(([0.0], np.cumsum(np.sum(series.astype(np.float64) ** 2, axis=1))))
    there = np.maximum(sums[n:] - sums[:-n], LEAST_ENERGY_RATIO * energy)
    scores: npt.NDArray[np.float64] = products / np.sqrt(energy * there)
    return scores


def _vertex(scores: npt.NDArray[np.float64], best: int) -> float:
    """Where the parabola through the best and its neighbours is highest, -0.5..0.5."""
    if not 0 < best < len(scores) - 1:
        return 0.0
    before, here, after = scores[best - 1 : best + 2]
    bend = before - 2 * here + after
    return float((before - after) / (2 * bend)) if bend < 0 else 0.0
