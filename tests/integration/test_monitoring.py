"""Rules and dashboards, by real Prometheus tools, over a real worker and a real operator."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from bench.scale.monitors import NAMESPACE, monitor
from bench.scale.product import Operator, start_operator
from dev.alerting import Receiver, fetch, receiver
from dev.charts import monitored
from dev.cluster.loopback import Loopback, free_port
from dev.gen.metrics import PREFIX, exported, operator_families, worker_families
from dev.gen.panels import OPERATOR, STREAMS
from dev.media.servers import http_server, require
from dev.prometheus import DEBIAN_PACKAGES, RULES, prometheus, query
from tests.integration.rig import WorkerRig, eventually

pytestmark = pytest.mark.timeout(600)

VARIABLES = {
    "$namespace": ".*", "$monitor": ".*", "$stream": ".*", "$__rate_interval": "10m",
    "$__range": "10m",
}  # fmt: skip
NOTHING_TO_SHOW = {
    # What this set-up does not have: lists of streams, incidents that an operator hears of.
    "Lists of streams that were read", "Events about incidents", "Watches that began again",
    # A worker that nobody made, so none that could be asked.
    "Answers of workers",
}  # fmt: skip
PATIENCE_S = 180


def test_the_rules_fire_when_they_should(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    require(promtool is not None, "promtool", DEBIAN_PACKAGES)
    tests = Path(__file__).parent / "rules/streammonitor.yaml"
    shutil.copytree(RULES, tmp_path, dirs_exist_ok=True)
    shutil.copy(tests, tmp_path / "tests.yaml")
    done = subprocess.run(
        [str(promtool), "test", "rules", "tests.yaml"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_chart_brings_the_rules_and_the_dashboards_as_they_are() -> None:
    rendered = [one for one in yaml.safe_load_all(monitored()) if one]
    (rule,) = [one for one in rendered if one["kind"] == "PrometheusRule"]
    files = [yaml.safe_load(path.read_text())["groups"] for path in sorted(RULES.glob("*.yaml"))]
    assert rule["spec"]["groups"] == [group for groups in files for group in groups]
    shown = [
        json.loads(text)
        for one in rendered
        if one["kind"] == "ConfigMap"
        for text in one["data"].values()
    ]
    assert [len(one["panels"]) for one in shown] == [len(OPERATOR), len(STREAMS)]


@pytest.fixture
def operator(plane: Loopback) -> Iterator[Operator]:
    """One that has reconciled a StreamMonitor."""
    operator = start_operator(plane, free_port(), name="operator-monitoring")
    plane.kubectl("apply", "-f", "-", stdin=json.dumps(monitor("sports")))
    place = ["-n", NAMESPACE, "get", "smon", "sports", "-o", "jsonpath={.status.workers.desired}"]
    eventually("the status is written", lambda: plane.kubectl(*place) == "1", PATIENCE_S)
    yield operator
    plane.end(operator.name)
    for kind in ("streammonitors", "deployments", "configmaps"):
        plane.kubectl("-n", NAMESPACE, "delete", kind, "--all", "--wait=false")


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


@pytest.fixture
def worker(rig: WorkerRig, media: Path, hook: Receiver) -> Iterator[WorkerRig]:
    """One that has told a sink of an incident, muted another, and lacks a stream."""
    always = {"start": "2020-01-01T00:00:00Z", "end": "2090-01-01T00:00:00Z"}
    alerts = {
        "sinks": [{"name": "hook", "minSeverity": "warning", "webhook": {"url": hook.url}}],
        "mutes": [{"name": "known", "streams": ["muted"], "once": always}],
    }
    with http_server(media) as web:
        dark, gone = f"{web}/dark.ts", f"{web}/none.ts"
        rig.assign(
            {"a": dark, "muted": dark, "gone": gone},
            detectors={"black": {"minDuration": "1s"}}, alerts=alerts, monitor="video/sports",
            results={"url": "s3://results", "objectStore": {"endpoint": "http://127.0.0.1:9"}},
        )  # fmt: skip
        rig.start()
        hook.wait(lambda: hook.requests, PATIENCE_S)
        rig.wait_incident(lambda one: one.stream == "muted")
        rig.wait_state("gone", "retrying", "NotFound")
        yield rig


def test_every_panel_shows_something_of_a_worker_and_an_operator(
    worker: WorkerRig, operator: Operator
) -> None:
    whose = {"namespace": "video", "monitor": "sports", "group": "default", "worker": "w-1"}
    targets = {f"127.0.0.1:{worker.port}": whose, f"127.0.0.1:{operator.port}": {}}
    with prometheus(targets) as url:
        families = {exported(one) for one in (*worker_families(), *operator_families())}
        counted = "count_over_time(streammonitor_cpu_seconds_total[10m]) > 2"
        eventually("the worker is scraped", lambda: query(url, counted), PATIENCE_S)
        leads = f"count_over_time({PREFIX}operator_leader[10m]) > 2"
        eventually("the operator is scraped", lambda: query(url, leads), PATIENCE_S)

        empty = []
        for panel in (*STREAMS, *OPERATOR):
            for expression in map(_with_values, panel.queries.values()):
                if not query(url, expression) and panel.title not in NOTHING_TO_SHOW:
                    empty.append(f"{panel.title}: {expression}")
        assert empty == []

        rules = [
            rule
            for group in fetch(f"{url}/api/v1/rules")["data"]["groups"]
            for rule in group["rules"]
        ]
        assert {rule["health"] for rule in rules} == {"ok"}
        named = {one for one in fetch(f"{url}/api/v1/label/__name__/values")["data"]}
    own = {one for one in named if one.startswith(PREFIX)}
    ends = ("", "_bucket", "_count", "_sum")
    assert own <= {family + end for family in families for end in ends}


def _with_values(expression: str) -> str:
    """An expression as Grafana asks it."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression
