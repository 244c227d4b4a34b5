"""Streams on which worker processes die: found out, kept alone, and tried again rarely. Pure.

A decoder can be made to abort its process, and then all streams of that process are cut. Every
stream that was being opened or received is suspect. Those that two deaths have in common are put on
**trial**: each gets a worker of its own. The one on which that dies too is **quarantined**: no
worker is given it until an hour has passed or its URL has changed, and then only on trial again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from streammonitor_api.worker_status import StreamState
from streammonitor_operator.fleet import PodView, WorkerView

WITHIN_S = 600.0
"""Deaths further apart than this have nothing to do with each other."""
TRIAL_S = 60.0
"""A stream that is received alone for so long is innocent."""
TRIAL_MAX_S = 300.0
"""One that is not received at all is no longer tried after this."""
RETRY_S = 3600.0
"""How rarely a quarantined stream is tried."""
_AT_WORK = (StreamState.CONNECTING, StreamState.RECEIVING, StreamState.RETRYING)
_SIGNAL = 128
_KILLED = (_SIGNAL + 9, _SIGNAL + 15)
"""Exit codes of what was killed from outside: no stream did that."""
YOUNG_S = 10.0
"""A stream that was received for so long has shown nothing that kills at once."""
MAX_YOUNG = 3
"""Of so many that were new when a process died, each is tried at once; of more, after a second
death."""
MAX_TRIALS = 20
"""More than so many suspects at once: that is no stream's doing."""


@dataclass(slots=True)
class _Watched:
    """What is remembered of a pod."""

    ended: str
    at_work: dict[str, frozenset[str]] = field(default_factory=dict)
    """By process, the streams that it was busy with; those whose death was seen are left out."""
    young: dict[str, frozenset[str]] = field(default_factory=dict)
    """The same, and of these the ones that it had not received for long."""
    buried: str = ""
    """The process whose death was seen last."""
    by_itself: bool = False
    """Whether it was not killed from outside."""


@dataclass(frozen=True, slots=True)
class _Death:
    """One unclean end of a process."""

    at: float
    suspects: frozenset[str]


@dataclass(slots=True)
class _Trial:
    """A stream that is tried alone."""

    since: float
    received_since: float | None = None


@dataclass(frozen=True, slots=True)
class _Cell:
    """A stream that no worker may have."""

    since: datetime
    url: str
    """Empty until it is known."""


class Quarantine:
    """The suspects of one StreamMonitor."""

    def __init__(self) -> None:
        self._pods: dict[str, _Watched] = {}
        self._deaths: list[_Death] = []
        self._trials: dict[str, _Trial] = {}
        self._cells: dict[str, _Cell] = {}
        self._courts: dict[str, str] = {}
        self._present: frozenset[str] = frozenset()

    @property
    def alone(self) -> frozenset[str]:
        """The streams that must share a worker with no other."""
        return frozenset(self._trials)

    @property
    def folding(self) -> set[str]:
        """The workers that were made for a trial and are not needed any more."""
        groups: dict[str, list[str]] = {}
        for worker, group in self._courts.items():
            groups.setdefault(group, []).append(worker)
        return {worker for workers in groups.values() for worker in workers[1:]}

    @property
    def locked(self) -> dict[str, datetime]:
        """The streams that no worker may have, and since when."""
        return {
            stream: cell.since for stream, cell in self._cells.items() if stream in self._present
        }

    def seed(self, since: Mapping[str, datetime]) -> None:
        """Begin with the streams that an earlier operator quarantined."""
        self._cells = {stream: _Cell(moment, "") for stream, moment in since.items()}

    def absorb(
        self, views: Iterable[WorkerView], urls: Mapping[str, str], now: float, time: datetime
    ) -> None:
        """Take in how the workers are now.

        Args:
            views: Every worker.
            urls: Of each stream of the specification.
            now: Loop time.
            time: UTC.
        """
        self._present = frozenset(urls)
        workers = list(views)
        pods = [(view, pod) for view in workers for pod in view.pods]
        self._deaths = [death for death in self._deaths if now - death.at < WITHIN_S]
        for view, pod in pods:
            found = self._look(view, pod, time)
            if found is not None:
                suspects, young = found
                self._judge(suspects & urls.keys(), urls, now, time)
                self._accuse(suspects & urls.keys(), young & urls.keys(), now)
        for gone in self._pods.keys() - {pod.pod.uid for _, pod in pods}:
            del self._pods[gone]
        self._observe_trials(workers, now)
        self._release(urls, now, time)

    def crashed(self, view: WorkerView) -> bool:
        """Whether a worker is silent because its process died by itself.

        What killed it may be one of its streams: they must not go to other workers.
        """
        known = [(pod, self._pods.get(pod.pod.uid)) for pod in view.staying]
        return bool(known) and all(
            one is not None
            and one.by_itself
            and pod.said is not None
            and pod.said.process == one.buried
            for pod, one in known
        )

    def again_s(self, now: float, time: datetime) -> float | None:
        """When time alone may change something; None if it cannot."""
        left = [
            min(one.since + TRIAL_MAX_S, (one.received_since or one.since) + TRIAL_S) - now
            for one in self._trials.values()
        ]
        left += [RETRY_S - (time - cell.since).total_seconds() for cell in self._cells.values()]
        return max(0.5, min(left)) if left else None

    def _look(
        self, view: WorkerView, pod: PodView, time: datetime
    ) -> tuple[frozenset[str], frozenset[str]] | None:
        """The suspects, and the young ones of them, if a process died since it was looked at."""
        known = self._pods.setdefault(pod.pod.uid, _Watched(pod.pod.ended))
        if pod.said is not None and pod.said.process != known.buried:
            process = pod.said.process
            # What it was given and has not spoken of yet, it may be opening at this moment.
            silent = (view.held | view.warming) - {one.name for one in pod.said.streams}
            busy = [one for one in pod.said.streams if one.state in _AT_WORK]
            recent = (one.name for one in busy if (time - one.since).total_seconds() < YOUNG_S)
            known.at_work[process] = silent.union(one.name for one in busy)
            known.young[process] = silent.union(recent)
        if pod.pod.ended in ("", known.ended):
            return None
        known.ended = pod.pod.ended
        if not known.at_work:  # it died before it could say anything
            died = young = view.held | view.warming
        else:
            known.buried = next(iter(known.at_work))
            died, young = known.at_work.pop(known.buried), known.young.pop(known.buried)
        known.by_itself = pod.pod.exit_code > _SIGNAL and pod.pod.exit_code not in _KILLED
        return (died, young) if known.by_itself else None

    def _accuse(self, suspects: frozenset[str], young: frozenset[str], now: float) -> None:
        """Try the few alone at once that were new to a process when it died, others being not."""
        if young < suspects and len(young) <= MAX_YOUNG:
            fresh = young - self._trials.keys() - self._cells.keys()
            self._trials.update({stream: _Trial(now) for stream in sorted(fresh)})

    def _judge(
        self, suspects: frozenset[str], urls: Mapping[str, str], now: float, time: datetime
    ) -> None:
        """Take note of a death."""
        if len(suspects) == 1 and suspects <= self._trials.keys():
            self._lock(suspects, urls, time)
        for death in self._deaths:
            common = (suspects & death.suspects) - self._trials.keys() - self._cells.keys()
            if len(common) == 1:
                self._lock(common, urls, time)
            elif len(common) + len(self._trials) <= MAX_TRIALS:
                self._trials.update({stream: _Trial(now) for stream in sorted(common)})
        self._deaths.append(_Death(now, suspects))

    def _lock(self, streams: Iterable[str], urls: Mapping[str, str], time: datetime) -> None:
        for stream in streams:
            self._trials.pop(stream, None)
            self._cells[stream] = _Cell(time.replace(microsecond=0), urls[stream])

    def _observe_trials(self, workers: Iterable[WorkerView], now: float) -> None:
        """Acquit whoever was received alone for long enough, or cannot be received at all."""
        courts = _received_alone(workers, self._trials.keys())
        for stream in courts:
            trial = self._trials[stream]
            trial.received_since = trial.received_since or now
        for gone in self._courts.keys() - {view.name for view in workers}:
            del self._courts[gone]
        if not self._trials and not self.folding:
            self._courts.clear()
        for stream, trial in list(self._trials.items()):
            received = trial.received_since is not None and now - trial.received_since >= TRIAL_S
            if received or now - trial.since >= TRIAL_MAX_S:
                del self._trials[stream]
                self._courts.update((view.name, view.group) for view in courts.get(stream, ()))
                self._deaths = [
                    _Death(death.at, death.suspects - {stream}) for death in self._deaths
                ]

    def _release(self, urls: Mapping[str, str], now: float, time: datetime) -> None:
        """Try again what was changed, and what has waited for long; forget what is gone."""
        for stream, cell in list(self._cells.items()):
            # A list of streams may come late: what is missing may only be missing yet.
            url = urls.get(stream, cell.url)
            if not cell.url:
                self._cells[stream] = _Cell(cell.since, url)
            waited_s = (time - cell.since).total_seconds()
            if cell.url not in ("", url) or waited_s >= RETRY_S:
                del self._cells[stream]
                self._trials[stream] = _Trial(now)
        for stream in self._trials.keys() - urls.keys():
            del self._trials[stream]


def _received_alone(
    workers: Iterable[WorkerView], streams: Iterable[str]
) -> dict[str, list[WorkerView]]:
    """The workers that receive one of these streams and have no other."""
    tried = set(streams)
    found: dict[str, list[WorkerView]] = {}
    for view in workers:
        listed = view.held | view.warming
        if len(listed) != 1 or not listed <= tried:
            continue
        (stream,) = listed
        said = view.stream(stream)
        if said is not None and said.state is StreamState.RECEIVING:
            found.setdefault(stream, []).append(view)
    return found
