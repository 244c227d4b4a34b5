"""Hands streams over from worker to worker: warm, let go, hold. Pure and level-triggered.

A stream that is monitored moves in three passes, each of which follows from what is written and
what workers say, so that any operator can go on with it:

1. Its new worker **warms**: it decodes and primes its detectors, and tells nobody of incidents.
2. Once it is warm, the old worker **lets go**. What it had open stays open in the ledger.
3. Once that is acknowledged, the new worker **holds** the stream, and adopts what is open. It has
   followed everything meanwhile, so nothing went unseen; nobody told of anything twice.

A stream that no worker receives has nothing to lose: its new worker holds it at once.

A pod that was told to end cannot be told anything more, and speaks until its grace is over. The
stream's next worker, or the pod that comes in its place in the same worker, warms until then.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from streammonitor_api.worker_status import StreamState
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.plan import Plan


@dataclass(slots=True)
class Share:
    """What a worker's assignment should list.

    Attributes:
        holds: Streams that it monitors and speaks for.
        warms: Streams that it follows silently, to take them over.
    """

    holds: set[str] = field(default_factory=set)
    warms: set[str] = field(default_factory=set)

    @property
    def streams(self) -> set[str]:
        """Both."""
        return self.holds | self.warms


@dataclass(slots=True)
class Handover:
    """Who lists what now.

    Attributes:
        shares: By name of the worker, those with nothing included.
        watchers: By group and stream, the worker to ask for it where that is not the planned one.
    """

    shares: dict[str, Share] = field(default_factory=dict)
    watchers: dict[tuple[str, str], str] = field(default_factory=dict)


def hand_over(
    plan: Plan, views: Mapping[str, WorkerView], beside: Collection[str] = ()
) -> Handover:
    """The next step towards a plan for each of its streams.

    Args:
        plan: What should be.
        views: The workers as they are, by name.
        beside: Workers that keep their streams for now, so that those which warm can be compared.
    """
    result = Handover({name: Share() for name in views})
    for worker in plan.workers:
        share = result.shares.setdefault(worker.name, Share())
        others = [
            view
            for name, view in sorted(views.items())
            if view.group == worker.group and name != worker.name
        ]
        for stream in worker.streams:
            _step(result, share, views.get(worker.name), others, stream, beside=beside)
    return result


def _step(
    result: Handover,
    share: Share,
    target: WorkerView | None,
    others: Iterable[WorkerView],
    stream: str,
    *,
    beside: Collection[str],
) -> None:
    """One stream's next step."""
    departing = target is not None and _departs(target, stream)
    if target is not None and stream in target.held and not departing:
        share.holds.add(stream)
        return
    candidates = [*others, target] if target is not None and departing else others
    watcher = next(
        (one for one in candidates if _watches(one, stream) or _keeps(one, stream, beside)), None
    )
    if watcher is None:
        share.holds.add(stream)
        return
    share.warms.add(stream)
    result.watchers[watcher.group, stream] = watcher.name
    if _departs(watcher, stream):
        return  # it goes on by itself, and a pod that comes in its place must not join in
    if stream in watcher.held and (watcher.name in beside or not _is_warm(target, stream)):
        result.shares[watcher.name].holds.add(stream)


def _watches(view: WorkerView, stream: str) -> bool:
    """Whether a process speaks for a stream now, be it that it has not read yet that it should not.

    One that merely tries to receive it has nothing to hand over.
    """
    if _departs(view, stream):
        return True
    if view.lost:
        return False
    if stream in view.held and any(pod.undecided for pod in view.staying):
        return True  # an operator that has just started has asked nobody yet
    current = view.current
    if current is None or current.status is None or stream in view.warming:
        return False
    if stream not in view.held and current.acknowledges(view.epoch):
        return False
    said = view.stream(stream)
    return said is not None and said.state is StreamState.RECEIVING


def _keeps(view: WorkerView, stream: str, beside: Collection[str]) -> bool:
    """Whether a worker has a stream for now, received or not."""
    return view.name in beside and stream in view.held and not view.lost


def _departs(view: WorkerView, stream: str) -> bool:
    """Whether a pod on its way out speaks for a stream until its end."""
    for pod in view.departing:
        if pod.said is None:
            return True  # nobody asked it yet
        said = pod.stream(stream)
        told = stream not in view.held and pod.acknowledges(view.epoch)
        if not told and said is not None and said.state is StreamState.RECEIVING:
            return True
    return False


def _is_warm(target: WorkerView | None, stream: str) -> bool:
    """Whether a worker could take over now."""
    if target is None or not target.ready or stream not in target.warming:
        return False
    said = target.stream(stream)
    return said is not None and said.warm
