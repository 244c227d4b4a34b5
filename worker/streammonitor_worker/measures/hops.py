"""Sound in hops of a tenth of a second, for measures that are too costly block by block."""

from dataclasses import dataclass

import numpy as np

from streammonitor_worker.frames import SampleArray

BLOCK_S = 0.02
"""Length of a block in seconds: a defect's edge is known to within one."""
BLOCKS_PER_HOP = 5
"""A hop is 100 ms: the step of EBU Tech 3341, and few enough calls to cost next to nothing."""
JITTER_S = 0.02
"""Containers round time stamps to 1 ms and encoders prime; what is missing is longer than this."""


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
        missing_s: Time for which there are no samples between the hop before and this one, in
            seconds; 0 where it adjoins or nobody knows.
    """

    start_s: float
    end_s: float
    arrived_at: float
    samples: SampleArray
    sample_rate: int
    adjoins: bool
    finite: bool
    missing_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole blocks that one buffer of sound completed; the fields are those of `Hop`."""

    start_s: float
    end_s: float
    arrived_at: float
    samples: SampleArray
    sample_rate: int


class Hops:
    """Gathers pieces of one stream into hops, in order: once, for every detector.

    A hop that ends at a gap or at another layout is shorter than the others.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """What follows does not adjoin what came before."""
        self._held: list[Piece] = []
        self._last: Piece | None = None
        self._adjoins = False
        self._missing_s = 0.0

    def take(self, piece: Piece) -> tuple[Hop, ...]:
        """Take the next piece and return the hops that it completes: none, one or two."""
        done: tuple[Hop, ...] = ()
        last, self._last = self._last, piece
        if last is not None and not _adjoins(last, piece):
            done = self.rest()
            self._adjoins = False
            self._missing_s = max(0.0, piece.start_s - last.end_s) if _alike(last, piece) else 0.0
        self._held.append(piece)
        if piece.end_s - self._held[0].start_s >= (BLOCKS_PER_HOP - 0.5) * BLOCK_S:
            done += self.rest()
        return done

    def rest(self) -> tuple[Hop, ...]:
        """The hop that is held back, however short; none if nothing is."""
        if not self._held:
            return ()
        first, last = self._held[0], self._held[-1]
        parts = [one.samples for one in self._held]
        samples = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
        hop = Hop(
            start_s=first.start_s,
            end_s=last.end_s,
            arrived_at=first.arrived_at,
            samples=samples,
            sample_rate=first.sample_rate,
            adjoins=self._adjoins,
            # The sum is finite if all samples are: an infinite one or a NaN stays what it is.
            finite=bool(np.isfinite(samples.sum(dtype=np.float64))),
            missing_s=self._missing_s,
        )
        self._held, self._adjoins, self._missing_s = [], True, 0.0
        return (hop,)


def _alike(before: Piece, after: Piece) -> bool:
    same_layout = before.samples.shape[0] == after.samples.shape[0]
    return same_layout and before.sample_rate == after.sample_rate


def _adjoins(before: Piece, after: Piece) -> bool:
    return _alike(before, after) and abs(after.start_s - before.end_s) < JITTER_S
