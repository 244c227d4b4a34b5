"""Ad breaks that a stream announces are context of its incidents."""

import struct
from base64 import b64encode
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
from streammonitor_worker.ingest.encryption.boxes import boxes
from streammonitor_worker.ingest.manifests import dash_events
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


def segments(clip: Path) -> dict[str, Answer]:
    """Three of 2 s each, as files of a web server."""
    stream = Stream.read(clip)
    cuts = [stream.between(start, start + 2) for start in (0, 2, 4)]
    bounds = [0, cuts[1].start, cuts[2].start, len(stream.packets)]
    return {
        f"/{number}.ts": Answer(b"".join(stream.packets[bounds[number] : bounds[number + 1]]))
        for number in range(3)
    }


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
    text = (
        "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n0.ts\n#EXTINF:2,\n1.ts\n"
        "#EXT-X-CUE-OUT:DURATION=60\n#EXTINF:2,\n2.ts\n#EXT-X-ENDLIST\n"
    )
    with serving({"/a.m3u8": Answer(text.encode()), **segments(clip)}) as web:
        found = incidents(f"{web.url}/a.m3u8")
    assert [(round(one.start_s), one.ad_break) for one in found] == [(1, None), (4, True)]


MPD = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT6S">
<Period>
  <EventStream schemeIdUri="{scheme}" timescale="1000" presentationTimeOffset="500">
    {events}
  </EventStream>
  <AdaptationSet mimeType="video/mp2t"><SegmentList duration="2">
    <SegmentURL media="0.ts"/><SegmentURL media="1.ts"/><SegmentURL media="2.ts"/>
    </SegmentList><Representation id="v" bandwidth="1"/></AdaptationSet>
</Period></MPD>"""
XML_BIN = "urn:scte:scte35:2014:xml+bin"


def event(at_s: float, *, leaves: bool, xml: bool) -> str:
    said = b64encode(splice_insert(event=7, leaves=leaves, pts_s=None)).decode()
    inner = f'<Signal xmlns="urn:scte"><Binary>{said}</Binary></Signal>' if xml else said
    return f'<Event presentationTime="{round(1000 * at_s) + 500}" duration="60000">{inner}</Event>'


@pytest.mark.parametrize(
    ("scheme", "times_s", "found"),
    [
        pytest.param(XML_BIN, [(4.0, True)], [None, True], id="from the third segment on"),
        pytest.param(dash_events.BINARY, [(4.0, True)], [None, True], id="in binary alone"),
        pytest.param(XML_BIN, [(0.0, True), (2.0, False)], [True, None], id="it ends"),
        pytest.param("urn:other", [(0.0, True)], [None, None], id="other events"),
    ],
)
def test_events_of_a_dash_manifest(
    clip: Path, scheme: str, times_s: list[tuple[float, bool]], found: list[bool | None]
) -> None:
    events = "".join(event(at_s, leaves=leaves, xml=scheme == XML_BIN) for at_s, leaves in times_s)
    manifest = MPD.format(scheme=scheme, events=events).encode()
    with serving({"/a.mpd": Answer(manifest), **segments(clip)}) as web:
        assert [one.ad_break for one in incidents(f"{web.url}/a.mpd")] == found


def emsg(version: int, at_s: float) -> bytes:
    """A message with an ad break (ISO/IEC 23009-1, 5.10.3.3)."""
    named = dash_events.BINARY.encode() + b"\0\0"
    message = splice_insert(event=7, leaves=True, pts_s=None, duration_s=60)
    if version:
        body = struct.pack(">IIQII", 1 << 24, 1000, round(at_s * 1000), 0, 1) + named + message
    else:
        body = bytes(4) + named + struct.pack(">IIII", 1000, round(at_s * 1000), 0, 1) + message
    return struct.pack(">I4s", len(body) + 8, b"emsg") + body


@pytest.mark.parametrize("version", [0, 1])
def test_messages_in_segments(clip: Path, tmp_path: Path, version: int) -> None:
    path = tmp_path / "a.mp4"
    options = {"movflags": "frag_keyframe+empty_moov+default_base_moof"}
    with av.open(str(clip)) as inside, av.open(str(path), "w", options=options) as outside:
        stream = outside.add_stream_from_template(inside.streams.video[0])
        for packet in inside.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                outside.mux(packet)
    data = path.read_bytes()
    parts = list(boxes(data, 0, len(data)))
    starts = [one.start for one in parts if one.kind == b"moof"]
    ends = [*starts[1:], next(one.start for one in parts if one.kind == b"mfra")]
    files = [data[: starts[0]], *(data[a:b] for a, b in zip(starts, ends, strict=True))]
    # Of the segment that begins at 2 s: 1.5 s later, or at 3.5 s, as the media counts.
    files[3] = emsg(version, 1.5 if version == 0 else first_s(clip) + 3.5) + files[3]
    lines = "".join(f"#EXTINF:1,\n{number}.m4s\n" for number in range(1, len(files)))
    text = f'#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MAP:URI="0.m4s"\n{lines}#EXT-X-ENDLIST\n'
    answers = {f"/{number}.m4s": Answer(one) for number, one in enumerate(files)}
    with serving({"/a.m3u8": Answer(text.encode()), **answers}) as web:
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
