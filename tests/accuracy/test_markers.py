"""Flashes and beeps: written, sent with an error of sync, and found."""

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from streammonitor_api.incident import EndReason
from streammonitor_worker.analysis import IncidentEvent, StreamAnalysis
from streammonitor_worker.facts import Packet, Track
from streammonitor_worker.frames import AudioView, FrameView, MediaItem, TransportView
from streammonitor_worker.ingest import open_source
from streammonitor_worker.marker_clip import marker_command, write_marker_clip

LENGTH_S = 8.0


@pytest.fixture(scope="module", params=["25", "30000/1001"])
def clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("markers") / "clip.ts"
    write_marker_clip(path, LENGTH_S, (160, 90), Fraction(request.param))
    return path


def played(clip: Path, early_s: float) -> Iterator[MediaItem]:
    with open_source(str(clip), live=False) as source:
        for item in source:
            if isinstance(item, AudioView):
                yield replace(item, time_s=max(0.0, item.time_s - early_s))
            else:
                yield item


def analysed(clip: Path, early_s: float) -> tuple[StreamAnalysis, list[IncidentEvent]]:
    analysis = StreamAnalysis(
        monitor_uid="", stream="s", worker="w", detectors={"avSync": {"markers": True}}
    )
    events = [event for item in played(clip, early_s) for event in analysis.feed(item)]
    return analysis, events + analysis.finish(EndReason.EOF)


@pytest.mark.parametrize("early_s", [0.3, -0.2])
def test_an_error_is_measured_to_half_a_picture(clip: Path, early_s: float) -> None:
    _, events = analysed(clip, early_s)

    incident = events[-1].incident
    assert incident.measurements["skewMilliseconds"] == pytest.approx(1000 * early_s, abs=16)
    assert incident.detected_s <= 10.0


def test_markers_in_sync_are_no_incident(clip: Path) -> None:
    analysis, events = analysed(clip, 0.0)

    assert not events
    assert analysis.figures()["avSync"].observed_s > 4.0


def test_a_stream_without_markers_says_so() -> None:
    analysis = StreamAnalysis(
        monitor_uid="", stream="s", worker="w", detectors={"avSync": {"markers": True}}
    )
    for item in played_without(11.0):
        analysis.feed(item)

    assert analysis.blind_spots()["avSync"][0] == "NoMarkers"


def played_without(until_s: float) -> Iterator[MediaItem]:
    """A flash now and then, and never a beep."""
    for index in range(round(until_s * 5)):
        luma = np.full((36, 64), 235 if index % 15 == 7 else 16, np.uint8)
        yield FrameView(index / 5, 0.2, index / 5, luma)
        yield TransportView(index / 5, index / 5, Packet(Track.VIDEO, index / 5, index / 5, 0.2, 9))


def run(*arguments: str | Path) -> Result:
    app = typer.Typer()
    app.command()(marker_command)
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x.ts", "--size", "big"], "write them as 1280x720"),
        (["x.ts", "--size", "15x90"], "both must be even, from 16x16"),
        (["x.ts", "--rate", "1000"], "it must be from 1 to 240"),
        (["x.txt"], "name a file that ends in .ts, .mp4 or .mkv"),
    ],
)
def test_what_cannot_be_written_is_said(tmp_path: Path, arguments: list[str], said: str) -> None:
    result = run(tmp_path / arguments[0], *arguments[1:])

    assert result.exit_code == 2
    assert said in result.stderr


def test_the_command_writes_a_clip(tmp_path: Path) -> None:
    result = run(tmp_path / "clip.mp4", "--duration", "5", "--size", "160x90")

    assert result.exit_code == 0, result.stderr
    with open_source(str(tmp_path / "clip.mp4"), live=False) as source:
        assert source.video is not None
        assert (source.video.width, source.video.frame_rate) == (160, 25.0)
        assert source.duration_s == pytest.approx(5.0, abs=0.1)
