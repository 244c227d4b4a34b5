"""Channel loss: a channel is gone, doubles another one, or is upside down."""

from collections.abc import Iterator
from typing import ClassVar

import numpy as np
import numpy.typing as npt
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
from streammonitor_worker.measures.hops import BLOCK_S, Hop
from streammonitor_worker.measures.stereo import DIFFERENT_DB, Flags, Phase, Usage, Width

ACTIVE_DBFS = -50.0
"""Below this a programme may pause: nothing can be told of its channels then."""
SETTLED_S = 0.5
"""Less than this is no more than a sound that is placed left or right."""
PHASE_BLOCKS = 20
"""A correlation needs 0.4 s of sound."""
WEAKEST = 0.3
"""A correlation below this tells nothing: unrelated channels reach it by chance."""


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
    """How far, in dB, a channel that is gone must be below the loudest one."""
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
    channel alone is unknown. Nothing is judged while the programme pauses (below -50 dBFS).

    Values: `lostChannel` (1 = left, 2 = right, …; 0 = none), `differenceDb` (loudest minus softest
    of the channels in use), `correlation` of left and right over a second (-1..1), `sideDb` (what
    they do not share, relative to both), `duplicated` and `inverted` (0 or 1).

    Source: EBU Tech 3343 (phase meters) and the channel-loss and phase alarms of broadcast
    monitors. Duplication needs 10 s of stereo before it and the same timbre (octave bands, one
    second) before and after its edge. Phase also counts as inverted when the correlation turns to
    the opposite of what it was for 10 s.

    Blind spots: mono from the start is not a defect; nor is stereo that fades to mono or turns to
    it between programmes. Unrelated channels sound the same with inverted phase. Sound placed on
    one side only, for longer than `minDuration`, counts as a loss of the other.
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
            lambda p: p.phase_threshold + WEAKEST,
            below=True,
        ),
    )

    def _take(self, hop: Hop) -> Iterator[Measurement]:
        before = set(self._gone_s)
        found = self._judge(hop)
        if before and not before & set(self._gone_s):
            # What went is back: sound that moves from side to side is no loss that goes on.
            yield Measurement(hop.start_s, hop.start_s, hop.arrived_at, Verdict.GOOD)
        yield found

    def _forget(self) -> None:
        self._usage, self._width, self._phase = Usage(), Width(), Phase()
        self._gone_s: dict[int, float] = {}
        self._inverted_s: float | None = None
        self._was_bad = False
        self._back_s: float | None = None
        self._known = False

    def _judge(self, hop: Hop) -> Measurement:
        if not hop.adjoins or not hop.finite:
            self._forget()
        if not hop.finite or hop.samples.shape[0] < 2:
            return Measurement(hop.start_s, hop.end_s, hop.arrived_at, Verdict.UNKNOWN)
        length = max(1, round(hop.sample_rate * BLOCK_S))
        found = measure_channels(hop.samples, length)
        block_s = length / hop.sample_rate
        active = found.level_dbfs.max(axis=0) >= ACTIVE_DBFS
        lost = self._find_gone(hop, found, active, block_s)
        # A lost channel has no phase and no twin.
        both = active & (found.level_dbfs[:2].min(axis=0) > self.params.threshold)
        was_same = self._width.since_s is not None
        self._width.take(hop, both, found.side_db, block_s)
        if was_same and self._width.since_s is None:
            differs = both & (found.side_db > DIFFERENT_DB)
            self._back_s = hop.start_s + int(np.argmax(differs)) * block_s
        self._find_inverted(hop, found, both, block_s)
        verdict, start_s = self._verdict(hop, lost, active)
        return Measurement(
            start_s=start_s,
            end_s=hop.end_s,
            arrived_at=hop.arrived_at,
            verdict=verdict,
            confidence=0.9 if verdict is Verdict.BAD else 1.0,
            values=self._values(found, active, lost),
        )

    def _find_gone(
        self, hop: Hop, found: ChannelMeasures, active: Flags, block_s: float
    ) -> list[int]:
        """Note since when which channel is gone; return those that are gone for some time."""
        level, loudest = found.level_dbfs, found.level_dbfs.max(axis=0)
        params, margin = self.params, self.params.clear_margin
        gone = active & (level <= params.threshold) & (level <= loudest - params.difference)
        back = active & (
            (level > params.threshold + margin) | (level > loudest - params.difference + margin)
        )
        used = self._usage.in_use() if self._known else np.arange(len(level)) < 2
        self._usage.learn(level > params.threshold, active & ~gone[used].any(axis=0), block_s)
        for channel in np.flatnonzero(used):
            self._follow(int(channel), gone[channel], back[channel], hop.start_s, block_s)
        return [one for one, since_s in self._gone_s.items() if hop.end_s - since_s >= SETTLED_S]

    def _follow(
        self, channel: int, gone: Flags, back: Flags, start_s: float, block_s: float
    ) -> None:
        after = 0
        if back.any():
            if self._gone_s.pop(channel, None) is not None:
                self._back_s = start_s + int(np.argmax(back)) * block_s
            after = len(back) - int(np.argmax(back[::-1]))
        if channel not in self._gone_s and gone[after:].any():
            self._gone_s[channel] = start_s + (after + int(np.argmax(gone[after:]))) * block_s

    def _find_inverted(
        self, hop: Hop, found: ChannelMeasures, active: Flags, block_s: float
    ) -> None:
        phase = self._phase
        phase.take(hop.start_s, found.correlation, active, block_s)
        usual = phase.usual
        limit = self.params.phase_threshold
        if usual >= WEAKEST:
            limit = max(limit, -max(WEAKEST, 0.75 * usual))
        if phase.blocks >= PHASE_BLOCKS and phase.correlation <= limit:
            if self._inverted_s is None:
                self._inverted_s = phase.turned_s()
        elif phase.correlation > limit + WEAKEST and self._inverted_s is not None:
            self._inverted_s = None
            self._back_s = phase.turned_s(upwards=True)
        if self._inverted_s is None:
            phase.learn(found.correlation, active, block_s)

    def _verdict(self, hop: Hop, lost: list[int], active: Flags) -> tuple[Verdict, float]:
        begins = [self._gone_s[one] for one in lost]
        begins += [one for one in (self._width.since_s, self._inverted_s) if one is not None]
        self._known |= bool(active.any())
        if begins and active.any():
            self._was_bad, self._back_s = True, None
            return Verdict.BAD, min(begins)
        if not self._known:
            return Verdict.UNKNOWN, hop.start_s
        if begins or self._gone_s or not active.any():
            return Verdict.BETWEEN, hop.start_s
        back_s = self._back_s if self._was_bad else None
        self._was_bad, self._back_s = False, None
        return Verdict.GOOD, hop.start_s if back_s is None else back_s

    def _values(
        self, found: ChannelMeasures, active: npt.NDArray[np.bool_], lost: list[int]
    ) -> dict[str, float]:
        if not active.any():
            return {}
        level = found.level_dbfs[:, active].mean(axis=1)[self._usage.in_use()]
        return {
            "lostChannel": float(min(lost) + 1 if lost else 0),
            "differenceDb": round(float(level.max() - level.min()), 1),
            "correlation": round(self._phase.correlation, 3),
            "sideDb": round(float(np.median(found.side_db[active])), 1),
            "duplicated": float(self._width.since_s is not None),
            "inverted": float(self._inverted_s is not None),
        }
