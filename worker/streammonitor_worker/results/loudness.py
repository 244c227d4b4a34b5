"""The loudness of a minute, from what the loudness detector measures anyway."""

from collections.abc import Mapping
from math import log10

ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0


class MinuteLoudness:
    """Integrated loudness of ITU-R BS.1770-5, Annex 1, over one minute.

    Its gating blocks are 400 ms long and begin every 100 ms, as the detector's momentary loudness
    is measured; so nothing is filtered twice. They are rounded to 0.1 LU.
    """

    def __init__(self) -> None:
        self._blocks: list[float] = []
        self._short_lufs: float | None = None
        self._peak_dbtp: float | None = None

    def take(self, values: Mapping[str, float]) -> None:
        """Take the values of one measurement of the detector."""
        momentary = values.get("momentaryLufs", ABSOLUTE_GATE_LUFS)
        if momentary > ABSOLUTE_GATE_LUFS:
            self._blocks.append(momentary)
        self._short_lufs = _higher(self._short_lufs, values.get("shortTermLufs"))
        self._peak_dbtp = _higher(self._peak_dbtp, values.get("truePeakDbtp"))

    def values(self) -> dict[str, float | int | None]:
        """The fields of a minute's summary."""
        gated = self._blocks
        if gated:
            gate_lufs = _mean(gated) + RELATIVE_GATE_LU
            gated = [one for one in gated if one > gate_lufs]
        return {
            "loudness_lufs": round(_mean(gated), 1) if gated else None,
            "loudness_blocks": len(gated),
            "short_term_max_lufs": self._short_lufs,
            "true_peak_max_dbtp": self._peak_dbtp,
        }


def _mean(blocks: list[float]) -> float:
    return 10 * log10(sum(10 ** (one / 10) for one in blocks) / len(blocks))


def _higher(one: float | None, other: float | None) -> float | None:
    if one is None or other is None:
        return one if other is None else other
    return max(one, other)
