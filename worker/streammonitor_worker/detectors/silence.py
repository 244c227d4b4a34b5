"""Silence: nothing is heard."""

import math
from collections import deque
from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_worker.detectors.base import (
    Detector,
    DetectorParams,
    Kind,
    Measurement,
    Profiles,
    Trace,
    Units,
    Verdict,
)
from streammonitor_worker.measures.hops import BLOCK_S
from streammonitor_worker.measures.sound import SoundMeasures


class SilenceParams(DetectorParams):
    """Parameters of the silence detector."""

    min_duration: Duration = Field(default=10.0, ge=0.1, le=3600)
    """How long it must be silent before an incident is raised."""
    clear_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long there must be sound again before the incident ends."""
    critical_after: Duration = Field(default=30.0, ge=0.1, le=86400)
    """How long it must be silent for the incident to become critical."""
    threshold: float = Field(default=-60.0, ge=-120.0, le=0.0)
    """Level in dBFS at or below which every channel must be."""
    clear_margin: float = Field(default=6.0, ge=0.0, le=40.0)
    """How far, in dB, a channel must rise above the threshold to count as sound again."""

    units: ClassVar[Units] = {"threshold": "dBFS", "clearMargin": "dB"}
    profiles: ClassVar[Profiles] = {
        "strict": {"minDuration": "3s", "clearDuration": "1s", "criticalAfter": "10s"},
        "relaxed": {"minDuration": "30s", "clearDuration": "5s", "criticalAfter": "2m"},
    }


PAUSE_S = 1.0
"""What is shorter is a pause between words, and not yet silence."""
FLOOR_S = 1.0
"""The floor of a silence is the loudest of so much of it."""


class SilenceDetector(Detector[SilenceParams, SoundMeasures]):
    """Finds sound whose every channel is below a level.

    Input: blocks of 20 ms of any number of channels. A stream without sound is not silent: the
    detector is then unknown, which its stream says.

    Values: `levelDbfs` (RMS of the loudest channel, -200 where every sample is zero), `peakDbfs`,
    and `digitalSilence`, which tells the two kinds of silence apart: 1 where no sample exceeds
    -120 dBFS, as an encoder without input or a muted channel sends; 0 where there is a noise
    floor, hum or very soft sound, as a dead microphone or an open input sends.

    Source: level and time are the usual alarm settings of broadcast monitors. It is sound again
    above the threshold as soon as it is also `clearMargin` louder than the silence was, be it room
    tone; a noise floor just below the threshold must rise by that margin above the threshold,
    which keeps it from chattering. A pause of less than a second (or half of `minDuration` or
    `clearDuration`) neither begins a silence nor prolongs one that ended.

    Blind spots: very quiet programme (below -60 dBFS for 10 s) counts as silence.
    """

    name: ClassVar[str] = "silence"
    kind: ClassVar[Kind] = Kind.AUDIO
    summary: ClassVar[str] = "Every audio channel is silent."
    params_type: ClassVar[type[DetectorParams]] = SilenceParams
    cost: ClassVar[float] = 0.01
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(
            ("levelDbfs",),
            "dBFS",
            lambda p: p.threshold,
            lambda p: p.threshold + p.clear_margin,
            below=True,
        ),
    )

    def __init__(self, params: SilenceParams) -> None:
        super().__init__(params)
        self._pause_s = min(PAUSE_S, params.min_duration / 2, params.clear_duration / 2)
        self.reset()

    def reset(self) -> None:
        """What follows does not adjoin the silence that was."""
        self._floor: deque[float] = deque(maxlen=round(FLOOR_S / BLOCK_S))
        self._silent_since_s: float | None = None

    def observe(self, measures: SoundMeasures) -> Iterator[Measurement]:
        """Judge the blocks that became complete."""
        if measures.rms_dbfs.shape[0] == 0:
            return
        loudest = measures.rms_dbfs.max(axis=0)
        peaks = measures.peak_dbfs.max(axis=0)
        digital = np.all(measures.digital_silence, axis=0)
        for index in range(measures.blocks):
            level, peak = float(loudest[index]), float(peaks[index])
            start_s = measures.start_s + index * measures.block_s
            end_s = start_s + measures.block_s
            verdict = self._verdict(level, start_s, end_s)
            silent_s = self._silent_since_s if verdict is Verdict.BAD else None
            yield Measurement(
                start_s=start_s if silent_s is None else silent_s,
                end_s=end_s,
                arrived_at=measures.arrived_at,
                verdict=verdict,
                confidence=self._confidence(level),
                values=_values(level, peak, bool(digital[index])),
            )

    def _verdict(self, level_dbfs: float, start_s: float, end_s: float) -> Verdict:
        if not math.isfinite(level_dbfs):
            self.reset()
            return Verdict.UNKNOWN
        threshold, margin = self.params.threshold, self.params.clear_margin
        if level_dbfs <= threshold:
            if self._silent_since_s is None:
                self._silent_since_s = start_s
            if end_s - self._silent_since_s < self._pause_s:
                return Verdict.BETWEEN
            self._floor.append(level_dbfs)
            return Verdict.BAD
        floor_dbfs = max(self._floor, default=threshold)
        if level_dbfs <= min(threshold, floor_dbfs) + margin:
            return Verdict.BETWEEN
        self._silent_since_s = None
        return Verdict.GOOD

    def _confidence(self, level_dbfs: float) -> float:
        """Half at the threshold, full from 20 dB below it."""
        below_db = self.params.threshold - level_dbfs
        if not below_db > 0:
            return 0.5
        return round(min(1.0, 0.5 + below_db / 40), 3)


def _values(level_dbfs: float, peak_dbfs: float, digital_silence: bool) -> dict[str, float]:
    if not (math.isfinite(level_dbfs) and math.isfinite(peak_dbfs)):
        return {}
    return {
        "levelDbfs": round(level_dbfs, 1),
        "peakDbfs": round(peak_dbfs, 1),
        "digitalSilence": float(digital_silence),
    }
