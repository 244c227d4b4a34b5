"""Motion that is not shown evenly, and cadences that are meant.

A picture is only ever repeated or lost where the source shows a new one, so that every event of the
truth is to be seen; the first lies at most two pictures after the start. A negative with a cadence
of its own is another shot (the source upside down), as behind a splice: a cadence that sets in
within a shot is a fault of the conversion, and among the variants.
"""

from collections import deque

import cv2
import numpy as np

from dev.origin.origin import Bytes, Canvas
from streammonitor_worker.detectors.base import Kind
from tests.accuracy.edits import Bench, Fate, PictureEdit, Span


class _Moments:
    """When something happens: first at once, then at random, about every `every` pictures."""

    def __init__(self, span: Span, every: float, spread: float = 0.5) -> None:
        self._rng, self._every, self._spread = span.rng, every, spread
        self._next = 1.0

    def due(self, index: int) -> bool:
        """Whether it is time; the next time is then drawn."""
        if index < self._next:
            return False
        ease = self._rng.uniform(1 - self._spread, 1 + self._spread)
        self._next = index + max(2.0, self._every * ease)
        return True


class _Live:
    """What the source shows: the picture now, and whether it is a new one."""

    def __init__(self) -> None:
        self._before: Bytes | None = None

    def is_new(self, canvas: Canvas) -> bool:
        """Take the next picture of the source."""
        new = self._before is None or not np.array_equal(canvas.data, self._before)
        if new:
            self._before = canvas.data.copy()
        return new


class _Repeat:
    """Makes edits that show old pictures in place of new ones; what was missed is then jumped over.

    Args:
        share: Of the pictures, how often one is repeated.
        times: Fewest and most repeats at a time.
        spread: How irregular it is: 0 for a repeat every so many pictures.
    """

    def __init__(self, share: float, times: tuple[int, int] = (1, 1), spread: float = 0.5) -> None:
        self._every, self._times, self._spread = 1 / share, times, spread

    def __call__(self, span: Span) -> PictureEdit:
        moments, live = _Moments(span, self._every, self._spread), _Live()
        held: list[Bytes] = []
        left = 0

        def edit(canvas: Canvas, index: int) -> None:
            nonlocal left
            new = live.is_new(canvas)
            if held and not left and new and moments.due(index):
                left = int(span.rng.integers(self._times[0], self._times[1] + 1))
            if held and left:
                left -= 1
                np.copyto(canvas.data, held[0])
            held[:] = [canvas.data.copy()]

        return edit


class _Insert:
    """Makes edits that repeat pictures and delay what follows; the delay is made up at the end."""

    def __init__(self, share: float) -> None:
        self._every = 1 / share

    def __call__(self, span: Span) -> PictureEdit:
        moments, live = _Moments(span, self._every), _Live()
        waiting: deque[Bytes] = deque()
        shown: list[Bytes] = []

        def edit(canvas: Canvas, index: int) -> None:
            waiting.append(canvas.data.copy())
            if not (live.is_new(canvas) and shown and moments.due(index)):
                shown[:] = [waiting.popleft()]
            np.copyto(canvas.data, shown[0])

        return edit


class _Lose:
    """Makes edits that lose pictures.

    Args:
        share: Of the pictures, how many are lost.
        fate: Whether the time stamps show it.
    """

    def __init__(self, share: float, fate: Fate) -> None:
        self._every, self._fate = 1 / share, fate

    def __call__(self, span: Span) -> PictureEdit:
        moments, live = _Moments(span, self._every), _Live()

        def edit(canvas: Canvas, index: int) -> Fate | None:
            return self._fate if live.is_new(canvas) and moments.due(index) else None

        return edit


# ------------------------------------------------------------------------------ what is no stutter


def turn(canvas: Canvas, quarter: int = 2) -> None:
    """Make another shot of it: mirrored left to right (1), upside down (3) or both (2)."""
    if quarter % 4:
        axis = {1: 1, 2: -1, 3: 0}[quarter % 4]
        for plane in (canvas.y, canvas.u, canvas.v):
            np.copyto(plane, cv2.flip(plane, axis))


class _Cadence:
    """Makes edits that show `pictures` of the source in `of` pictures, over and over."""

    def __init__(self, pictures: int, of: int) -> None:
        self._pictures, self._of = pictures, of

    def __call__(self, span: Span) -> PictureEdit:
        waiting: deque[Bytes] = deque()
        shown = -1

        def edit(canvas: Canvas, index: int) -> None:
            nonlocal shown
            turn(canvas)
            waiting.append(canvas.data.copy())
            while shown < index * self._pictures // self._of:
                shown += 1
                picture = waiting.popleft()
                kept[:] = [picture]
            np.copyto(canvas.data, kept[0])

        kept: list[Bytes] = []
        return edit


class _Drawn:
    """Makes edits that show a new drawing for every so many pictures, as animation does."""

    def __init__(self, pictures: int) -> None:
        self._pictures = pictures

    def __call__(self, span: Span) -> PictureEdit:
        drawing: list[Bytes] = []

        def edit(canvas: Canvas, index: int) -> None:
            turn(canvas)
            if index % self._pictures == 0:
                drawing[:] = [canvas.data.copy()]
            np.copyto(canvas.data, drawing[0])

        return edit


class _Blended:
    """Makes edits that play slower, or at another rate, and blend what lies between two pictures.

    Args:
        speed: Pictures of the source for each picture, at most 1.
    """

    def __init__(self, speed: float) -> None:
        self._speed = speed

    def __call__(self, span: Span) -> PictureEdit:
        waiting: deque[Bytes] = deque()
        first = 0

        def edit(canvas: Canvas, index: int) -> None:
            nonlocal first
            turn(canvas)
            waiting.append(canvas.data.copy())
            at = max(0.0, (index - 1) * self._speed)
            while first < int(at):
                waiting.popleft()
                first += 1
            if index:
                ease = at - first
                cv2.addWeighted(waiting[1], ease, waiting[0], 1 - ease, 0, dst=canvas.data)

        return edit


def every_sixth_skipped(span: Span) -> PictureEdit:
    """As 60 pictures a second become 50: a cadence without repeats."""

    def edit(canvas: Canvas, index: int) -> Fate | None:
        turn(canvas)
        return Fate.SKIPPED if index % 6 == 5 else None

    return edit


def pauses(span: Span) -> PictureEdit:
    """What moves stands still for half a second to a second, and goes on from where it was."""
    waiting: deque[Bytes] = deque()
    shown: list[Bytes] = []
    still = round(span.rate_hz * 1.2)
    until = still

    def edit(canvas: Canvas, index: int) -> None:
        nonlocal still, until
        turn(canvas)
        if index == until:
            still = index + round(span.rate_hz)
            until = still + round(span.rate_hz * span.rng.uniform(0.5, 1.0))
        waiting.append(canvas.data.copy())
        if index < still:
            shown[:] = [waiting.popleft()]
        np.copyto(canvas.data, shown[0])

    return edit


def slideshow(span: Span) -> PictureEdit:
    """A still every second."""
    still: list[Bytes] = []

    def edit(canvas: Canvas, index: int) -> None:
        number, at = divmod(index, round(span.rate_hz))
        if at == 0:
            turn(canvas, number + 1)
            still[:] = [canvas.data.copy()]
        np.copyto(canvas.data, still[0])

    return edit


def quick_cuts(span: Span) -> PictureEdit:
    """Shots of a third of a second to a second and a half."""
    cut, shot = 0, 0

    def edit(canvas: Canvas, index: int) -> None:
        nonlocal cut, shot
        if index >= cut:
            cut = index + round(span.rate_hz * span.rng.uniform(0.33, 1.5))
            shot += 1
        turn(canvas, shot)

    return edit


def spliced_cadences(span: Span) -> PictureEdit:
    """Half of it on twos, then a cut to a shot in which every picture is new."""
    drawing: list[Bytes] = []

    def edit(canvas: Canvas, index: int) -> None:
        on_twos = index < span.length // 2
        turn(canvas, 2 if on_twos else 1)
        if index % 2 == 0 or not on_twos:
            drawing[:] = [canvas.data.copy()]
        np.copyto(canvas.data, drawing[0])

    return edit


BENCH = Bench(
    defect="stutter",
    kind=Kind.VIDEO,
    variants={
        "repeats 5 %": _Repeat(0.05),
        "repeats 10 %": _Repeat(0.10),
        "repeats 20 %": _Repeat(0.20),
        "late repeats 10 %": _Insert(0.10),
        "repeated pairs": _Repeat(0.06, times=(2, 2)),
        "every ninth repeated": _Repeat(1 / 9, spread=0.0),
        "freeze and jump": _Repeat(0.05, times=(5, 8)),
        "time gaps 8 %": _Lose(0.08, Fate.LEFT_OUT),
        "skips 8 %": _Lose(0.08, Fate.SKIPPED),
    },
    negatives={
        "24 in 30": _Cadence(4, 5),
        "25 in 50": _Cadence(1, 2),
        "24 in 25": _Cadence(24, 25),
        "on twos": _Drawn(2),
        "on threes": _Drawn(3),
        "slow motion": _Blended(0.5),
        "blended 24 in 25": _Blended(0.96),
        "60 in 50": every_sixth_skipped,
        "pauses": pauses,
        "slideshow": slideshow,
        "quick cuts": quick_cuts,
        "splice": spliced_cadences,
    },
    event_s=(4.0, 6.0),
    negative_s=5.0,
    # A letter that comes a picture late is no judder.
    unseen_in=("typing",),
)
