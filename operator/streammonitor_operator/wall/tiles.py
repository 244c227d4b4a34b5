"""One StreamMonitor's streams as the wall shows them: what the caches hold and what workers said.

It is put together from what is known anyway, without planning anything.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.worker_status import StreamState, StreamStatus
from streammonitor_operator.fleet import PodView, WorkerView
from streammonitor_operator.monitors import Monitor
from streammonitor_operator.observe import Observation
from streammonitor_operator.work import World

Document = dict[str, Any]
Observe = Callable[[str], Observation | None]

WAITING = "waiting"
"""No worker has said anything of it yet."""
SUSPENDED = "suspended"
_WORST = (StreamState.FAILED, StreamState.RETRYING, WAITING, StreamState.CONNECTING,
          StreamState.RECEIVING, StreamState.COMPLETED)  # fmt: skip


@dataclass(frozen=True)
class Part:
    """What one group's worker says of a stream."""

    worker: WorkerView
    said: StreamStatus | None


@dataclass(frozen=True)
class Scene:
    """One StreamMonitor, as far as it can be looked at."""

    monitor: Monitor
    workers: tuple[WorkerView, ...]

    @property
    def streams(self) -> list[str]:
        """The names of its streams, those from lists included."""
        named = {one.name for one in self.monitor.spec.streams} if self.monitor.spec else set()
        return sorted(named.union(*(view.held for view in self.workers)))

    def parts(self, stream: str) -> list[Part]:
        """What the workers say that hold a stream, by group."""
        return [Part(view, view.heard(stream)) for view in self.workers if stream in view.held]

    def pods(self, stream: str) -> Iterator[PodView]:
        """The pods that can be asked for a stream, those with its picture first."""
        answering = [
            (pod, said)
            for part in self.parts(stream)
            for pod in part.worker.pods
            if (said := pod.stream(stream)) is not None
        ]
        answering.sort(key=lambda one: one[1].video is None)
        yield from (pod for pod, _ in answering)


def look(world: World, observe: Observe, monitor: Monitor, now: float) -> Scene:
    """See one StreamMonitor as it is.

    Args:
        world: The caches.
        observe: What is known of a pod, by uid.
        monitor: Which.
        now: Loop time.
    """
    pods: dict[str, list[PodView]] = {}
    for pod in world.pods.of(monitor.key).values():
        pods.setdefault(pod.worker, []).append(PodView(pod, observe(pod.uid), now))
    return Scene(
        monitor,
        tuple(
            WorkerView(
                name=one.name,
                group=one.assignment.group,
                assignment=one.assignment,
                map=one,
                deployment=None,
                pods=tuple(pods.get(one.name, ())),
            )
            for one in world.maps.of(monitor.key).values()
            if one.assignment is not None and one.owner_uid == monitor.owner.uid
        ),
    )


def tiles(scene: Scene, now: datetime) -> Iterator[Document]:
    """What the wall shows of each stream."""
    status = scene.monitor.status
    problems = {one["name"]: one for one in (status.get("streams") or {}).get("problems") or []}
    active = active_incidents(scene, status, now)
    for stream in scene.streams:
        yield tile(scene, stream, problems.get(stream), active.get(stream, []))


def tile(
    scene: Scene, stream: str, problem: Document | None, incidents: Iterable[Document]
) -> Document:
    """What the wall shows of one stream."""
    owner = scene.monitor.owner
    parts = scene.parts(stream)
    said = [part.said for part in parts if part.said is not None]
    shown: Document = {
        "id": f"{owner.namespace}/{owner.name}/{stream}",
        "namespace": owner.namespace,
        "monitor": owner.name,
        "stream": stream,
        **_state(scene, parts, problem),
        "incidents": list(incidents),
        "picture": any(one.video is not None for one in said),
    }
    if (format_ := _format(said)) is not None:
        shown["format"] = format_
    lags_s = [one.lag_s for one in said if one.lag_s is not None]
    if lags_s and shown["state"] == StreamState.RECEIVING:
        shown["lag"] = max(lags_s)
    return shown


def _state(scene: Scene, parts: list[Part], problem: Document | None) -> Document:
    """State, since when, and what is wrong: that of the group in which it is worst."""
    if scene.monitor.spec is not None and scene.monitor.spec.suspend:
        return {"state": SUSPENDED}
    states = [WAITING if part.said is None else part.said.state for part in parts] or [WAITING]
    state = min(states, key=_WORST.index)
    found: Document = {"state": str(state)}
    worst = [part.said for part in parts if part.said is not None and part.said.state == state]
    if worst:
        found["since"] = _moment(min(one.since for one in worst))
    told = next((one for one in worst if one.reason), None)
    told = told or next((one.said for one in parts if one.said and one.said.reason), None)
    if told is not None:
        found |= {"reason": told.reason, "message": (told.message or "")[:400]}
    elif problem is not None:
        found |= {key: problem[key] for key in ("reason", "message", "since") if key in problem}
    return found


def _format(said: Iterable[StreamStatus]) -> str | None:
    """The picture's size and rate, else the sound's."""
    for one in said:
        if one.video is not None:
            rate = f" {one.video.frame_rate:.4g}" if one.video.frame_rate else ""
            return f"{one.video.width}x{one.video.height}{rate}"
    for one in said:
        if one.audio is not None:
            return f"{one.audio.sample_rate / 1000:g} kHz {one.audio.channels} ch"
    return None


def active_incidents(scene: Scene, status: Document, now: datetime) -> dict[str, list[Document]]:
    """The incidents that last, by stream, the worst first, of equals the oldest.

    What no worker speaks of is as the status says: it waits to be adopted.
    """
    told: dict[str, Incident] = {}
    for incident in spoken(scene):
        known = told.get(incident.id)
        if known is None or _lasts(known, now) or not _lasts(incident, now):
            told[incident.id] = incident
    found = [brief(one) for one in told.values() if _lasts(one, now)]
    found += [
        {key: one[key] for key in ("id", "stream", "defect", "severity", "startedAt")}
        for one in status.get("activeIncidents") or []
        if one["id"] not in told
    ]
    found.sort(key=lambda one: (one["severity"] != "critical", one["startedAt"], one["id"]))
    active: dict[str, list[Document]] = {}
    for one in found:
        active.setdefault(one.pop("stream"), []).append(one)
    return active


def spoken(scene: Scene) -> Iterator[Incident]:
    """Every incident that the workers list."""
    for view in scene.workers:
        for pod in view.pods:
            if pod.said is not None:
                yield from pod.said.incidents


def _lasts(incident: Incident, now: datetime) -> bool:
    if incident.active:
        return True
    waits = incident.end_reason is EndReason.INTERRUPTED and incident.expires_at is not None
    return waits and incident.expires_at is not None and incident.expires_at > now


def brief(incident: Incident) -> Document:
    """An incident in a few words."""
    shown: Document = {
        "id": incident.id,
        "stream": incident.stream,
        "defect": incident.defect,
        "severity": incident.severity.value,
        "startedAt": _moment(incident.started_at),
    }
    if incident.ended_at is not None and incident.end_reason is not None:
        shown |= {"endedAt": _moment(incident.ended_at), "endReason": incident.end_reason.value}
    return shown


def _moment(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
