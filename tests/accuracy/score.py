"""Compare alarms with the truth, and say how sure the figures are."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

ADJOINING_S = 0.1
Z_95 = 1.959963984540054


@dataclass(frozen=True)
class Alarm:
    """What a detector reported, in seconds of media time from the first presented frame.

    `detected_s` is when it said so; None where that cannot be told.
    """

    start_s: float
    end_s: float
    detected_s: float | None = None


@dataclass(frozen=True)
class Event:
    """One span of the truth."""

    start_s: float
    end_s: float
    variant: str = ""


@dataclass(frozen=True)
class Matching:
    """Which alarm found which event; indices into what was compared."""

    pairs: tuple[tuple[int, int], ...]
    missed: tuple[int, ...]
    false: tuple[int, ...]


def match(
    events: Sequence[Event],
    alarms: Sequence[Alarm],
    neutral: Sequence[Event] = (),
    tolerance_s: float = 0.5,
) -> Matching:
    """Pair each event with at most one alarm that overlaps it and begins where it begins.

    Nearest onsets first; every alarm that is left over is false, a second one for the same event
    too. In a `neutral` span an alarm may ring or not: one that overlaps no event but such a span is
    left out, and one that begins in such a span may find the event that the span leads into.
    """
    candidates = sorted(
        (abs(alarm.start_s - event.start_s), e, a)
        for e, event in enumerate(events)
        for a, alarm in enumerate(alarms)
        if _overlap(event, alarm)
        and any(
            start_s - tolerance_s - 1e-6 <= alarm.start_s <= event.start_s + tolerance_s + 1e-6
            for start_s in (event.start_s, *_leading(event, neutral))
        )
    )
    by_event: dict[int, int] = {}
    taken: set[int] = set()
    for _, e, a in candidates:
        if e not in by_event and a not in taken:
            by_event[e] = a
            taken.add(a)
    return Matching(
        pairs=tuple(sorted(by_event.items())),
        missed=tuple(e for e in range(len(events)) if e not in by_event),
        false=tuple(
            a
            for a, alarm in enumerate(alarms)
            if a not in taken and not _only_neutral(alarm, events, neutral)
        ),
    )


def _leading(event: Event, neutral: Sequence[Event]) -> list[float]:
    """Starts of the neutral spans that lead into the event."""
    return [
        one.start_s for one in neutral if one.start_s < event.start_s <= one.end_s + ADJOINING_S
    ]


def _only_neutral(alarm: Alarm, events: Sequence[Event], neutral: Sequence[Event]) -> bool:
    """Whether the alarm overlaps a neutral span and no event."""
    return any(_overlap(one, alarm) for one in neutral) and not any(
        _overlap(one, alarm) for one in events
    )


def _overlap(event: Event, alarm: Alarm) -> bool:
    return alarm.start_s < event.end_s and event.start_s < alarm.end_s


def wilson(hits: int, trials: int, z: float = Z_95) -> tuple[float, float]:
    """The Wilson score interval of a proportion; (0, 1) without trials.

    >>> [round(bound, 4) for bound in wilson(9, 10)]
    [0.5958, 0.9821]
    """
    if trials == 0:
        return 0.0, 1.0
    share = hits / trials
    scale = 1 + z * z / trials
    middle = share + z * z / (2 * trials)
    spread = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def percentile(values: Iterable[float], rank: float) -> float:
    """The smallest value that at least this share (0..1) of the values does not exceed.

    NaN without values.

    >>> percentile([3, 1, 2], 0.5)
    2
    """
    ordered = sorted(values)
    if not ordered:
        return math.nan
    return ordered[max(0, math.ceil(rank * len(ordered)) - 1)]
