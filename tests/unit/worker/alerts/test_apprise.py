"""Messages for people, through Apprise's own services."""

import logging
import socket
import subprocess
import threading
from ipaddress import ip_network

import pytest

from dev.alerting import Receiver
from streammonitor_api.incident import Severity
from streammonitor_worker.alerts.guard import guarded
from streammonitor_worker.alerts.sinks.apprise import message
from streammonitor_worker.incidents import EventKind
from streammonitor_worker.ingest import Access
from tests.unit.worker.alerts.conftest import MONITOR, Rig
from tests.unit.worker.alerts.incidents import alert, ended, incident, over, started, updated


def service(rig: Rig, url: str, **group: str) -> dict[str, object]:
    reference = rig.secret("people", "url", url)
    group = {"wait": "0s", "window": "0s"} | group
    return {"name": "people", "apprise": {"urlFrom": reference, "group": group}}


def test_a_person_is_told_of_start_and_end_and_of_no_measurements(rig: Rig, hook: Receiver) -> None:
    rig.configure(service(rig, hook.url.replace("http", "json") + "/person"))
    one = incident("arena-1", severity=Severity.CRITICAL)
    for event in (started(one), updated(one), over(one)):
        rig.desk.tell(event)
        if event.kind is EventKind.STARTED:
            hook.wait(lambda: hook.requests)
    hook.wait(lambda: len(hook.requests) == 2)
    begin, end = hook.documents()
    assert begin["title"] == "arena-1: black began (critical)"
    assert f"black on arena-1 of {MONITOR} since 2026-11-21 12:00:00 UTC" in begin["message"]
    assert begin["type"] == "failure"
    assert end["title"] == "arena-1: black ended (critical)"
    assert "ended after 12.0 s (cleared)" in end["message"]
    assert end["type"] == "success"


def test_the_dead_origin_of_500_streams_is_one_message(rig: Rig, hook: Receiver) -> None:
    url = hook.url.replace("http", "json")
    # Until all have happened nothing is taken.
    hook.answer = lambda request: 204 if b"120 incidents" in request.body else 503
    rig.configure(service(rig, url, window="10s"))
    for number in range(120):
        rig.desk.tell(started(incident(f"s{number:03}")))
    hook.wait(lambda: hook.requests)
    (only,) = hook.documents()
    assert only["title"] == f"{MONITOR}: 120 incidents on 120 streams"
    assert only["message"] == (
        "black began on 120 streams (120 warning): s000, s001, s002, s003, s004 and 115 more"
    )


def test_a_digest_says_of_each_incident_how_it_is_now() -> None:
    gone, lasts = incident("a"), incident("b")
    title, text = message(
        [
            alert(EventKind.STARTED, gone),
            alert(EventKind.STARTED, lasts),
            alert(EventKind.ENDED, ended(gone), Severity.WARNING),
        ],
        MONITOR,
    )
    assert title == f"{MONITOR}: 2 incidents on 2 streams"
    assert text.splitlines() == [
        "black ended on 1 stream (1 warning): a",
        "black began on 1 stream (1 warning): b",
    ]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("json://localhost:{port}/secret-path", "HostNotAllowed"),
        ("nonsense://secret-path", "BadUrl"),
    ],
)
def test_what_is_wrong_is_said_without_the_url(
    rig: Rig, hook: Receiver, url: str, reason: str
) -> None:
    rig.configure(service(rig, url.format(port=hook.url.rpartition(":")[2])))
    rig.desk.tell(started(incident()))
    hook.wait(lambda: rig.board.document().sinks)
    (problem,) = rig.board.document().sinks
    assert problem.reason == reason
    assert "secret-path" not in problem.message
    assert hook.requests == []


def test_a_service_that_refuses_is_tried_again_and_no_log_names_its_url(
    rig: Rig, hook: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hook.answer = lambda request: 500
    rig.configure(service(rig, hook.url.replace("http", "json") + "/secret-path"))
    rig.desk.tell(started(incident()))
    hook.wait(lambda: rig.board.document().sinks)
    assert rig.board.document().sinks[0].reason == "NotAccepted"
    hook.answer = lambda request: 204
    hook.wait(lambda: hook.requests)
    assert "sink changed" in caplog.text
    assert "secret-path" not in caplog.text


def test_a_guarded_thread_reaches_only_what_is_allowed() -> None:
    rules = Access(hosts=("allowed.invalid",), denied=(ip_network("127.0.0.0/8"),))
    with guarded(rules) as guard:
        with pytest.raises(PermissionError):
            socket.getaddrinfo("other.invalid", 80)
        assert guard.refused is not None
        assert guard.refused.reason == "HostNotAllowed"
        with socket.socket() as link, pytest.raises(PermissionError):
            link.connect(("127.0.0.1", 80))
        with socket.socket(socket.AF_UNIX) as local, pytest.raises(PermissionError):
            local.connect("/run/dbus/socket")
        with pytest.raises(PermissionError):
            subprocess.run(["true"], check=True)


def test_other_threads_are_not_guarded() -> None:
    found: list[object] = []
    with guarded(Access(hosts=())):
        other = threading.Thread(target=lambda: found.extend(socket.getaddrinfo("127.0.0.1", 80)))
        other.start()
        other.join()
    assert found
    assert socket.getaddrinfo("127.0.0.1", 80)
