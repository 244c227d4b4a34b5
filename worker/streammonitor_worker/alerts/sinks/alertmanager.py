"""Prometheus Alertmanager, API v2: POST /api/v2/alerts.

An alert is known by its labels alone, so they carry nothing that is measured: what is new about an
incident changes annotations. A severity that changed is another alert, and the one before ends.
"""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from streammonitor_api.alerts import AlertmanagerSink
from streammonitor_api.incident import Incident, Severity
from streammonitor_worker.alerts.events import AlertEvent, now
from streammonitor_worker.alerts.post import Poster, secret_headers
from streammonitor_worker.alerts.sink import Around, Pace, Sink
from streammonitor_worker.incidents import EventKind

ALERT_NAME = "StreamIncident"
MOST = 200
"""Alerts in a request."""
PATIENCE = 4
"""After so many intervals without a word an alert ends; as Prometheus does it."""

Alert = dict[str, Any]


class Alertmanager(Sink[AlertmanagerSink]):
    """An Alertmanager: it groups, silences and routes; here it is told what is firing."""

    kind = "alertmanager"
    pace = Pace(most=MOST)

    def __init__(self, settings: AlertmanagerSink, around: Around) -> None:
        super().__init__(settings, around)
        self._poster = Poster(around)
        self.remind_s = settings.resend_s

    def tells(self, event: AlertEvent) -> bool:
        """Without new measurements alone: reminders bring them."""
        return not event.expendable

    def send(self, events: Sequence[AlertEvent]) -> None:
        """Post what is firing and what ended; of one alert the last state."""
        alerts: list[Alert] = []
        for event in events:
            incident, before = event.incident, event.before
            if before is not None and before is not incident.severity:
                alerts.append(self._alert(incident, before, ends_at=event.at))
            alerts.append(self._alert(incident, incident.severity, self._ends_at(event)))
        self._post(alerts)

    def remind(self, lasting: Sequence[Incident]) -> None:
        """Post what lasts, before Alertmanager takes it as ended."""
        ends_at = self._deadline(now())
        alerts = [self._alert(one, one.severity, ends_at) for one in lasting]
        for first in range(0, len(alerts), MOST):
            self._post(alerts[first : first + MOST])

    def close(self) -> None:
        """Give the connection up."""
        self._poster.close()

    def _post(self, alerts: Iterable[Alert]) -> None:
        newest = {json.dumps(one["labels"], sort_keys=True): one for one in alerts}
        headers = secret_headers(self.settings.headers_from, self.around)
        headers["Content-Type"] = "application/json"
        body = json.dumps(list(newest.values()), separators=(",", ":")).encode()
        self._poster.post(f"{self.settings.url.rstrip('/')}/api/v2/alerts", body, headers)

    def _alert(self, incident: Incident, severity: Severity, ends_at: datetime) -> Alert:
        namespace, _, name = self.around.monitor.rpartition("/")
        labels = {
            **(self.settings.labels or {}),
            "alertname": ALERT_NAME,
            "monitor": name,
            "stream": incident.stream,
            "defect": incident.defect,
            "severity": severity.value,
        }
        if namespace:
            labels["namespace"] = namespace
        return {
            "labels": labels,
            "annotations": _annotations(incident),
            "startsAt": incident.started_at.isoformat(),
            "endsAt": max(ends_at, incident.started_at).isoformat(),
        }

    def _ends_at(self, event: AlertEvent) -> datetime:
        incident = event.incident
        if event.kind is EventKind.ENDED and incident.ended_at is not None:
            return incident.ended_at
        # An interruption says itself until when another worker may go on with it.
        # What comes late has lapsed, and what lasts all the same its holder is reminding of.
        return incident.expires_at or self._deadline(event.at)

    def _deadline(self, at: datetime) -> datetime:
        return at + timedelta(seconds=PATIENCE * self.settings.resend_s)


def _annotations(incident: Incident) -> dict[str, str]:
    since = incident.started_at.strftime("%H:%M:%S UTC")
    measured = ", ".join(f"{name} {value:g}" for name, value in incident.measurements.items())
    return {
        "summary": f"{incident.stream}: {incident.defect} since {since} ({incident.severity})",
        "description": f"At its worst: {measured or 'nothing was measured'}.",
        "incident": incident.id,
        "worker": incident.worker,
    }
