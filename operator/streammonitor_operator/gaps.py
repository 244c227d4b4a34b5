"""For how long nobody monitored a stream that changed hands break-before-make. Pure.

The assignment of the worker that holds a stream says up to when the one before it told of it, and
the worker since when it does: the difference is the gap. Both are programme time. Where both
workers add the same to the stream's timestamps, it is exact to the picture. Where the sender's
timestamps began anew, each worker's own clock says when its first picture came.
"""

from collections.abc import Container, Iterable, Mapping
from datetime import UTC, datetime

from streammonitor_api.assignment import Turn
from streammonitor_api.status import MAX_HAND_OVERS, GapMeasure, HandOver
from streammonitor_api.worker_status import StreamStatus
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.handover import SAME_CLOCK_S, Known


def hand_overs(
    before: Iterable[HandOver],
    views: Iterable[WorkerView],
    pushed: Container[str],
    told: Mapping[tuple[str, str], Known],
) -> list[HandOver]:
    """The last hand-over of each stream that is sent to a worker, the newest first.

    Args:
        before: What the status says: what was measured once stays.
        views: The workers.
        pushed: The streams that are sent to a worker.
        told: By group and stream, what is known of how far each was told of.
    """
    known = {one.name: one for one in before if one.name in pushed}
    for view in views:
        for turn in view.assignment.turns if view.assignment else ():
            said = view.stream(turn.stream)
            held = turn.stream in view.held and turn.stream in pushed
            if not held or turn.from_s is None or said is None or said.held_from_s is None:
                continue
            measure = _measure(turn, said, told.get((view.group, turn.stream)))
            fresh = _measured(view.name, turn.from_s, said.held_from_s, said, measure)
            old = known.get(turn.stream)
            # A process that starts anew in the same worker says when it began, which is no gap.
            if old is None or (old.worker, old.at) != (fresh.worker, fresh.at):
                known[turn.stream] = fresh
    newest = sorted(known.values(), key=lambda one: (one.at, one.name), reverse=True)
    return newest[:MAX_HAND_OVERS]


def _measure(turn: Turn, said: StreamStatus, known: Known | None) -> GapMeasure:
    clocks = turn.clock_s, said.clock_s
    if None in clocks or abs((turn.clock_s or 0.0) - (said.clock_s or 0.0)) > SAME_CLOCK_S:
        return GapMeasure.ABOUT
    ceased = known is not None and known.ceased_s == turn.from_s
    return GapMeasure.EXACT if ceased else GapMeasure.AT_MOST


def _measured(
    worker: str, from_s: float, held_from_s: float, said: StreamStatus, measure: GapMeasure
) -> HandOver:
    gap_s = round(max(0.0, held_from_s - from_s), 3)
    rate = said.video.frame_rate if said.video else 0.0
    return HandOver(
        name=said.name,
        worker=worker,
        at=datetime.fromtimestamp(int(from_s), UTC),
        gap=gap_s,
        measure=measure,
        frames=round(gap_s * rate) if rate else None,
    )
