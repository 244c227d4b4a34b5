"""What reaches the workers of spec.alerts, and what the status says of its sinks."""

from datetime import UTC, datetime, timedelta
from typing import Any

from streammonitor_api.results import Results
from streammonitor_api.spec import StreamMonitorSpec
from streammonitor_api.worker_status import SinkProblem, StoreProblem, WorkerStatus
from streammonitor_operator.drafts import draft_assignment
from streammonitor_operator.fleet import WorkerView
from streammonitor_operator.handover import Share
from streammonitor_operator.settings import SinkRules, WorkerSettings, read_settings
from streammonitor_operator.sinks import sink_troubles
from streammonitor_operator.specs.deployment import build_deployment
from streammonitor_operator.specs.identity import Owner
from streammonitor_operator.specs.recipe import Recipe, all_secret_names
from streammonitor_operator.status import compute_status
from tests.unit.operator.test_status import NOW, facts, said, verdicts, view

OWNER = Owner("video", "sports", "uid")


def spec(**alerts: Any) -> StreamMonitorSpec:
    return StreamMonitorSpec.model_validate(
        {
            "streams": [{"name": "a", "url": "http://h/"}],
            "detectors": {"black": {}},
            "alerts": alerts,
        }
    )


SINKS = [
    {
        "name": "am",
        "alertmanager": {
            "url": "http://am:9093",
            "headersFrom": [{"name": "X-Key", "secretKeyRef": {"name": "am-key", "key": "k"}}],
        },
    },
    {
        "name": "hook",
        "webhook": {
            "urlFrom": {"name": "hooks", "key": "url"},
            "signatureFrom": {"name": "hooks", "key": "hmac"},
        },
    },
    {"name": "slack", "apprise": {"urlFrom": {"name": "slack", "key": "url"}}},
]


def test_the_secrets_of_sinks_are_mounted_into_every_worker() -> None:
    assert all_secret_names(spec(sinks=SINKS)) == ["am-key", "hooks", "slack"]


def test_an_assignment_names_secrets_and_holds_none() -> None:
    asked = spec(sinks=SINKS)
    draft = draft_assignment(OWNER, asked, view(), Share(), {})
    assert draft.alerts == asked.alerts
    sinks = draft.to_json_object()["alerts"]["sinks"]
    assert sinks[2] == {"name": "slack", "apprise": {"urlFrom": {"name": "slack", "key": "url"}}}


def test_workers_are_told_where_alerts_may_go() -> None:
    settings = read_settings(
        {
            "WORKER_IMAGE": "registry.example/worker:1",
            "WORKER_SINK_ALLOWED_HOSTS": "hooks.slack.com,*.example.com",
            "WORKER_SINK_DENIED_NETWORKS": "10.0.0.0/8",
            "WORKER_SINK_ALLOWED_NETWORKS": "10.20.0.0/16",
        }
    ).worker
    assert settings.sinks == SinkRules(
        ("*.example.com", "hooks.slack.com"), ("10.0.0.0/8",), ("10.20.0.0/16",)
    )
    manifest = build_deployment(OWNER, "all", "w", Recipe(None, (), settings))
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    env = {one["name"]: one["value"] for one in container["env"]}
    assert env["STREAMMONITOR_SINK_ALLOWED_HOSTS"] == "*.example.com,hooks.slack.com"
    assert env["STREAMMONITOR_SINK_DENIED_NETWORKS"] == "10.0.0.0/8"
    assert env["STREAMMONITOR_SINK_ALLOWED_NETWORKS"] == "10.20.0.0/16"


def test_who_allows_no_sinks_changes_no_revision() -> None:
    assert "sinks" not in Recipe(None, (), WorkerSettings(image="i")).document["settings"]


def failing(worker: WorkerView, name: str, reason: str, since: datetime) -> WorkerView:
    current = worker.current
    assert current is not None
    status: WorkerStatus | None = current.status
    assert status is not None
    problem = SinkProblem(name=name, reason=reason, message=f"{name} is away", since=since)
    object.__setattr__(status, "sinks", [*status.sinks, problem])
    return worker


def test_a_sink_that_takes_nothing_degrades_and_is_named() -> None:
    worker = failing(view(said("a")), "oncall", "ConnectionRefused", NOW)
    status = compute_status(facts("a", worker=worker))
    assert verdicts(status)["Ready"] == "True"
    degraded = next(one for one in status.conditions if one.type == "Degraded")
    assert (degraded.status, degraded.reason) == ("True", "SinkProblems")
    assert "oncall (ConnectionRefused)" in degraded.message
    assert status.alerts is not None
    assert [(one.name, one.message) for one in status.alerts.problems] == [
        ("oncall", "oncall is away")
    ]


def test_without_problems_nothing_is_said_of_alerts() -> None:
    status = compute_status(facts("a", worker=view(said("a"))))
    assert "alerts" not in status.to_json_object()
    assert verdicts(status)["Degraded"] == "False"


def test_workers_that_say_the_same_are_counted_and_the_first_to_say_it_is_quoted() -> None:
    later = failing(view(said("a")), "oncall", "Timeout", NOW + timedelta(minutes=1))
    first = failing(view(said("b")), "oncall", "Not an identifier!", NOW)
    (trouble,) = sink_troubles([later, first])
    assert (trouble.reason, trouble.since, trouble.workers) == (
        "Notanidentifier", NOW.astimezone(UTC), 2
    )  # fmt: skip


STORE = {
    "url": "s3://quality/streams",
    "objectStore": {"credentialsFrom": {"secretRef": {"name": "bucket"}}},
}


def test_results_reach_every_worker_with_the_secret_that_they_name() -> None:
    asked = spec().model_copy(update={"results": Results.model_validate(STORE)})
    draft = draft_assignment(OWNER, asked, view(), Share(), {})
    assert draft.to_json_object()["results"] == STORE
    assert all_secret_names(asked) == ["bucket"]


def test_a_store_that_takes_no_results_degrades() -> None:
    worker = view(said("a"))
    assert worker.current is not None
    problem = StoreProblem(reason="Forbidden", message="s3://quality refuses access", since=NOW)
    object.__setattr__(worker.current.status, "results", problem)
    status = compute_status(facts("a", worker=worker))
    degraded = next(one for one in status.conditions if one.type == "Degraded")
    assert (degraded.status, degraded.reason) == ("True", "ResultsProblem")
    assert "s3://quality refuses access" in degraded.message
    assert status.results is not None
    assert (status.results.reason, status.results.workers) == ("Forbidden", 1)
