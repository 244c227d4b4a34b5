"""How the channels of a piece of sound relate to each other."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import SampleArray
from streammonitor_worker.measures.sound import Levels, decibels

BAND_EDGES_HZ = (50.0, 150.0, 300.0, 600.0, 1200.0, 2400.0, 4800.0)
"""Octaves in which programmes are. Above, codecs replace sound by noise of their own."""
BANDS = len(BAND_EDGES_HZ) - 1


@dataclass(frozen=True, slots=True)
class ChannelMeasures:
    """The blocks of one hop, measured channel by channel.

    Attributes:
        level_dbfs: Shape (channels, blocks): RMS of each block in dB relative to full scale.
        cross: Shape (3, bands, blocks): powers of left and of right, and the real part of their
            cross-spectrum, in the bands of BAND_EDGES_HZ; zeros without a second channel.
    """

    level_dbfs: Levels
    cross: Levels


def measure_channels(samples: SampleArray, length: int, sample_rate: int) -> ChannelMeasures:
    """Measure samples of shape (channels, n) in blocks of `length`; the last may be cut off."""
    count = max(1, samples.shape[1] // length)
    blocks = samples[:, : count * length].reshape(samples.shape[0], count, -1)
    power = np.einsum("cbn,cbn->cb", blocks, blocks, dtype=np.float64) / blocks.shape[2]
    level = decibels(power, 10.0)
    if samples.shape[0] < 2:
        return ChannelMeasures(level, np.zeros((3, BANDS, count)))
    return ChannelMeasures(level, _cross_spectra(blocks[:2], sample_rate))


def _cross_spectra(blocks: npt.NDArray[np.float32], sample_rate: int) -> Levels:
    """Powers and cross-spectrum in bands; of a full-scale sine in both channels, about 1."""
    length = blocks.shape[2]
    window = np.hanning(length).astype(np.float32) * np.float32(4 / length)
    edges = np.round(np.array(BAND_EDGES_HZ) * length / sample_rate).astype(int)
    edges = np.minimum(edges, length // 2)
    left, right = np.fft.rfft(blocks * window, axis=2)[:, :, : edges[-1]]
    products = np.stack(
        [
            left.real**2 + left.imag**2,
            right.real**2 + right.imag**2,
            left.real * right.real + left.imag * right.imag,
        ]
    )
    firsts = np.minimum(edges[:-1], edges[-1] - 1)
    sums: Levels = np.add.reduceat(products, firsts, axis=2).transpose(0, 2, 1)
    return sums.astype(np.float64)


def side_db(cross: Levels) -> Levels:
    """Power of left minus right relative to the power of both, in dB.

    Shape (..., blocks) from (3, ..., blocks); about -3 for unrelated sound, -120 for the same sound
    in both, or none.
    """
    left, right, product = cross
    both = 2 * (left + right)
    return decibels((left + right - 2 * product).clip(0) / np.maximum(both, 1e-18) + 1e-12, 10.0)


def correlation(cross: Levels) -> Levels:
    """Correlation, -1..1; 0 where both channels are silent. Shapes as of `side_db`.

    Their product relative to the mean of their powers rather than to its geometric mean: channels
    that differ in level differ, whatever their phase.
    """
    left, right, product = cross
    found: Levels = 2 * product / np.maximum(left + right, 1e-18)
    return found
