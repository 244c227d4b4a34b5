"""The seven conditions of a StreamMonitor. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from streammonitor_api.durations import format_duration
from streammonitor_api.spec import StreamMonitorSpec
from streammonitor_api.status import (
    Condition,
    ConditionType,
    GapMeasure,
    HandOver,
    RolloutPhase,
    RolloutStatus,
    SinkTrouble,
    StoreTrouble,
    StreamMonitorStatus,
    StreamProblem,
)
from streammonitor_operator import health
from streammonitor_operator.discovery import ListProblem
from streammonitor_operator.health import Health, Rank, Trouble

_MESSAGE = 1024
_NAMED = 3
_LISTED = 20
_DOUBT = (
    "Many workers fell silent at once, so the operator's own network is the likelier fault: no "
    "stream is moved because of it."
)
_MEASURES = {GapMeasure.EXACT: "", GapMeasure.ABOUT: "about ", GapMeasure.AT_MOST: "at most "}


@dataclass(frozen=True, slots=True)
class Picture:
    """What the conditions are drawn from."""

    spec: StreamMonitorSpec | None
    fault: str
    streams: Mapping[str, Health]
    problems: Sequence[StreamProblem]
    unready: tuple[str, ...]
    workers: int
    unplaced: Mapping[str, Sequence[str]] = field(default_factory=dict)
    doubtful: bool = False
    leaving: tuple[str, ...] = ()
    rollouts: Mapping[str, RolloutStatus] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    list_problem: ListProblem | None = None
    sinks: Sequence[SinkTrouble] = ()
    results: StoreTrouble | None = None
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    pushed: int = 0
    moved: Sequence[HandOver] = ()

    @property
    def suspended(self) -> bool:
        """Whether spec.suspend is set."""
        return bool(self.spec and self.spec.suspend)

    def count(self, activity: health.Activity) -> int:
        """How many streams do this."""
        return sum(one.activity is activity for one in self.streams.values())

    @property
    def completed(self) -> bool:
        """Whether every stream was finite and is at its end."""
        return bool(self.streams) and self.count(health.Activity.COMPLETED) == len(self.streams)


Verdict = tuple[bool, str, str]
"""Whether a condition holds, its reason, and a sentence."""


def conditions(
    picture: Picture, before: StreamMonitorStatus, generation: int, now: datetime
) -> list[Condition]:
    """All seven, with the time of the last transition kept where the status is the same."""
    old = {condition.type: condition for condition in before.conditions}
    verdicts = {
        ConditionType.ACCEPTED: _accepted(picture),
        ConditionType.ASSIGNED: _assigned(picture),
        ConditionType.RECEIVING: _receiving(picture),
        ConditionType.READY: _ready(picture),
        ConditionType.DEGRADED: _degraded(picture),
        ConditionType.COMPLETED: _completed(picture),
        ConditionType.SUSPENDED: _suspended(picture),
    }
    return [
        _condition(type_, verdict, old.get(type_), generation, now)
        for type_, verdict in verdicts.items()
    ]


def _condition(
    type_: ConditionType, verdict: Verdict, old: Condition | None, generation: int, now: datetime
) -> Condition:
    holds, reason, message = verdict
    status = "True" if holds else "False"
    same = old is not None and old.status == status
    return Condition(
        type=type_.value,
        status=status,
        reason=reason,
        message=message[:_MESSAGE],
        last_transition_time=old.last_transition_time
        if old is not None and same
        else now.replace(microsecond=0),
        observed_generation=generation,
    )


def _accepted(picture: Picture) -> Verdict:
    if picture.spec is None:
        return False, "InvalidSpec", f"{picture.fault}. Running workers go on as they are."
    return True, "Valid", "The specification is valid."


def _assigned(picture: Picture) -> Verdict:
    if picture.failures:
        return False, "Refused", _list(picture.failures)
    if picture.suspended:
        return False, "Suspended", "Monitoring is suspended: no stream is assigned."
    if (nothing := _no_streams(picture)) is not None:
        return nothing
    if picture.unplaced:
        return False, "CapacityExhausted", _unplaced(picture)
    if picture.unready:
        return False, "WorkersNotReady", _unready(picture)
    text = "Every stream is assigned and every worker acknowledged it."
    return True, "Acknowledged", f"{text}{_pushed(picture)}"


def _receiving(picture: Picture) -> Verdict:
    if picture.suspended:
        return False, "Suspended", "Monitoring is suspended: no stream is received."
    if (nothing := _no_streams(picture)) is not None:
        return nothing
    total = len(picture.streams)
    receiving = picture.count(health.Activity.RECEIVING)
    completed = picture.count(health.Activity.COMPLETED)
    if picture.completed:
        return False, "Completed", "Every stream has been played to its end."
    if total and receiving + completed == total:
        return True, "AllReceiving", "Every stream is being received."
    missing = total - receiving - completed
    reason = "NoneReceiving" if missing == total else "SomeNotReceiving"
    return False, reason, f"{missing} of {_streams(total)} {_is(missing)} not being received."


def _no_streams(picture: Picture) -> Verdict | None:
    """What to say while nothing has come of the list; None if there are streams, or no list."""
    if picture.streams or picture.spec is None or picture.spec.streams_from is None:
        return None
    if picture.list_problem is not None:
        return False, picture.list_problem.reason, picture.list_problem.message
    return False, "NoStreams", "The list of streamsFrom names no stream, or was not read yet."


def _ready(picture: Picture) -> Verdict:
    nothing = _no_streams(picture)
    if nothing is not None and not picture.suspended:
        return nothing
    for verdict, reason in (
        (_accepted(picture), "InvalidSpec"),
        (_suspended(picture), "Suspended"),
        (_assigned(picture), "NotAssigned"),
    ):
        if verdict[0] is (reason == "Suspended"):
            return False, reason, verdict[2]
    receiving = _receiving(picture)
    if not receiving[0] and not picture.completed:
        return False, "NotReceiving", receiving[2]
    if picture.problems:
        return False, "StreamProblems", _problems(picture)
    return True, "Monitoring", "Everything that was asked for is being monitored."


def _degraded(picture: Picture) -> Verdict:
    if picture.failures:
        return True, "Refused", _list(picture.failures)
    if picture.suspended:
        return False, "Suspended", "Monitoring is suspended."
    if picture.doubtful:
        return True, "ObserverPartitioned", _DOUBT
    if picture.unplaced:
        return True, "CapacityExhausted", _unplaced(picture)
    if picture.list_problem is not None:
        return True, picture.list_problem.reason, picture.list_problem.message
    return _degraded_streams(picture)


def _degraded_streams(picture: Picture) -> Verdict:
    others = [*_rollouts(picture), *_sinks(picture), *_results(picture)]
    if picture.problems:
        worst = max(one.rank for one in picture.streams.values())
        reason = "WorkersNotReady" if worst is Rank.UNWATCHED else "StreamProblems"
        return True, reason, " ".join([_problems(picture), *(text for _, text in others)])
    if others:
        return True, others[0][0], " ".join(text for _, text in others)
    return False, "AsExpected", "Nothing is known to be wrong."


def _rollouts(picture: Picture) -> list[tuple[str, str]]:
    """Reason and sentence of each group whose pods are not, or not yet, what was asked for."""
    found = []
    for group, record in sorted(picture.rollouts.items()):
        text = f"Group {group}, revision {record.to_revision}: {record.message}."
        if record.phase is RolloutPhase.REVERTED:
            found.append(("RolloutReverted", text))
        elif record.paused_since is not None:
            found.append(("RolloutPaused", text))
    return sorted(found, key=lambda one: one[0] != "RolloutReverted")


def _sinks(picture: Picture) -> list[tuple[str, str]]:
    """Reason and sentence if sinks do not take what they are sent."""
    if not picture.sinks:
        return []
    named = [f"{one.name} ({one.reason})" for one in picture.sinks[:_NAMED]]
    number = len(picture.sinks)
    text = f"{number} of the alerts {'has' if number == 1 else 'have'} a problem: "
    return [("SinkProblems", f"{text}{', '.join(named)}{_more(number)}")]


def _results(picture: Picture) -> list[tuple[str, str]]:
    """Reason and sentence if results are not taken by their store."""
    trouble = picture.results
    if trouble is None:
        return []
    return [("ResultsProblem", f"Results are not kept ({trouble.reason}): {trouble.message}.")]


def _completed(picture: Picture) -> Verdict:
    if picture.completed and not picture.suspended:
        return True, "Completed", "Every stream was finite and has been played to its end."
    return False, "Live", "Not every stream has ended."


def _suspended(picture: Picture) -> Verdict:
    if not picture.suspended:
        return False, "NotSuspended", "Monitoring is switched on."
    if picture.leaving:
        return True, "Stopping", f"Workers are being removed: {_list(picture.leaving)}"
    return True, "Suspended", "Monitoring is switched off by spec.suspend."


def _unplaced(picture: Picture) -> str:
    """Which streams are not monitored, by group."""
    return _list(
        [
            f"group {group} has reached scaling.max and does not monitor {_streams(len(names))}: "
            f"{', '.join(names[:_LISTED])}{' and more' * (len(names) > _LISTED)}"
            for group, names in sorted(picture.unplaced.items())
        ]
    )


def _pushed(picture: Picture) -> str:
    """What to say of streams that change hands with a gap, and of the last that did."""
    if not picture.pushed:
        return ""
    some = f"{_streams(picture.pushed)} {_is(picture.pushed)} sent to one worker at a time"
    text = f" {some}: when such a stream changes hands, nobody monitors it for a moment."
    for last in picture.moved[:1]:
        frames = f" ({last.frames} pictures)" if last.frames is not None else ""
        gap = f"{_MEASURES[last.measure]}{format_duration(last.gap)}{frames}"
        when = f"{last.at:%H:%M:%S} UTC, for {gap}"
        text += f" Last: {last.name} at {when}, until worker {last.worker} received it."
    return text


def _unready(picture: Picture) -> str:
    first = picture.unready[:_NAMED]
    details = [
        f"{picture.troubles[name].message} ({picture.troubles[name].reason})"
        if name in picture.troubles
        else f"worker {name} is starting"
        for name in first
    ]
    number = len(picture.unready)
    head = f"{number} of {picture.workers} worker{'s' * (picture.workers != 1)} {_is(number)}"
    return f"{head} not ready: {'; '.join(details)}{_more(number)}"


def _problems(picture: Picture) -> str:
    named = [f"{one.name} ({one.reason})" for one in picture.problems[:_NAMED]]
    number = len(picture.problems)
    have = "has a problem" if number == 1 else "have problems"
    return f"{number} of {_streams(len(picture.streams))} {have}: {', '.join(named)}{_more(number)}"


def _list(sentences: Sequence[str]) -> str:
    return f"{'; '.join(sentences[:_NAMED])}{_more(len(sentences))}"


def _more(number: int) -> str:
    return f" and {number - _NAMED} more." if number > _NAMED else "."


def _streams(number: int) -> str:
    return f"{number} stream{'s' * (number != 1)}"


def _is(number: int) -> str:
    return "is" if number == 1 else "are"
