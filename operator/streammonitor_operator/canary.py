"""What is worse about the clones of a new revision than about the workers before them. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from streammonitor_api.worker_status import StreamState, StreamStatus
from streammonitor_operator.fleet import WorkerView

RESTARTS = 2
"""A clone whose process was started again so often is no accident."""
NOTICEABLE_M = 20
"""A difference of fewer thousandths of a core, over all streams, is none."""
DAMAGE_RATIO = 1.5
"""Decode errors rise if there are more than so many times as many, and ..."""
DAMAGE_MORE_PER_MIN = 5
"""... so many more a minute: joining a stream in the middle costs a few."""
_NO_NODE = "Unschedulable"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a roll-out is paused.

    Attributes:
        reason: CamelCase.
        message: A sentence, or the end of one.
        patient: It may pass by itself, as when the cluster has to grow first.
    """

    reason: str
    message: str
    patient: bool = False


class Pair(NamedTuple):
    """One stream as the worker that speaks for it has it, and as the clone beside it does."""

    old: StreamStatus
    new: StreamStatus


def unready(clones: Iterable[WorkerView]) -> Fault | None:
    """What keeps a clone from its work; None while it is merely starting."""
    for view in clones:
        for pod in view.staying:
            if pod.pod.restarts >= RESTARTS:
                text = f"the process of worker {view.name} ended {pod.pod.restarts} times"
                return Fault("CrashLoopBackOff", text)
            if pod.pod.reason:
                said = pod.pod.message.split(". ")[0].rstrip(".") or "its pod does not run"
                text = f"worker {view.name}: {said}"[:200]
                return Fault(pod.pod.reason, text, patient=pod.pod.reason == _NO_NODE)
    return None


def pairs(old: WorkerView, clones: Sequence[WorkerView]) -> list[Pair]:
    """The streams that a worker and clones of it receive at the same time."""
    found = []
    for name in sorted(old.held):
        before = old.stream(name)
        after = next((one.stream(name) for one in clones if name in one.warming), None)
        if before is not None and after is not None and _received(before) and _received(after):
            found.append(Pair(before, after))
    return found


def follows(old: WorkerView, clones: Sequence[WorkerView]) -> bool:
    """Whether clones do all that a worker does: they could take over now.

    What is sent to one worker at a time no clone can receive beside it.
    """
    if not clones or not all(view.ready for view in clones):
        return False
    warm = {
        name
        for view in clones
        for name in view.warming
        if (said := view.stream(name)) is not None and said.warm
    }
    wanted = {
        name for name in old.held - old.pushed if (said := old.stream(name)) and _received(said)
    }
    return wanted <= warm


def worse(found: Iterable[Pair], slowdown: float) -> Fault | None:
    """What clones do worse with the same streams.

    Args:
        found: The streams.
        slowdown: How much slower is tolerated, as a ratio.
    """
    known = list(found)
    return _costlier(known, slowdown) or _behind(known, slowdown) or _damaged(known)


def _costlier(found: Sequence[Pair], slowdown: float) -> Fault | None:
    loads = [(old.load_m, new.load_m) for old, new in found]
    measured = [(old, new) for old, new in loads if old is not None and new is not None]
    old_m, new_m = sum(old for old, _ in measured), sum(new for _, new in measured)
    if new_m <= old_m * (1 + slowdown) or new_m - old_m < NOTICEABLE_M:
        return None
    what = _streams(len(measured))
    return Fault("Slower", f"{what} cost {new_m}m of CPU on the clone and {old_m}m before")


def _behind(found: Sequence[Pair], slowdown: float) -> Fault | None:
    paces = [(old.pace_m, new.pace_m) for old, new in found]
    measured = [(old, new) for old, new in paces if old is not None and new is not None]
    old_m, new_m = sum(old for old, _ in measured), sum(new for _, new in measured)
    if new_m * (1 + slowdown) >= old_m:
        return None
    each = 1000 * len(measured)
    what = f"of {_streams(len(measured))} the clone analyses {new_m / each:.0%} in real time"
    return Fault("Slower", f"{what}, its worker {old_m / each:.0%}")


def _damaged(found: Sequence[Pair]) -> Fault | None:
    counts = [(old.damaged_per_min, new.damaged_per_min) for old, new in found]
    measured = [(old, new) for old, new in counts if old is not None and new is not None]
    before, after = sum(old for old, _ in measured), sum(new for _, new in measured)
    if after <= DAMAGE_RATIO * before or after - before < DAMAGE_MORE_PER_MIN:
        return None
    text = f"{after} decode errors a minute on the clone, {before} before"
    return Fault("DecodeErrors", text)


def _received(stream: StreamStatus) -> bool:
    return stream.state is StreamState.RECEIVING


def _streams(number: int) -> str:
    return f"{number} stream{'s' * (number != 1)}"
