"""Loudness of EBU R 128: momentary, short-term, integrated, range and true peak."""

from collections import deque

import numpy as np
import numpy.typing as npt

from streammonitor_worker.measures.hops import Hop
from streammonitor_worker.measures.k_weighting import (
    MOST_GAIN,
    TAPS,
    KFilter,
    channel_weights,
    loudness_lufs,
    true_peak,
    weighted_power,
)

Array = npt.NDArray[np.float64]

FLOOR = -200.0
"""Stands for the loudness of digital silence, in LUFS, and its peak, in dBTP."""
ABSOLUTE_GATE_LUFS = -70.0
_MOMENTARY_HOPS = 4
_SHORT_HOPS = 30
_STEPS = 5
"""Parts of a hop, 20 ms each."""
_INTEGRATED_GATE_LU = 10.0
_RANGE_GATE_LU = 20.0
_LOWEST, _HIGHEST = 10.0, 95.0


class LoudnessMeter:
    """Measures the loudness of one stream, hop by hop of 100 ms.

    Args:
        window_s: Integrated loudness and range are those of the last so many seconds, at most.

    Attributes:
        momentary_lufs: Loudness of the last 400 ms (EBU Tech 3341); -200 before.
        momentary_max_lufs: The highest of the windows of 400 ms that ended within the last hop, one
            every 20 ms: short sounds are caught wherever they begin; -200 before.
        short_term_lufs: Loudness of the last 3 s; -200 before.
        peak_dbtp: Highest true peak of the last 3 s.
    """

    def __init__(self, window_s: float) -> None:
        self._hops = max(_SHORT_HOPS, round(window_s * 10))
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._filter: KFilter | None = None
        self._weights: Array = np.zeros(0)
        self._past: npt.NDArray[np.float32] | None = None
        self._recent: deque[float] = deque(maxlen=_SHORT_HOPS)
        self._steps: deque[float] = deque(maxlen=(_MOMENTARY_HOPS + 1) * _STEPS - 1)
        self._peaks: deque[float] = deque([0.0], maxlen=_SHORT_HOPS)
        self._blocks: deque[float] = deque(maxlen=self._hops)
        self._short: deque[float] = deque(maxlen=self._hops)
        self.momentary_lufs = self.momentary_max_lufs = self.short_term_lufs = FLOOR

    @property
    def peak_dbtp(self) -> float:
        """Highest true peak of the last 3 s, in dB relative to full scale."""
        return max(FLOOR, 20 * float(np.log10(max(*self._peaks, 1e-10))))

    def take(self, hop: Hop) -> None:
        """Measure the next hop, which is finite; of a stream that is interrupted nothing stays."""
        if not hop.adjoins:
            self.reset()
        channels = hop.samples.shape[0]
        if self._filter is None:
            self._filter = KFilter(hop.sample_rate, channels)
            self._weights = channel_weights(channels)
        weighted = self._filter.filter(hop.samples)
        self._recent.append(weighted_power(weighted, self._weights))
        for part in np.array_split(weighted, _STEPS, axis=1):
            self._steps.append(weighted_power(part, self._weights))
        self._take_peak(hop.samples)
        powers = list(self._recent)
        if len(powers) >= _MOMENTARY_HOPS:
            power = sum(powers[-_MOMENTARY_HOPS:]) / _MOMENTARY_HOPS
            self._blocks.append(power)
            self.momentary_lufs = loudness_lufs(power)
            window = np.ones(_MOMENTARY_HOPS * _STEPS) / (_MOMENTARY_HOPS * _STEPS)
            every_step = np.convolve(np.array(self._steps), window, "valid")
            self.momentary_max_lufs = loudness_lufs(float(every_step.max()))
        if len(powers) == _SHORT_HOPS:
            power = sum(powers) / _SHORT_HOPS
            self._short.append(power)
            self.short_term_lufs = loudness_lufs(power)

    def gated_s(self) -> float:
        """How much of the window is above the absolute gate, in seconds."""
        return float((np.array(self._blocks) > _power_of(ABSOLUTE_GATE_LUFS)).sum()) / 10

    def integrated_lufs(self) -> float:
        """Integrated loudness of the window, gated (BS.1770-5, equations 4 to 7)."""
        powers = _gated(np.array(self._blocks), _INTEGRATED_GATE_LU)
        return loudness_lufs(float(powers.mean())) if len(powers) else FLOOR

    def range_lu(self) -> float:
        """Loudness range of the window in LU (EBU Tech 3342)."""
        powers = _gated(np.array(self._short), _RANGE_GATE_LU)
        if len(powers) == 0:
            return 0.0
        low, high = np.percentile(powers, [_LOWEST, _HIGHEST])
        return float(10 * np.log10(high / low))

    def _take_peak(self, samples: npt.NDArray[np.float32]) -> None:
        past = np.zeros((len(samples), TAPS - 1), np.float32) if self._past is None else self._past
        joined = np.concatenate((past, samples), axis=1)
        self._past = joined[:, -(TAPS - 1) :].copy()
        highest = float(np.abs(joined).max(initial=0.0))
        # What cannot exceed the peak that is known need not be oversampled.
        known = max(self._peaks)
        self._peaks.append(true_peak(joined) if highest * MOST_GAIN > known else highest)


class OwnRange:
    """What short-term loudness is usual in a stream: that of its last `window_s` seconds.

    Values below the absolute gate say nothing. One value a second is enough.

    Args:
        window_s: How long a value is remembered, in seconds.
        least_s: From how many seconds on the range is known.

    Attributes:
        low_lufs: 10th percentile, as in EBU Tech 3342.
        high_lufs: 95th percentile.
    """

    def __init__(self, window_s: float, least_s: float) -> None:
        self._values: deque[float] = deque(maxlen=max(1, round(window_s)))
        self._least = round(least_s)
        self.low_lufs = self.high_lufs = FLOOR

    @property
    def known(self) -> bool:
        """Whether there was enough sound."""
        return len(self._values) >= self._least

    def take(self, short_term_lufs: float) -> None:
        """Learn the next value."""
        if short_term_lufs <= ABSOLUTE_GATE_LUFS:
            return
        self._values.append(short_term_lufs)
        low, high = np.percentile(self._values, [_LOWEST, _HIGHEST])
        self.low_lufs, self.high_lufs = float(low), float(high)

    def beyond_lu(self, short_term_lufs: float) -> float:
        """How far a value lies outside the range: above 0 if too loud, below 0 if too quiet."""
        return max(short_term_lufs - self.high_lufs, 0.0) + min(
            short_term_lufs - self.low_lufs, 0.0
        )

    def forget(self) -> None:
        """Learn anew."""
        self._values.clear()


def _gated(powers: Array, below_lu: float) -> Array:
    above = powers[powers > _power_of(ABSOLUTE_GATE_LUFS)]
    if len(above) == 0:
        return above
    gate: Array = above[above > above.mean() * 10 ** (-below_lu / 10)]
    return gate


def _power_of(lufs: float) -> float:
    return float(10 ** ((lufs + 0.691) / 10))
