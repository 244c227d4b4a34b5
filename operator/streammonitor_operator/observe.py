"""Long-polls the `/status` of every worker pod, one task each.

A worker parses hostile media, so its answers are bounded, checked and cleaned before use. A pod
that does not answer keeps its last status, with the moment since when it has been silent.
"""

import asyncio
import logging
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pydantic import ValidationError

from streammonitor_api import names
from streammonitor_api.incident import Incident
from streammonitor_api.spec import NAME_PATTERN
from streammonitor_api.worker_status import StreamStatus, WorkerStatus
from streammonitor_operator.children import Key, WorkerPod
from streammonitor_operator.metrics import POLLS
from streammonitor_operator.questions import BadAnswer, Question, Questions

log = logging.getLogger(__name__)

MAX_ANSWER_BYTES = 4 * 1024 * 1024
WAIT_S = (1.0, 10.0)
"""For how long a worker may keep an answer back, at least and at most. A process that hangs is
found out only when it exceeds that."""
POLLS_PER_S = 250
"""Answers without news that the operator is ready to take: many workers are asked less often."""
_MARGIN_S = 2.0
DOUBT_FROM = 4
DOUBT_RATIO = 0.3
"""When at least so many pods, and a greater share of all, do not answer, none is taken as lost."""
_BACKOFF_S = (0.25, 2.0)
_PAUSE_S = 0.1
"""Between two answers: a worker that changes all the time is asked ten times a second at most."""
_SAME = POLLS.labels("same")
_SHORT = 63
_PROCESS = re.compile(r"[A-Za-z0-9._-]{1,64}")
_INCIDENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _first() -> Question:
    """What to ask first, without waiting: a new process counts its revisions anew."""
    return Question("/status", _MARGIN_S)


@dataclass(frozen=True, slots=True)
class Observation:
    """What is known of one pod's process."""

    status: WorkerStatus | None = None
    """The last answer; None before the first."""
    failing_since: float | None = None
    """Loop time of the first failure since the last answer; None while it answers."""
    error: str = ""
    """Why it does not answer, in words for a person."""
    refused: bool = False
    """Its address refuses: the machine is there, the process is not. Kubernetes restarts it."""


class Observer:
    """Follows pods as they come and go; listens to the store of pods."""

    def __init__(
        self,
        changed: Callable[[Key], None],
        *,
        port: int = names.WORKER_PORT,
    ) -> None:
        self._changed = changed
        self._port = port
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._seen: dict[str, Observation] = {}
        self._departed: dict[Key, list[WorkerStatus]] = {}
        self.listeners: list[Callable[[WorkerPod, WorkerStatus], None]] = []
        """Called with everything new that a worker says."""

    def of(self, pod_uid: str) -> Observation | None:
        """What is known of a pod; None until it answered or failed to."""
        return self._seen.get(pod_uid)

    @property
    def doubtful(self) -> bool:
        """Whether so many pods fell silent at once that the fault is likelier on this side.

        A process that is gone refuses; a network that is cut off, or a policy, says nothing.
        """
        known = [seen for seen in list(self._seen.values()) if seen.status is not None]
        silent = sum(seen.failing_since is not None and not seen.refused for seen in known)
        return silent >= DOUBT_FROM and silent > DOUBT_RATIO * len(known)

    def census(self) -> tuple[int, int]:
        """How many pods do not answer, and how many there are."""
        known = list(self._seen.values())
        return sum(one.failing_since is not None for one in known), len(known)

    def take_departed(self, monitor: Key) -> list[WorkerStatus]:
        """The last words of a StreamMonitor's pods that are gone; each is handed out once."""
        return self._departed.pop(monitor, [])

    def pod_changed(self, old: WorkerPod | None, new: WorkerPod | None) -> None:
        """Begin or stop following a pod; the listener for a store of pods."""
        if old is not None and (new is None or (old.uid, old.ip) != (new.uid, new.ip)):
            self._leave(old)
        if new is not None and new.ip and new.worker and new.uid not in self._tasks:
            self._tasks[new.uid] = asyncio.create_task(self._follow(new), name=f"poll {new.name}")

    async def stop(self) -> None:
        """Follow nothing any more."""
        tasks, self._tasks = list(self._tasks.values()), {}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _leave(self, pod: WorkerPod) -> None:
        task = self._tasks.pop(pod.uid, None)
        if task is not None:
            task.cancel()
        seen = self._seen.pop(pod.uid, None)
        if seen is not None and seen.status is not None:
            self._departed.setdefault((pod.namespace, pod.monitor), []).append(seen.status)

    @property
    def _wait_s(self) -> float:
        shortest_s, longest_s = WAIT_S
        return round(min(longest_s, max(shortest_s, len(self._tasks) / POLLS_PER_S)), 1)

    async def _follow(self, pod: WorkerPod) -> None:
        questions = Questions(pod.ip, self._port, MAX_ANSWER_BYTES)
        try:
            await self._ask_on(pod, questions)
        finally:
            questions.close()

    async def _ask_on(self, pod: WorkerPod, questions: Questions) -> None:
        ask, delay_s = _first, _BACKOFF_S[0]
        while True:
            try:
                body = await questions.news(ask)
                status = _parse(body, pod.worker)
            except (TimeoutError, OSError, BadAnswer) as error:
                self._failed(pod, error)
                ask = _first
                await asyncio.sleep(delay_s * random.uniform(0.7, 1.3))
                delay_s = min(_BACKOFF_S[1], delay_s * 2)
                continue
            self._answered(pod, status)
            ask, delay_s = self._next(status), _BACKOFF_S[0]
            await asyncio.sleep(_PAUSE_S)

    def _next(self, status: WorkerStatus) -> Callable[[], Question]:
        """What to ask a process for what is newer than this, over and over."""
        times, since = 0, status.revision
        known = f"{status.process}.{since}" if _PROCESS.fullmatch(status.process) else ""

        def ask() -> Question:
            nonlocal times
            if times:
                _SAME.inc()  # else it would not be asked again
            times += 1
            wait_s = self._wait_s
            return Question(f"/status?since={since}&wait={wait_s:g}s", wait_s + _MARGIN_S, known)

        return ask

    def _answered(self, pod: WorkerPod, status: WorkerStatus) -> None:
        before = self._seen.get(pod.uid, Observation())
        same = (
            before.failing_since is None
            and before.status is not None
            and (before.status.process, before.status.revision) == (status.process, status.revision)
        )
        POLLS.labels("same" if same else "changed").inc()
        if not same:
            self._seen[pod.uid] = Observation(status)
            for listener in self.listeners:
                listener(pod, status)
            self._changed((pod.namespace, pod.monitor))

    def _failed(self, pod: WorkerPod, error: Exception) -> None:
        POLLS.labels("failed").inc()
        before = self._seen.get(pod.uid, Observation())
        refused = isinstance(error, ConnectionRefusedError)
        since = before.failing_since
        if since is None:
            since = asyncio.get_running_loop().time()
        elif before.refused is refused:
            return
        text = str(error) or type(error).__name__
        self._seen[pod.uid] = Observation(before.status, since, text[:200], refused)
        self._changed((pod.namespace, pod.monitor))


def _parse(body: bytes, worker: str) -> WorkerStatus:
    try:
        status = WorkerStatus.model_validate_json(body)
    except ValidationError as error:
        raise BadAnswer(f"/status cannot be read: {error.errors()[0]['msg']}") from error
    if status.worker != worker:
        # The address was given to another pod, or the label was put on one that is no worker.
        raise BadAnswer(f"{status.worker[:63]!r} answers where {worker!r} should")
    return status.model_copy(
        update={
            "streams": [_clean_stream(stream) for stream in status.streams],
            "incidents": [
                _clean_incident(incident) for incident in status.incidents if _plausible(incident)
            ],
        }
    )


def _plausible(incident: Incident) -> bool:
    """Whether it may go into a status and into names: bounded, and of the right alphabet."""
    return bool(
        _INCIDENT_ID.fullmatch(incident.id)
        and re.fullmatch(NAME_PATTERN, incident.stream)
        and len(incident.stream) <= _SHORT
        and incident.defect.isalnum()
        and len(incident.defect) <= _SHORT
        and len(incident.episode) <= _SHORT
    )


def _clean_stream(stream: StreamStatus) -> StreamStatus:
    # A copy of every model, of which most are as they should be, would be kept for each stream.
    if _is_utc(stream.since):
        return stream
    return stream.model_copy(update={"since": _utc(stream.since)})


def _clean_incident(incident: Incident) -> Incident:
    moments = ("started_at", "detected_at", "ended_at", "expires_at")
    cleaned = {name: _utc(getattr(incident, name)) for name in moments if getattr(incident, name)}
    return incident.model_copy(update=cleaned)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def _is_utc(moment: datetime | None) -> bool:
    return moment is None or moment.utcoffset() == timedelta(0)
