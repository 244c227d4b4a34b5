"""Of several programs in one transport stream, made by the ffmpeg command, one is monitored."""

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dev.media import muxers
from dev.media.servers import free_port, http_server, sending
from streammonitor_api.source import Program
from streammonitor_worker.analyze import analyze_command
from streammonitor_worker.cli import app
from streammonitor_worker.frames import AudioView, FrameView
from streammonitor_worker.ingest import Source, SourceError, open_source
from tests.integration.test_protocols import eventually_open

LISTED = "choose one of 7 (Radio), 11 (Arena One), 12 (Arena Two)"


@pytest.fixture(scope="module")
def multiplex(media: Path) -> Path:
    """Three programs; the first one with a picture is not the one with the best."""
    path = media / "multiplex" / "a.ts"
    path.parent.mkdir()
    muxers.multiplex(media / "mute.ts", media / "clean.ts", path)
    return path


def _over_http(clip: Path) -> AbstractContextManager[str]:
    return _named(http_server(clip.parent), clip.name)


@contextmanager
def _named(server: AbstractContextManager[str], name: str) -> Iterator[str]:
    with server as url:
        yield f"{url}/{name}"


@contextmanager
def _file(clip: Path) -> Iterator[str]:
    yield str(clip)


@contextmanager
def _over_udp(clip: Path) -> Iterator[str]:
    port = free_port()
    streams = ("-map", "0", *muxers.PROGRAMS)
    with sending(clip, f"udp://127.0.0.1:{port}?pkt_size=1316", streams=streams):
        yield f"udp://@127.0.0.1:{port}"


@contextmanager
def _over_srt(clip: Path) -> Iterator[str]:
    port = free_port()
    streams = ("-map", "0", *muxers.PROGRAMS)
    with sending(clip, f"srt://127.0.0.1:{port}?mode=listener", streams=streams):
        yield f"srt://127.0.0.1:{port}"


SERVERS = [_over_http, _file, _over_udp, _over_srt]


def what_comes(source: Source, pictures: int = 30, sounds: int = 0) -> tuple[int, bool]:
    """Width of the picture, 0 without; and whether there is sound. No picture is damaged."""
    for item in source:
        if isinstance(item, FrameView):
            assert not item.corrupt
            pictures -= 1
        sounds -= isinstance(item, AudioView)
        if pictures <= 0 and sounds <= 0:
            break
    assert source.counters.decode_errors == 0
    return source.video.width if source.video else 0, source.audio is not None


@pytest.mark.parametrize("serve", SERVERS)
@pytest.mark.parametrize(
    ("wanted", "width", "sound"),
    [
        pytest.param(None, 64, False, id="the first one with a picture"),
        pytest.param(Program(number=12), 320, True, id="by number"),
        pytest.param(Program(service="arena two"), 320, True, id="by name"),
    ],
)
def test_one_program_is_taken(
    multiplex: Path,
    serve: Callable[[Path], AbstractContextManager[str]],
    wanted: Program | None,
    width: int,
    sound: bool,
) -> None:
    with serve(multiplex) as url, eventually_open(url, program=wanted) as source:
        assert what_comes(source, sounds=30 * sound) == (width, sound)


def test_a_program_may_have_sound_alone(multiplex: Path) -> None:
    with open_source(str(multiplex), live=False, program=Program(number=7)) as source:
        assert what_comes(source, pictures=0, sounds=100) == (0, True)


@pytest.mark.parametrize("wanted", [Program(number=9), Program(service="Arena")])
def test_a_missing_program_is_told_with_those_that_there_are(
    multiplex: Path, wanted: Program
) -> None:
    with pytest.raises(SourceError) as caught, open_source(str(multiplex), program=wanted):
        pass
    assert caught.value.reason == "ProgramMissing"
    assert LISTED in caught.value.message


def test_a_program_that_goes_away_ends_the_source(media: Path, multiplex: Path) -> None:
    path = media / "until.ts"
    path.write_bytes(multiplex.read_bytes() + (media / "clean.ts").read_bytes())
    source = open_source(str(path), live=False, program=Program(number=12))
    with source, pytest.raises(SourceError) as caught:
        what_comes(source, pictures=10_000)
    assert caught.value.reason == "ProgramMissing"
    assert "has no program 12 any more: choose one of 1 (" in caught.value.message


@pytest.mark.parametrize("name", ["clean.mp4", "live.m3u8"])
def test_what_has_no_programs_says_so(media: Path, name: str) -> None:
    (media / "live.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:20\n#EXTINF:20,\nclean.ts\n")
    for place in (str(media / "clean.mp4"), None):
        with http_server(media) as url, pytest.raises(SourceError) as caught:
            open_source(place or f"{url}/{name}", program=Program(number=1)).close()
        assert caught.value.reason == "ProgramMissing"
        assert "take program out" in caught.value.message


def test_analyze_takes_a_program(multiplex: Path) -> None:
    if not any(one.callback is analyze_command for one in app.registered_commands):
        app.command(name="analyze")(analyze_command)
    for program, width in (("12", 320), ("Arena One", 64)):
        arguments = ["analyze", str(multiplex), "--detectors", "black", "--format", "json"]
        done = CliRunner().invoke(app, [*arguments, "--program", program])
        assert done.exit_code == 0, done.output
        (found,) = json.loads(done.stdout)["inputs"]
        assert found["video"]["width"] == width
    refused = CliRunner().invoke(app, ["analyze", str(multiplex), "--program", "70000"])
    assert refused.exit_code == 2
    assert "write a number from 1 to 65535" in refused.output
