"""From the picture to the pager: a real worker, a real Alertmanager, a receiver of CloudEvents."""

from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from dev.alerting import Receiver, alertmanager, receiver
from dev.cluster.addresses import HOST
from dev.kube import eventually
from streammonitor_api.incident import Incident
from tests.e2e.monitor import DETECTORS, Monitor, channel
from tests.terminal import Terminal

DEFECTS = {name: DETECTORS[name] for name in ("black", "freeze")}
PATIENCE_S = 120


def _ended(hook: Receiver) -> dict[str, Incident]:
    """By defect, the last incident that began after its stream was opened, and ended."""
    ended = [
        Incident.model_validate(event.get_data())
        for event in hook.events()
        if event.get_type() == "io.streammonitor.incident.ended"
    ]
    return {one.defect: one for one in ended if one.start_s > 0.5}


def _alerts(notified: Receiver, incident: Incident) -> list[dict[str, Any]]:
    """What Alertmanager told of an incident, in order."""
    return [
        alert
        for document in notified.documents()
        for alert in document["alerts"]
        if alert["annotations"]["incident"] == incident.id
    ]


def _at(stamp: str, moment: datetime | None) -> bool:
    """Whether Alertmanager's stamp is a moment: it keeps milliseconds."""
    assert moment is not None
    said = datetime.fromisoformat(stamp.replace("Z", "+00:00"))
    return abs(said - moment) <= timedelta(milliseconds=1)


def test_a_defect_is_one_alert_that_is_resolved_and_a_muted_stream_is_silent(
    monitor: Monitor, terminal: Terminal
) -> None:
    host = str(HOST)
    with (
        receiver(host=host) as hook,
        receiver() as notified,
        alertmanager(notified.url, host=host) as url,
    ):
        alerts = {
            "sinks": [
                {"name": "alertmanager", "alertmanager": {"url": url}},
                {"name": "hook", "webhook": {"url": hook.url}},
            ],
        }
        asked = {"streams": [channel(0), channel(1)], "detectors": DEFECTS, "alerts": alerts}
        monitor.apply(**asked, suspend=True)
        terminal("mute", monitor.name, "--for", "1h", "--name", "known", "--stream", "channel-1")
        monitor.patch(suspend=False)
        monitor.wait("Receiving")
        hook.wait(lambda: _ended(hook).keys() == DEFECTS.keys(), PATIENCE_S)
        told = _ended(hook)
        for one in told.values():
            notified.wait(partial(_is_resolved, notified, one), 30)
        eventually("the muted stream had both", lambda: _muted(monitor), timeout_s=PATIENCE_S)
        known = {one.id: one for one in monitor.incidents()}
        pod = monitor.pods()[0]["metadata"]["name"]
        counted = monitor.metrics(pod)["streammonitor_alerts_muted_total", ""]
        problems = monitor.status().get("alerts")
        events = hook.events()
        _tells_the_same(terminal, monitor, known)

    for one in told.values():
        kinds = [str(e.get_type()).rpartition(".")[2] for e in events if _of(e.get_data(), one)]
        assert kinds[0] == "started"
        assert kinds[-1] == "ended"
        assert set(kinds[1:-1]) <= {"updated"}
        alerts_of_it = _alerts(notified, one)
        assert {alert["status"] for alert in alerts_of_it} == {"firing", "resolved"}
        assert {alert["fingerprint"] for alert in alerts_of_it} == {alerts_of_it[0]["fingerprint"]}
        assert all(_at(alert["startsAt"], one.started_at) for alert in alerts_of_it)
        assert _at(alerts_of_it[-1]["endsAt"], one.ended_at)
        assert one.ended_at == known[one.id].ended_at
        assert alerts_of_it[-1]["labels"]["stream"] == "channel-0"
        assert alerts_of_it[-1]["labels"]["monitor"] == monitor.name
    assert {event.get_subject() for event in events} == {"channel-0"}
    assert {a["labels"]["stream"] for d in notified.documents() for a in d["alerts"]} == {
        "channel-0"
    }
    assert counted >= 2
    assert problems is None


def _of(data: Any, incident: Incident) -> bool:
    return bool(data["id"] == incident.id)


def _is_resolved(notified: Receiver, incident: Incident) -> bool:
    return any(alert["status"] == "resolved" for alert in _alerts(notified, incident))


def _muted(monitor: Monitor) -> bool:
    """Whether the muted stream had every defect, all of it seen by its worker."""
    ended = [one.defect for one in monitor.incidents("channel-1") if not one.active]
    return set(ended) >= DEFECTS.keys()


def _tells_the_same(terminal: Terminal, monitor: Monitor, known: dict[str, Incident]) -> None:
    """The plugin, of what the worker says."""
    about = terminal.json("status", monitor.name)
    assert (about["streams"], about["ready"]) == (2, "True")
    assert [one["name"] for one in about["mutes"]] == ["known"]
    streams = terminal.json("streams", monitor.name)
    assert {one["stream"]: one["state"] for one in streams} == {
        "channel-0": "receiving", "channel-1": "receiving",
    }  # fmt: skip
    listed = terminal.json("incidents", monitor.name, "--stream", "channel-0")
    assert known.keys() <= {one["id"] for one in listed}
    terminal("report", monitor.name, "channel-0")
    assert "<b>freeze</b>" in Path("channel-0.html").read_text()
    terminal("unmute", monitor.name, "known")
    assert "mutes" not in monitor.get()["spec"]["alerts"]
