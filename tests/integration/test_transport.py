"""The transport of streams as other people's programs make, send and package them."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from dev.media import senders
from dev.media.clips import write_clip
from dev.media.muxers import MUXERS
from dev.media.servers import http_server
from dev.media.surgery import Stream, remuxed
from dev.media.ts_faults import FAULTS, Fault, begins_s
from streammonitor_api.incident import EndReason, Incident
from streammonitor_worker.analysis import StreamAnalysis
from streammonitor_worker.ingest import Source, open_source
from tests.integration.live import LiveOrigin
from tests.integration.rig import WorkerRig, eventually
from tests.integration.test_protocols import eventually_open

Serving = AbstractContextManager[str]
LIVE_S = 4.0


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("transport") / "clip.mp4"
    write_clip(path, duration_s=9, size=(320, 180), gop_s=1, b_frames=2)
    return path


def examined(source: Source, until_s: float = float("inf")) -> list[Incident]:
    """The incidents of a source, of which something must have been judged."""
    analysis = StreamAnalysis(
        monitor_uid="", stream="a", worker="w", detectors={"transport": {}}, reproducible=True
    )
    events = []
    for item in source:
        events += analysis.feed(item)
        if analysis.until_s > until_s:
            break
    events += analysis.finish(EndReason.EOF)
    assert analysis.figures()["transport"].observed_s > 1.0
    return [event.incident for event in events if event.kind == "started"]


@pytest.mark.parametrize("muxer", MUXERS, ids=lambda muxer: str(muxer.__name__))
def test_nothing_is_wrong_with_a_clean_stream_of_any_muxer(
    muxer: Callable[[Path, Path], None], clip: Path, tmp_path: Path
) -> None:
    target = tmp_path / "clean.ts"
    muxer(clip, target)
    with open_source(str(target), live=False, watch=True) as source:
        assert examined(source) == []


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_every_fault_is_found_where_it_was_made(fault: Fault, clip: Path, tmp_path: Path) -> None:
    options = {"muxrate": "1500000", "pcr_period": "40"} if fault.constant else {}
    path = remuxed(clip, tmp_path / "faulty.ts", **options)
    clean, faulty = Stream.read(path), Stream.read(path)
    fault.cut(faulty)
    path.write_bytes(faulty.data)
    with open_source(str(path), live=False, watch=True) as source:
        first, *_ = examined(source)
    assert set(first.measurements) & set(fault.counts)
    assert first.start_s == pytest.approx(begins_s(clean, faulty) + fault.late_s, abs=0.5)


def names(found: list[Incident]) -> set[str]:
    """What was counted; not that a machine which is short of CPU served late."""
    late = {"errors", "Segment_missing_error", "Manifest_stale_error"}
    return {name for one in found for name in one.measurements} - late


@pytest.mark.parametrize("sender", [senders.tcp_server, senders.live_dash])
def test_nothing_is_wrong_with_what_the_ffmpeg_command_sends(
    media: Path, sender: Callable[[Path], Serving]
) -> None:
    clip = media / ("clean.mp4" if sender is senders.live_dash else "clean.ts")
    with sender(clip) as url, eventually_open(url, watch=True) as source:
        assert names(examined(source, LIVE_S)) == set()


@pytest.mark.parametrize("sender", [senders.udp_unicast, senders.srt_listener])
def test_datagrams_are_judged_too(media: Path, sender: Callable[[Path], Serving]) -> None:
    with sender(media / "clean.ts") as url, eventually_open(url, watch=True) as source:
        # A machine that is short of CPU may lose some.
        examined(source, LIVE_S)


def test_nothing_is_wrong_with_live_segments(clean_origin: LiveOrigin) -> None:
    with clean_origin.serving() as url, open_source(url, watch=True) as source:
        assert names(examined(source, LIVE_S)) == set()


def test_a_live_playlist_that_is_served_but_no_longer_changes_is_an_incident(
    rig: WorkerRig, tmp_path: Path
) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    write_clip(origin / "0.ts", duration_s=2, size=(64, 36), gop_s=1)
    head = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n"
    (origin / "live.m3u8").write_text(f"{head}#EXTINF:2.0,\n0.ts\n")
    with http_server(origin) as url:
        rig.assign({"a": f"{url}/live.m3u8"}, detectors={"transport": {}})
        rig.start()
        eventually("a stale manifest", lambda: _stale(rig), timeout_s=60)


def _stale(rig: WorkerRig) -> bool:
    found = (one for one in rig.status().incidents if one.defect == "transport")
    return any("Manifest_stale_error" in one.measurements for one in found)
