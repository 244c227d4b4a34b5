"""`streammonitor run` and the command line: refusals, a run to its end, exit codes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from rich.console import Console
from typer.testing import CliRunner

from dev.media.classifier import brightness
from dev.media.clips import Defect, write_clip
from streammonitor_api.worker_status import DetectorState, StreamState, StreamStatus
from streammonitor_worker import __version__
from streammonitor_worker.board import StatusBoard
from streammonitor_worker.cli import app
from streammonitor_worker.display import overview
from streammonitor_worker.monitor_file import MonitorFileError, load_monitor

STREAM = {"name": "a", "url": "a.ts"}
GOOD = {
    "apiVersion": "streammonitor.io/v1alpha1",
    "kind": "StreamMonitor",
    "metadata": {"name": "lab"},
    "spec": {"streams": [{"name": "a", "url": "a.ts"}], "detectors": {"black": {}}},
}


def _monitor(folder: Path, **spec: object) -> Path:
    path = folder / "monitor.yaml"
    path.write_text(yaml.safe_dump({**GOOD, "spec": {**GOOD["spec"], **spec}}))  # type: ignore[dict-item]
    return path


def _refusal(path: Path) -> str:
    with pytest.raises(MonitorFileError) as caught:
        load_monitor(path)
    return str(caught.value)


def test_a_good_file_is_read(tmp_path: Path) -> None:
    monitor = load_monitor(_monitor(tmp_path))

    assert monitor.name == "lab"
    assert monitor.spec.streams[0].url == "a.ts"


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"detectors": {"blakc": {}}},
            "there is no detector 'blakc': use one of audioDropout, avSync, black",
        ),
        ({"detectors": {"black": {"colour": 1}}}, "black has no parameter 'colour'"),
        ({"profile": "lax"}, "spec.profile is 'lax': use one of strict, broadcast, relaxed"),
        (
            {"streams": [{**STREAM, "profile": "lax"}]},
            "spec.streams[a].profile is 'lax': use one of strict, broadcast, relaxed",
        ),
        (
            {"streams": [{**STREAM, "detectors": {"black": {"minDuration": "2h"}}}]},
            "spec.streams[a].detectors.black.minDuration is '2h': set at most 1h",
        ),
        (
            {"streams": [{**STREAM, "detectors": {"blur": {}}}]},
            "stream 'a': detectors.blur is set, but spec.detectors does not declare 'blur'",
        ),
        (
            {"streams": [{**STREAM, "ignoreRegions": [{"left": 0.9, "top": 0, "width": 0.2}]}]},
            "spec.streams[0].ignoreRegions[0].height is missing: add it",
        ),
        (
            {"streams": [{**STREAM, "region": {"left": 0.9, "top": 0, "width": 0.2, "height": 1}}]},
            "region reaches beyond the picture (left 0.9 + width 0.2 is more than 1)",
        ),
        (
            {"detectors": {"black": {"minDuration": "2h"}}},
            "black.minDuration is '2h': set at most 1h",
        ),
        ({"detectors": {"black": {"minDuration": 2}}}, "write it with its unit, as in 2s"),
        ({"detectors": {}}, "spec.detectors is empty"),
        ({"streams": []}, "spec.streams"),
        ({"streams": [{"name": "a", "url": "x", "colour": "y"}]}, "spec.streams[0].colour"),
        ({"streams": [{"name": "a", "url": "gopher://h/"}]}, "scheme 'gopher'"),
        ({"streams": [{"name": "A B", "url": "x"}]}, "spec.streams[0].name is 'A B'"),
        ({"streams": [{"name": "a"}]}, "spec.streams[0].url is missing: add it"),
        ({"streams": [{"name": "a", "url": "x"}] * 2}, "two streams are named 'a'"),
        ({"workers": [{"name": "w", "detectors": ["freeze"]}]}, "exactly one of spec.workers"),
        ({"colour": "red"}, "spec.colour is not known"),
        ({"streamsFrom": {}}, "streamsFrom names none or several sources"),
        ({"streamsFrom": {"http": {"url": "ftp://h/"}}}, "spec.streamsFrom.http.url is 'ftp://h/'"),
    ],
)
def test_what_is_wrong_is_one_sentence_a_line(
    tmp_path: Path, spec: dict[str, object], said: str
) -> None:
    refusal = _refusal(_monitor(tmp_path, **spec))

    assert said in refusal
    assert all(line.startswith(f"{tmp_path}/monitor.yaml: ") for line in refusal.splitlines())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no YAML"),
        ("a: 1", "holds 0 documents of kind StreamMonitor"),
        ("kind: StreamMonitor\napiVersion: v2\nspec: {}", "apiVersion is 'v2'"),
        ("kind: StreamMonitor\napiVersion: streammonitor.io/v1alpha1", "spec is missing"),
    ],
)
def test_what_is_no_streammonitor_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "monitor.yaml").write_text(text)

    assert said in _refusal(tmp_path / "monitor.yaml")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "cannot be read: No such file" in _refusal(tmp_path / "none.yaml")


def _run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streammonitor_worker", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_run_ends_when_its_files_are_played(tmp_path: Path) -> None:
    black = [Defect("black", 0.5, 1.6)]
    write_clip(tmp_path / "a.ts", duration_s=2.5, size=(320, 180), defects=black)
    (tmp_path / "dark.onnx").write_bytes(brightness(level=0.1, gain=-80))
    short = {"minDuration": "500ms", "clearDuration": "200ms"}
    model = {"file": "dark.onnx", "inputWidth": 16, "inputHeight": 16, "every": "40ms"}
    patient = {"name": "b", "url": "a.ts", "detectors": {"black": {"minDuration": "2s"}}}
    detectors = {"black": short, "model": model | short}
    _monitor(tmp_path, detectors=detectors, streams=[STREAM, patient])

    done = _run("run", "-f", "monitor.yaml", "--port", "0", "--results", "kept", cwd=tmp_path)

    assert done.stderr == ""
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].startswith("serving http://localhost:")
    assert [line.split(",")[0] for line in lines if line.startswith("a:") and "model" in line] == [
        "a: started model 0.5s-",
        "a: ended model 0.5s-1.6s",
    ]
    # Not on stream b, where it must last longer.
    assert [line.split(",")[0] for line in lines if "black" in line] == [
        "a: started black 0.5s-",
        "a: ended black 0.5s-1.6s",
    ]
    assert {"a: completed", "b: completed"} <= set(lines)
    summary = "kind=summary/namespace=local/monitor=lab/*/*/*.parquet"
    assert list((tmp_path / "kept").glob(summary))
    assert list((tmp_path / "kept").glob(summary.replace("summary", "incident")))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run", "-f", "none.yaml"], "none.yaml cannot be read"),
        (["run"], "Missing option"),
        (["frobnicate"], "No such command"),
    ],
)
def test_users_errors_are_sentences_with_exit_code_2(
    tmp_path: Path, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)

    assert done.exit_code == 2
    assert said in done.stderr
    assert "Traceback" not in done.output


def test_streams_that_are_listed_elsewhere_are_not_run_here(tmp_path: Path) -> None:
    source = {"configMap": {"name": "channels", "key": "list"}}
    done = CliRunner().invoke(app, ["run", "-f", str(_monitor(tmp_path, streamsFrom=source))])
    assert done.exit_code == 2
    assert "spec.streamsFrom is read in a cluster only" in done.output


def test_the_version_is_printed() -> None:
    assert CliRunner().invoke(app, ["version"]).stdout.strip() == __version__


def test_ctrl_c_ends_a_run_cleanly(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.ts", duration_s=30, size=(64, 36), frame_rate=5, audio=False)
    _monitor(tmp_path)
    command = [sys.executable, "-m", "streammonitor_worker", "run", "-f", "monitor.yaml"]
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "receiving" in line:
                process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=10)

    assert errors == ""
    assert process.returncode == 0


def test_the_table_shows_stream_state_and_detectors() -> None:
    board = StatusBoard("local")
    board.set_stream(
        StreamStatus.model_validate(
            {
                "name": "arena-1",
                "state": StreamState.RECEIVING,
                "since": "2026-01-01T00:00:00Z",
                "video": {"codec": "h264", "width": 1920, "height": 1080, "frameRate": 50},
                "detectors": {"black": DetectorState.SUSPECT},
            }
        )
    )
    console = Console(width=160, record=True, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(overview(board.document()))
    console.file.close()

    text = console.export_text()
    for part in ("arena-1", "receiving", "h264 1920x1080@50", "black suspect"):
        assert part in text
