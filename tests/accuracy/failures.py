"""What went wrong, one by one."""

from collections import Counter
from collections.abc import Callable, Iterator

from tests.accuracy.cases import Role
from tests.accuracy.markdown import Row, table
from tests.accuracy.run import OURS, Found, Tally

MOST = 40
"""So many of a detector are listed one by one; of the others the number is given."""
BETWEEN = "between events"


def each(
    tallies: dict[tuple[str, str], Tally], pick: Callable[[Tally], list[Found]], none: str
) -> str:
    """A table of what our detectors did wrong; `none` if there is nothing to list."""
    rows: list[Row] = []
    left_out = []
    for defect, one in _ours(tallies):
        found = pick(one)
        rows += [_row(defect, wrong) for wrong in found[:MOST]]
        if len(found) > MOST:
            left_out.append(f"{len(found) - MOST} more of {defect} are not listed.")
    head = ("defect", "source", "encoding", "what", "at s", "alarms there at s")
    return "\n\n".join([table(head, rows), *left_out]) if rows else none


def elsewhere(tallies: dict[tuple[str, str], Tally], none: str) -> str:
    """A table of the alarms in clips of other defects, by what was to be seen or heard there."""
    rows: list[Row] = []
    for defect, one in _ours(tallies):
        counts = Counter(what(found) for found in one.crossed)
        rows += [(defect, shown, count) for shown, count in sorted(counts.items())]
    return table(("alarm of", "while there was", "times"), rows) if rows else none


def what(found: Found) -> str:
    """What was injected, or what the clip showed when a false alarm rang."""
    if found.event is not None:
        return found.event.variant
    for truth in found.outcome.manifest.truths:
        alarm = found.alarm
        if alarm and alarm.start_s < truth.end_s and truth.start_s < alarm.end_s:
            return f"{truth.defect}: {truth.variant}"
    return "clean" if found.outcome.case.role is Role.CLEAN else BETWEEN


def _ours(tallies: dict[tuple[str, str], Tally]) -> Iterator[tuple[str, Tally]]:
    for (defect, who), one in tallies.items():
        if who == OURS:
            yield defect, one


def _row(defect: str, found: Found) -> Row:
    case = found.outcome.case
    at = found.event or found.alarm
    span = f"{at.start_s:.2f}-{at.end_s:.2f}" if at else ""
    return (defect, case.source, case.coding(), what(found), span, _near(found, defect))


def _near(found: Found, defect: str) -> str:
    """The alarms that overlap a missed event: it may have been found in pieces, or late."""
    if found.event is None:
        return ""
    alarms = found.outcome.alarms[OURS][defect]
    overlap = [
        f"{one.start_s:.2f}-{one.end_s:.2f}"
        for one in alarms
        if one.start_s < found.event.end_s and found.event.start_s < one.end_s
    ]
    return ", ".join(overlap) or "none"
