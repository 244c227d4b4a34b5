"""How much later the same content comes in one feed than in another, track by track."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from streammonitor_worker.comparison.feed import Track
from streammonitor_worker.comparison.lags import Match, find
from streammonitor_worker.comparison.signatures import FRAMES_PER_S, Vector

STRETCH_S = 5.0
"""A feed is recognised by so much of it."""
NEAR_S = 1.0
"""Once it is known where, it is looked for only so far around."""
EVERYWHERE_EVERY = 10
"""Each so many looks, everywhere all the same: there may be a better place by now."""
LOST_EVERY = 4
"""While it is nowhere, only each so many: that costs twenty times as much as a look nearby."""
CHANGE_S = 0.2
"""A picture is described by how it differs from the one so much earlier: what stands says nothing
of time, and logos stand."""
LOCAL_S = 0.5
"""Sound is described by how it differs from its mean over so much: what makes it even is slower."""
MOST_DB = 12.0
"""By how much at most: otherwise a single bang outweighs all else."""
LEAD_FACTOR, LEAD = 1.5, 0.01
"""What another place lacks of being alike is at least so many times, and so much, more."""


class Span(NamedTuple):
    """A stretch of media time, in seconds."""

    start_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Look:
    """How one kind of track is compared.

    Attributes:
        step_s: Distance of samples when searching nearby.
        coarse: So many times that when searching everywhere.
        margin_s: What `prepare` needs before the first sample.
        prepare: Brings out what tells one moment from another; takes samples at a step.
        least: What a stretch must contain on average to be told from others.
        score: How alike the same content is at least.
        apart_s: The next best place lies so far away at least.
    """

    step_s: float
    coarse: int
    margin_s: float
    prepare: Callable[[Vector, float], Vector]
    least: float
    score: float
    apart_s: float


class Lag(NamedTuple):
    """How much later the same content is.

    Attributes:
        lag_s: In seconds of media time: main minus reference.
        score: How alike the two are there, 0..1.
        from_s: From where on it was looked at, media time of the main feed.
        until_s: Up to where.
    """

    lag_s: float
    score: float
    from_s: float
    until_s: float


def changes(sampled: Vector, step_s: float) -> Vector:
    """How pictures differ from those a moment before; the square root keeps cuts in bounds."""
    back = max(1, round(CHANGE_S / step_s))
    difference = sampled[back:] - sampled[:-back]
    size = np.sqrt(np.mean(difference**2, axis=1, keepdims=True))
    changed: Vector = difference / np.sqrt(np.maximum(size, 1e-3))
    return changed


def onsets(sampled: Vector, step_s: float) -> Vector:
    """How levels differ from what they were around."""
    half = round(LOCAL_S / step_s / 2)
    sums = np.cumsum(sampled, axis=0, dtype=np.float64)
    means = (sums[2 * half :] - sums[: -2 * half]) / (2 * half)
    local: Vector = np.clip(sampled[half:-half] - means, -MOST_DB, MOST_DB).astype(np.float32)
    return local


PICTURES = Look(0.02, 2, CHANGE_S, changes, 0.3, 0.8, 0.3)
SOUND = Look(1 / FRAMES_PER_S, 1, LOCAL_S / 2, onsets, 0.5, 0.4, 0.1)


class Alignment:
    """Follows how late one track is against its reference.

    Everywhere is searched until it is found, then nearby; when it is no longer there, everywhere
    again. What comes again and again, as a beat does, is found only where no other place is nearly
    as alike.

    Args:
        look: What kind of track it is.

    Attributes:
        telling: What was looked at last differs enough from one moment to the next to be found.
    """

    def __init__(self, look: Look) -> None:
        self.telling = False
        self._look = look
        self._lag_s: float | None = None
        self._looks = 0
        self._rests = 0

    def reset(self) -> None:
        """One of the feeds does not continue."""
        self.telling = False
        self._lag_s = None
        self._rests = 0

    def follow(self, main: Track, reference: Track) -> Lag | None:
        """Find the newest of what both have; None where it cannot be told."""
        if self._lag_s is None and self._rests:
            self._rests -= 1
            return None
        self.telling = False
        self._looks += 1
        lag = None if self._lag_s is None else self._near(main, reference, self._lag_s)
        if lag is None or self._looks % EVERYWHERE_EVERY == 0:
            elsewhere = self._anywhere(main, reference)
            if lag is None or (elsewhere is not None and elsewhere.score > lag.score):
                lag = elsewhere
        self._lag_s = None if lag is None else lag.lag_s
        self._rests = LOST_EVERY - 1 if lag is None and self.telling else 0
        return lag

    def _near(self, main: Track, reference: Track, lag_s: float) -> Lag | None:
        """Look where it was before, and a little around."""
        margin_s = self._look.margin_s
        until_s = min(main.until_s - margin_s, reference.until_s - margin_s - NEAR_S + lag_s)
        span = Span(until_s - lag_s - STRETCH_S - NEAR_S, until_s - lag_s + NEAR_S)
        return self._search(main, until_s, reference, span, self._look.step_s)

    def _anywhere(self, main: Track, reference: Track) -> Lag | None:
        """Look for the newest of each in all that is kept of the other: either may be later."""
        step_s, margin_s = self._look.step_s * self._look.coarse, self._look.margin_s
        lags = []
        for one, other in ((main, reference), (reference, main)):
            span = Span(other.since_s + margin_s, other.until_s - margin_s)
            found = self._search(one, one.until_s - margin_s, other, span, step_s)
            if found is not None:
                lags.append(found if one is main else found._replace(lag_s=-found.lag_s))
        best = max(lags, key=lambda lag: lag.score, default=None)
        return None if best is None else self._near(main, reference, best.lag_s)

    def _search(
        self, one: Track, until_s: float, other: Track, span: Span, step_s: float
    ) -> Lag | None:
        """Find the stretch of one that ends at `until_s` in a span of the other."""
        look, start_s = self._look, until_s - STRETCH_S
        if not (one.covers(start_s - look.margin_s) and other.covers(span.start_s - look.margin_s)):
            return None
        stretch = self._prepared(one, Span(start_s, until_s), step_s)
        series = self._prepared(other, span, step_s)
        if float(np.abs(stretch).mean()) < look.least:
            return None
        self.telling = True
        match = find(stretch, series, round(look.apart_s / step_s))
        if match is None or not _sure(match, look.score):
            return None
        return Lag(start_s - span.start_s - match.offset * step_s, match.score, start_s, until_s)

    def _prepared(self, track: Track, span: Span, step_s: float) -> Vector:
        margin_s = self._look.margin_s
        count = round((span.until_s - span.start_s + 2 * margin_s) / step_s)
        return self._look.prepare(track.sampled(span.start_s - margin_s, count, step_s), step_s)


def _sure(match: Match, least: float) -> bool:
    """Whether what was found is alike, and no other place nearly as much."""
    unlike, elsewhere = 1 - match.score, 1 - match.rival
    return match.score >= least and elsewhere >= LEAD_FACTOR * unlike + LEAD
