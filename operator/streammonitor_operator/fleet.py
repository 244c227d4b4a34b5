"""One StreamMonitor's workers as they are: objects from the caches joined with what they say."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from streammonitor_api.assignment import Assignment, Turn
from streammonitor_api.worker_status import StreamState, StreamStatus, WorkerStatus
from streammonitor_operator.children import AssignmentMap, WorkerDeployment, WorkerPod
from streammonitor_operator.nodes import Node
from streammonitor_operator.observe import Observation

SILENCE_GRACE_S = 5.0
"""A worker that does not answer for less than this is taken to be as it said last."""
LOST_AFTER_S = 1.0
"""After so long without an answer, others with room take over: a restart takes longer."""
GONE_AFTER_S = 10.0
"""After so long without a sign of its machine, a worker is replaced."""


@dataclass(frozen=True)
class PodView:
    """A pod and what its process says."""

    pod: WorkerPod
    seen: Observation | None
    now: float
    node: Node | None = None
    """Where it runs, as far as nodes may be read."""

    @property
    def said(self) -> WorkerStatus | None:
        """The last status, however old."""
        return self.seen.status if self.seen else None

    @property
    def status(self) -> WorkerStatus | None:
        """The last status, unless the pod has been silent for too long."""
        return None if self.silent else self.said

    @property
    def silent(self) -> bool:
        """Whether it has not answered for longer than the grace."""
        since = self.seen.failing_since if self.seen else None
        return since is not None and self.now - since >= SILENCE_GRACE_S

    @property
    def undecided(self) -> bool:
        """Whether it runs and has neither answered yet nor been silent for long."""
        return self.pod.running and bool(self.pod.ip) and self.said is None and not self.silent

    @property
    def departing(self) -> bool:
        """Whether it is on its way out and its process still answers.

        The kubelet brings nothing to the volumes of such a pod any more: its process goes on with
        the assignment that it has read last, for as long as its grace lasts.
        """
        on_its_way = self.pod.terminating and self.pod.running and bool(self.pod.ip)
        return on_its_way and (self.seen is None or self.seen.failing_since is None)

    def silent_for(self, duration_s: float) -> bool:
        """Whether it answered once and has not for so long."""
        since = self.seen.failing_since if self.seen and self.said else None
        return since is not None and self.now - since >= duration_s

    @property
    def decisive_in_s(self) -> float | None:
        """When its silence will mean more than it does now; None if it will not."""
        since = self.seen.failing_since if self.seen else None
        if since is None:
            return None
        ends = (since + after for after in (LOST_AFTER_S, SILENCE_GRACE_S, GONE_AFTER_S))
        return min((end - self.now for end in ends if end > self.now), default=None)

    @property
    def streams(self) -> Sequence[StreamStatus]:
        """What it says of its streams, unless it has been silent for too long."""
        return self.status.streams if self.status else ()

    def stream(self, name: str) -> StreamStatus | None:
        """What it says of a stream, unless it has been silent for too long."""
        return self._streams.get(name)

    @cached_property
    def _streams(self) -> dict[str, StreamStatus]:
        return {stream.name: stream for stream in self.streams}

    def acknowledges(self, epoch: int) -> bool:
        """Whether it carries out this assignment, or a newer one."""
        return self.said is not None and self.said.epoch >= epoch


@dataclass(frozen=True)
class WorkerView:
    """A worker: its objects, its pods, and the assignment that it should have.

    It is made anew for every pass; what is asked for of each of its streams is computed once.
    """

    name: str
    group: str
    assignment: Assignment | None
    """As in the ConfigMap, or as it was before somebody removed that or made it unreadable."""
    map: AssignmentMap | None
    deployment: WorkerDeployment | None
    pods: tuple[PodView, ...] = ()

    @property
    def epoch(self) -> int:
        """Of the assignment; 0 without one."""
        return self.assignment.epoch if self.assignment else 0

    @cached_property
    def warming(self) -> frozenset[str]:
        """The streams that it is to follow silently."""
        return frozenset(self.assignment.warming) if self.assignment else frozenset()

    @cached_property
    def held(self) -> frozenset[str]:
        """The streams that it is to speak for."""
        streams = self.assignment.streams if self.assignment else ()
        return frozenset(stream.name for stream in streams) - self.warming

    @cached_property
    def pushed(self) -> frozenset[str]:
        """Those of its streams that are sent to one worker at a time."""
        streams = self.assignment.streams if self.assignment else ()
        return frozenset(one.name for one in streams if one.push is not None)

    @cached_property
    def handing_over(self) -> frozenset[str]:
        """Those among them that it was asked to hand over."""
        turns = self.assignment.turns if self.assignment else ()
        asked = {turn.stream for turn in turns if turn.until_s is not None}
        return self.held & asked

    def turn(self, stream: str) -> Turn | None:
        """What its assignment says of when it speaks for a stream."""
        return self._turns.get(stream)

    @cached_property
    def _turns(self) -> dict[str, Turn]:
        return {turn.stream: turn for turn in self.assignment.turns} if self.assignment else {}

    @cached_property
    def staying(self) -> tuple[PodView, ...]:
        """The pods that are not on their way out."""
        return tuple(view for view in self.pods if not view.pod.terminating)

    @cached_property
    def current(self) -> PodView | None:
        """The pod that speaks for this worker: it answers, and is furthest."""
        answering = [view for view in self.staying if view.status is not None]
        return max(answering, key=_progress, default=None)

    @cached_property
    def departing(self) -> tuple[PodView, ...]:
        """The pods that are on their way out and go on until then."""
        return tuple(view for view in self.pods if view.departing)

    @property
    def evicted(self) -> bool:
        """Whether its pod is on its way out with streams, and none has come up in its place."""
        busy = any(pod.said is not None and pod.said.streams for pod in self.departing)
        return busy and self.current is None

    @property
    def unsettled(self) -> bool:
        """Whether it runs where no pod should be put any more, or a person wants it gone."""
        if self.deployment is not None and self.deployment.drained:
            return True
        nodes = [pod.node for pod in self.staying if pod.node is not None and pod.node.taints]
        if not nodes or len(nodes) < len(self.staying):
            return False
        template = self.deployment.manifest["spec"]["template"]["spec"] if self.deployment else {}
        tolerations = template.get("tolerations") or []
        return all(node.repels(tolerations) for node in nodes)

    @property
    def lost(self) -> bool:
        """Whether it was at work and does not answer any more."""
        return bool(self.staying) and all(pod.silent_for(LOST_AFTER_S) for pod in self.staying)

    @property
    def gone(self) -> bool:
        """Whether it is lost together with the machine that it ran on, as far as one can tell."""
        return self.lost and all(
            pod.silent_for(GONE_AFTER_S) and pod.seen is not None and not pod.seen.refused
            for pod in self.staying
        )

    @property
    def ready(self) -> bool:
        """Whether it answers and carries out its newest assignment."""
        current = self.current
        return self.map is not None and current is not None and current.acknowledges(self.epoch)

    def stream(self, name: str) -> StreamStatus | None:
        """What it says of a stream."""
        return self.current.stream(name) if self.current else None

    def heard(self, name: str) -> StreamStatus | None:
        """The same, but of a pod on its way out as long as that receives the stream."""
        said = [pod.stream(name) for pod in self.departing]
        receiving = [one for one in said if one and one.state is StreamState.RECEIVING]
        return receiving[0] if receiving else self.stream(name)


def _progress(view: PodView) -> tuple[int, float]:
    status = view.status
    return (status.epoch, -status.started_at.timestamp()) if status else (0, 0.0)
