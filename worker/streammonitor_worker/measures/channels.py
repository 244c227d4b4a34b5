"""How the channels of a piece of sound relate to each other."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import SampleArray
from streammonitor_worker.measures.sound import Levels, decibels

_LOWEST_HZ = 150.0
_OCTAVE_BANDS = 8


@dataclass(frozen=True, slots=True)
class ChannelMeasures:
    """The blocks of one hop, measured channel by channel.

    Attributes:
        level_dbfs: Shape (channels, blocks): RMS of each block in dB relative to full scale.
        correlation: Shape (blocks,): of the first two channels, -1..1; 0 where either is silent.
        side_db: Shape (blocks,): power of the difference of the first two channels relative to the
            power of both; about -3 for unrelated sound, -200 for the same sound in both.
    """

    level_dbfs: Levels
    correlation: Levels
    side_db: Levels


def measure_channels(samples: SampleArray, length: int) -> ChannelMeasures:
    """Measure samples of shape (channels, n) in blocks of `length`; the last may be cut off.

    A single channel is unrelated to a second one that does not exist: correlation 0, side 0 dB.
    """
    count = max(1, samples.shape[1] // length)
    blocks = samples[:, : count * length].reshape(samples.shape[0], count, -1)
    power = np.einsum("cbn,cbn->cb", blocks, blocks, dtype=np.float64) / blocks.shape[2]
    level = decibels(power, 10.0)
    if samples.shape[0] < 2:
        return ChannelMeasures(level, np.zeros(count), np.zeros(count))
    difference = blocks[0] - blocks[1]
    side = np.einsum("bn,bn->b", difference, difference, dtype=np.float64) / blocks.shape[2]
    both = power[0] + power[1]
    # Of the three powers, |a - b|^2 = |a|^2 + |b|^2 - 2ab gives the product without another pass.
    scale = 2 * np.sqrt(power[0] * power[1])
    correlation = np.where(scale > 0, (both - side) / np.maximum(scale, 1e-20), 0.0)
    ratio = np.where(both > 0, side / np.maximum(2 * both, 1e-20), 1.0)
    return ChannelMeasures(level, np.clip(correlation, -1, 1), decibels(ratio, 10.0))


def timbre(samples: npt.NDArray[np.float32], sample_rate: int) -> Levels:
    """Levels in dB of one channel in octave bands from 150 Hz, shape (8,): what it sounds like."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    edges_hz = _LOWEST_HZ * 2.0 ** np.arange(_OCTAVE_BANDS + 1)
    edges = np.minimum(edges_hz * len(samples) / sample_rate, len(spectrum)).astype(int)
    total = np.concatenate(([0.0], np.cumsum(spectrum)))
    return decibels(total[edges[1:]] - total[edges[:-1]] + 1e-9, 10.0)
