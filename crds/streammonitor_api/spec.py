"""What a user asks for: the `spec` of a StreamMonitor.

Detector parameters are declared by the detectors themselves, in the worker; here they are opaque.
`make gen` composes both into the CRD.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, WithJsonSchema, model_validator

from streammonitor_api.alerts import Alerts
from streammonitor_api.durations import Duration
from streammonitor_api.model import LIST_SET, Model, list_map
from streammonitor_api.push import ONE_GROUP, Push, PushService, push_of
from streammonitor_api.regions import IgnoreRegion, Region, region_faults
from streammonitor_api.results import Results
from streammonitor_api.rollout import Rollout
from streammonitor_api.source import (
    Decryption,
    HeaderFrom,
    ObjectStore,
    Program,
    QueryFrom,
    UserInfoFrom,
    Variant,
)
from streammonitor_api.streams_from import StreamsFrom

NAME_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
OBJECT_STORES = ("s3", "gs", "az")
"""Schemes of object stores, as in s3://BUCKET/PATH."""
URL_SCHEMES = (
    *("http", "https", "rtmp", "rtmps", "rtsp", "rtsps", "srt", "tcp", "udp"),
    *OBJECT_STORES,
)
"""Schemes that a StreamMonitor in a cluster may name. A laptop run also reads files."""
BROADCAST = "broadcast"
"""The profile of whoever names none: what is built in."""
PROFILES = ("strict", BROADCAST, "relaxed")
"""How soon and how easily detectors raise: strict first."""

Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, min_length=1, max_length=63)]
DetectorName = Annotated[str, StringConstraints(min_length=1, max_length=63)]
StringMap = Annotated[dict[str, str], Field(max_length=32)]
ProfileName = Annotated[
    str,
    StringConstraints(min_length=1, max_length=63),
    WithJsonSchema({"type": "string", "enum": list(PROFILES)}),
]
"""A profile. Any name is read, so that a worker can say that it does not know one."""
Quantity = Annotated[
    int | str,
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "x-kubernetes-int-or-string": True,
            "pattern": r"^[0-9]+(\.[0-9]+)?(m|[kMGTPE]|[KMGTPE]i)?$",
        }
    ),
]
"""A Kubernetes quantity, as in 500m or 2Gi."""
Quantities = Annotated[dict[str, Quantity], Field(max_length=32)]

ONE_MODEL_SOURCE = (
    "modelVolume names none or several sources: name exactly one of persistentVolumeClaim and "
    "configMap"
)
NO_STREAMS = "the specification names no streams: set spec.streams, spec.streamsFrom or both"
PROGRAM_SCHEMES = ("http", "https", "srt", "tcp", "udp", *OBJECT_STORES)
"""Schemes by which an MPEG-TS may come with several programs."""
NO_PROGRAMS = (
    "program is set, but the URL is of no MPEG-TS: take it out, or name one by http, https, srt, "
    "tcp, udp or in an object store"
)
NO_OBJECT_STORE = (
    "objectStore is set, but the URL names no object: take it out, or write s3://BUCKET/PATH, "
    "gs://BUCKET/PATH or az://CONTAINER/PATH"
)
MAX_STREAMS = 500
MAX_GROUPS = 16
MAX_IGNORED = 16
"""The most parts of a stream's picture that can be ignored."""
DEFAULT_GROUP = "all"
"""The name of the one worker group of a StreamMonitor that declares none."""
DEFAULT_MAX_STREAMS_PER_WORKER = 20
DEFAULT_SCALE_DOWN_AFTER_S = 300.0
DEFAULT_TARGET_UTILIZATION = 0.8


class Stream(Model):
    """One live or finite source."""

    name: Name
    """Name of the stream, unique in this StreamMonitor. It appears in incidents and metrics."""
    url: Annotated[str, StringConstraints(min_length=1, max_length=2048)]
    """Where the stream is read from: an http or https URL of an HLS playlist, an MPEG-TS or an MP4
    resource, or s3://BUCKET/PATH, gs://BUCKET/PATH or az://CONTAINER/PATH of such a one; an rtmp,
    rtmps, rtsp or rtsps URL; or MPEG-TS by srt, tcp or udp, as in srt://HOST:PORT?streamid=NAME and
    udp://@GROUP:PORT. Without a host it is sent to a worker, as in srt://:PORT, rtmp://:PORT/APP/KEY
    and udp://:PORT, by way of a Service that is named after the StreamMonitor and the stream."""
    headers_from: Annotated[
        list[HeaderFrom], Field(max_length=16, json_schema_extra=list_map("name"))
    ] = []
    """HTTP headers with values from Secrets. They go to the URL's own host only. Default: none."""
    query_from: (
        Annotated[list[QueryFrom], Field(max_length=16, json_schema_extra=list_map("name"))] | None
    ) = None
    """Query parameters of the URL with values from Secrets, as a token or an SRT passphrase.
    Default: none."""
    user_info_from: UserInfoFrom | None = None
    """User name and password of the URL, from Secrets. Default: none."""
    object_store: ObjectStore | None = None
    """Where the bucket of an s3, gs or az URL is, and its credentials. Default: the store's own
    place, and public objects."""
    decryption: Decryption | None = None
    """How encrypted media (CENC in HLS, DASH and MP4, SAMPLE-AES) are read, where the playlist does
    not say where a key is. Default: media that need a key are not monitored."""
    variant: Variant | None = None
    """Which rendition of an HLS or DASH source, and which sound. Default: the best picture and the
    sound that the source prefers."""
    program: Program | None = None
    """Which program of an MPEG-TS source with several, by http, https, srt, tcp or udp. Default:
    the first one with a picture."""
    reference_url: Annotated[str, StringConstraints(min_length=1, max_length=2048)] | None = None
    """A feed of the same programme to compare the stream with, as the one before an encoder: avSync
    finds what sound and pictures lost of being in sync between the two. Like url, but fetched, and
    without credentials. Default: none."""
    profile: ProfileName | None = None
    """Takes the place of spec.profile for this stream. Default: spec.profile."""
    detectors: dict[str, dict[str, Any]] | None = None
    """Parameters of this stream's detectors. They win over spec.detectors, one by one; what is not
    named here is as there. Default: none."""
    region: Region | None = None
    """The part of the picture that picture detectors look at. Default: all of it."""
    ignore_regions: Annotated[list[IgnoreRegion], Field(max_length=MAX_IGNORED)] | None = None
    """Parts of the picture that picture detectors do not look at, as a logo, a clock or a ticker.
    Default: none."""

    @property
    def secret_names(self) -> set[str]:
        """The name of every Secret that it needs."""
        named = [one.secret_key_ref.name for one in self.headers_from]
        named += [one.secret_key_ref.name for one in self.query_from or ()]
        if (who := self.user_info_from) is not None:
            named += [who.username.name, who.password.name]
        if self.object_store and self.object_store.credentials_from:
            named.append(self.object_store.credentials_from.secret_ref.name)
        if self.decryption is not None:
            named.append(self.decryption.keys_from.secret_ref.name)
        return set(named)

    @property
    def push(self) -> Push | None:
        """What a worker listens for to receive it; None if it is fetched."""
        return push_of(self.url)

    @property
    def source(self) -> Self:
        """What of it concerns the connection: whatever else changes, that can stay open."""
        looks = ("profile", "detectors", "region", "ignore_regions", "reference_url")
        return self.model_copy(update=dict.fromkeys(looks))


class Scaling(Model):
    """How many workers a group may have."""

    min: Annotated[int, Field(ge=0, le=500)] | None = None
    """As many workers are kept, idle ones included: spare capacity. Default: 0."""
    max: Annotated[int, Field(ge=1, le=500)] | None = None
    """As many workers there may be. Streams that they cannot take are not monitored, and the
    status names them. Default: as many as it takes."""
    max_streams_per_worker: Annotated[int, Field(ge=1, le=500)] | None = None
    """The most streams that one worker monitors. Default: 20."""
    target_utilization: Annotated[float, Field(ge=0.1, le=1)] | None = None
    """The share of template.resources.requests.cpu up to which a worker is given streams, by the
    CPU time that each was measured to take; the rest is for peaks. Without that request only
    maxStreamsPerWorker bounds a worker. Default: 0.8."""
    scale_down_after: Annotated[Duration, Field(ge=0, le=86_400)] | None = None
    """Fewer workers must have been enough for so long before one is emptied and removed. More
    workers come at once. Default: 5m."""


class Toleration(Model):
    """A Kubernetes toleration."""

    key: str | None = None
    """Taint key; absent means every key."""
    operator: str | None = None
    """Exists or Equal. Default: Equal."""
    value: str | None = None
    """Taint value."""
    effect: str | None = None
    """Taint effect; absent means every effect."""
    toleration_seconds: int | None = None
    """How long a NoExecute taint is tolerated, in seconds. Default: for ever."""


class Resources(Model):
    """CPU and memory of one worker, as in a pod."""

    requests: Quantities | None = None
    """What is reserved. Default: cpu 200m, memory 256Mi."""
    limits: Quantities | None = None
    """What is enforced. Default: memory 2Gi."""


class ClaimReference(Model):
    """A PersistentVolumeClaim in the StreamMonitor's namespace."""

    claim_name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """Name of the claim. While it does not exist, the group's workers cannot start."""


class ConfigMapReference(Model):
    """A ConfigMap in the StreamMonitor's namespace."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """Name of the ConfigMap. While it does not exist, only the detector model cannot tell."""


class ModelVolume(Model):
    """Where the files of the detector model come from: exactly one of these."""

    persistent_volume_claim: ClaimReference | None = None
    """A volume with models; it is mounted read-only."""
    config_map: ConfigMapReference | None = None
    """A ConfigMap with small models in its binaryData; all of it holds 1 MiB at most."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.persistent_volume_claim is None) is (self.config_map is None):
            raise ValueError(ONE_MODEL_SOURCE)
        return self


class Template(Model):
    """What the pods of a worker group look like."""

    resources: Resources | None = None
    """CPU and memory of one worker."""
    node_selector: StringMap | None = None
    """Labels that a node must have. Default: none."""
    tolerations: Annotated[list[Toleration], Field(max_length=32)] | None = None
    """Taints that are tolerated. Default: none."""
    labels: StringMap | None = None
    """Further labels of the pods. Default: none."""
    annotations: StringMap | None = None
    """Further annotations of the pods, as those by which Multus attaches networks. Default:
    none."""
    host_network: bool | None = None
    """True puts the pods into their nodes' network, as multicast may need; the namespace must
    allow it, and a node takes one worker of that kind. Default: false."""
    model_volume: ModelVolume | None = None
    """The files of the detector model, mounted read-only at /models. Default: none."""


class WorkerGroup(Model):
    """A detector subset, and the workers that run it."""

    name: Annotated[Name, StringConstraints(max_length=30)]
    """Name of the group, unique in this StreamMonitor."""
    detectors: Annotated[
        list[DetectorName], Field(min_length=1, max_length=15, json_schema_extra=LIST_SET)
    ]
    """The detectors that this group runs. Each declared detector is in exactly one group."""
    scaling: Scaling | None = None
    """How streams are spread over workers."""
    template: Template | None = None
    """What the pods look like."""
    rollout: Rollout | None = None
    """How the pods are replaced when they are to be others."""


class StreamMonitorSpec(Model):
    """Which streams are monitored, for which defects, by which workers."""

    suspend: bool | None = None
    """True ends the monitoring and removes the workers; the resource stays. Default: false."""
    streams: Annotated[
        list[Stream],
        Field(min_length=1, max_length=MAX_STREAMS, json_schema_extra=list_map("name")),
    ] = []
    """The streams to monitor. Default: those of streamsFrom; one of both there must be."""
    streams_from: StreamsFrom | None = None
    """Further streams, from a list that is kept elsewhere. Together there may be 500, and a name of
    spec.streams counts there. Default: none."""
    profile: ProfileName | None = None
    """How soon and how easily detectors raise, where no parameter says otherwise: strict (for
    engineers who want to see everything), broadcast, or relaxed (for alarms at night).
    Default: broadcast."""
    detectors: dict[str, dict[str, Any]]
    """The defects to look for. Presence of a detector switches it on; {} takes its defaults."""
    workers: (
        Annotated[
            list[WorkerGroup],
            Field(min_length=1, max_length=MAX_GROUPS, json_schema_extra=list_map("name")),
        ]
        | None
    ) = None
    """Worker groups. Default: one group named "all" with every detector."""
    alerts: Alerts | None = None
    """Who is told of incidents. Default: the status, Kubernetes Events and the workers' logs."""
    results: Results | None = None
    """Where summaries of every minute and the incidents are kept. Default: in the worker's memory,
    for as long as it runs, and no more than some hours."""
    show_decrypted_pictures: bool | None = None
    """True shows the pictures of encrypted streams, too, to those who look at them (the wall),
    and keeps them with the results: thumbnails and evidence of incidents. Default: false."""
    service: PushService | None = None
    """What the Services of streams look like that are sent to a worker."""

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        """Hold what CEL holds in the cluster, for those who run a monitor without one."""
        if not self.streams and self.streams_from is None:
            raise ValueError(NO_STREAMS)
        _unique("stream", [stream.name for stream in self.streams])
        groups = self.groups
        _unique("worker group", [group.name for group in groups])
        if self.alerts is not None:
            _unique("sink", [sink.name for sink in self.alerts.sinks])
            _unique("mute", [mute.name for mute in self.alerts.mutes])
        for name in self.detectors:
            homes = [group.name for group in groups if name in group.detectors]
            if len(homes) != 1:
                where = " and ".join(homes) or "no worker group"
                raise ValueError(
                    f"detector {name!r} is in {where}: put it in exactly one of spec.workers"
                )
        for group in groups:
            _ordered(group)
            for name in group.detectors:
                if name not in self.detectors:
                    raise ValueError(
                        f"worker group {group.name!r} names detector {name!r}, which "
                        f"spec.detectors does not declare: declare it or take it out of the group"
                    )
        for stream in self.streams:
            for fault in self.stream_faults(stream):
                raise ValueError(f"stream {stream.name!r}: {fault}")
        return self

    def stream_faults(self, stream: Stream) -> Iterator[str]:
        """What does not fit about one of its streams, a sentence each."""
        for name in stream.detectors or {}:
            if name not in self.detectors:
                yield (
                    f"detectors.{name} is set, but spec.detectors does not declare {name!r}: "
                    f"declare it there or take it out of the stream"
                )
        scheme = stream.url.split("://")[0]
        if stream.program and scheme in set(URL_SCHEMES) - set(PROGRAM_SCHEMES):
            yield NO_PROGRAMS
        if stream.object_store and scheme not in OBJECT_STORES:
            yield NO_OBJECT_STORE
        if stream.push is not None and len(self.groups) > 1:
            yield ONE_GROUP
        yield from region_faults(stream.region, stream.ignore_regions or [])

    @cached_property
    def groups(self) -> list[WorkerGroup]:
        """The worker groups, the implied one included."""
        if self.workers:
            return self.workers
        # model_construct: an empty `detectors` is refused by the caller with a better sentence.
        return [WorkerGroup.model_construct(name=DEFAULT_GROUP, detectors=sorted(self.detectors))]


def _ordered(group: WorkerGroup) -> None:
    scaling = group.scaling
    if scaling is None or scaling.min is None or scaling.max is None:
        return
    if scaling.min > scaling.max:
        raise ValueError(
            f"worker group {group.name!r} has scaling.min {scaling.min}, which is more than "
            f"scaling.max {scaling.max}: lower min or raise max"
        )


def _unique(what: str, names: list[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two {what}s are named {name!r}: give each a name of its own")
