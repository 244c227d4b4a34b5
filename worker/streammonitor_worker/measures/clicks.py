"""Clicks and wrong splices: moments at which a wave is not what it was about to become.

A click stands out of the sound before it and after it in every respect that is looked at: in the
second difference, which is cheap; in what a model of the sound before leaves unexplained; and in
what a model of the sound after does, run backwards. A drum, a key or a consonant begins at once,
too, but is followed by its own decay, of which a model of what follows knows.

Source: S. V. Vaseghi and P. J. W. Rayner, "Detection and suppression of impulsive noise in speech
communication systems", IEE Proceedings 137 (1990); the models forwards and backwards as in Godsill
and Rayner, Digital Audio Restoration, 1998.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import SampleArray
from streammonitor_worker.measures.prediction import Wave, coefficients, powers, residual
from streammonitor_worker.measures.recent import Stretch

_STEP_S = 0.0005
_NEAR, _FAR = 6, 28
"""A click is compared with what lies from 3 to 14 ms before it and after it, in steps."""
_SIDE_S = 0.017
_AROUND_S = 0.0023
_SPREAD_S = 0.0045
"""So far a lossy codec spreads a click: a short block of AAC has 5.3 ms, a scale factor of MPEG-1
layer II 8 ms."""
_BESIDE_S = 0.0125
"""So far beside it lies what a click stands out of: the next one of a crackle is spread, too."""
_CORE_DB = -2.1
"""So much of its energy within 13 ms lies within 1 ms, after lossy codecs still; strokes ring."""
_SOFTEST_DBFS = -40.0
"""Softer sound on either side is hardly interrupted."""
_ATTACK_DB = 4.0
"""What is so much louder afterwards than before began there: a stroke, not a click."""
_PERIOD_S = (0.013, 0.04)
_PERIODIC_S = 0.08
"""A low tone goes on for longer: crackle is as even for a moment only."""
_ALIKE, _STRENGTH = 0.7, 4.0
LOOK_S = 0.085
"""What is newer is not judged yet, in seconds: a click is also compared with what follows."""

Size = npt.NDArray[np.float32]


class Click(NamedTuple):
    """Where a click is, and how far it stands out of its surroundings, in dB."""

    number: int
    height_db: float


def clicks(stretch: Stretch, height_db: float) -> list[Click]:
    """The clicks in what became old enough to be judged, one in 10 ms at most."""
    rate = stretch.sample_rate
    look = round(LOOK_S * rate)
    first = max(0, stretch.samples.shape[1] - look - stretch.fresh)
    last = stretch.samples.shape[1] - look
    margin = round((_FAR + 3) * _STEP_S * rate)
    if last <= first:
        return []
    from_ = max(0, first - margin)
    piece = stretch.samples[:, from_ : last + margin]
    found: list[Click] = []
    for channel, at, stands_out_db in _candidates(piece, rate, height_db):
        where = from_ + at
        if not first <= where < last:
            continue
        modelled_db = _height(stretch.samples[channel], where, rate, height_db)
        height = min(stands_out_db, modelled_db)
        if height < height_db or _periodic(stretch.samples[channel], where, rate):
            continue
        number = stretch.first + where
        if found and number - found[-1].number < 0.01 * rate:
            continue
        found.append(Click(number, height))
    return found


def _candidates(piece: SampleArray, rate: int, height_db: float) -> list[tuple[int, int, float]]:
    """Channel, position and height of what stands out of the second difference."""
    step = max(8, round(_STEP_S * rate))
    size = np.diff(piece, n=2, axis=1)
    count = size.shape[1] // step
    if count < 2 * _FAR + 2:
        return []
    blocks = size[:, : count * step].reshape(len(piece), count, step)
    energy = np.einsum("cbn,cbn->cb", blocks, blocks)
    pairs = energy[:, :-1] + energy[:, 1:] + 1e-12
    inner = pairs[:, _FAR:-_FAR]
    width = _FAR - _NEAR + 1
    # A running maximum, in as many steps as the width has binary digits.
    side = pairs
    done = 1
    while done < width:
        more = min(done, width - done)
        side = np.maximum(side[:, : side.shape[1] - more], side[:, more:])
        done += more
    before, after = side[:, : inner.shape[1]], side[:, _FAR + _NEAR :][:, : inner.shape[1]]
    ratio = inner / np.maximum(before, after)
    high = ratio > 10 ** (height_db / 10)
    if not high.any():
        return []
    found = []
    for channel, at in np.argwhere(high).tolist():
        around = inner[channel, max(0, at - _NEAR) : at + _NEAR + 1]
        if inner[channel, at] >= around.max():
            place = (at + _FAR + 1) * step + 1
            found.append((channel, place, 10 * float(np.log10(ratio[channel, at]))))
    return sorted(found, key=lambda one: one[1])


def _height(channel: SampleArray, at: int, rate: int, least_db: float) -> float:
    """How far the residuals of both models stand out, in dB; -inf for what is no click."""
    side = round(_SIDE_S * rate)
    if at < side or at + side > len(channel):
        return -np.inf
    wave = channel[at - side : at + side].astype(np.float64)
    near = round(_AROUND_S * rate)
    sides = wave[: side - near], wave[side + near :]
    before, after = (float(np.mean(one**2)) for one in sides)
    if min(before, after) < 10 ** (_SOFTEST_DBFS / 10) or after > before * 10 ** (_ATTACK_DB / 10):
        return -np.inf
    height = min(_one_way(wave, side, rate), _one_way(wave[::-1], side, rate))
    if height < least_db or _core_db(wave, side, rate) < _CORE_DB:
        return -np.inf
    return height


def _one_way(wave: Wave, at: int, rate: int) -> float:
    """How far the residual at a sample stands out of that before and after it, in dB."""
    near, short = round(_AROUND_S * rate), round(0.001 * rate)
    error = residual(wave, coefficients(wave[round(0.00125 * rate) : at - near]))
    every = max(1, round(0.00025 * rate))
    energy = powers(error, short, every) + 1e-13
    middle = np.arange(len(energy)) * every + short // 2
    peak = energy[np.abs(middle - at) <= round(0.0015 * rate)].max()
    away = np.abs(middle - at)
    beside = (away > _SPREAD_S * rate) & (away < _BESIDE_S * rate)
    return 10 * float(np.log10(peak / energy[beside].max()))


def _core_db(wave: Wave, at: int, rate: int) -> float:
    """Share of the energy of the residual that lies within 0.5 ms of its highest point, in dB."""
    error = np.square(residual(wave, coefficients(wave)))
    half, whole = round(0.0005 * rate), round(0.0065 * rate)
    part = error[at - 3 * half : at + 3 * half]
    top = at - 3 * half + int(np.argmax(np.convolve(part, np.ones(max(2, half // 2)), "same")))
    core = error[top - half : top + half].sum()
    return 10 * float(np.log10((core + 1e-20) / (error[top - whole : top + whole].sum() + 1e-20)))


def _periodic(channel: SampleArray, at: int, rate: int) -> bool:
    """Whether the same pulse comes again and again, evenly spaced: the edge of a low sawtooth."""
    size = np.diff(channel, n=2)
    half = round(0.001 * rate)
    pulse = size[at - half : at + half]
    low, high = (round(limit * rate) for limit in _PERIOD_S)
    for way in (1, -1):
        period = _distance(size, pulse, at, way * low, way * high)
        if not period:
            continue
        again = way * (period - 4), way * (period + 5)
        times = round(_PERIODIC_S * rate) // period
        if all(_distance(size, pulse, at + way * n * period, *again) for n in range(1, times)):
            return True
    return False


def _distance(size: Size, pulse: Size, at: int, *within: int) -> int:
    """How far from a sample the same pulse is found again, within bounds; 0 if it is not."""
    half = len(pulse) // 2
    start, end = sorted(at + bound for bound in within)
    start, end = max(half, start), min(len(size) - half, end)
    if end - start < 2:
        return 0
    near = size[start - half : end + half - 1]
    likeness = np.correlate(near, pulse, "valid")
    total = np.concatenate(([0.0], np.cumsum(np.square(near, dtype=np.float64))))
    energy = total[len(pulse) :] - total[: -len(pulse)]
    own = float(np.square(pulse, dtype=np.float64).sum())
    energy = energy[: len(likeness)]
    as_strong = (energy < _STRENGTH * own) & (own < _STRENGTH * energy)
    fit = np.where(as_strong, likeness / np.sqrt(energy * own + 1e-20), 0.0)
    best = int(np.argmax(fit))
    return abs(start + best - at) if fit[best] > _ALIKE else 0
