"""What a monitor costs: bills whose sums can be done by hand."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner, Result

from streammonitor_operator.cost import (
    Design,
    Prices,
    Tariff,
    fleet_bill,
    functions_bill,
    sensitivity,
    total,
    workers_of,
)
from streammonitor_operator.cost_command import cost_command

ROUND = Prices(
    vcpu_hour=0.1,
    gib_hour=0.01,
    transitions_per_1000=1.0,
    puts_per_1000=0.1,
    gets_per_1000=0.01,
    function_gib_second=0.001,
    calls_per_million=2.0,
    function_gib_per_vcpu=2.0,
)
MONITOR = """\
apiVersion: streammonitor.io/v1alpha1
kind: StreamMonitor
metadata: {name: sports}
spec:
  streams: [{name: a, url: "https://o/a"}, {name: b, url: "https://o/b"}]
  detectors: {black: {}, silence: {}}
  workers:
  - {name: picture, detectors: [black], template: {resources: {requests: {cpu: "1", memory: 2Gi}}}}
  - {name: sound, detectors: [silence], scaling: {min: 2}}
"""


def priced(file: Path, *arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(cost_command)
    return CliRunner().invoke(app, ["-f", str(file), *[str(one) for one in arguments]])


def document(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.stderr
    loaded: dict[str, Any] = json.loads(result.stdout)
    return loaded


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "monitor.yaml"
    path.write_text(MONITOR)
    return path


def test_workers_cost_what_they_reserve() -> None:
    bill = fleet_bill([workers_of("all", 3, {"cpu": "500m", "memory": "2Gi"})], ROUND)

    assert [item.unit for item in bill] == ["core hours", "GiB hours"]
    assert [item.amount for item in bill] == pytest.approx([1095.0, 4380.0])
    assert [item.price for item in bill] == pytest.approx([109.5, 43.8])


def test_functions_cost_transitions_objects_calls_and_time() -> None:
    design = Design(
        frames_per_second=1.0,
        buffers_per_second=1.0,
        passes_per_object=3.0,
        transitions_per_second=2.0,
    )
    bill = functions_bill(1, 0.5, design, ROUND)

    month_s = 730 * 3600
    assert [(item.what, item.amount) for item in bill] == [
        ("state transitions", 2 * month_s),
        ("objects written", 2 * month_s),
        ("objects read", 4 * month_s),
        ("function calls", 4 * month_s),
        ("function time", month_s),
    ]
    assert [item.price / month_s for item in bill] == pytest.approx(
        [0.002, 0.0002, 0.00004, 0.000008, 0.001]
    )


def test_what_is_assumed_is_varied_one_by_one() -> None:
    prices = Tariff().prices
    dear = [total(functions_bill(10, 2.0, one, prices)) for one in sensitivity(Design())]
    built_in = total(functions_bill(10, 2.0, Design(), prices))

    assert [one > built_in for one in dear] == [False, True, False, True, False, True]


def test_a_monitor_is_priced_as_it_would_be_planned(file: Path) -> None:
    found = document(priced(file, "-o", "json"))

    assert found["streams"] == 2
    picture, sound = found["workers"]["items"][0], found["workers"]["items"][2]
    assert (picture["what"], picture["amount"]) == ("group picture: 1 x 1 core", 730)
    assert sound["what"] == "group sound: 2 x 0.2 core"
    assert found["workers"]["total"] == pytest.approx(
        730 * (1.4 * 0.04048 + 2.5 * 0.004445), abs=0.02
    )
    assert found["reductionRatio"] == pytest.approx(
        1 - found["workers"]["total"] / found["functions"]["total"], abs=1e-4
    )


def test_the_prices_that_are_printed_can_be_edited(file: Path, tmp_path: Path) -> None:
    tariff = yaml.safe_load(priced(file, "--print-prices").stdout)
    tariff["prices"] |= {"vcpuHour": 1.0, "gibHour": 0.0, "currency": "EUR"}
    edited = tmp_path / "prices.yaml"
    edited.write_text(yaml.safe_dump(tariff))

    found = document(priced(file, "--prices", edited, "-o", "json"))

    assert found["currency"] == "EUR"
    assert found["workers"]["total"] == pytest.approx(730 * 1.4)
    assert "EUR a month" in priced(file, "--prices", edited).stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("prices: {vcpuHour: -1}", "prices.vcpuHour: Input should be greater than or equal to 0"),
        ("prices: {vcpuHuor: 1}", "prices.vcpuHuor is not known"),
        ("{", "is no YAML"),
    ],
)
def test_prices_that_are_none_are_refused(file: Path, tmp_path: Path, text: str, said: str) -> None:
    wrong = tmp_path / "prices.yaml"
    wrong.write_text(text)

    result = priced(file, "--prices", wrong)

    assert result.exit_code == 2
    assert said in result.stderr
