"""What Alertmanager is posted; what it makes of that, the integration tests ask a real one."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.alerting import Receiver
from streammonitor_api.alerts import AlertmanagerSink
from streammonitor_api.incident import Severity
from streammonitor_worker.alerts.events import now
from streammonitor_worker.alerts.sink import Around
from streammonitor_worker.alerts.sinks.alertmanager import Alertmanager
from streammonitor_worker.incidents import EventKind
from tests.unit.worker.alerts.conftest import LOOPBACK, MONITOR
from tests.unit.worker.alerts.incidents import alert, ended, incident, worse


@pytest.fixture
def sink(hook: Receiver, tmp_path: Path) -> Iterator[Alertmanager]:
    settings = AlertmanagerSink.model_validate({"url": f"{hook.url}/prefix/"})
    one = Alertmanager(settings, Around(MONITOR, "w-1", tmp_path, LOOPBACK))
    yield one
    one.close()


def posted(hook: Receiver) -> list[dict[str, Any]]:
    """The alerts of the last request."""
    alerts: list[dict[str, Any]] = hook.documents()[-1]
    return alerts


def ends(one: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(one["endsAt"])


def test_labels_say_nothing_that_is_measured(sink: Alertmanager, hook: Receiver) -> None:
    one = incident("a")
    sink.send([alert(EventKind.STARTED, one, at=now())])
    (first,) = posted(hook)
    other = one.model_copy(update={"measurements": {"darkRatio": 1.0}, "worker": "w-2"})
    sink.remind([other])
    (later,) = posted(hook)
    assert hook.requests[0].path == "/prefix/api/v2/alerts"
    assert first["labels"] == later["labels"]
    assert first["startsAt"] == later["startsAt"]
    assert first["annotations"] != later["annotations"]
    assert ends(later) - now() > timedelta(minutes=3)


def test_of_one_alert_the_last_state_is_posted(sink: Alertmanager, hook: Receiver) -> None:
    one = incident("a")
    sink.send([alert(EventKind.STARTED, one), alert(EventKind.ENDED, ended(one), Severity.WARNING)])
    (only,) = posted(hook)
    assert ends(only) == ended(one).ended_at


def test_a_severity_that_rises_ends_one_alert_and_begins_another(
    sink: Alertmanager, hook: Receiver
) -> None:
    at = now()
    sink.send([alert(EventKind.UPDATED, worse(incident("a")), Severity.WARNING, at)])
    alerts = {one["labels"]["severity"]: one for one in posted(hook)}
    assert ends(alerts["warning"]) == at
    assert ends(alerts["critical"]) > at + timedelta(minutes=3)


def test_what_comes_an_hour_late_does_not_fire(sink: Alertmanager, hook: Receiver) -> None:
    then = now() - timedelta(hours=1)
    one = incident("a", started_at=then, detected_at=then)
    sink.send([alert(EventKind.STARTED, one, at=then)])
    (late,) = posted(hook)
    assert ends(late) < now()
    assert ends(late) >= one.started_at
