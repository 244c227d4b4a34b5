"""Channel loss: a channel is gone, doubles another one, or is upside down."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_worker.detectors.base import (
    DetectorParams,
    HopDetector,
    Kind,
    Measurement,
    Profiles,
    Trace,
    Units,
    Verdict,
)
from streammonitor_worker.measures.channels import ChannelMeasures, measure_channels
from streammonitor_worker.measures.gone import Gone, Limits
from streammonitor_worker.measures.hops import BLOCK_S, Hop
from streammonitor_worker.measures.phase import RELATED, Phase
from streammonitor_worker.measures.stereo import Flags, History, Usage, Usual
from streammonitor_worker.measures.width import Width

ACTIVE_DBFS = -60.0
"""Below this a programme pauses: nothing can be told of its channels then."""
FAINT_DBFS = -70.0
"""Below this codecs leave so little that left and right may be alike by chance."""


class ChannelLossParams(DetectorParams):
    """Parameters of the channelLoss detector."""

    min_duration: Duration = Field(default=3.0, ge=0.1, le=3600)
    """How long a channel must be lost before an incident is raised."""
    clear_duration: Duration = Field(default=2.0, ge=0.1, le=3600)
    """How long all channels must be back before the incident ends."""
    critical_after: Duration = Field(default=30.0, ge=0.1, le=86400)
    """How long a channel must be lost for the incident to become critical."""
    threshold: float = Field(default=-55.0, ge=-120.0, le=-50.0)
    """Level in dBFS at or below which a channel is gone while others sound."""
    difference: float = Field(default=25.0, ge=6.0, le=90.0)
    """How far, in dB, a channel that is gone must be below the loudest one; half of it suffices
    where the channel always followed the others."""
    clear_margin: float = Field(default=6.0, ge=0.0, le=40.0)
    """How far, in dB, a channel must rise above either limit to count as back."""
    phase_threshold: float = Field(default=-0.7, ge=-1.0, le=0.0)
    """Correlation of left and right at or below which the phase of one is inverted."""

    units: ClassVar[Units] = {
        "threshold": "dBFS",
        "difference": "dB",
        "clearMargin": "dB",
        "phaseThreshold": "correlation",
    }
    profiles: ClassVar[Profiles] = {
        "strict": {"minDuration": "1s", "criticalAfter": "10s"},
        "relaxed": {"minDuration": "10s", "clearDuration": "5s", "criticalAfter": "2m"},
    }


class ChannelLossDetector(HopDetector[ChannelLossParams]):
    """Finds a lost channel: gone, duplicated where it was stereo, or with inverted phase.

    Input: blocks of 20 ms of two or more channels; of the layout it is assumed that left and right
    come first, as in every layout of ISO/IEC 23091-3 that FFmpeg decodes to. Left and right must
    always sound; another channel only after it did for nine tenths of the last half minute. One
    channel alone is unknown. Nothing is judged while the programme pauses (below -60 dBFS).

    Values: `lostChannel` (1 = left, 2 = right, …; 0 = none), `differenceDb` (loudest minus softest
    of the channels in use), `correlation` of left and right over a second (-1..1), `sideDb` (what
    they do not share, relative to both, in the median of octave bands), `duplicated` and `inverted`
    (0 or 1).

    Source: EBU Tech 3343 (phase meters) and the channel-loss and phase alarms of broadcast
    monitors. A lost channel keeps a steady floor (noise, hum, what a codec leaks into it) and does
    not follow the others any more. Duplication and inversion are looked for in octave bands from
    50 Hz to 4.8 kHz, above which codecs put noise of their own. Duplication needs 8 s of stereo
    before it, less side signal than ever in the last half minute, and the same spectrum before and
    after its edge. Phase also counts as inverted when the correlation of each band turns to the
    opposite of what it was for 8 s. Edges are change points (Page 1954) of single blocks.

    Blind spots: mono from the start is not a defect; nor is stereo that fades to mono or turns to
    it between programmes that sound different. Unrelated channels sound the same with inverted
    phase. Sound placed on one side only, for longer than `minDuration`, counts as a loss of the
    other, unless that is usual.
    """

    name: ClassVar[str] = "channelLoss"
    kind: ClassVar[Kind] = Kind.AUDIO
    summary: ClassVar[str] = "An audio channel is gone, duplicated or inverted."
    params_type: ClassVar[type[DetectorParams]] = ChannelLossParams
    cost: ClassVar[float] = 0.02
    traces: ClassVar[tuple[Trace, ...]] = (
        Trace(
            ("differenceDb",), "dB", lambda p: p.difference, lambda p: p.difference - p.clear_margin
        ),
        Trace(
            ("correlation",),
            "",
            lambda p: p.phase_threshold,
            lambda p: p.phase_threshold + RELATED,
            below=True,
        ),
    )

    def _take(self, hop: Hop) -> Iterator[Measurement]:
        before = self._lost
        found = self._judge(hop)
        if before and not before & self._lost:
            # What went is back: sound that moves from side to side is no loss that goes on.
            yield Measurement(hop.start_s, hop.start_s, hop.arrived_at, Verdict.GOOD)
        yield found

    def _forget(self) -> None:
        self._history: History | None = None
        self._known = False

    def _begin(self, channels: int) -> History:
        params = self.params
        limits = Limits(params.threshold, params.difference, params.clear_margin, ACTIVE_DBFS)
        self._gone = [Gone(limits) for _ in range(channels)]
        self._usage, self._usual = Usage(channels), Usual()
        self._width, self._phase = Width(), Phase(params.phase_threshold)
        self._was_bad = False
        return History(channels)

    @property
    def _lost(self) -> set[int]:
        """Numbers of the channels that are gone."""
        if self._history is None:
            return set()
        return {number for number, one in enumerate(self._gone) if one.since_s is not None}

    def _judge(self, hop: Hop) -> Measurement:
        if not hop.adjoins or not hop.finite:
            self._forget()
        if not hop.finite or hop.samples.shape[0] < 2:
            return Measurement(hop.start_s, hop.end_s, hop.arrived_at, Verdict.UNKNOWN)
        if self._history is None:
            self._history = self._begin(hop.samples.shape[0])
        length = max(1, round(hop.sample_rate * BLOCK_S))
        found = measure_channels(hop.samples, length, hop.sample_rate)
        block_s = length / hop.sample_rate
        count = self._history.take(found, hop.start_s, block_s)
        active = self._follow(self._history, count, block_s)
        verdict, start_s = self._verdict(hop, active)
        return Measurement(
            start_s=start_s,
            end_s=hop.end_s,
            arrived_at=hop.arrived_at,
            verdict=verdict,
            confidence=0.9 if verdict is Verdict.BAD else 1.0,
            values=self._values(found, active),
        )

    def _follow(self, history: History, count: int, block_s: float) -> Flags:
        """Look at what was appended to the history; return which of it sounds."""
        level = history.level_dbfs
        active: Flags = level.max(axis=0) >= ACTIVE_DBFS
        self._find_gone(history, active[-count:], count, block_s)
        # A lost channel has no phase and no twin.
        both = level[:2].min(axis=0) >= FAINT_DBFS
        if not self._lost & {0, 1}:
            self._width.take(history, both, count, block_s)
            self._phase.take(history, both, self._usual)
        if self._lost or self._width.suspicious or self._phase.since_s is not None:
            self._usual.hold()
        self._usual.learn(history, both, count, block_s)
        return active[-count:]

    def _find_gone(self, history: History, active: Flags, count: int, block_s: float) -> None:
        level = history.level_dbfs[:, -count:]
        used = self._usage.in_use()
        lost = self._lost
        for number in np.flatnonzero(used):
            others = np.arange(len(used)) != number
            self._gone[number].take(history, int(number), others, count, block_s)
        if not lost:
            self._usage.learn(level > self.params.threshold, active, block_s)

    def _verdict(self, hop: Hop, active: Flags) -> tuple[Verdict, float]:
        parts: list[Gone | Width | Phase] = [*self._gone, self._width, self._phase]
        begins = [one.since_s for one in parts if one.since_s is not None]
        self._known |= bool(active.any())
        if begins and active.any():
            self._was_bad = True
            return Verdict.BAD, min(begins)
        if not self._known:
            return Verdict.UNKNOWN, hop.start_s
        if begins or not active.any():
            return Verdict.BETWEEN, hop.start_s
        back = [one.back_s for one in parts if one.back_s is not None]
        was_bad, self._was_bad = self._was_bad, False
        return Verdict.GOOD, max(back) if was_bad and back else hop.start_s

    def _values(self, found: ChannelMeasures, active: Flags) -> dict[str, float]:
        if not active.any():
            return {}
        level = found.level_dbfs[:, active].mean(axis=1)[self._usage.in_use()]
        return {
            "lostChannel": float(min(self._lost) + 1 if self._lost else 0),
            "differenceDb": round(float(level.max() - level.min()), 1),
            "correlation": round(self._phase.correlation, 3),
            "sideDb": round(self._width.side_db, 1),
            "duplicated": float(self._width.since_s is not None),
            "inverted": float(self._phase.since_s is not None),
        }
