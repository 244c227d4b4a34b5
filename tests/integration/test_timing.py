"""Timestamps that were cut into real transport streams, with exact truth."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dev.media.clips import write_clip
from dev.media.servers import http_server
from dev.media.surgery import Stream, pcr_s, restamped
from streammonitor_worker.analyze import analyze
from tests.integration.live import split

VIDEO_PID, AUDIO_PID = 0x100, 0x101
FAULT_S = 12.0
"""Where the fault begins, on the clip's own clock."""
FAULTS = ("gapMilliseconds", "overlapMilliseconds", "backwardMilliseconds", "jumpSeconds")
WRAP_S = 2**33 / 90_000
Found = list[tuple[float, float, dict[str, float]]]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("timing") / "clip.ts"
    write_clip(path, duration_s=20, size=(128, 72), gop_s=1)
    return path


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("timing") / "song.ts"
    write_clip(path, duration_s=80, video=False)
    return path


def _changed(clip: Path, how: Callable[[float], float], *pids: int) -> Path:
    stream = Stream.read(clip)
    for pid in pids:
        stream.change(stream.of(pid, starting=True), restamped(how))
    target = clip.with_name("changed.ts")
    target.write_bytes(stream.data)
    return target


def _found(source: Path | str) -> Found:
    (report,) = analyze([str(source)], {"timing": {}})
    return [(one.start_s, one.end_s or 0.0, one.measurements) for one in report.incidents]


def _began(clip: Path) -> float:
    """The clock of the first frame, which is about its timestamp."""
    stream = Stream.read(clip)
    return pcr_s(stream.packets[stream.clocks()[0]])


@pytest.mark.parametrize(
    ("pids", "by_s", "value", "size"),
    [
        ((AUDIO_PID,), 0.1, "gapMilliseconds", 100),
        ((VIDEO_PID,), 0.1, "gapMilliseconds", 100),
        ((VIDEO_PID, AUDIO_PID), 3.0, "gapMilliseconds", 3000),
        ((VIDEO_PID,), -0.036, "overlapMilliseconds", 36),
        ((AUDIO_PID,), -0.06, "backwardMilliseconds", 39),
        ((VIDEO_PID,), -0.5, "backwardMilliseconds", 460),
        ((VIDEO_PID, AUDIO_PID), 5000.0, "jumpSeconds", 5000),
        ((VIDEO_PID, AUDIO_PID), -300.0, "jumpSeconds", 300),
    ],
)
def test_a_fault_of_timestamps_is_found_where_it_is(
    clip: Path, pids: tuple[int, ...], by_s: float, value: str, size: float
) -> None:
    began_s = _began(clip)
    path = _changed(clip, lambda at: at + by_s if at - began_s >= FAULT_S else at, *pids)
    ((start_s, end_s, values),) = _found(path)

    missing_s = by_s if value == "gapMilliseconds" else 0.1
    assert end_s - start_s == pytest.approx(missing_s, abs=0.3)
    # A multiplexer puts several buffers of sound into one unit, which has one time.
    assert start_s == pytest.approx(FAULT_S, abs=0.5)
    assert values[value] == pytest.approx(size, abs=50 if abs(by_s) > 1 else 25)


def test_a_clean_stream_and_one_whose_clock_wraps_have_no_fault(clip: Path) -> None:
    assert _found(clip) == []
    wrapping = _changed(clip, lambda at: at + WRAP_S - 10, VIDEO_PID, AUDIO_PID)
    assert _found(wrapping) == []


@pytest.mark.parametrize("ppm", [100, -100])
def test_sound_whose_clock_drifts_is_found(song: Path, ppm: float) -> None:
    path = _changed(song, lambda at: at * (1 + ppm / 1e6), VIDEO_PID)
    ((start_s, end_s, values),) = _found(path)

    assert start_s == pytest.approx(60, abs=2)
    assert end_s == pytest.approx(80, abs=1)
    assert values["driftPpm"] == pytest.approx(ppm, abs=5)


def test_sound_whose_clock_is_as_good_as_any_has_no_fault(song: Path) -> None:
    assert _found(_changed(song, lambda at: at * (1 + 20e-6), VIDEO_PID)) == []


@pytest.mark.parametrize(
    ("announced", "left_out", "fault"),
    [(True, None, None), (False, None, "jumpSeconds"), (True, 7, "gapMilliseconds")],
)
def test_of_a_playlist_only_what_it_does_not_announce_is_a_fault(
    clip: Path, tmp_path: Path, announced: bool, left_out: int | None, fault: str | None
) -> None:
    """The programme twice over, the second time on a clock of its own."""
    segments = [*split(clip, 1.0), *split(_changed(clip, _hour_later, VIDEO_PID, AUDIO_PID), 1.0)]
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1"]
    for number, data in enumerate(segments):
        lines += ["#EXT-X-DISCONTINUITY"] * (announced and number == len(segments) // 2)
        lines += ["#EXTINF:1.0,", f"s{number}.ts"]
        if number != left_out:
            (tmp_path / f"s{number}.ts").write_bytes(data)
    (tmp_path / "list.m3u8").write_text("\n".join([*lines, "#EXT-X-ENDLIST", ""]))
    with http_server(tmp_path) as web:
        found = _found(f"{web}/list.m3u8")

    assert [[name for name in FAULTS if values.get(name)] for _, _, values in found] == (
        [[fault]] if fault else []
    )


def _hour_later(at_s: float) -> float:
    return at_s + 3600
