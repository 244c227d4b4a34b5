"""Flat tops: where a wave was cut off rather than turned round."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import SampleArray

# Exact tops of PCM show just below the ceiling; what a lossy codec made of them ripples, and shows
# only further down. (share of the ceiling, samples that a run must have at least)
_DEPTHS = ((0.005, 3), (0.03, 4), (0.11, 4))
FLATNESS = 0.25
"""Mean rise of a run relative to that of the parabola with its length and entry slopes."""


@dataclass(frozen=True, slots=True)
class FlatTops:
    """The flat tops of a piece of sound.

    Attributes:
        count: How many, in the channel that has most.
        first: Number of the first sample of the first one; 0 if there is none.
        last: Number of the sample after the last one; 0 if there is none.
        share: Samples inside flat tops, as a share of that channel's samples, 0..1.
    """

    count: int = 0
    first: int = 0
    last: int = 0
    share: float = 0.0


NONE = FlatTops()


def flat_tops(samples: SampleArray, level: float) -> FlatTops:
    """Find the flat tops of samples of shape (channels, n) whose ceiling is `level` or more.

    Near its top a smooth wave is a parabola: a run of length L that is entered and left with
    slope s rises s * L / 6 on average, whatever the frequency and however hard a limiter drove it.
    A wave that was cut off rises by next to nothing although it was entered steeply. Runs at the
    edge of the piece are not judged.
    """
    worst = NONE
    for channel in samples:
        found = _of_channel(channel, level)
        worst = max(worst, found, key=lambda one: one.count)
    return worst


def _of_channel(channel: npt.NDArray[np.float32], level: float) -> FlatTops:
    size = np.abs(channel)
    ceiling = float(size.max(initial=0.0))
    if not ceiling >= level or ceiling == 0.0:
        return NONE
    return max(
        (_at_depth(channel, size, ceiling * (1 - depth), least) for depth, least in _DEPTHS),
        key=lambda one: one.count,
    )


def _at_depth(
    channel: npt.NDArray[np.float32], size: npt.NDArray[np.float32], level: float, least: int
) -> FlatTops:
    side = np.where(size >= level, np.sign(channel), 0).astype(np.int8)
    edges = np.flatnonzero(side[1:] != side[:-1]) + 1
    first, last = edges[:-1], edges[1:]
    judged = (side[first] != 0) & (last - first >= least)
    first, last = first[judged], last[judged]
    if len(first) == 0:
        return NONE
    total = np.concatenate(([0.0], np.cumsum(size, dtype=np.float64)))
    length = last - first
    rise = (total[last] - total[first]) / length - level
    slope = (size[first] - size[first - 1] + size[last - 1] - size[last]) / 2
    flat = rise < FLATNESS * slope * length / 6
    if not flat.any():
        return NONE
    return FlatTops(
        count=int(flat.sum()),
        first=int(first[flat][0]),
        last=int(last[flat][-1]),
        share=float(length[flat].sum() / len(channel)),
    )
