"""Where a StreamMonitor's list of streams is kept, if not (only) in its `spec.streams`."""

from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from streammonitor_api.durations import Duration
from streammonitor_api.model import LIST_SET, Model

ONE_STREAMS_SOURCE = (
    "streamsFrom names none or several sources: name exactly one of configMap and http"
)
INTERVAL_S = (5.0, 3600.0)
"""The least and the greatest interval."""
LOSS_HOLD_S = (0.0, 86400.0)
"""The least and the greatest time that a list is held back."""
DEFAULT_INTERVAL_S = 30.0
DEFAULT_MAX_LOSS_RATIO = 0.3
DEFAULT_LOSS_HOLD_S = 300.0


class ConfigMapStreams(Model):
    """A key of a ConfigMap in the StreamMonitor's namespace. It is looked at every 10 s."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253)]
    """Name of the ConfigMap."""
    key: Annotated[
        str, StringConstraints(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")
    ]
    """Key in its data: a YAML or JSON list of streams, each as in spec.streams."""


class HttpStreams(Model):
    """An HTTP endpoint that answers with the list. Redirects are not followed."""

    url: Annotated[
        str,
        StringConstraints(
            min_length=1, max_length=2048, pattern=r"^https?://[^/?#@\\\s]+([/?#][^\\\s]*)?$"
        ),
    ]
    """An http or https URL without user and password that answers with a JSON list of streams, each
    as in spec.streams. Its host must be one that the operator's discovery.allowedHosts names."""
    interval: Annotated[Duration, Field(ge=INTERVAL_S[0], le=INTERVAL_S[1])] | None = None
    """How often it is asked. Default: 30s."""


class StreamsFrom(Model):
    """A list of streams that is kept elsewhere: exactly one of configMap and http."""

    config_map: ConfigMapStreams | None = None
    """The list is in a ConfigMap."""
    http: HttpStreams | None = None
    """The list is asked of an HTTP endpoint."""
    max_loss_ratio: Annotated[float, Field(ge=0, le=1)] | None = None
    """A new list that takes away a greater share of the streams that came from here is held back,
    and the status says so, until it has been the same for lossHold. Default: 0.3."""
    loss_hold: Annotated[Duration, Field(ge=LOSS_HOLD_S[0], le=LOSS_HOLD_S[1])] | None = None
    """How long such a list must be the same before it is obeyed. Default: 5m."""
    secrets: Annotated[
        list[Annotated[str, StringConstraints(min_length=1, max_length=253)]],
        Field(max_length=16, json_schema_extra=LIST_SET),
    ] = []
    """Names of the Secrets that streams of the list may name: whoever writes the list chooses where
    their values are sent. Default: none."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.config_map is None) is (self.http is None):
            raise ValueError(ONE_STREAMS_SOURCE)
        return self

    @property
    def interval_s(self) -> float:
        """How often the HTTP endpoint is asked."""
        chosen = self.http.interval if self.http else None
        return DEFAULT_INTERVAL_S if chosen is None else chosen

    @property
    def tolerated_ratio(self) -> float:
        """The share of the streams that a new list may take away at once."""
        return DEFAULT_MAX_LOSS_RATIO if self.max_loss_ratio is None else self.max_loss_ratio

    @property
    def hold_s(self) -> float:
        """How long a list that takes away more must be the same."""
        return DEFAULT_LOSS_HOLD_S if self.loss_hold is None else self.loss_hold
