"""Rules, dashboards and their documentation speak of what is exported, and of all that there is."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from dev.gen.metrics import PREFIX, exported, operator_families, worker_families
from dev.gen.panels import OPERATOR, STREAMS, Panel
from dev.host import REPOSITORY
from dev.prometheus import RULES

PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
PARTS_OF_HISTOGRAMS = ("", "_bucket", "_count", "_sum")


@pytest.fixture(scope="module")
def known() -> set[str]:
    families = [*worker_families(), *operator_families()]
    return PROCESS | {
        exported(one) + part
        for one in families
        for part in (PARTS_OF_HISTOGRAMS if one.type == "histogram" else ("",))
    }


def _rules() -> list[dict[str, Any]]:
    files = [yaml.safe_load(path.read_text()) for path in sorted(RULES.glob("*.yaml"))]
    return [rule for file in files for group in file["groups"] for rule in group["rules"]]


def _named(expression: str) -> Iterator[str]:
    """The metrics that an expression names."""
    yield from re.findall(rf"\b(?:{PREFIX}|process_)[a-z_]+(?![a-z_:])", expression)


def test_rules_ask_for_what_is_exported_or_recorded(known: set[str]) -> None:
    recorded = {rule["record"] for rule in _rules() if "record" in rule}
    for rule in _rules():
        asked = set(_named(rule["expr"]))
        own = set(re.findall(r"streammonitor:[a-z0-9_:]+", rule["expr"]))
        assert asked | own, rule
        assert asked <= known, rule
        assert own <= recorded, rule


@pytest.mark.parametrize("panel", [*STREAMS, *OPERATOR], ids=lambda panel: str(panel.title))
def test_panels_ask_for_what_is_exported(panel: Panel, known: set[str]) -> None:
    for expression in panel.queries.values():
        assert set(_named(expression)) <= known
        assert set(_named(expression))


def test_every_alert_says_what_to_do_and_is_tested() -> None:
    page = (REPOSITORY / "docs/operations.md").read_text()
    tests = (REPOSITORY / "tests/integration/rules/streammonitor.yaml").read_text()
    alerts = [rule for rule in _rules() if "alert" in rule]
    assert len({rule["alert"] for rule in alerts}) == len(alerts)
    for rule in alerts:
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"].endswith(
            f"/docs/operations.md#{rule['alert'].lower()}"
        )
        assert f"\n### {rule['alert']}\n" in page
        assert rule["alert"] in tests


def test_names_follow_prometheus_conventions() -> None:
    for family in [*worker_families(), *operator_families()]:
        name = exported(family)
        assert name.startswith(PREFIX)
        assert name.endswith("_total") == (family.type == "counter")
        assert not re.search(r"_(ms|milliseconds|minutes|kb|mb)(_|$)", name)
        assert family.documentation.endswith(".")


def test_no_label_is_a_url_an_id_or_a_time() -> None:
    page = (REPOSITORY / "docs/metrics.md").read_text()
    labels = set(
        re.findall(r"`([a-z_]+)`", " ".join(re.findall(r"^\| `.*?\|.*?\|(.*?)\|", page, re.M)))
    )
    assert labels == {
        "stream", "defect", "severity", "state", "sink", "mute", "version", "namespace", "monitor",
        "type", "method", "resource", "code", "result", "reason", "source", "phase", "cause",
        "route",
    }  # fmt: skip
