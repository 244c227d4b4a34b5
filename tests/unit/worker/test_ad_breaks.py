"""Ad breaks that a stream announces are context of its incidents."""

from pathlib import Path

import av
import pytest

from dev.media.clips import Defect, write_clip
from dev.media.splicing import splice_insert, with_splices
from dev.media.surgery import Stream
from streammonitor_api.incident import EndReason, Incident
from streammonitor_worker.analysis import StreamAnalysis
from streammonitor_worker.analyze import analyze
from streammonitor_worker.display import describe_incident
from streammonitor_worker.ingest import open_source
from tests.unit.worker.web import Answer, serving

DETECTORS = {"black": {"minDuration": "300ms", "clearDuration": "300ms"}}
BLACK_S = [(1.0, 2.0), (4.0, 5.0)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("breaks") / "a.ts"
    defects = [Defect("black", start, end) for start, end in BLACK_S]
    write_clip(path, duration_s=6, size=(64, 36), gop_s=1, defects=defects)
    return path


def first_s(clip: Path) -> float:
    """The first presentation time."""
    with av.open(str(clip)) as container:
        assert container.start_time is not None
        return container.start_time / 1e6


def incidents(url: str) -> list[Incident]:
    analysis = StreamAnalysis(monitor_uid="", stream="a", worker="w", detectors=DETECTORS)
    with open_source(url, live=False) as source:
        events = [event for item in source for event in analysis.feed(item)]
    events += analysis.finish(EndReason.EOF)
    return [event.incident for event in events if event.kind == "ended"]


@pytest.mark.parametrize("immediate", [False, True])
def test_splice_information_in_the_stream(clip: Path, tmp_path: Path, immediate: bool) -> None:
    stream = Stream.read(clip)
    at_s = None if immediate else first_s(clip) + 3.5
    with_splices(
        stream,
        [(2.6, splice_insert(event=7, leaves=True, pts_s=at_s, duration_s=60))],
    )
    path = tmp_path / "spliced.ts"
    path.write_bytes(stream.data)
    assert [(round(one.start_s), one.ad_break) for one in incidents(str(path))] == [
        (1, None),
        (4, True),
    ]


def test_a_programme_that_came_back_is_in_no_break(clip: Path, tmp_path: Path) -> None:
    stream = Stream.read(clip)
    with_splices(
        stream,
        [
            (0.3, splice_insert(event=7, leaves=True, pts_s=first_s(clip) + 0.5)),
            (2.0, splice_insert(event=7, leaves=False, pts_s=first_s(clip) + 3.0)),
        ],
    )
    path = tmp_path / "spliced.ts"
    path.write_bytes(stream.data)
    assert [one.ad_break for one in incidents(str(path))] == [True, None]


def test_tags_of_a_playlist(clip: Path) -> None:
    stream = Stream.read(clip)
    cuts = [stream.between(start, start + 2) for start in (0, 2, 4)]
    bounds = [0, cuts[1].start, cuts[2].start, len(stream.packets)]
    parts = {
        f"/{number}.ts": Answer(b"".join(stream.packets[bounds[number] : bounds[number + 1]]))
        for number in range(3)
    }
    text = (
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n0.ts\n#EXTINF:2,\n1.ts\n"
        "#EXT-X-CUE-OUT:DURATION=60\n#EXTINF:2,\n2.ts\n#EXT-X-ENDLIST\n"
    )
    with serving({"/a.m3u8": Answer(text.encode()), **parts}) as web:
        found = incidents(f"{web.url}/a.m3u8")
    assert [(round(one.start_s), one.ad_break) for one in found] == [(1, None), (4, True)]


def test_whoever_is_told_of_an_incident_is_told_of_the_break(clip: Path, tmp_path: Path) -> None:
    stream = Stream.read(clip)
    with_splices(stream, [(2.6, splice_insert(event=7, leaves=True, pts_s=None))])
    path = tmp_path / "spliced.ts"
    path.write_bytes(stream.data)
    (report,) = analyze([str(path)], DETECTORS)
    assert [one.get("adBreak", False) for one in report.document["incidents"]] == [False, True]
    _, last = incidents(str(path))
    assert describe_incident("ended", last).endswith("(cleared), in an ad break")
