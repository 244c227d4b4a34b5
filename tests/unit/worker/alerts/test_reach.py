"""Where alerts may go, and what metrics say of them."""

from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dev.alerting import Receiver
from streammonitor_worker.alerts.mutes import mute_faults
from streammonitor_worker.fleet import Fleet
from streammonitor_worker.metrics import build_registry, render
from streammonitor_worker.monitor_file import MonitorFileError, load_monitor
from streammonitor_worker.settings import read_settings
from tests.unit.worker.alerts.conftest import Rig
from tests.unit.worker.alerts.incidents import incident, started


def test_without_a_word_of_the_platform_team_alerts_go_nowhere() -> None:
    settings = read_settings({"STREAMMONITOR_WORKER": "w"})
    assert settings.sinks.hosts == ()
    assert settings.access.hosts is None


def test_sinks_have_rules_of_their_own() -> None:
    settings = read_settings(
        {
            "STREAMMONITOR_ALLOWED_HOSTS": "origin.example",
            "STREAMMONITOR_SINK_ALLOWED_HOSTS": "hooks.slack.com",
            "STREAMMONITOR_SINK_ALLOWED_NETWORKS": "10.20.0.0/16",
            "STREAMMONITOR_SINK_DENIED_NETWORKS": "10.0.0.0/8",
        }
    )
    assert settings.access.hosts == ("origin.example",)
    assert settings.sinks.hosts == ("hooks.slack.com",)
    assert settings.sinks.permits("10.20.1.1")
    assert not settings.sinks.permits("10.21.1.1")
    assert not settings.sinks.permits("169.254.169.254")
    assert settings.access.permits("10.21.1.1")


def test_the_sample_of_the_documentation_is_valid() -> None:
    alerts = load_monitor(Path("docs/samples/alerts.yaml")).spec.alerts
    assert alerts is not None
    assert [sink.name for sink in alerts.sinks] == ["alertmanager", "archive", "oncall"]
    assert mute_faults(alerts.mutes) == []


def test_a_filter_that_names_no_detector_is_refused_where_there_is_no_cluster(
    tmp_path: Path,
) -> None:
    file = tmp_path / "monitor.yaml"
    text = Path("docs/samples/alerts.yaml").read_text()
    file.write_text(text.replace("minSeverity: critical", "defects: [blak]"))
    with pytest.raises(
        MonitorFileError, match=r"sinks\[oncall\].defects names 'blak': use some of"
    ):
        load_monitor(file)


def test_delivery_is_counted_by_sink(rig: Rig, hook: Receiver) -> None:
    rig.configure({"name": "hook", "webhook": {"url": hook.url}})
    rig.desk.tell(started(incident()))
    hook.wait(lambda: rig.desk.figures()["hook"].sent == 1)
    fleet = Fleet(rig.board, journal=None, worker="w-1", secrets_folder=rig.folder)
    text = render(build_registry(fleet, rig.board, rig.desk)).decode()
    samples = {
        (sample.name, sample.labels.get("le")): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("sink") == "hook"
    }
    assert samples["streammonitor_alerts_sent_total", None] == 1
    assert samples["streammonitor_alerts_failures_total", None] == 0
    assert samples["streammonitor_alerts_behind", None] == 0
    assert samples["streammonitor_alerts_oldest_seconds", None] == 0
    assert samples["streammonitor_alerts_delay_seconds_bucket", "+Inf"] == 1
    assert samples["streammonitor_alerts_delay_seconds_count", None] == 1
