"""What is measured of sound."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streammonitor_worker.frames import AudioView, SampleArray
from streammonitor_worker.measures.hops import BLOCK_S, JITTER_S, Hop, Hops, Piece

FLOOR_DBFS = -200.0
"""Stands for the level of digital silence, whose logarithm does not exist."""

DIGITAL_SILENCE = 1e-6
"""Sound whose samples are all this small was made without any input."""

Levels = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class SoundMeasures:
    """The measures of the blocks that one buffer of sound completed: none, one or several.

    Attributes:
        start_s: Media time of the first block, in seconds.
        block_s: Length of a block, in seconds.
        arrived_at: Unix time at which the buffer had arrived, in seconds.
        rms_dbfs: Shape (channels, blocks), float64: root mean square of each block in dB relative
            to full scale (a full-scale square wave is 0 dBFS); -200 for digital silence.
        peak_dbfs: Shape (channels, blocks), float64: the greatest sample of each block.
        digital_silence: Shape (channels, blocks), bool: no sample exceeds -120 dBFS. That is below
            half a step of 16 or 20 bits and the noise of any converter; what lossy codecs make of
            zeros stays below it, too.
        samples: Shape (channels, blocks * samples of a block): the samples of these blocks,
            read-only by agreement. Valid until the next buffer is measured.
        sample_rate: In Hz.
        hops: The hops of 100 ms that these blocks completed, and what a gap cut short.
    """

    start_s: float
    block_s: float
    arrived_at: float
    rms_dbfs: Levels
    peak_dbfs: Levels
    digital_silence: npt.NDArray[np.bool_]
    samples: SampleArray
    sample_rate: int
    hops: tuple[Hop, ...] = ()

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return len(self.rms_dbfs[0]) if len(self.rms_dbfs) else 0


class SoundMeter:
    """Measures the sound of one stream, in order.

    Codecs hand out buffers of 2 to 50 ms; blocks of equal length make levels comparable, so what
    does not fill a block waits for the next buffer.
    """

    def __init__(self) -> None:
        self._rest: SampleArray | None = None
        self._sample_rate = 0
        self._until_s = 0.0
        self._hops = Hops()

    def reset(self) -> None:
        """Forget the samples that did not fill a block: what follows does not adjoin them."""
        self._rest = None
        self._hops.reset()

    def finish(self) -> SoundMeasures:
        """The hop that stays incomplete because nothing adjoins it, and no further block."""
        none = np.zeros((0, 0))
        hops = self._hops.rest()
        return SoundMeasures(
            start_s=self._until_s,
            block_s=BLOCK_S,
            arrived_at=hops[0].arrived_at if hops else 0.0,
            rms_dbfs=none,
            peak_dbfs=none,
            digital_silence=none.astype(np.bool_),
            samples=none.astype(np.float32),
            sample_rate=self._sample_rate or 1,
            hops=hops,
        )

    def measure(self, view: AudioView) -> SoundMeasures:
        """Return the measures of the blocks that this buffer completes."""
        samples, start_s = self._join(view)
        length = max(1, round(view.sample_rate * BLOCK_S))
        count = samples.shape[1] // length
        used = count * length
        self._rest = samples[:, used:].copy()
        self._sample_rate = view.sample_rate
        self._until_s = view.time_s + view.duration_s
        whole = samples[:, :used]
        end_s = start_s + used / view.sample_rate
        piece = Piece(start_s, end_s, view.arrived_at, whole, view.sample_rate)
        hops = self._hops.take(piece) if whole.size else ()
        return _measure(whole, length, start_s, view, hops)

    def _join(self, view: AudioView) -> tuple[SampleArray, float]:
        rest = self._rest
        if rest is None or rest.shape[1] == 0:
            return view.samples, view.time_s
        if rest.shape[0] != view.samples.shape[0] or self._sample_rate != view.sample_rate:
            return view.samples, view.time_s
        if abs(view.time_s - self._until_s) > JITTER_S:
            return view.samples, view.time_s
        # The newest time stamp wins, so that rounding in the source's clock does not add up.
        start_s = view.time_s - rest.shape[1] / view.sample_rate
        return np.concatenate((rest, view.samples), axis=1), start_s


def _measure(
    samples: SampleArray, length: int, start_s: float, view: AudioView, hops: tuple[Hop, ...]
) -> SoundMeasures:
    blocks = samples.reshape(samples.shape[0], -1, length)
    power = np.einsum("cbn,cbn->cb", blocks, blocks, dtype=np.float64) / length
    peak = np.maximum(blocks.max(axis=2, initial=0.0), -blocks.min(axis=2, initial=0.0))
    return SoundMeasures(
        start_s=start_s,
        block_s=length / view.sample_rate,
        arrived_at=view.arrived_at,
        rms_dbfs=decibels(power, 10.0),
        peak_dbfs=decibels(peak.astype(np.float64), 20.0),
        digital_silence=peak <= DIGITAL_SILENCE,
        samples=samples,
        sample_rate=view.sample_rate,
        hops=hops,
    )


def decibels(linear: Levels, factor: float) -> Levels:
    """Return `factor` times the common logarithm, floored: 10 for powers, 20 for amplitudes."""
    smallest = 10.0 ** (FLOOR_DBFS / factor)
    # np.maximum keeps a NaN: broken samples must stay visible rather than become silence.
    level: Levels = factor * np.log10(np.maximum(linear, smallest))
    return level
