"""Who is told of incidents, and when nobody is: the `alerts` of a StreamMonitor."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from streammonitor_api.durations import Duration
from streammonitor_api.incident import Severity
from streammonitor_api.model import LIST_SET, Model, list_map
from streammonitor_api.source import HeaderFrom, SecretKeyRef

MAX_SINKS = 16
MAX_MUTES = 32
RESEND_S = (10.0, 600.0)
"""The least and the greatest interval in which Alertmanager is reminded."""
WAIT_S = (0.0, 300.0)
"""The least and the greatest time that a first event waits for company."""
WINDOW_S = (0.0, 3600.0)
"""The least and the greatest time between two messages."""
MUTE_S = (60.0, 604_800.0)
"""The least and the greatest length of a recurring mute."""
DEFAULT_RESEND_S = 60.0
ONE_KIND = (
    "the sink is of no kind or of several: set exactly one of alertmanager, webhook, apprise and "
    "log"
)
ONE_URL = "the webhook has no URL or two: set exactly one of url and urlFrom"
ONE_TIME = "the mute has no time or two: set exactly one of recurring and once"
ENDS_BEFORE = "once.end is not after once.start: correct one of them"

AlertName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)
]
StreamPatterns = Annotated[
    list[Annotated[str, StringConstraints(pattern=r"^[-a-z0-9*?]+$", min_length=1, max_length=63)]],
    Field(min_length=1, max_length=64, json_schema_extra=LIST_SET),
]
Defects = Annotated[
    list[Annotated[str, StringConstraints(min_length=1, max_length=63)]],
    Field(min_length=1, max_length=15, json_schema_extra=LIST_SET),
]
SinkUrl = Annotated[
    str,
    StringConstraints(
        min_length=1, max_length=2048, pattern=r"^https?://[^/?#@\\\s]+([/?#][^\\\s]*)?$"
    ),
]
Headers = Annotated[list[HeaderFrom], Field(max_length=16, json_schema_extra=list_map("name"))]


class AlertmanagerSink(Model):
    """An Alertmanager, by its API v2. Several replicas are several sinks."""

    url: SinkUrl
    """Where it is, as in http://alertmanager.monitoring:9093, without /api/v2 and without user and
    password. The platform team allows the host (worker.sinks.allowedHosts)."""
    headers_from: Headers = []
    """HTTP headers with values from Secrets. Default: none."""
    labels: (
        Annotated[
            dict[str, Annotated[str, StringConstraints(max_length=256)]], Field(max_length=16)
        ]
        | None
    ) = None
    """Further labels of every alert, as in team: video. Those that StreamMonitor sets win.
    Default: none."""
    resend_every: Annotated[Duration, Field(ge=RESEND_S[0], le=RESEND_S[1])] | None = None
    """How often it is told that an incident lasts. After four times as long without a word it takes
    the incident as ended. Default: 1m."""

    @property
    def resend_s(self) -> float:
        """How often it is reminded, in seconds."""
        return DEFAULT_RESEND_S if self.resend_every is None else self.resend_every


class Group(Model):
    """How events are put together in one message."""

    wait: Annotated[Duration, Field(ge=WAIT_S[0], le=WAIT_S[1])] | None = None
    """How long the first event waits for others of the same moment."""
    window: Annotated[Duration, Field(ge=WINDOW_S[0], le=WINDOW_S[1])] | None = None
    """The least time between two messages: what happens meanwhile is told in the next."""


class WebhookSink(Model):
    """An HTTP endpoint that takes CloudEvents 1.0 in JSON."""

    url: SinkUrl | None = None
    """Where events are posted, without user and password. The platform team allows the host
    (worker.sinks.allowedHosts)."""
    url_from: SecretKeyRef | None = None
    """Where the URL comes from if it is itself a secret."""
    headers_from: Headers = []
    """HTTP headers with values from Secrets. Default: none."""
    signature_from: SecretKeyRef | None = None
    """Where the key comes from that requests are signed with (HMAC-SHA256, Standard Webhooks).
    Default: requests are not signed."""
    batch: Group | None = None
    """Presence sends many events in one request (application/cloudevents-batch+json), by default
    with wait 100ms and window 1s. Default: a request for each event."""

    @model_validator(mode="after")
    def _one_url(self) -> Self:
        if (self.url is None) is (self.url_from is None):
            raise ValueError(ONE_URL)
        return self


class AppriseSink(Model):
    """A service that Apprise knows: Slack, Teams, PagerDuty, e-mail and many others."""

    url_from: SecretKeyRef
    """Where the Apprise URL comes from, as in slack://TOKEN/CHANNEL. The platform team allows the
    hosts that it leads to (worker.sinks.allowedHosts)."""
    group: Group | None = None
    """How many incidents become one message. Default: wait 500ms, window 30s."""


class LogSink(Model):
    """JSON lines on the worker's standard output.

    Without a sink of this kind every incident is written there; with one, only those that its
    filters let through.
    """


class Sink(Model):
    """Somebody who is told of incidents: exactly one of alertmanager, webhook, apprise and log."""

    name: AlertName
    """Name of the sink, unique in this StreamMonitor. It appears in status and metrics."""
    min_severity: Severity | None = None
    """Incidents that are less bad are not told. One that gets so bad later is told then.
    Default: warning."""
    defects: Defects | None = None
    """Only incidents of these detectors are told. Default: all."""
    streams: StreamPatterns | None = None
    """Only incidents of these streams are told: names, or patterns as in arena-*. Default: all."""
    alertmanager: AlertmanagerSink | None = None
    """An Alertmanager, by its API v2."""
    webhook: WebhookSink | None = None
    """An HTTP endpoint that takes CloudEvents 1.0."""
    apprise: AppriseSink | None = None
    """A service that Apprise knows."""
    log: LogSink | None = None
    """The worker's standard output."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = (self.alertmanager, self.webhook, self.apprise, self.log)
        # A kind that this version does not know is somebody else's to judge.
        if sum(kind is not None for kind in kinds) != 1 and not self.model_extra:
            raise ValueError(ONE_KIND)
        return self

    @property
    def secrets(self) -> Iterator[SecretKeyRef]:
        """Every key of a Secret that it names."""
        for kind in (self.alertmanager, self.webhook):
            yield from (one.secret_key_ref for one in (kind.headers_from if kind else ()))
        if self.webhook is not None:
            yield from filter(None, (self.webhook.url_from, self.webhook.signature_from))
        if self.apprise is not None:
            yield self.apprise.url_from


class Recurring(Model):
    """A window that comes again and again."""

    schedule: Annotated[str, StringConstraints(min_length=9, max_length=128)]
    """When it begins: minute, hour, day of month, month and day of week, as in "0 3 * * MON"."""
    duration: Annotated[Duration, Field(ge=MUTE_S[0], le=MUTE_S[1])]
    """How long it lasts."""
    time_zone: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    """Time zone of the schedule, as in Europe/Berlin. Default: UTC."""


class Once(Model):
    """A window of its own."""

    start: datetime
    """When it begins, as in 2027-03-01T20:00:00Z."""
    end: datetime
    """When it ends."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("once.start and once.end need a time zone, as the Z for UTC")
        if self.end <= self.start:
            raise ValueError(ENDS_BEFORE)
        return self


class Mute(Model):
    """When nobody is told of some incidents. They are detected and counted all the same."""

    name: AlertName
    """Name of the mute, unique in this StreamMonitor."""
    streams: StreamPatterns | None = None
    """Of which streams: names, or patterns as in arena-*. Default: all."""
    defects: Defects | None = None
    """Of which detectors. Default: all."""
    recurring: Recurring | None = None
    """When, again and again."""
    once: Once | None = None
    """When, once."""

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if (self.recurring is None) is (self.once is None):
            raise ValueError(ONE_TIME)
        return self


class Alerts(Model):
    """Who is told of incidents, and when nobody is."""

    sinks: Annotated[
        list[Sink], Field(max_length=MAX_SINKS, json_schema_extra=list_map("name"))
    ] = []
    """Who is told. Each is told of everything that its filters let through, in the order in which
    it happened on a stream, at least once."""
    mutes: Annotated[
        list[Mute], Field(max_length=MAX_MUTES, json_schema_extra=list_map("name"))
    ] = []
    """When nobody is told."""

    @property
    def secrets(self) -> list[SecretKeyRef]:
        """Every key of a Secret that it names."""
        return [one for sink in self.sinks for one in sink.secrets]
