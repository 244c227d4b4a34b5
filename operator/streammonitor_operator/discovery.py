"""Keeps the list of streams of every StreamMonitor that has `spec.streamsFrom`.

Of a source that fails, the last good list goes on. A list that takes away a greater share of the
streams than the user tolerates is held back until it has been the same for a while: it is likelier
to be somebody's mistake. A process that begins knows what was monitored from the assignments, and
goes on with that until the source has answered.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from streammonitor_api.assignment import Assignment
from streammonitor_api.durations import format_duration
from streammonitor_api.spec import Stream, StreamMonitorSpec
from streammonitor_api.streams_from import StreamsFrom
from streammonitor_operator.children import Key
from streammonitor_operator.entries import Examined, Refusal, examine, permitted
from streammonitor_operator.metrics import DISCOVERY_POLLS
from streammonitor_operator.monitors import Monitor, Monitors
from streammonitor_operator.sources import (
    CONFIG_MAP_INTERVAL_S,
    Answer,
    SourceError,
    Sources,
)

log = logging.getLogger(__name__)

FAILED = "DiscoveryFailed"
"""Reason: the source cannot be read."""
HELD = "DiscoveryHeld"
"""Reason: the list takes away too much at once."""
_FIRST_SPREAD_S = 0.5


@dataclass(frozen=True, slots=True)
class ListProblem:
    """Why the newest list is not the one that is monitored."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Found:
    """What is known of one StreamMonitor's list."""

    streams: tuple[Stream, ...] = ()
    refused: tuple[Refusal, ...] = ()
    problem: ListProblem | None = None


@dataclass(slots=True)
class _Held:
    """A list that takes away too much."""

    names: frozenset[str]
    since: float
    at: datetime


@dataclass(slots=True)
class _List:
    """One StreamMonitor's list."""

    uid: str
    source: StreamsFrom
    found: Found
    task: asyncio.Task[None] | None = None
    answer: Answer | None = None
    answered_at: float = float("-inf")
    """Loop time of the last good answer."""
    judged: tuple[str, int] | None = None
    """Version of the answer and generation of the specification that `found` follows from."""
    held: _Held | None = None
    failure: str = ""
    failing_since: datetime | None = None


class Discovery:
    """Every list.

    Args:
        sources: where lists are read from.
        monitors: the StreamMonitors; what they ask for now decides about an answer.
        changed: told of every StreamMonitor whose list, or what is to be said of it, changed.
    """

    def __init__(
        self, sources: Sources, monitors: Monitors, changed: Callable[[Key], None]
    ) -> None:
        self._sources = sources
        self._monitors = monitors
        self._changed = changed
        self._lists: dict[Key, _List] = {}

    def resolve(
        self, monitor: Monitor, assignments: Iterable[Assignment]
    ) -> tuple[Monitor, Found | None]:
        """The StreamMonitor with every stream that it is to monitor, and what is to be said.

        Args:
            monitor: the StreamMonitor as its user wrote it.
            assignments: those of its workers; read when the list is asked for the first time.
        """
        spec = monitor.spec
        if spec is None:
            return monitor, None
        if spec.streams_from is None:
            self.forget(monitor.key)
            return monitor, None
        known = self._lists.get(monitor.key)
        if known is None or known.uid != monitor.owner.uid:
            self.forget(monitor.key)
            known = _List(monitor.owner.uid, spec.streams_from, Found(assigned(spec, assignments)))
            self._lists[monitor.key] = known
            self._poll(monitor.key, known)
        elif known.source != spec.streams_from:
            self._turn(monitor.key, known, spec.streams_from)
        _judge(known, monitor)
        declared = {stream.name for stream in spec.streams}
        listed = permitted(known.found.streams, spec)
        further = [stream for name, stream in listed.items() if name not in declared]
        whole = spec.model_copy(update={"streams": [*spec.streams, *further]})
        return replace(monitor, spec=whole), known.found

    def forget(self, key: Key) -> None:
        """Ask no more on behalf of a StreamMonitor."""
        known = self._lists.pop(key, None)
        if known is not None and known.task is not None:
            known.task.cancel()

    async def stop(self) -> None:
        """Ask nobody any more."""
        tasks = [known.task for known in self._lists.values() if known.task is not None]
        for key in list(self._lists):
            self.forget(key)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _turn(self, key: Key, known: _List, source: StreamsFrom) -> None:
        """Go on with another source or policy, and with the streams that there are."""
        same_place = (known.source.config_map, known.source.http) == (
            source.config_map,
            source.http,
        )
        known.source = source
        if not same_place:
            known.answer = known.held = None
            known.failure, known.failing_since = "", None
            self._poll(key, known)

    def _poll(self, key: Key, known: _List) -> None:
        if known.task is not None:
            known.task.cancel()
        known.task = asyncio.create_task(self._keep(key, known), name=f"streams of {'/'.join(key)}")

    async def _keep(self, key: Key, known: _List) -> None:
        """Ask the source again and again."""
        pause_s = random.uniform(0, _FIRST_SPREAD_S)
        while True:
            await asyncio.sleep(pause_s)
            before = known.found
            await self._ask(key, known)
            monitor = self._monitors.get(key)
            if monitor is not None and monitor.owner.uid == known.uid:
                _judge(known, monitor)
            if known.found != before:
                self._changed(key)
            pause_s = _pause_s(known)

    async def _ask(self, key: Key, known: _List) -> None:
        kind = "http" if known.source.http else "configMap"
        try:
            answer = await self._sources.read(key[0], known.source, known.answer)
        except SourceError as error:
            known.failure = str(error)
            known.failing_since = known.failing_since or datetime.now(UTC)
            DISCOVERY_POLLS.labels(kind, "failed").inc()
            return
        except Exception as error:
            # The boundary: what somebody wrote into a list must not end the asking.
            log.exception("Reading the streams of %s/%s failed.", *key)
            known.failure = f"the list could not be read: {type(error).__name__}"
            known.failing_since = known.failing_since or datetime.now(UTC)
            DISCOVERY_POLLS.labels(kind, "bug").inc()
            return
        same = known.answer is not None and known.answer.version == answer.version
        DISCOVERY_POLLS.labels(kind, "same" if same else "changed").inc()
        known.answer, known.failure, known.failing_since = answer, "", None
        known.answered_at = asyncio.get_running_loop().time()


def assigned(spec: StreamMonitorSpec, assignments: Iterable[Assignment]) -> tuple[Stream, ...]:
    """The streams that workers have and the specification does not declare, by name.

    Each worker's assignment shows the parameters of its own detectors only: they are put together.
    """
    declared = {stream.name for stream in spec.streams}
    whole: dict[str, Stream] = {}
    for assignment in assignments:
        for stream in assignment.streams:
            if stream.name in declared:
                continue
            other = whole.get(stream.name)
            both = {**(other.detectors or {} if other else {}), **(stream.detectors or {})}
            whole[stream.name] = stream.model_copy(update={"detectors": both or None})
    return tuple(whole[name] for name in sorted(whole))


def _pause_s(known: _List) -> float:
    """When to ask again: as often as was asked for, and in time for what is held back."""
    interval_s = known.source.interval_s if known.source.http else CONFIG_MAP_INTERVAL_S
    pause_s = interval_s * random.uniform(0.9, 1.1)
    if known.held is None:
        return pause_s
    held_for_s = known.answered_at - known.held.since
    return min(pause_s, max(1.0, known.source.hold_s - held_for_s))


def _judge(known: _List, monitor: Monitor) -> None:
    """Decide what follows from the newest answer."""
    spec = monitor.spec
    if spec is None or spec.streams_from != known.source:
        return
    answer = known.answer
    if answer is not None:
        about = (answer.version, monitor.generation)
        if known.held is not None or known.judged != about:
            _weigh(known, spec, answer)
            known.judged = about
    problem = _failure(known)
    if problem is not None:
        known.found = replace(known.found, problem=problem)
    elif known.held is None and known.found.problem is not None:
        known.found = replace(known.found, problem=None)


def _weigh(known: _List, spec: StreamMonitorSpec, answer: Answer) -> None:
    """Take a list over, or hold it back."""
    had = permitted(known.found.streams, spec)
    new = examine(answer.entries, spec, had)
    lost = _lost(spec, had, new)
    if len(lost) > known.source.tolerated_ratio * len(had):
        held = _held(known, new)
        if held is not None:
            sentence = _holding(known.source, held, lost, len(had))
            known.found = replace(known.found, problem=ListProblem(HELD, sentence))
            return
    known.held = None
    known.found = Found(new.streams, new.refused)


def _lost(spec: StreamMonitorSpec, had: Iterable[str], new: Examined) -> list[str]:
    """The streams that would not be monitored any more."""
    there = {stream.name for stream in (*new.streams, *spec.streams)}
    return sorted(name for name in had if name not in there)


def _held(known: _List, new: Examined) -> _Held | None:
    """The list that is held back; None once it has been the same for long enough."""
    names = frozenset(stream.name for stream in new.streams)
    if known.held is None or known.held.names != names:
        known.held = _Held(names, known.answered_at, datetime.now(UTC))
    # By the answers, not by the clock: it was the same when it was last asked for.
    held_for_s = known.answered_at - known.held.since
    return known.held if held_for_s < known.source.hold_s else None


def _holding(source: StreamsFrom, held: _Held, lost: list[str], had: int) -> str:
    until = held.at + timedelta(seconds=source.hold_s)
    more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
    return (
        f"Since {_clock(held.at)} the list of streamsFrom takes away {len(lost)} of {had} streams "
        f"({', '.join(lost[:3])}{more}), more than maxLossRatio {source.tolerated_ratio:g}: all of "
        f"them go on. It is obeyed if it is still the same at {_clock(until)}, after lossHold "
        f"{format_duration(source.hold_s)}, or at once with a higher maxLossRatio."
    )


def _failure(known: _List) -> ListProblem | None:
    if known.failing_since is None:
        return None
    if known.found.streams:
        rest = f"the {len(known.found.streams)} streams of the last good list go on"
    else:
        rest = "no list was read yet"
    return ListProblem(FAILED, f"Since {_clock(known.failing_since)}: {known.failure}; {rest}.")


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
