"""Whether anybody could hear what was done to sound: a criterion that knows no detector.

Two questions, both asked in the critical bands of the ear. Of an edit: does what it changed exceed
what the sound itself masks? That is the noise-to-mask ratio of ITU-R BS.1387-1 (PEAQ), whose
disturbed frames exceed 1.5 dB, over shorter windows, since what is looked for is short. Of a cut
from one place of a programme to another there is no undamaged version; what is heard of it is what
it adds: is there, in any band, more than in that band just before and just after?
"""

import numpy as np
from numpy.typing import NDArray

from dev.origin.origin import SAMPLE_RATE, Floats

Powers = NDArray[np.float64]

DISTURBED_DB = 1.5
"""BS.1387-1, 4.4: frames with a higher noise-to-mask ratio count as disturbed."""
ADDED_DB = 6.0
"""What a cut adds must exceed the loudest moment of the band beside it by so much: undamaged sound
of the tuning half and recordings does at 3 of 100 places taken at random."""
_SIZE, _STEP = 512, 128
_BARK_HZ = (
    *(0, 100, 200, 300, 400, 510, 630, 770, 920, 1080, 1270, 1480, 1720),
    *(2000, 2320, 2700, 3150, 3700, 4400, 5300, 6400, 7700, 9500, 12000, 15500),
)
"""Edges of the critical bands (Zwicker 1961)."""
_BARK = np.arange(len(_BARK_HZ) - 1) + 0.5
_DOWN_DB, _UP_DB = 25.0, 10.0
"""By how much masking falls per Bark towards lower and higher bands (Johnston 1988)."""
_OFFSET_DB = np.where(_BARK <= 12, 3.0, 0.25 * _BARK)
"""How far below the masker a sound is just masked (BS.1387-1, 2.1.9)."""
_QUIET_DBFS = -80.0
"""Softer than the threshold in quiet, where programmes of -23 LUFS play at 70 dB SPL."""
_NEAR, _SIDE = 600, 2160
"""Samples round a cut that belong to it, decoders' delays included; and those beside it."""


def disturbance_db(damaged: Floats, clean: Floats) -> float:
    """Highest noise-to-mask ratio of any band, channel and moment, in dB.

    Args:
        damaged: Shape (channels, n), at SAMPLE_RATE.
        clean: The same without the damage.
    """
    masked = np.maximum(_spread(_powers(clean)) * 10 ** (-_OFFSET_DB / 10), _quiet())
    return 10 * float(np.log10((_powers(damaged - clean) / masked).max() + 1e-12))


def added_db(sound: Floats, at: int) -> float:
    """How far any band exceeds at a cut what it reaches within 45 ms on both sides, in dB."""
    first = max(0, at - _NEAR - _SIDE - _SIZE)
    powers = _powers(sound[:, first : at + _NEAR + _SIDE + _SIZE])
    middle = first + np.arange(powers.shape[1]) * _STEP + _SIZE // 2
    beside = np.abs(middle - at) >= _NEAR + _SIZE // 2
    usual = np.maximum(_spread(powers[:, beside]), _quiet()).max(axis=1, keepdims=True)
    inside = powers[:, np.abs(middle - at) <= _NEAR]
    return 10 * float(np.log10((inside / usual).max() + 1e-12))


def _quiet() -> float:
    return float(10 ** (_QUIET_DBFS / 10))


def _powers(sound: Floats) -> Powers:
    """Powers in critical bands, shape (channels, moments, bands); a full-scale sine is 1."""
    pieces = np.lib.stride_tricks.sliding_window_view(sound, _SIZE, axis=1)[:, ::_STEP]
    spectra = np.abs(np.fft.rfft(pieces * np.hanning(_SIZE), axis=2)) ** 2
    hz = np.fft.rfftfreq(_SIZE, 1 / SAMPLE_RATE)
    edges = np.array(_BARK_HZ)
    inside = ((hz >= edges[:-1, None]) & (hz < edges[1:, None])).astype(np.float64)
    found: Powers = spectra @ inside.T * (16 / 1.5 / _SIZE**2)
    return found


def _spread(powers: Powers) -> Powers:
    """What sound in each band masks in the others."""
    distance = _BARK[:, None] - _BARK[None, :]
    loss_db = np.where(distance > 0, _UP_DB * distance, -_DOWN_DB * distance)
    spread: Powers = powers @ (10 ** (-loss_db / 10)).T
    return spread
