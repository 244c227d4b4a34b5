"""`streammonitor explain`: what a user reads, and what a program does."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streammonitor_worker.cli import app
from streammonitor_worker.explain import explain_command

MONITOR = """
apiVersion: streammonitor.io/v1alpha1
kind: StreamMonitor
metadata: {name: sports}
spec:
  profile: relaxed
  streams:
  - name: arena-1
    url: https://user:secret@origin.example/arena-1.m3u8
    profile: strict
    detectors: {silence: {clearMargin: 3}}
    region: {left: 0, top: 0.1, width: 1, height: 0.9}
    ignoreRegions: [{name: clock, left: 0.8, top: 0.1, width: 0.15, height: 0.1}]
  - {name: arena-2, url: https://origin.example/arena-2.m3u8}
  - {name: arena-3, url: https://origin.example/arena-3.m3u8}
  detectors:
    silence: {threshold: -50}
"""


@pytest.fixture
def monitor(tmp_path: Path) -> Path:
    path = tmp_path / "monitor.yaml"
    path.write_text(MONITOR)
    return path


def explain(monitor: Path, *more: str, exit_code: int = 0) -> str:
    if "explain" not in [command.name for command in app.registered_commands]:
        app.command(name="explain")(explain_command)
    result = CliRunner().invoke(app, ["explain", "-f", str(monitor), *more])
    assert result.exit_code == exit_code, result.output
    return result.output


def test_one_stream_reads_like_this(monitor: Path) -> None:
    assert explain(monitor, "--stream", "arena-1").splitlines() == [
        "stream arena-1: profile strict, the stream's own",
        "looks only at left 0, top 0.1, width 1, height 0.9",
        "ignores clock at left 0.8, top 0.1, width 0.15, height 0.1",
        "",
        "DETECTOR  PARAMETER      VALUE  UNIT  FROM            BOUNDS",
        "silence   minDuration    3s           profile strict  100ms to 1h",
        "silence   clearDuration  1s           profile strict  100ms to 1h",
        "silence   criticalAfter  10s          profile strict  100ms to 24h",
        "silence   threshold      -50    dBFS  monitor         -120 to 0",
        "silence   clearMargin    3      dB    stream          0 to 40",
    ]


def test_streams_on_which_the_same_holds_share_a_table(monitor: Path) -> None:
    text = explain(monitor)
    assert text.count("DETECTOR") == 2
    assert "streams arena-2, arena-3: profile relaxed\n" in text


def test_programs_get_every_stream_with_values_units_and_bounds(monitor: Path) -> None:
    document: dict[str, Any] = json.loads(explain(monitor, "--format", "json"))
    assert (document["schemaVersion"], document["monitor"]) == (1, "sports")
    first, second, third = document["streams"]
    assert first["url"] == "https://origin.example/arena-1.m3u8"
    assert first["profile"] == "strict"
    assert first["region"] == {"left": 0, "top": 0.1, "width": 1, "height": 0.9}
    assert first["ignoreRegions"][0]["name"] == "clock"
    assert first["detectors"]["silence"]["threshold"] == {
        "value": -50, "from": "monitor", "unit": "dBFS", "minimum": -120, "maximum": 0
    }  # fmt: skip
    assert first["detectors"]["silence"]["minDuration"] == {
        "value": "3s", "from": "profile", "unit": "duration", "minimum": "100ms", "maximum": "1h"
    }  # fmt: skip
    assert second["detectors"] == third["detectors"]
    assert "region" not in second


def test_a_parameter_that_chooses_shows_what_there_is_to_choose(tmp_path: Path) -> None:
    path = tmp_path / "monitor.yaml"
    path.write_text(
        MONITOR.replace("silence: {threshold: -50}", "model: {layout: nhwc}").replace(
            "detectors: {silence: {clearMargin: 3}}", "detectors: {}"
        )
    )
    rows = [line.split() for line in explain(path, "--stream", "arena-2").splitlines()]
    assert ["model", "layout", "nhwc", "monitor", "nchw", "|", "nhwc"] in rows


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ("threshold: 7", "silence.threshold is 7: set at most 0"),
        ("treshold: -50", "silence has no parameter 'treshold'"),
    ],
)
def test_an_invalid_monitor_is_refused_with_a_sentence(
    monitor: Path, broken: str, said: str
) -> None:
    monitor.write_text(MONITOR.replace("threshold: -50", broken))
    assert said in explain(monitor, exit_code=2)


def test_an_unknown_stream_is_refused_with_those_that_there_are(monitor: Path) -> None:
    assert "there is no stream 'arena-9' in the monitor: it has arena-1, arena-2, arena-3" in (
        explain(monitor, "--stream", "arena-9", exit_code=2)
    )
