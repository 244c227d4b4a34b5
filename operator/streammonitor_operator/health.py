"""How each stream and each worker is, and what is wrong with it. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from streammonitor_api.status import StreamProblem
from streammonitor_api.worker_status import StreamState, StreamStatus
from streammonitor_operator.fleet import WorkerView

START_GRACE = timedelta(seconds=30)
"""A worker that comes up within this is no problem worth mentioning."""
NO_CAPACITY = "NoCapacity"
"""Reason of a stream's problem: its group may have no more workers."""
REFUSED = "EntryRefused"
"""Reason of a stream's problem: its entry in the list of streamsFrom is not valid."""
QUARANTINED = "Quarantined"
"""Reason of a stream's problem: worker processes die on it."""
_REASON = 64
_MESSAGE = 256


class Rank(IntEnum):
    """How bad it is."""

    NONE = 0
    PARTIAL = 1
    """Received, but something that was asked for cannot be monitored."""
    LOST = 2
    """Not received; being tried again."""
    UNWATCHED = 3
    """No worker looks at it."""
    HOPELESS = 4
    """Cannot be monitored until somebody changes it."""


class Activity(IntEnum):
    """What a stream does in one group, or in all of them: the least of its groups."""

    WAITING = 0
    RECEIVING = 1
    COMPLETED = 2


@dataclass(frozen=True, slots=True)
class Health:
    """One stream."""

    activity: Activity
    rank: Rank = Rank.NONE
    problem: StreamProblem | None = None


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a worker is not at work."""

    reason: str
    message: str
    since: datetime


def worker_trouble(
    view: WorkerView, since: datetime, now: datetime, known: Iterable[str] = ()
) -> Trouble | None:
    """What keeps a worker from its work; None while it is merely starting.

    Args:
        view: the worker.
        since: when it was first seen not at work.
        now: the time.
        known: reasons that were reported before: they are reported on without a new grace.
    """
    for pod in view.staying:
        if pod.pod.reason:
            # The scheduler goes on for several sentences about why it will not evict others.
            message = pod.pod.message.split(". ")[0].rstrip(".") or "its pod does not run"
            return _trouble(pod.pod.reason, f"worker {view.name}: {message}", since)
    silent = next((pod for pod in view.staying if pod.silent), None)
    if silent is not None and silent.pod.running and silent.seen is not None:
        text = f"worker {view.name} does not answer: {silent.seen.error}"
        return _trouble("WorkerUnreachable", text, since)
    if now - since >= START_GRACE or "WorkerNotReady" in known:
        text = f"worker {view.name} is not ready: look at its pod's events"
        return _trouble("WorkerNotReady", text, since)
    return None


def stream_health(name: str, view: WorkerView, trouble: Trouble | None) -> Health:
    """How a stream is in one group, by the worker that has it."""
    stream = view.heard(name)
    if stream is not None:
        return _reported(stream)
    if trouble is None:
        return Health(Activity.WAITING)
    problem = StreamProblem(
        name=name, reason=trouble.reason, message=trouble.message, since=trouble.since
    )
    return Health(Activity.WAITING, Rank.UNWATCHED, problem)


def unplaced_health(name: str, group: str, since: datetime) -> Health:
    """How a stream is that no worker of a group may take."""
    text = f"no worker of group {group} has room for it and scaling.max is reached: raise it"
    problem = StreamProblem(name=name, reason=NO_CAPACITY, message=text, since=since)
    return Health(Activity.WAITING, Rank.UNWATCHED, problem)


def refused_health(name: str, message: str, since: datetime, *, kept: bool) -> Health:
    """How a stream is whose entry in a list was refused; `kept` if it is monitored as it was."""
    problem = StreamProblem(name=name, reason=REFUSED, message=message[:_MESSAGE], since=since)
    if kept:
        return Health(Activity.COMPLETED, Rank.PARTIAL, problem)
    return Health(Activity.WAITING, Rank.HOPELESS, problem)


def quarantined_health(name: str, since: datetime) -> Health:
    """How a stream is that no worker may have."""
    text = "worker processes died on it: it is tried again an hour after that, or with another URL"
    problem = StreamProblem(name=name, reason=QUARANTINED, message=text, since=since)
    return Health(Activity.WAITING, Rank.HOPELESS, problem)


def overall(healths: Iterable[Health]) -> Health:
    """How a stream is in all groups together: the least it does, and its worst problem."""
    known = list(healths)
    worst = max(known, key=lambda one: one.rank)
    return Health(min(one.activity for one in known), worst.rank, worst.problem)


def worst_first(healths: Iterable[Health]) -> list[StreamProblem]:
    """The problems, the worst first, of equals the oldest."""
    found = [(one.rank, one.problem) for one in healths if one.problem is not None]
    found.sort(key=lambda one: (-one[0], one[1].since, one[1].name))
    return [problem for _, problem in found]


_STATES = {
    StreamState.RECEIVING: (Activity.RECEIVING, Rank.PARTIAL),
    StreamState.COMPLETED: (Activity.COMPLETED, Rank.PARTIAL),
    StreamState.CONNECTING: (Activity.WAITING, Rank.LOST),
    StreamState.RETRYING: (Activity.WAITING, Rank.LOST),
    StreamState.FAILED: (Activity.WAITING, Rank.HOPELESS),
}


def _reported(stream: StreamStatus) -> Health:
    activity, rank = _STATES[stream.state]
    wrong = stream.state in (StreamState.RETRYING, StreamState.FAILED)
    if not stream.reason and not wrong:
        return Health(activity)
    problem = StreamProblem(
        name=stream.name,
        reason=identifier(stream.reason or stream.state.capitalize()),
        message=(stream.message or "")[:_MESSAGE],
        since=stream.since.replace(microsecond=0),
    )
    return Health(activity, rank, problem)


def _trouble(reason: str, message: str, since: datetime) -> Trouble:
    return Trouble(identifier(reason), message[:_MESSAGE], since)


def identifier(reason: str) -> str:
    """A reason as an identifier: it may come from a worker, and goes into a condition."""
    text = re.sub(r"[^A-Za-z0-9]", "", reason)[:_REASON]
    return text if text[:1].isalpha() else f"Reason{text}"[:_REASON]
