"""Sound in hops of a tenth of a second, for measures that are too costly block by block."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from streammonitor_worker.frames import SampleArray
from streammonitor_worker.measures.sound import JITTER_S, SoundMeasures

BLOCKS_PER_HOP = 5
"""A hop is 100 ms: the step of EBU Tech 3341, and few enough calls to cost next to nothing."""


@dataclass(frozen=True, slots=True)
class Hop:
    """Consecutive samples of one stream.

    Attributes:
        start_s: Media time of the first sample, in seconds.
        end_s: Media time after the last one, in seconds.
        arrived_at: Unix time at which the first block had arrived, in seconds.
        samples: Shape (channels, n), float32, full scale = 1.0, read-only by agreement.
        sample_rate: In Hz.
        adjoins: It continues the hop before: same layout and rate, no time missing.
        finite: No sample is NaN or infinite.
    """

    start_s: float
    end_s: float
    arrived_at: float
    samples: SampleArray
    sample_rate: int
    adjoins: bool
    finite: bool


class Hops:
    """Gathers the blocks of one stream into hops, in order.

    A hop that ends at a gap or at another layout is shorter than the others.
    """

    def __init__(self) -> None:
        self._held: list[SoundMeasures] = []
        self._blocks = 0
        self._last: SoundMeasures | None = None
        self._adjoins = False

    def reset(self) -> None:
        """What follows does not adjoin what came before."""
        self._held = []
        self._blocks = 0
        self._last = None
        self._adjoins = False

    def take(self, measures: SoundMeasures) -> Iterator[Hop]:
        """Take the next blocks and yield the hops that they complete."""
        if measures.blocks == 0 or measures.samples.shape[0] == 0:
            return
        if self._last is not None and not _adjoins(self._last, measures):
            yield from self.rest()
            self._adjoins = False
        self._last = measures
        self._held.append(measures)
        self._blocks += measures.blocks
        if self._blocks >= BLOCKS_PER_HOP:
            yield from self.rest()

    def rest(self) -> Iterator[Hop]:
        """Yield what is held back, however short."""
        if not self._held:
            return
        first, last = self._held[0], self._held[-1]
        parts = [one.samples for one in self._held]
        samples = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        adjoins, self._adjoins = self._adjoins, True
        self._held, self._blocks = [], 0
        yield Hop(
            start_s=first.start_s,
            end_s=last.start_s + last.blocks * last.block_s,
            arrived_at=first.arrived_at,
            samples=samples,
            sample_rate=first.sample_rate,
            adjoins=adjoins,
            finite=bool(np.isfinite(samples).all()),
        )


def _adjoins(before: SoundMeasures, after: SoundMeasures) -> bool:
    end_s = before.start_s + before.blocks * before.block_s
    return (
        before.sample_rate == after.sample_rate
        and before.samples.shape[0] == after.samples.shape[0]
        and abs(after.start_s - end_s) < JITTER_S
    )
