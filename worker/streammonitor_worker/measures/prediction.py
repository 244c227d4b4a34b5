"""Linear prediction: what a piece of sound leads one to expect next, and by how much it errs.

An autoregressive model of a few milliseconds predicts tones, voices and coloured noise alike; a
discontinuity is what it cannot predict.

Source: S. J. Godsill and P. J. W. Rayner, Digital Audio Restoration, 1998, chapters 4 and 5.
"""

import numpy as np
import numpy.typing as npt

ORDER = 24
"""Coefficients of a model: enough for the formants of a voice or a few tones."""

Wave = npt.NDArray[np.float64]


def coefficients(wave: Wave, order: int = ORDER) -> Wave:
    """The prediction error filter, shape (order + 1,), first 1: autocorrelation method."""
    windowed = wave * np.hanning(len(wave))
    size = 1 << (len(wave) + order).bit_length()
    spectrum = np.abs(np.fft.rfft(windowed, size)) ** 2
    lags = np.fft.irfft(spectrum)[: order + 1]
    # A little white noise keeps the model of a pure tone, or of nothing, from being singular.
    lags[0] = lags[0] * (1 + 1e-7) + 1e-9
    found, error = np.zeros(order + 1), lags[0]
    found[0] = 1.0
    for number in range(1, order + 1):
        reflection = -(found[:number] @ lags[number:0:-1]) / error
        found[1 : number + 1] += reflection * found[number - 1 :: -1][:number]
        error *= 1 - reflection * reflection
    return found


def residual(wave: Wave, model: Wave) -> Wave:
    """What the model did not predict, shape (n,); 0 while it has no history yet."""
    order = len(model) - 1
    error: Wave = np.convolve(wave, model)[: len(wave)]
    error[:order] = 0.0
    return error


def powers(error: Wave, length: int, every: int) -> Wave:
    """Energies in windows of so many samples, one `every` so many."""
    total = np.concatenate(([0.0], np.cumsum(np.square(error))))
    first = np.arange(0, len(error) - length, every)
    energies: Wave = total[first + length] - total[first]
    return energies
