"""K-weighting of ITU-R BS.1770-5 Annex 1, and true peak of its Annex 2, in NumPy alone."""

from math import pi, tan

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_BLOCK = 64
_STATES = 4


def _shelf(sample_rate: int) -> tuple[Array, Array]:
    """Stage 1, the head: b and a. The analogue prototype behind the table for 48 kHz."""
    k, quality = tan(pi * 1681.974450955533 / sample_rate), 0.7071752369554196
    high = 10 ** (3.999843853973347 / 20)
    band = high**0.4996667741545416
    scale = 1 + k / quality + k * k
    b = np.array([high + band * k / quality + k * k, 2 * (k * k - high), 0.0])
    b[2] = high - band * k / quality + k * k
    return b / scale, np.array([1.0, 2 * (k * k - 1) / scale, (1 - k / quality + k * k) / scale])


def _high_pass(sample_rate: int) -> tuple[Array, Array]:
    """Stage 2, RLB: b and a; b is not scaled, as in the table."""
    k, quality = tan(pi * 38.13547087602444 / sample_rate), 0.5003270373238773
    scale = 1 + k / quality + k * k
    a = np.array([1.0, 2 * (k * k - 1) / scale, (1 - k / quality + k * k) / scale])
    return np.array([1.0, -2.0, 1.0]), a


class KFilter:
    """Filters any number of channels, buffer by buffer, exactly as sample by sample.

    A linear filter with state s maps a block x of n samples to y = H x + O s and s' = A^n s + C x:
    matrix products instead of a loop over samples. The states at the starts of the blocks follow
    from each other, one small product a block.
    """

    def __init__(self, sample_rate: int, channels: int) -> None:
        a, b, c, d = _cascade(_shelf(sample_rate), _high_pass(sample_rate))
        self._a, self._b = a, b
        self._state = np.zeros((channels, _STATES))
        powers = [np.eye(_STATES)]
        for _ in range(_BLOCK):
            powers.append(powers[-1] @ a)
        self._observe = np.array([c @ power for power in powers[:-1]])
        response = np.array([d, *(c @ power @ b for power in powers[: _BLOCK - 1])])
        lags = np.subtract.outer(np.arange(_BLOCK), np.arange(_BLOCK))
        self._respond = np.where(lags >= 0, response[np.maximum(lags, 0)], 0.0)
        self._enter = np.array([power @ b for power in reversed(powers[:-1])])
        self._powers = powers

    def filter(self, samples: npt.NDArray[np.float32]) -> Array:
        """Return samples of shape (channels, n), weighted."""
        channels, count = samples.shape
        whole = count // _BLOCK
        x = samples[:, : whole * _BLOCK].astype(np.float64).reshape(channels, whole, _BLOCK)
        entered = x @ self._enter
        states = np.empty((channels, whole, _STATES))
        state, step = self._state, self._powers[_BLOCK].T
        for index in range(whole):
            states[:, index] = state
            state = state @ step + entered[:, index]
        y = (x @ self._respond.T + states @ self._observe.T).reshape(channels, -1)
        rest = count - whole * _BLOCK
        if rest:
            tail = samples[:, count - rest :].astype(np.float64)
            end = tail @ self._respond[:rest, :rest].T + state @ self._observe[:rest].T
            state = state @ self._powers[rest].T + tail @ self._enter[_BLOCK - rest :]
            y = np.concatenate((y, end), axis=1)
        # Far below anything audible, and keeps numbers from becoming so small that they are slow.
        self._state = np.where(np.abs(state) < 1e-20, 0.0, state)
        return np.asarray(y, np.float64)


def _cascade(
    first: tuple[Array, Array], second: tuple[Array, Array]
) -> tuple[Array, Array, Array, float]:
    """State space (A, B, C, D) of two biquads in transposed direct form II, one after the other."""
    (a1, b1, c1, d1), (a2, b2, c2, d2) = _biquad(*first), _biquad(*second)
    a = np.block([[a1, np.zeros((2, 2))], [np.outer(b2, c1), a2]])
    return a, np.concatenate((b1, b2 * d1)), np.concatenate((d2 * c1, c2)), d1 * d2


def _biquad(b: Array, a: Array) -> tuple[Array, Array, Array, float]:
    state = np.array([[-a[1], 1.0], [-a[2], 0.0]])
    return state, np.array([b[1] - a[1] * b[0], b[2] - a[2] * b[0]]), np.array([1.0, 0.0]), b[0]


_PHASE_0 = [
    0.0017089843750, 0.0109863281250, -0.0196533203125, 0.0332031250000,
    -0.0594482421875, 0.1373291015625, 0.9721679687500, -0.1022949218750,
    0.0476074218750, -0.0266113281250, 0.0148925781250, -0.0083007812500,
]  # fmt: skip
_PHASE_1 = [
    -0.0291748046875, 0.0292968750000, -0.0517578125000, 0.0891113281250,
    -0.1665039062500, 0.4650878906250, 0.7797851562500, -0.2003173828125,
    0.1015625000000, -0.0582275390625, 0.0330810546875, -0.0189208984375,
]  # fmt: skip
_PHASES = np.array([_PHASE_0, _PHASE_1, _PHASE_1[::-1], _PHASE_0[::-1]], dtype=np.float32)
"""The interpolating filter of Annex 2, four phases of twelve coefficients."""
TAPS = 12
MOST_GAIN = float(np.abs(_PHASES).sum(axis=1).max())
"""A true peak is at most this many times as high as the highest sample: no need to look then."""


def true_peak(samples: npt.NDArray[np.float32]) -> float:
    """Return the highest value, full scale = 1.0, of (channels, n) oversampled four times.

    The first eleven samples only serve as the past of the others.
    """
    if samples.shape[1] < TAPS:
        return 0.0
    windows = np.lib.stride_tricks.sliding_window_view(samples, TAPS, axis=1)
    return float(np.abs(windows @ _PHASES[:, ::-1].T).max())


def loudness_lufs(power: float) -> float:
    """Loudness in LUFS of a K-weighted, channel-weighted mean square (BS.1770-5, equation 2)."""
    return -0.691 + 10 * float(np.log10(max(power, 1e-20))) if power > 0 else -200.0


_SURROUND = 1.41
_WEIGHTS = {
    1: [1.0],
    2: [1.0, 1.0],
    3: [1.0, 1.0, 1.0],
    4: [1.0, 1.0, _SURROUND, _SURROUND],
    5: [1.0, 1.0, 1.0, _SURROUND, _SURROUND],
    6: [1.0, 1.0, 1.0, 0.0, _SURROUND, _SURROUND],
    7: [1.0, 1.0, 1.0, 0.0, 1.0, _SURROUND, _SURROUND],
    8: [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, _SURROUND, _SURROUND],
}


def channel_weights(channels: int) -> Array:
    """Weights of BS.1770-5 for the usual layout of so many channels, shape (channels,).

    Order: mono; L R; L R C; L R Ls Rs; L R C Ls Rs; L R C LFE Ls Rs (5.1); L R C LFE Cs Ls Rs;
    L R C LFE Lb Rb Ls Rs (7.1: only loudspeakers 60 to 120 degrees off count 1.41). The LFE does
    not count. More channels count 1.
    """
    return np.array(_WEIGHTS.get(channels, [1.0] * channels))


def weighted_power(filtered: Array, weights: Array) -> float:
    """Mean square of the channels, added with their weights (BS.1770-5, equation 1)."""
    squares = np.einsum("cn,cn->c", filtered, filtered, dtype=np.float64)
    return float(np.dot(weights, squares)) / max(1.0, float(filtered.shape[1]))
