"""Kubernetes Events about incidents and roll-outs, written on the StreamMonitor."""

from datetime import datetime

from streammonitor_api import names
from streammonitor_api.incident import Incident
from streammonitor_api.status import RolloutStatus
from streammonitor_operator.kube import EVENTS, Manifest
from streammonitor_operator.naming import event_name
from streammonitor_operator.specs.identity import Owner

STARTED = "started"
ENDED = "ended"
COMPONENT = "streammonitor-operator"


def build_event(owner: Owner, incident: Incident, phase: str, written_at: datetime) -> Manifest:
    """The Event about the start or the end of an incident.

    Its name follows from the incident and the phase: written twice, it exists once. Its first and
    last timestamps are the incident's; `eventTime` says when the operator reported it.
    """
    ended = phase == ENDED
    moment = (incident.ended_at or incident.detected_at) if ended else incident.detected_at
    defect = incident.defect[:1].upper() + incident.defect[1:]
    return {
        **_event(owner, event_name(owner.name, incident.id, phase), moment, written_at),
        "type": "Normal" if ended else "Warning",
        "reason": f"{defect}{'Ended' if ended else 'Started'}",
        "message": ended_message(incident) if ended else started_message(incident),
        # Required beside `eventTime`; an incident that the operator ends has no worker any more.
        "reportingInstance": incident.worker[:128] or COMPONENT,
    }


def build_rollout_event(
    owner: Owner, group: str, reason: str, record: RolloutStatus, written_at: datetime
) -> Manifest:
    """The Event about a turn that a group's roll-out took.

    Its name follows from the roll-out and the turn: written twice, it exists once.
    """
    moment = record.paused_since or record.since
    turn = f"{group}-{record.to_revision}-{moment:%Y%m%d%H%M%S}"
    revisions = f"{record.from_revision} to {record.to_revision}"
    return {
        **_event(owner, event_name(owner.name, turn, reason.lower()), moment, written_at),
        "type": "Warning" if record.reason else "Normal",
        "reason": reason,
        "message": f"group {group}, revision {revisions}: {record.message}",
        "reportingInstance": COMPONENT,
    }


def _event(owner: Owner, name: str, moment: datetime, written_at: datetime) -> Manifest:
    when = moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": EVENTS.api_version,
        "kind": "Event",
        "metadata": {"name": name, "namespace": owner.namespace},
        "involvedObject": {
            "apiVersion": names.API_VERSION,
            "kind": names.KIND,
            "namespace": owner.namespace,
            "name": owner.name,
            "uid": owner.uid,
        },
        "firstTimestamp": when,
        "lastTimestamp": when,
        "eventTime": written_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "action": "Report",
        "count": 1,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
    }


def started_message(incident: Incident) -> str:
    """As in `arena-1: freeze since 12:04:31 UTC (critical)`."""
    since = _clock(incident.started_at)
    return f"{incident.stream}: {incident.defect} since {since} UTC ({incident.severity})"


def ended_message(incident: Incident) -> str:
    """As in `arena-1: freeze since 12:04:31 UTC ended after 4.0 s (cleared)`."""
    since = _clock(incident.started_at)
    if incident.end_s is not None:
        # Media time: segments arrive in bursts, so the wall clock may be off by one or two.
        lasted_s = incident.end_s - incident.start_s
    else:
        ended_at = incident.ended_at or incident.started_at
        lasted_s = (ended_at - incident.started_at).total_seconds()
    why = incident.end_reason or "unknown"
    what = f"{incident.stream}: {incident.defect} since {since} UTC"
    return f"{what} ended after {lasted_s:.1f} s ({why})"


def _clock(moment: datetime) -> str:
    return moment.strftime("%H:%M:%S")
