"""CloudEvents 1.0 by HTTP: structured or batched, in JSON, signed as Standard Webhooks are.

CloudEvents 1.0.2, HTTP protocol binding §3.2 and §3.3, JSON event format §3 and §4. Signatures:
Standard Webhooks 1.0.0, symmetric (v1).
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from streammonitor_api import names
from streammonitor_api.alerts import WebhookSink
from streammonitor_worker.alerts.events import AlertEvent, now
from streammonitor_worker.alerts.post import Poster, secret_headers, secret_value
from streammonitor_worker.alerts.sink import Around, NotDelivered, Pace, Sink

TYPE = "io.streammonitor.incident."
"""Prefix of an event's type: started, updated or ended follows."""
STRUCTURED = "application/cloudevents+json; charset=UTF-8"
BATCHED = "application/cloudevents-batch+json; charset=UTF-8"
MOST = 200
"""Events in a batch: about a quarter of a megabyte."""
LANES = 16
"""Requests under way at once, each of another stream: many streams of a dead origin fail together,
and an endpoint that answers in 50 ms would have been told of the 500th after 25 s."""
_PREFIX = "whsec_"


class Webhook(Sink[WebhookSink]):
    """An HTTP endpoint that takes CloudEvents."""

    kind = "webhook"

    def __init__(self, settings: WebhookSink, around: Around) -> None:
        super().__init__(settings, around)
        self._posters: SimpleQueue[Poster] = SimpleQueue()
        self.lanes = LANES if settings.batch is None else 1
        for _ in range(self.lanes):
            self._posters.put(Poster(around))
        if settings.batch is not None:
            self.pace = Pace(wait_s=0.1, window_s=1.0, most=MOST).asked(settings.batch)

    def send(self, events: Sequence[AlertEvent]) -> None:
        """Post the events: one by itself, or several as a batch."""
        documents = [cloud_event(event, self.around.monitor) for event in events]
        batched = self.settings.batch is not None
        content = documents if batched else documents[0]
        body = json.dumps(content, separators=(",", ":"), ensure_ascii=False).encode()
        headers = secret_headers(self.settings.headers_from, self.around)
        headers["Content-Type"] = BATCHED if batched else STRUCTURED
        headers |= self._signature(documents, body)
        poster = self._posters.get()
        try:
            poster.post(self._url(), body, headers)
        finally:
            self._posters.put(poster)

    def close(self) -> None:
        """Give the connections up."""
        for _ in range(self.lanes):
            poster = self._posters.get()
            poster.close()
            self._posters.put(poster)

    def _url(self) -> str:
        if self.settings.url_from is None:
            return self.settings.url or ""
        return secret_value(self.settings.url_from, "URL", self.around)

    def _signature(self, documents: list[dict[str, Any]], body: bytes) -> dict[str, str]:
        if self.settings.signature_from is None:
            return {}
        key = secret_value(self.settings.signature_from, "signature", self.around)
        ids = "\n".join(str(one["id"]) for one in documents)
        message_id = documents[0]["id"] if len(documents) == 1 else f"{uuid5(NAMESPACE_URL, ids)}"
        return sign(key, message_id, int(now().timestamp()), body)


def cloud_event(event: AlertEvent, monitor: str) -> dict[str, Any]:
    """The event in CloudEvents' JSON format.

    Args:
        event: What happened.
        monitor: namespace/name of the StreamMonitor, or a name alone.
    """
    namespace, _, name = monitor.rpartition("/")
    inside = f"/namespaces/{namespace}" if namespace else ""
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/apis/{names.API_VERSION}{inside}/{names.PLURAL}/{name}",
        "type": f"{TYPE}{event.kind}",
        "subject": event.incident.stream,
        "time": event.at.isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        # Whoever spreads events over queues keeps those of a stream in order by this.
        "partitionkey": f"{event.incident.monitor_uid}/{event.incident.stream}",
        "data": event.incident.to_json_object(),
    }


def sign(key: str, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """The headers of Standard Webhooks: the key signs id, time and body.

    Args:
        key: `whsec_` and base64, or the key itself.
        message_id: The same for the same message.
        timestamp: Unix seconds.
        body: The request's body.
    """
    secret = key.encode()
    if key.startswith(_PREFIX):
        try:
            secret = base64.b64decode(key.removeprefix(_PREFIX), validate=True)
        except binascii.Error:
            raise NotDelivered(
                "SecretInvalid", "the key after whsec_ is no base64: correct the Secret"
            ) from None
    signed = f"{message_id}.{timestamp}.".encode() + body
    digest = base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest()).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": f"v1,{digest}",
    }
