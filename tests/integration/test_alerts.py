"""Alerts that reach real peers, through crashes of the worker and absences of the sink."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.alerting import Receiver, alertmanager, fetch, receiver
from dev.media.servers import free_port, http_server
from streammonitor_api.alerts import Alerts
from streammonitor_api.incident import EndReason, Severity
from streammonitor_worker.alerts import AlertDesk
from streammonitor_worker.alerts.events import now
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.ingest import Access
from tests.integration.rig import WorkerRig, eventually
from tests.integration.told import STREAMS, incident
from tests.unit.worker.alerts.incidents import ended, over, started, updated, worse
from tests.unit.worker.alerts.incidents import incident as lasting

INCIDENTS = 1000


def _tell(folder: Path, url: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.integration.told", str(folder), url]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _told_until_killed(folder: Path, url: str, first: int, last: int) -> int:
    """Tell of incidents and kill the process amid them; returns the first that it has not saved."""
    with _tell(folder, url) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        # More than is waited for, so that it dies at work.
        process.stdin.write("".join(f"{number}\n" for number in range(first, last + 50)))
        process.stdin.flush()
        for line in process.stdout:
            if int(line) == last - 1:
                break
        process.kill()
        rest = process.stdout.read().split()
    return int(rest[-1]) + 1 if rest else last


@pytest.mark.timeout(300)
def test_1000_incidents_while_the_sink_is_down_and_the_worker_dies_twice_are_all_delivered(
    tmp_path: Path,
) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    at = _told_until_killed(tmp_path, url, 0, INCIDENTS // 3)
    # What a process had not saved when it died, its successor raises again, with the same id.
    at = _told_until_killed(tmp_path, url, at, 2 * INCIDENTS // 3)
    with receiver(port) as hook, _tell(tmp_path, url) as process:
        process.communicate("".join(f"{number}\n" for number in range(at, INCIDENTS)), timeout=200)
        assert process.returncode == 0
        events = hook.events()

    ids = [str(event.get_id()) for event in events]
    expected = [
        f"{incident(number).id}.{kind}"
        for number in range(INCIDENTS)
        for kind in ("started", "ended")
    ]
    assert set(ids) == set(expected)
    # Duplicates are those of equal ids only; without them every stream is told in order.
    once = list(dict.fromkeys(ids))
    for stream in range(STREAMS):
        own = {f"{incident(n).id}.{k}" for n in range(stream, INCIDENTS, STREAMS)
               for k in ("started", "ended")}  # fmt: skip
        assert [one for one in once if one in own] == [one for one in expected if one in own]


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


@pytest.fixture
def board() -> StatusBoard:
    return StatusBoard("w-1")


@pytest.fixture
def desk(tmp_path: Path, board: StatusBoard) -> Iterator[AlertDesk]:
    access = Access(hosts=("127.0.0.1",), denied=())
    one = AlertDesk(board, tmp_path, worker="w-1", secrets_folder=tmp_path, access=access)
    yield one
    one.close(0.0)


def _firing(url: str) -> list[dict[str, Any]]:
    alerts = fetch(f"{url}/api/v2/alerts?active=true")
    return sorted(alerts, key=lambda one: json.dumps(one["labels"], sort_keys=True))


def _notified(hook: Receiver, status: str) -> list[dict[str, str]]:
    """The labels of what Alertmanager notified as firing or resolved."""
    alerts = [alert for document in hook.documents() for alert in document["alerts"]]
    return [alert["labels"] for alert in alerts if alert["status"] == status]


def test_alertmanager_fires_escalates_and_resolves(desk: AlertDesk, hook: Receiver) -> None:
    with alertmanager(hook.url) as url:
        settings = {"url": url, "labels": {"team": "video", "stream": "not-mine-to-set"}}
        sinks = {"sinks": [{"name": "am", "alertmanager": settings}]}
        desk.configure(Alerts.model_validate(sinks), "video/sports")
        one = lasting("arena-1", "freeze")
        desk.tell(started(one))
        (alert,) = eventually("the alert fires", lambda: _firing(url))
        assert alert["labels"] == {
            "alertname": "StreamIncident",
            "namespace": "video",
            "monitor": "sports",
            "stream": "arena-1",
            "defect": "freeze",
            "severity": "warning",
            "team": "video",
        }
        assert alert["startsAt"].startswith("2026-11-21T12:00:00")
        assert alert["annotations"]["incident"] == one.id
        hook.wait(lambda: _notified(hook, "firing"))

        bad = worse(one)
        desk.tell(updated(bad))
        eventually("it escalates", lambda: _severities(url) == ["critical"])
        desk.tell(over(ended(bad)))
        eventually("it is resolved", lambda: not _firing(url))
        hook.wait(lambda: _resolved(hook) == {"warning", "critical"})


def _resolved(hook: Receiver) -> set[str]:
    return {labels["severity"] for labels in _notified(hook, "resolved")}


def _severities(url: str) -> list[str]:
    return [alert["labels"]["severity"] for alert in _firing(url)]


def test_alertmanager_groups_the_streams_of_a_dead_origin(desk: AlertDesk, hook: Receiver) -> None:
    with alertmanager(hook.url) as url:
        sinks = {"sinks": [{"name": "am", "alertmanager": {"url": url}}]}
        desk.configure(Alerts.model_validate(sinks), "video/sports")
        for number in range(500):
            desk.tell(started(lasting(f"s{number}", "black")))
        eventually("all of them fire", lambda: len(_firing(url)) == 500)
        hook.wait(lambda: len(_notified(hook, "firing")) >= 500)
        (group,) = fetch(f"{url}/api/v2/alerts/groups")
        assert len(group["alerts"]) == 500


def test_a_new_process_goes_on_reminding_and_an_interruption_expires(
    desk: AlertDesk, hook: Receiver
) -> None:
    with alertmanager(hook.url) as url:
        sinks = {"sinks": [{"name": "am", "alertmanager": {"url": url}}]}
        kept, left = lasting("kept", severity=Severity.CRITICAL), lasting("left")
        desk.adopt([kept, left])
        desk.configure(Alerts.model_validate(sinks), "sports")
        eventually("it is reminded at once", lambda: len(_firing(url)) == 2)
        expires = now() + timedelta(minutes=5)
        desk.tell(over(ended(left, end_reason=EndReason.INTERRUPTED, expires_at=expires)))

        def ends() -> set[str]:
            return {one["endsAt"][:19] for one in _firing(url) if one["labels"]["stream"] == "left"}

        eventually("it expires", lambda: ends() == {expires.isoformat()[:19]})
        assert "namespace" not in _firing(url)[0]["labels"]


def test_a_sink_that_is_away_is_named_until_it_is_back(desk: AlertDesk, board: StatusBoard) -> None:
    port = free_port()
    sinks = {"sinks": [{"name": "hook", "webhook": {"url": f"http://127.0.0.1:{port}/"}}]}
    desk.configure(Alerts.model_validate(sinks), "sports")
    desk.tell(started(lasting()))
    (problem,) = eventually("it is named", lambda: board.document().sinks)
    assert (problem.name, problem.reason) == ("hook", "ConnectionRefused")
    with receiver(port) as back:
        back.wait(lambda: back.requests)
        eventually("it is well", lambda: not board.document().sinks)


def test_a_worker_that_is_killed_while_its_sink_is_away_tells_of_the_incident_once(
    rig: WorkerRig, media: Path
) -> None:
    port = free_port()
    sinks = [{"name": "hook", "webhook": {"url": f"http://127.0.0.1:{port}/"}}]
    with http_server(media) as web:
        rig.assign(
            {"a": f"{web}/dark.ts"},
            detectors={"black": {"minDuration": "1s"}},
            alerts={"sinks": sinks},
            monitor="video/sports",
        )
        rig.start()
        one = rig.wait_incident(lambda incident: incident.active)
        eventually("the sink is named", lambda: rig.status().sinks)
        rig.kill()
        with receiver(port) as hook:
            rig.start()
            hook.wait(lambda: hook.requests)
            (event,) = [e for e in hook.events() if e.get_type().endswith("started")]
            assert event.get_id() == f"{one.id}.started"
            eventually(
                "it is counted", lambda: 'alerts_sent_total{sink="hook"}' in rig.get("/metrics")[1]
            )


def test_a_hand_over_neither_doubles_nor_loses(tmp_path: Path, media: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    black = {"black": {"minDuration": "1s"}}
    with (
        http_server(media) as web,
        receiver() as hook,
        WorkerRig(tmp_path / "old") as old,
        WorkerRig(tmp_path / "new") as new,
    ):
        streams: dict[str, str | dict[str, Any]] = {"a": f"{web}/dark.ts"}
        alerts = {"sinks": [{"name": "hook", "webhook": {"url": hook.url}}]}
        old.assign(streams, detectors=black, alerts=alerts)
        old.start()
        new.assign(streams, detectors=black, alerts=alerts, warming=["a"])
        new.start()
        raised = old.wait_incident(lambda one: one.active)
        hook.wait(lambda: _kinds(hook))
        old.wait_epoch(old.assign({}, detectors=black, alerts=alerts))
        carried = [raised.to_json_object()]
        new.assign(streams, detectors=black, alerts=alerts, openIncidents=carried)
        new.wait_incident(lambda one: one.id == raised.id and one.active)
        released = [{"stream": "a", "reason": "removed"}]
        new.assign({}, detectors=black, alerts=alerts, released=released)
        hook.wait(lambda: "ended" in _kinds(hook))
        for rig in (old, new):
            rig.signal(signal.SIGTERM)
            rig.wait()
        kinds = _kinds(hook)
        incidents = {str(event.get_id()).partition(".")[0] for event in hook.events()}

    assert incidents == {raised.id}
    assert kinds[0] == "started"
    assert kinds[-1] == "ended"
    assert set(kinds[1:-1]) <= {"updated"}


def _kinds(hook: Receiver) -> list[str]:
    return [event.get_type().rpartition(".")[2] for event in hook.events()]
