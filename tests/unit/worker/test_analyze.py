import json
from pathlib import Path
from typing import Any

import pytest
import typer
from rich.console import Console
from typer.testing import CliRunner, Result

from dev.media.classifier import brightness
from dev.media.clips import Defect, write_clip
from streammonitor_worker.analyze import analyze_command
from streammonitor_worker.detectors import registry
from streammonitor_worker.options import Request, UsageError, resolve
from streammonitor_worker.report.text import render_text

MONITOR = """\
apiVersion: streammonitor.io/v1alpha1
kind: StreamMonitor
metadata: {name: sports}
spec:
  streams: [{name: arena, url: CLIP}]
  detectors: {black: {minDuration: 1s}}
"""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("media") / "clip.ts"
    defects = (Defect("black", 1, 3.5), Defect("freeze", 5, 9))
    write_clip(path, duration_s=11, size=(192, 108), defects=defects)
    return path


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(analyze_command)
    return CliRunner().invoke(app, [str(one) for one in arguments])


def document(result: Result) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(result.stdout)
    return loaded


def test_the_contract(clip: Path) -> None:
    result = run(clip, "--format", "json")
    assert result.exit_code == 0, result.stderr
    whole = document(result)
    assert list(whole) == ["schemaVersion", "inputs"]
    (one,) = whole["inputs"]
    assert list(one) == [
        "input",
        "duration",
        "endReason",
        "video",
        "audio",
        "incidents",
        "detectors",
        "cpuSeconds",
        "wallSeconds",
    ]
    assert one["input"] == str(clip)
    assert one["duration"] == pytest.approx(11.0, abs=0.1)
    assert one["endReason"] == "eof"
    assert one["video"] == {
        "codec": "h264",
        "width": 192,
        "height": 108,
        "frameRate": 25.0,
        "frames": 275,
        "corruptFrames": 0,
    }
    assert one["audio"] == {"codec": "aac", "sampleRate": 48000, "channels": 2}
    black, freeze = one["incidents"]
    assert list(black) == [
        "id",
        "defect",
        "severity",
        "start",
        "end",
        "detectedAt",
        "endReason",
        "confidence",
        "measurements",
    ]
    assert (black["defect"], black["severity"], black["endReason"]) == (
        "black",
        "warning",
        "cleared",
    )
    assert black["start"] == pytest.approx(1.0, abs=0.041)
    assert black["end"] == pytest.approx(3.5, abs=0.041)
    assert black["detectedAt"] == pytest.approx(3.0, abs=0.041)
    assert freeze["defect"] == "freeze"
    assert set(one["detectors"]) == {*registry} - {"avSync", "model"}
    for figures in one["detectors"].values():
        assert list(figures) == ["observed", "unknown", "cpuSeconds"]
        assert figures["observed"] + figures["unknown"] == pytest.approx(11.0, abs=0.1)


def test_the_same_file_gives_the_same_ids(clip: Path) -> None:
    first, second = (document(run(clip, "--format", "json")) for _ in range(2))
    ids = [[one["id"] for one in whole["inputs"][0]["incidents"]] for whole in (first, second)]
    assert ids[0] == ids[1]


def test_text_is_for_people(clip: Path) -> None:
    result = run(clip)
    assert result.exit_code == 0
    assert "freeze" in result.stdout
    assert "0:00:05." in result.stdout
    assert "275 frames" in result.stdout


def test_a_page_to_look_at(clip: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    result = run(clip, "--detectors", "black", "--report", page)
    assert result.exit_code == 0, result.stderr
    text = page.read_text()
    assert '"defect":"black"' in text
    assert text.count("data:image/jpeg;base64,") == 3


def test_a_page_that_cannot_be_written_is_refused_at_once(clip: Path, tmp_path: Path) -> None:
    result = run(clip, "--report", tmp_path / "absent" / "report.html")
    assert result.exit_code == 2
    assert "report.html cannot be written (No such file or directory)" in result.stderr


def test_only_the_document_is_on_standard_output(clip: Path, tmp_path: Path) -> None:
    result = run(clip, tmp_path / "absent.ts", "--format", "json")
    assert result.exit_code == 3
    read, unread = document(result)["inputs"]
    assert (read["endReason"], unread["endReason"]) == ("eof", "error")
    assert unread["video"] is None
    assert unread["incidents"] == []
    assert "absent.ts" in result.stderr


def test_detectors_and_settings(clip: Path) -> None:
    result = run(
        clip, "--detectors", "freeze", "--set", "freeze.minDuration=5s", "--format", "json"
    )
    (one,) = document(result)["inputs"]
    assert list(one["detectors"]) == ["freeze"]
    assert one["incidents"] == []
    # Nobody looked at the sound, so it was not decoded.
    assert one["audio"] is None


def test_a_monitor_names_detectors_and_streams(clip: Path, tmp_path: Path) -> None:
    file = tmp_path / "monitor.yaml"
    file.write_text(MONITOR.replace("CLIP", str(clip)))
    (one,) = document(run("-f", file, "--format", "json"))["inputs"]
    assert list(one["detectors"]) == ["black"]
    assert one["incidents"][0]["detectedAt"] == pytest.approx(2.0, abs=0.041)


@pytest.mark.parametrize(("severity", "code"), [("warning", 1), ("critical", 0)])
def test_fail_on(clip: Path, severity: str, code: int) -> None:
    assert run(clip, "--fail-on", severity).exit_code == code


def test_fail_on_what_became_critical(clip: Path) -> None:
    result = run(clip, "--set", "black.criticalAfter=2s", "--fail-on", "critical")
    assert result.exit_code == 1


def test_a_stream_without_sound_says_so(tmp_path: Path) -> None:
    path = tmp_path / "mute.ts"
    write_clip(path, duration_s=3, size=(64, 64), audio=False)
    result = run(path, "--format", "json")
    (one,) = document(result)["inputs"]
    assert one["audio"] is None
    assert one["detectors"]["silence"] == {
        "observed": 0.0,
        "unknown": pytest.approx(3.0),
        "cpuSeconds": 0.0,
    }
    assert "silence: the stream has no audio" in result.stderr


def test_a_model_of_your_own_is_read_from_its_folder(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "dark.onnx").write_bytes(brightness(level=0.1, gain=-80))
    small = ("inputWidth=16", "inputHeight=16", "every=40ms", "file=dark.onnx", "label=1")
    settings = [part for one in small for part in ("--set", f"model.{one}")]
    arguments: list[str | Path] = [clip, "--detectors", "black,model", *settings]
    arguments += ["--format", "json"]
    result = run(*arguments, "--models", tmp_path)
    assert result.exit_code == 0, result.stderr
    black, model = document(result)["inputs"][0]["incidents"]
    assert (black["defect"], model["defect"]) == ("black", "model")
    assert (model["start"], model["end"]) == (black["start"], black["end"])
    assert model["measurements"]["score"] > 0.9

    elsewhere = run(*arguments)
    assert [one["defect"] for one in document(elsewhere)["inputs"][0]["incidents"]] == ["black"]
    assert (
        f"model: there is no dark.onnx in {Path.cwd()}: put it there, or correct file"
        in elsewhere.stderr
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--detectors", "blakc"], ["'blakc'", ", ".join(sorted(registry))]),
        (["--set", "black.threshold=3"], ["black.threshold is 3", "at most 0.5"]),
        (["--set", "black.treshold=0.1"], ["'treshold'", "threshold"]),
        (["--set", "freeze.minDuration=3"], ["freeze.minDuration", "3s"]),
        (["--set", "black=0.1"], ["DETECTOR.PARAMETER=VALUE"]),
        (["--detectors", "freeze", "--set", "black.threshold=0.1"], ["'black'", "--detectors"]),
        (["--detectors", ","], ["names none"]),
        (["-f", "absent.yaml"], ["absent.yaml cannot be read"]),
    ],
)
def test_usage(clip: Path, arguments: list[str], words: list[str]) -> None:
    result = run(clip, *arguments)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert all(word in result.stderr for word in words), result.stderr


def test_nothing_to_analyze() -> None:
    with pytest.raises(UsageError, match="name a file or URL"):
        resolve(Request())


def test_a_name_is_no_markup() -> None:
    console = Console(width=120)
    one = {
        "input": "[red]x.ts",
        "duration": 1.0,
        "video": None,
        "audio": {"codec": "aac", "sampleRate": 48000, "channels": 2},
        "incidents": [],
        "detectors": {"black": {"observed": 0.0, "unknown": 1.0, "cpuSeconds": 0.0}},
    }
    with console.capture() as captured:
        render_text([one], console)
    text = captured.get()
    assert "[red]x.ts" in text
    assert "black could not tell for 1.0 of 1.0 s" in text
