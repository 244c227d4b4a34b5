"""The last half second of a stream's sound, for measures that look back and ahead."""

from dataclasses import dataclass

import numpy as np

from streammonitor_worker.frames import SampleArray
from streammonitor_worker.measures.hops import Hop

RECENT_S = 0.5
"""How much is kept, in seconds."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Sound without a gap in its time stamps.

    Attributes:
        samples: Shape (channels, n), float32, full scale = 1.0; the newest last.
        first: Number of the first of them, counted from where the sound began.
        fresh: How many of them were not there last time.
        end_s: Media time after the last one, in seconds.
        sample_rate: In Hz.
    """

    samples: SampleArray
    first: int
    fresh: int
    end_s: float
    sample_rate: int

    @property
    def end(self) -> int:
        """Number of the sample after the last one."""
        count: int = self.samples.shape[1]
        return self.first + count

    def time_s(self, number: float) -> float:
        """Media time of a sample, in seconds."""
        return self.end_s - (self.end - number) / self.sample_rate

    def part(self, start: int, end: int) -> SampleArray | None:
        """Samples by their numbers; None where not all of them are here."""
        if start < self.first or end > self.end:
            return None
        return self.samples[:, start - self.first : end - self.first]


class Recent:
    """Keeps the newest sound of one stream."""

    def __init__(self) -> None:
        self._samples: SampleArray | None = None
        self._end = 0

    def take(self, hop: Hop) -> Stretch:
        """Add a hop that adjoins the one before."""
        keep = round(RECENT_S * hop.sample_rate)
        held = self._samples
        joined = hop.samples if held is None else np.concatenate((held, hop.samples), axis=1)
        self._end += hop.samples.shape[1]
        self._samples = joined[:, -keep:].copy()
        fresh = hop.samples.shape[1]
        return Stretch(joined, self._end - joined.shape[1], fresh, hop.end_s, hop.sample_rate)
