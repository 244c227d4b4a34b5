"""Hands streams over from worker to worker: warm, let go, hold. Pure and level-triggered.

A stream that is monitored moves in three passes, each of which follows from what is written and
what workers say, so that any operator can go on with it:

1. Its new worker **warms**: it decodes and primes its detectors, and tells nobody of incidents.
2. Once it is warm, the old worker is asked to **fall silent**: not before the moment since when the
   new one is warm. It says at which moment of programme time it did. What it had open stays open
   in the ledger.
3. The new worker **holds** the stream: it adopts what is open, and tells of what it found after
   exactly that moment. Then the old one lets go.

Where the source's timestamps are not the same for both, there is no common moment: the old worker
lets go at once, and the new one holds the stream from when that is acknowledged.

A stream that no worker receives has nothing to lose: its new worker holds it at once.

A stream that is **sent** to its worker can be received by one at a time, so it is let go before it
is taken: its new worker only listens; the old one is asked to fall silent, closes the connection
at once, or waits until no datagrams come any more, and says at which moment it fell silent; then
the new one holds the stream, from its first picture on. What its Service leads to changes with
that: for datagrams and TCP already as the old worker is asked, for SRT once it has closed the
connection, which the sender would else not notice for seconds.

A pod that was told to end cannot be told anything more, and speaks until its grace is over. The
stream's next worker, or the pod that comes in its place in the same worker, warms until then.
"""

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from streammonitor_api.push import Push
from streammonitor_api.worker_status import StreamState, StreamStatus
from streammonitor_operator.children import WorkerPod
from streammonitor_operator.fleet import PodView, WorkerView
from streammonitor_operator.plan import Plan, Worker
from streammonitor_operator.rollout import revision

SAME_CLOCK_S = 0.01
"""Two workers whose clocks differ by less share one: a fraction of a picture."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a stream on the clock that its workers share.

    Attributes:
        clock_s: Seconds to add to the source's timestamps.
        position_s: Programme time up to which a worker that spoke for it had told everything.
        ceased_s: Programme time at which a worker ceased to receive it, and said so.
    """

    clock_s: float
    position_s: float | None
    ceased_s: float | None = None


Told = dict[tuple[str, str], Known]
"""By group and stream."""


@dataclass(slots=True)
class Share:
    """What a worker's assignment should list.

    Attributes:
        holds: Streams that it monitors and speaks for.
        warms: Streams that it follows silently, to take them over.
        from_s: For some that it holds: what was found up to this programme time, another told.
        until_s: For some that it holds: it is to hand them over, not before this programme time.
        clocks: By stream, what others add to its timestamps.
    """

    holds: set[str] = field(default_factory=set)
    warms: set[str] = field(default_factory=set)
    from_s: dict[str, float] = field(default_factory=dict)
    until_s: dict[str, float] = field(default_factory=dict)
    clocks: dict[str, float] = field(default_factory=dict)

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
        told: How far each stream was told of.
        pushed: The streams that are sent to a worker.
        addresses: The worker that the Service of each of them leads to.
        severed: Pods on their way out that Services do not lead to any more.
    """

    shares: dict[str, Share] = field(default_factory=dict)
    watchers: dict[tuple[str, str], str] = field(default_factory=dict)
    told: Told = field(default_factory=dict)
    pushed: Mapping[str, Push] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)
    severed: list[WorkerPod] = field(default_factory=list)

    def severable(self, stream: str) -> bool:
        """Whether its packets can be led elsewhere while they flow."""
        push = self.pushed.get(stream)
        return push is None or push.severable


def hand_over(
    plan: Plan,
    views: Mapping[str, WorkerView],
    beside: Collection[str] = (),
    told: Told | None = None,
    pushed: Mapping[str, Push] | None = None,
) -> Handover:
    """The next step towards a plan for each of its streams.

    Args:
        plan: What should be.
        views: The workers as they are, by name.
        beside: Workers that keep their streams for now, so that those which warm can be compared.
        told: What is known of how far each stream was told of, for when nobody can be asked.
        pushed: The streams that are sent to a worker.
    """
    result = Handover({name: Share() for name in views}, told=told or {}, pushed=pushed or {})
    for worker in plan.workers:
        share = result.shares.setdefault(worker.name, Share())
        known = ((one, result.told.get((worker.group, one))) for one in worker.streams)
        share.clocks = {one: it.clock_s for one, it in known if it is not None}
        others = [
            view
            for name, view in sorted(views.items())
            if view.group == worker.group and name != worker.name
        ]
        for stream in worker.streams:
            _step(result, share, views.get(worker.name), others, stream, beside=beside)
        _lead(result, share, worker, views.get(worker.name), beside)
    return result


def _lead(
    result: Handover,
    share: Share,
    worker: Worker,
    target: WorkerView | None,
    beside: Collection[str],
) -> None:
    """Where the Services of its streams lead."""
    listening = {one for one in worker.streams if target is not None and _listens(target, one)}
    for stream in result.pushed.keys() & set(worker.streams):
        watcher = result.watchers.get((worker.group, stream), worker.name)
        stays = watcher in beside or stream not in listening or not result.severable(stream)
        held = stream in share.holds
        result.addresses[stream] = watcher if stays and not held else worker.name
    mine = result.pushed.keys() & (target.pushed if target is not None else frozenset())
    taken = mine <= listening | share.holds and all(map(result.severable, mine))
    if target is not None and mine and taken:
        result.severed += [one.pod for one in target.departing]


def _step(
    result: Handover,
    share: Share,
    target: WorkerView | None,
    others: Sequence[WorkerView],
    stream: str,
    *,
    beside: Collection[str],
) -> None:
    """One stream's next step."""
    departing = target is not None and _departs(target, stream)
    if target is not None and stream in target.held and not departing:
        share.holds.add(stream)
        return
    if target is not None:
        # A worker of the same revision proves nothing, and what was on its way goes on.
        other = {view.name for view in others if revision(view) != revision(target)}
        beside = other.intersection(beside)
    candidates = [*others, target] if target is not None and departing else others
    watcher = next(
        (one for one in candidates if _watches(one, stream) or _keeps(one, stream, beside)), None
    )
    if watcher is None:
        _take(result, share, target, stream)
        return
    result.watchers[watcher.group, stream] = watcher.name
    silent_s = None if watcher.name in beside else _silent_s(watcher, stream)
    able = _listens if stream in result.pushed else _is_warm
    if silent_s is not None and able(target, stream):
        share.holds.add(stream)
        share.from_s[stream] = silent_s
        _keep(result.shares[watcher.name], watcher, stream)
        return
    share.warms.add(stream)
    if _departs(watcher, stream):
        return  # it goes on by itself, and a pod that comes in its place must not join in
    if stream in watcher.held and (watcher.name in beside or not able(target, stream)):
        result.shares[watcher.name].holds.add(stream)
    elif stream in watcher.held and stream in result.pushed:
        _keep(result.shares[watcher.name], watcher, stream)
    elif stream in watcher.held and (warm_s := _common_s(watcher, target, stream)) is not None:
        _keep(result.shares[watcher.name], watcher, stream, warm_s)


def _take(result: Handover, share: Share, target: WorkerView | None, stream: str) -> None:
    """Hold a stream that nobody speaks for."""
    share.holds.add(stream)
    known = result.told.get((target.group, stream)) if target is not None else None
    if known is not None and known.position_s is not None:
        share.from_s[stream] = known.position_s


def _keep(share: Share, watcher: WorkerView, stream: str, warm_s: float = 0.0) -> None:
    """Go on to hand a stream over."""
    share.holds.add(stream)
    turn = watcher.turn(stream)
    asked_s = turn.until_s if turn is not None else None
    share.until_s[stream] = warm_s if asked_s is None else asked_s


def _silent_s(watcher: WorkerView, stream: str) -> float | None:
    """At which moment a worker that was asked to fall silent did."""
    turn, current = watcher.turn(stream), watcher.current
    asked = turn is not None and turn.until_s is not None and stream in watcher.held
    if not asked or current is None or not current.acknowledges(watcher.epoch):
        return None
    said = watcher.stream(stream)
    return said.held_until_s if said is not None else None


def _common_s(watcher: WorkerView, target: WorkerView | None, stream: str) -> float | None:
    """Since when the new worker is warm; None where both do not share the source's clock."""
    old, new = watcher.stream(stream), target.stream(stream) if target else None
    if old is None or new is None or old.clock_s is None or new.clock_s is None:
        return None
    return new.warm_from_s if abs(old.clock_s - new.clock_s) < SAME_CLOCK_S else None


def listen(told: Told, views: Iterable[WorkerView], streams: Container[str]) -> Told:
    """What is known by now of these streams, from what workers say and what was known before."""
    fresh: Told = {}
    for view in views:
        for pod in view.pods:
            for said in pod.said.streams if pod.said is not None else ():
                if said.clock_s is None or (said.name in view.warming and not _ends(pod, said)):
                    continue
                key = view.group, said.name
                known = fresh.get(key)
                if known is None or (said.position_s or 0.0) > (known.position_s or 0.0):
                    fresh[key] = _known(said, told.get(key))
    return {key: known for key, known in (told | fresh).items() if key[1] in streams}


def _known(said: StreamStatus, before: Known | None) -> Known:
    position_s = said.held_until_s or said.position_s
    goes_on = said.held_until_s is None and said.state is StreamState.RECEIVING
    ceased_s = (before.ceased_s if before is not None else None) if goes_on else position_s
    return Known(said.clock_s or 0.0, position_s, ceased_s)


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


def _ends(pod: PodView, said: StreamStatus) -> bool:
    """Whether a pod speaks on for a stream that the next one of its worker warms."""
    return pod.pod.terminating and said.held_from_s is not None


def _listens(target: WorkerView | None, stream: str) -> bool:
    """Whether what is sent to a worker would arrive."""
    if target is None or not target.ready or stream not in target.warming:
        return False
    return target.current is not None and target.current.pod.ready


def _is_warm(target: WorkerView | None, stream: str) -> bool:
    """Whether a worker could take over now."""
    if target is None or not target.ready or stream not in target.warming:
        return False
    said = target.stream(stream)
    return said is not None and said.warm
