"""Services that Apprise knows: messages for people.

Apprise is imported when it is needed: it brings dozens of services along.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from streammonitor_api.alerts import AppriseSink
from streammonitor_api.incident import Incident, Severity
from streammonitor_worker.alerts.events import AlertEvent
from streammonitor_worker.alerts.guard import guarded
from streammonitor_worker.alerts.post import secret_value
from streammonitor_worker.alerts.sink import Around, NotDelivered, Pace, Sink
from streammonitor_worker.incidents import EventKind

if TYPE_CHECKING:
    from apprise import NotifyBase

MOST = 2000
"""Events in a message; it names a few of them and counts the rest."""
NAMED = 5
"""Streams of a kind that a message names."""
_WORDS = {EventKind.STARTED: "began", EventKind.UPDATED: "got worse", EventKind.ENDED: "ended"}


class Apprise(Sink[AppriseSink]):
    """Slack, Teams, PagerDuty, e-mail and many others."""

    kind = "apprise"

    def __init__(self, settings: AppriseSink, around: Around) -> None:
        super().__init__(settings, around)
        self.pace = Pace(wait_s=0.5, window_s=30.0, most=MOST).asked(settings.group)
        # What they log may name what the URL names.
        for name in ("apprise", "urllib3", "requests"):
            logging.getLogger(name).setLevel(logging.CRITICAL)

    def tells(self, event: AlertEvent) -> bool:
        """What is news for a person."""
        return not event.expendable and not event.interrupted

    def send(self, events: Sequence[AlertEvent]) -> None:
        """Send one message of everything."""
        from apprise import NotifyType  # noqa: PLC0415 - see the module

        url = secret_value(self.settings.url_from, "Apprise URL", self.around)
        title, body = message(events, self.around.monitor)
        kinds = {event.kind for event in events}
        critical = any(event.incident.severity is Severity.CRITICAL for event in events)
        lasting = NotifyType.FAILURE if critical else NotifyType.WARNING
        notify_type = NotifyType.SUCCESS if kinds == {EventKind.ENDED} else lasting
        with guarded(self.around.access) as guard:
            taken = _service(url).notify(body=body, title=title, notify_type=notify_type)
        if guard.refused is not None:
            raise NotDelivered(guard.refused.reason, guard.refused.message)
        if not taken:
            raise NotDelivered(
                "NotAccepted",
                f"{_scheme(url)} does not take the message: check the Apprise URL in the Secret, "
                f"and that the service can be reached",
            )


def _service(url: str) -> "NotifyBase":
    from apprise import Apprise as Services  # noqa: PLC0415
    from apprise import AppriseAsset  # noqa: PLC0415

    asset = AppriseAsset(app_id="StreamMonitor", app_desc="StreamMonitor", async_mode=False)
    service = Services.instantiate(url, asset=asset, suppress_exceptions=True)
    if service is None:
        raise NotDelivered(
            "BadUrl", f"{_scheme(url)} is no URL that Apprise knows: correct the Secret"
        )
    return service


def _scheme(url: str) -> str:
    return f"{urlsplit(url).scheme or 'the value'}://" if "://" in url else "the value"


def message(events: Sequence[AlertEvent], monitor: str) -> tuple[str, str]:
    """Title and text of a message about some events, each of which is news."""
    newest = {event.incident.id: event for event in events}
    if len(newest) == 1:
        (event,) = newest.values()
        return _one(event, monitor)
    streams = {event.incident.stream for event in newest.values()}
    title = f"{monitor}: {len(newest)} incidents on {_count(len(streams), 'stream')}"
    groups: dict[tuple[str, EventKind], list[Incident]] = {}
    for event in newest.values():
        groups.setdefault((event.incident.defect, event.kind), []).append(event.incident)
    lines = [_line(defect, kind, some) for (defect, kind), some in groups.items()]
    return title, "\n".join(lines)


def _one(event: AlertEvent, monitor: str) -> tuple[str, str]:
    incident = event.incident
    title = f"{incident.stream}: {incident.defect} {_WORDS[event.kind]} ({incident.severity})"
    since = incident.started_at.strftime("%Y-%m-%d %H:%M:%S UTC")
    lines = [f"{incident.defect} on {incident.stream} of {monitor} since {since}"]
    if incident.ended_at is not None:
        lasted_s = (incident.ended_at - incident.started_at).total_seconds()
        lines.append(f"ended after {lasted_s:.1f} s ({incident.end_reason})")
    lines += [f"{name}: {value:g}" for name, value in incident.measurements.items()]
    return title, "\n".join(lines)


def _line(defect: str, kind: EventKind, incidents: Sequence[Incident]) -> str:
    streams = sorted({incident.stream for incident in incidents})
    more = len(streams) - NAMED
    named = ", ".join(streams[:NAMED]) + (f" and {more} more" if more > 0 else "")
    severities = Counter(incident.severity.value for incident in incidents)
    how = ", ".join(f"{number} {name}" for name, number in sorted(severities.items()))
    return f"{defect} {_WORDS[kind]} on {_count(len(streams), 'stream')} ({how}): {named}"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"
