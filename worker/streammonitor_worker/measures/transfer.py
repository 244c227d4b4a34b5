"""Signals of SDR and HDR video that show the same light, so that one threshold does for all.

SDR is what a display of ITU-R BT.1886 makes of it, its white at HDR's reference white of 203 cd/m2
(ITU-R BT.2408), as when SDR is put into an HDR programme. Signals are 0 at black and 1 at peak.
"""

import math

from streammonitor_worker.frames import Transfer

REFERENCE_WHITE_NITS = 203.0
"""Diffuse white of HDR, ITU-R BT.2408 table 1."""
DISPLAY_GAMMA = 2.4
"""ITU-R BT.1886 annex 1, with a black of no light at all."""
PQ_PEAK_NITS = 10_000.0
HLG_PEAK_NITS = 1000.0
HLG_SYSTEM_GAMMA = 1.2
"""ITU-R BT.2100 table 5: of a display with a peak of 1000 cd/m2."""
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
"""ITU-R BT.2100 table 4."""
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
"""ITU-R BT.2100 table 5."""


def hdr_signal(sdr: float, transfer: Transfer) -> float:
    """The signal that shows the light of an SDR signal.

    >>> [round(hdr_signal(0.1, transfer), 3) for transfer in Transfer]
    [0.1, 0.138, 0.089]
    >>> [round(hdr_signal(1.0, transfer), 2) for transfer in Transfer]
    [1.0, 0.58, 0.75]
    """
    if transfer is Transfer.SDR or sdr <= 0.0:
        return sdr
    nits = REFERENCE_WHITE_NITS * sdr**DISPLAY_GAMMA
    if transfer is Transfer.PQ:
        light = (nits / PQ_PEAK_NITS) ** _M1
        return float(((_C1 + _C2 * light) / (1 + _C3 * light)) ** _M2)
    scene = (nits / HLG_PEAK_NITS) ** (1 / HLG_SYSTEM_GAMMA)
    return math.sqrt(3 * scene) if scene <= 1 / 12 else _A * math.log(12 * scene - _B) + _C


def sdr_signal(signal: float, transfer: Transfer) -> float:
    """The SDR signal that shows the light of a signal: the inverse of `hdr_signal`.

    >>> [round(sdr_signal(hdr_signal(0.1, transfer), transfer), 3) for transfer in Transfer]
    [0.1, 0.1, 0.1]
    """
    if transfer is Transfer.SDR or signal <= 0.0:
        return signal
    if transfer is Transfer.PQ:
        root = signal ** (1 / _M2)
        nits = PQ_PEAK_NITS * (max(root - _C1, 0.0) / (_C2 - _C3 * root)) ** (1 / _M1)
    else:
        scene = signal**2 / 3 if signal <= 0.5 else (math.exp((signal - _C) / _A) + _B) / 12
        nits = HLG_PEAK_NITS * scene**HLG_SYSTEM_GAMMA
    return float((nits / REFERENCE_WHITE_NITS) ** (1 / DISPLAY_GAMMA))
