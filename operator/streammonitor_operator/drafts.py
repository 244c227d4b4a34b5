"""What a worker's assignment should say. Pure."""

from collections.abc import Iterable, Mapping

from streammonitor_api.assignment import Assignment, Release, Turn
from streammonitor_api.incident import EndReason, Incident
from streammonitor_api.spec import Stream, StreamMonitorSpec
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.handover import Share
from streammonitor_operator.specs.identity import Owner

Open = dict[str, Incident]
"""Open incidents by id."""


def draft_assignment(
    owner: Owner,
    spec: StreamMonitorSpec,
    view: WorkerView,
    share: Share,
    open_incidents: Open,
    *,
    ports: Mapping[str, int] | None = None,
) -> Assignment:
    """The assignment of a worker that has something to do, with the epoch of the one it has.

    Args:
        owner: The StreamMonitor.
        spec: Its specification.
        view: The worker.
        share: What it should list.
        open_incidents: By id.
        ports: What workers listen on for streams that are sent to them.
    """
    group = next(group for group in spec.groups if group.name == view.group)
    detectors = {name: spec.detectors[name] for name in sorted(group.detectors)}
    gone = _gone(view, {stream.name for stream in spec.streams})
    draft = Assignment(
        epoch=max(1, view.epoch),
        monitor_uid=owner.uid,
        monitor=f"{owner.namespace}/{owner.name}",
        worker=view.name,
        group=group.name,
        streams=[_seen_by(s, detectors) for s in spec.streams if s.name in share.streams],
        warming=sorted(share.warms),
        turns=[turn for name in sorted(share.streams) if (turn := _turn(view, share, name))],
        profile=spec.profile,
        ports={name: port for name, port in (ports or {}).items() if name in share.streams},
        detectors=detectors,
        alerts=spec.alerts,
        results=spec.results,
        show_decrypted_pictures=spec.show_decrypted_pictures,
        open_incidents=_carried(view, share.holds, detectors, open_incidents),
        released=[*_kept_releases(view, share.streams), *_releases(view, gone, EndReason.REMOVED)],
    )
    if view.assignment is None or same_content(draft, view.assignment):
        return draft
    # It is written anyhow, so what the worker has acknowledged can go.
    if view.ready:
        fresh = [r for r in draft.released if r not in view.assignment.released]
        return draft.model_copy(update={"released": fresh})
    return draft


def _seen_by(stream: Stream, detectors: Iterable[str]) -> Stream:
    """A stream with the parameters of those detectors only that a worker runs.

    Without this, a worker would be given a new epoch for what concerns another group.
    """
    if stream.detectors is None:
        return stream
    own = {name: stream.detectors[name] for name in detectors if name in stream.detectors}
    return stream.model_copy(update={"detectors": own or None})


def _turn(view: WorkerView, share: Share, stream: str) -> Turn | None:
    """When a worker speaks for a stream. What it was given once stays, or it would read it anew."""
    before = view.turn(stream)
    listed = stream in view.held or stream in view.warming
    # What a pod of the same worker held, its next one warms: that reads the assignment anew.
    fresh = not listed or (stream in share.warms and stream in view.held)
    clock_s = share.clocks.get(stream) if fresh else before.clock_s if before else None
    from_s = share.from_s.get(stream)
    if from_s is None and before is not None and stream in share.holds and stream in view.held:
        from_s = before.from_s
    turn = Turn(stream=stream, clock_s=clock_s, from_s=from_s, until_s=share.until_s.get(stream))
    return None if turn == Turn(stream=stream) else turn


def draft_release(view: WorkerView, held_elsewhere: Iterable[str], reason: EndReason) -> Assignment:
    """The last assignment of a worker that goes: nothing to do, and what ends with it.

    A stream that another worker of the group has taken over is let go without a word, so that its
    incidents are not ended here.
    """
    assignment = view.assignment
    if assignment is None:
        raise ValueError(f"worker {view.name} has no assignment to be released from")
    moved = set(held_elsewhere)
    gone = [stream.name for stream in assignment.streams if stream.name not in moved]
    return assignment.model_copy(
        update={
            "streams": [],
            "warming": [],
            "turns": [],
            "open_incidents": [],
            "released": [*_kept_releases(view, set()), *_releases(view, gone, reason)],
        }
    )


def same_content(one: Assignment, other: Assignment) -> bool:
    """Whether two assignments ask for the same, whatever their epochs."""
    if one.epoch != other.epoch:
        one = one.model_copy(update={"epoch": other.epoch})
    # The wire drops nulls that a user may have written among a detector's parameters.
    return one == other or one.to_json_object() == other.to_json_object()


def lacks(view: WorkerView, incident_id: str) -> bool:
    """Whether a process of this worker monitors without knowing of an open incident."""
    if not view.staying:
        return True
    for pod in view.staying:
        if pod.said is None:
            # One that runs will say what it holds; one that is starting reads the assignment first.
            if not pod.pod.running:
                return True
        elif pod.said.epoch >= 1 and not _lists(pod.said.incidents, incident_id):
            return True
    return False


def refuses(view: WorkerView, incident_id: str) -> bool:
    """Whether a worker was given an incident, acknowledged that, and does not list it."""
    assignment = view.assignment
    if assignment is None or not _lists(assignment.open_incidents, incident_id):
        return False
    said = [pod.said for pod in view.staying]
    return bool(said) and all(
        status is not None
        and status.epoch >= assignment.epoch
        and not _lists(status.incidents, incident_id)
        for status in said
    )


def _lists(incidents: Iterable[Incident], incident_id: str) -> bool:
    """Whether an incident is among some, and not merely as one that was let go."""
    return any(
        incident.id == incident_id and incident.end_reason is not EndReason.INTERRUPTED
        for incident in incidents
    )


def _carried(
    view: WorkerView, streams: set[str], detectors: Iterable[str], open_incidents: Open
) -> list[Incident]:
    """The open incidents that a worker must adopt, or was given and has not ended yet.

    One that ended is taken out at once: a process that starts later must not adopt it again.
    """
    before = {i.id: i for i in view.assignment.open_incidents} if view.assignment else {}
    kinds = set(detectors)
    return [
        before.get(incident.id, incident)
        for incident in sorted(open_incidents.values(), key=lambda one: one.id)
        if incident.stream in streams
        and incident.defect in kinds
        and (incident.id in before or lacks(view, incident.id))
    ]


def _gone(view: WorkerView, existing: set[str]) -> list[str]:
    """The streams that this worker has and the specification has not."""
    streams = view.assignment.streams if view.assignment else []
    return [stream.name for stream in streams if stream.name not in existing]


def _releases(view: WorkerView, streams: Iterable[str], reason: EndReason) -> list[Release]:
    known = {release.stream for release in view.assignment.released} if view.assignment else set()
    return [Release(stream=name, reason=reason) for name in streams if name not in known]


def _kept_releases(view: WorkerView, wanted: set[str]) -> list[Release]:
    released = view.assignment.released if view.assignment else []
    return [release for release in released if release.stream not in wanted]
