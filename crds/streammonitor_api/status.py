"""What the operator says about a StreamMonitor: its `status`. Written only when it changes."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from streammonitor_api.durations import Duration
from streammonitor_api.incident import EndReason, Severity
from streammonitor_api.model import Model, list_map

MAX_PROBLEMS = 50
MAX_ACTIVE_INCIDENTS = 20
MAX_HAND_OVERS = 20
MAX_ADDRESSES = 50


class ConditionType(StrEnum):
    """The conditions of a StreamMonitor. All but the last three are good when True."""

    ACCEPTED = "Accepted"
    """The specification is valid."""
    ASSIGNED = "Assigned"
    """Every stream is assigned, and every worker acknowledged its newest assignment."""
    RECEIVING = "Receiving"
    """Every stream is being received and analysed."""
    READY = "Ready"
    """Everything that was asked for is being monitored."""
    DEGRADED = "Degraded"
    """Something is not monitored as it should be; the message says what."""
    COMPLETED = "Completed"
    """Every stream was finite and has been played to its end."""
    SUSPENDED = "Suspended"
    """Monitoring is switched off by spec.suspend."""


class Condition(Model):
    """A metav1.Condition."""

    type: str
    """Type of the condition."""
    status: Annotated[str, Field(pattern="^(True|False|Unknown)$")]
    """True, False or Unknown."""
    reason: str
    """CamelCase cause of the last transition."""
    message: str = ""
    """A sentence for a person."""
    last_transition_time: datetime
    """When `status` last changed."""
    observed_generation: int
    """The metadata.generation that this was computed from."""


class StreamProblem(Model):
    """A stream that is not monitored as it should be."""

    name: str
    """Name of the stream."""
    reason: str
    """CamelCase cause, as in ConnectionRefused."""
    message: str = ""
    """A sentence for a person: what, where, remedy."""
    since: datetime
    """When this began."""


class StoreTrouble(Model):
    """What is wrong with where results are kept."""

    reason: str
    """CamelCase cause, as in ConnectionRefused."""
    message: str = ""
    """A sentence for a person: what, where, remedy."""
    since: datetime
    """When this began."""
    workers: int = 1
    """How many workers say so."""


class SinkTrouble(StoreTrouble):
    """A sink of spec.alerts that does not take what it is sent."""

    name: str
    """Name of the sink."""


class AlertsStatus(Model):
    """How the alerts are."""

    problems: Annotated[list[SinkTrouble], Field(json_schema_extra=list_map("name"))] = []
    """The sinks that do not take what they are sent."""


class GapMeasure(StrEnum):
    """How well the gap of a hand-over is known."""

    EXACT = "Exact"
    """To the picture, by the stream's own timestamps."""
    ABOUT = "About"
    """By the clocks of the workers, to a second or two: the sender's timestamps began anew."""
    AT_MOST = "AtMost"
    """The worker before died, and had not said how far it had come since it was last asked."""


class HandOver(Model):
    """The last time that a stream changed hands that one worker at a time can receive."""

    name: str
    """Name of the stream."""
    worker: str
    """The worker that has received it since."""
    at: datetime
    """Up to when the worker before it monitored the stream (UTC)."""
    gap: Duration
    """For how long nobody did: from the last picture that the one analysed to the other's first."""
    measure: GapMeasure = GapMeasure.EXACT
    """How well that is known."""
    frames: int | None = None
    """The pictures of that time; absent without pictures."""


class SenderAddress(Model):
    """Where a stream is sent to that a worker waits for. Credentials are not shown."""

    name: str
    """Name of the stream."""
    url: str
    """Within the cluster."""
    external: str | None = None
    """From outside the cluster, once there is a load balancer that leads there."""
    worker: str = ""
    """The worker that receives it."""


class StreamsStatus(Model):
    """How the streams are."""

    total: int = 0
    """Streams in the specification and in its list, refused ones included."""
    receiving: int = 0
    """Streams that are received and analysed by every group that should."""
    defective: int = 0
    """Streams with at least one active incident."""
    problems: Annotated[list[StreamProblem], Field(json_schema_extra=list_map("name"))] = []
    """The 50 worst streams that are not monitored as they should be."""
    addresses: Annotated[list[SenderAddress], Field(json_schema_extra=list_map("name"))] = []
    """Where the first 50 streams are sent to that are sent to a worker."""
    hand_overs: Annotated[list[HandOver], Field(json_schema_extra=list_map("name"))] = []
    """Of the streams that are sent to a worker, the 20 that changed hands last."""


class WorkersStatus(Model):
    """How many workers there are."""

    desired: int = 0
    """Workers that the plan asks for."""
    ready: int = 0
    """Workers that answer and carry out their newest assignment."""


class RolloutPhase(StrEnum):
    """How far a roll-out is."""

    CANARY = "Canary"
    """The first clone is made, and watched beside the worker that it is to replace."""
    ROLLING = "Rolling"
    """The workers are replaced, some at a time."""
    REVERTED = "Reverted"
    """The new revision was worse: the pods are as before until something else is asked for."""
    COMPLETE = "Complete"
    """Every pod is of the new revision."""


class RolloutStatus(Model):
    """The last roll-out of a worker group."""

    phase: RolloutPhase
    """Canary, Rolling, Reverted or Complete."""
    from_revision: str
    """What the pods were before."""
    to_revision: str
    """What they are to be."""
    since: datetime
    """When this phase began, or when another worker was replaced."""
    watched_since: datetime | None = None
    """Since when the first clone does all that its worker does."""
    paused_since: datetime | None = None
    """Since when no further worker is replaced; absent if it is not paused."""
    updated: int = 0
    """Workers of the new revision that are ready."""
    reason: str | None = None
    """CamelCase cause of a pause or of the reversion, as in ImagePullBackOff."""
    message: str = ""
    """A sentence for a person."""


class GroupStatus(Model):
    """One worker group."""

    name: str
    """Name of the group."""
    revision: str = ""
    """Names what the group's pods are asked to be: it changes with template, image and Secrets."""
    rollout: RolloutStatus | None = None
    """The last change of what the pods are asked to be; absent if there was none."""
    streams: int = 0
    """Streams assigned."""
    workers: int = 0
    """Workers that the plan asks for."""
    ready: int = 0
    """Workers that answer and carry out their newest assignment."""


class IncidentSummary(Model):
    """An incident as the status shows it."""

    id: str
    """Stable identity of the incident."""
    stream: str
    """Name of the stream."""
    defect: str
    """Name of the detector."""
    episode: str = ""
    """Tells episodes of the same defect on the same stream apart; opaque."""
    severity: Severity
    """warning or critical."""
    started_at: datetime
    """When the defect began (UTC)."""
    detected_at: datetime | None = None
    """When it was raised (UTC)."""
    ended_at: datetime | None = None
    """When it was gone (UTC); absent while it lasts."""
    end_reason: EndReason | None = None
    """Why it ended."""


class IncidentsStatus(Model):
    """How many incidents there are."""

    active: int = 0
    """Incidents that last now."""


class StreamMonitorStatus(Model):
    """The observed state of a StreamMonitor."""

    observed_generation: int | None = None
    """The metadata.generation that this status was computed from."""
    conditions: Annotated[list[Condition], Field(json_schema_extra=list_map("type"))] = []
    """Accepted, Assigned, Receiving, Ready, Degraded, Completed, Suspended."""
    streams: StreamsStatus | None = None
    """How the streams are."""
    workers: WorkersStatus | None = None
    """How many workers there are."""
    groups: Annotated[list[GroupStatus], Field(json_schema_extra=list_map("name"))] = []
    """The worker groups."""
    alerts: AlertsStatus | None = None
    """What is wrong with who is told of incidents; absent if nothing is."""
    results: StoreTrouble | None = None
    """What is wrong with where results are kept; absent if nothing is."""
    incidents: IncidentsStatus | None = None
    """How many incidents there are."""
    active_incidents: Annotated[list[IncidentSummary], Field(json_schema_extra=list_map("id"))] = []
    """The 20 worst incidents that last now."""
    last_incident: IncidentSummary | None = None
    """The incident that changed last."""
