"""What FFmpeg is given in place of a playlist or manifest, and which rendition that is."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from streammonitor_api.source import Variant
from streammonitor_worker.ingest import SourceError
from streammonitor_worker.ingest.manifests import dash, hls
from streammonitor_worker.ingest.manifests.hls_keys import Place, SegmentKeys, without_keys

BASE = "https://origin.example/live/index"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
MASTER = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",DEFAULT=YES,URI="en.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="Brasil",LANGUAGE="pt-BR",URI="pt.m3u8"
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="b",NAME="Other group",LANGUAGE="fr",URI="fr.m3u8"
#EXT-X-MEDIA:TYPE=SUBTITLES,GROUP-ID="s",NAME="Text",LANGUAGE="en",URI="text.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360,AUDIO="a"
low.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=6000000,RESOLUTION=1920x1080,AUDIO="a"
high.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=3000000,RESOLUTION=1280x720,AUDIO="a"
middle.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=100000,URI="keys.m3u8"
"""


def named(text: str, wanted: Variant) -> list[str]:
    _, playlists = hls.chosen(text, BASE, wanted)
    return [one.removeprefix("https://origin.example/live/") for one in playlists]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Variant(), ["high.m3u8", "en.m3u8"]),
        (Variant(video="lowest"), ["low.m3u8", "en.m3u8"]),
        (Variant(height=720), ["middle.m3u8", "en.m3u8"]),
        (Variant(max_bandwidth=5_000_000), ["middle.m3u8", "en.m3u8"]),
        (Variant(audio_language="pt"), ["high.m3u8", "pt.m3u8"]),
        (Variant(audio_language="PT-br", video="lowest"), ["low.m3u8", "pt.m3u8"]),
        (Variant(audio_name="Brasil"), ["high.m3u8", "pt.m3u8"]),
    ],
)
def test_of_a_master_playlist_one_picture_and_one_sound_are_left(
    wanted: Variant, expected: list[str]
) -> None:
    assert named(MASTER, wanted) == expected
    text, _ = hls.chosen(MASTER, BASE, wanted)
    assert len(re.findall("m3u8", text)) == 2


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (Variant(height=1440), "no picture of height 1440: choose one of 1080 lines at 6000000"),
        (Variant(max_bandwidth=9), "no picture of at most 9 bit/s"),
        (
            Variant(audio_language="fr"),
            "no sound of language fr: choose one of en (English), pt",
        ),
        (Variant(audio_name="Klingon"), "no sound of name 'Klingon'"),
    ],
)
def test_what_is_not_offered_is_said_with_what_is(wanted: Variant, said: str) -> None:
    with pytest.raises(SourceError) as caught:
        named(MASTER, wanted)
    assert caught.value.reason == "VariantMissing"
    assert said in caught.value.message


def test_sound_alone_is_left_where_there_is_no_picture() -> None:
    radio = "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\na.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\nb.m3u8"
    assert named(radio, Variant()) == ["b.m3u8"]


MPD = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" {attributes}>
 <BaseURL>media/</BaseURL>
 <Period id="0" start="PT0S">
  <AdaptationSet contentType="video">{template}
   <Representation id="v0" bandwidth="800000" height="360" codecs="avc1.64000c"/>
   <Representation id="v1" bandwidth="6000000" height="1080" codecs="avc1.640028"/>
  </AdaptationSet>
  <AdaptationSet mimeType="audio/mp4" lang="de"><Label>Deutsch</Label>{template}
   <Representation id="a0" bandwidth="96000" codecs="mp4a.40.2"/>
  </AdaptationSet>
  <AdaptationSet mimeType="audio/mp4" lang="en"><Role value="main"/>{template}
   <Representation id="a1" bandwidth="96000" codecs="mp4a.40.2"/>
  </AdaptationSet>
 </Period>
</MPD>"""
NUMBERED = (
    '<SegmentTemplate timescale="1000" duration="2000" startNumber="5" '
    'media="$RepresentationID$/$Number%04d$.m4s" initialization="$RepresentationID$/i.mp4"/>'
)
TIMELINE = (
    '<SegmentTemplate timescale="1000" media="$RepresentationID$-$Time$.m4s"><SegmentTimeline>'
    '<S t="{start}" d="2000" r="2"/><S d="1000"/></SegmentTimeline></SegmentTemplate>'
)
STATIC = 'type="static" mediaPresentationDuration="PT1M3.5S"'


def playlists(
    text: str, wanted: Variant | None = None, now: datetime = NOW
) -> dict[str, list[str]]:
    """Lines that name something, by kind."""
    manifest = dash.Manifest(text, f"{BASE}.mpd", wanted or Variant(), now)
    _, urls = manifest.master(f"{BASE}.mpd")
    found = {}
    for url in urls:
        kind = dash.kind_of(url)
        assert kind is not None
        lines = manifest.playlist(kind, dash.Numbering()).splitlines()
        prefix = "https://origin.example/live/media/"
        found[kind] = [one.removeprefix(prefix) for one in lines if not one.startswith("#")]
    return found


def test_segments_of_equal_length_are_counted_to_the_end_of_the_presentation() -> None:
    found = playlists(MPD.format(attributes=STATIC, template=NUMBERED))
    assert found["video"][:2] == ["v1/0005.m4s", "v1/0006.m4s"]
    assert len(found["video"]) == len(found["audio"]) == 32
    assert found["audio"][-1] == "a1/0036.m4s"


def test_the_sound_is_chosen_as_in_hls() -> None:
    text = MPD.format(attributes=STATIC, template=NUMBERED)
    assert playlists(text, Variant(audio_language="de"))["audio"][0] == "a0/0005.m4s"
    assert playlists(text, Variant(audio_name="Deutsch"))["audio"][0] == "a0/0005.m4s"
    assert playlists(text, Variant(height=360))["video"][0] == "v0/0005.m4s"


def test_a_timeline_says_when_each_segment_begins() -> None:
    text = MPD.format(attributes=STATIC, template=TIMELINE.format(start=500))
    assert playlists(text)["video"] == [f"v1-{at}.m4s" for at in (500, 2500, 4500, 6500)]


@pytest.mark.parametrize(
    ("said", "target"),
    [("", 2), (' maxSegmentDuration="PT1.2S"', 1), (' maxSegmentDuration="x"', 2)],
)
def test_the_longest_segment_is_what_the_manifest_says_it_is(said: str, target: int) -> None:
    text = MPD.format(attributes=STATIC + said, template=TIMELINE.format(start=500))
    manifest = dash.Manifest(text, f"{BASE}.mpd", Variant(), NOW)
    lines = manifest.playlist("video", dash.Numbering()).splitlines()
    assert f"#EXT-X-TARGETDURATION:{target}" in lines


def test_of_a_live_presentation_only_what_is_complete_by_now_is_named() -> None:
    began = (NOW - timedelta(seconds=101)).isoformat()
    text = MPD.format(
        attributes=f'type="dynamic" availabilityStartTime="{began}"', template=NUMBERED
    )
    video = playlists(text)["video"]
    assert video[-1] == f"v1/{5 + 49:04d}.m4s"
    assert len(video) == dash.LIVE_SEGMENTS
    assert playlists(text, now=NOW + timedelta(seconds=2))["video"][-1] == f"v1/{5 + 50:04d}.m4s"


def test_segments_keep_their_numbers_while_the_window_moves() -> None:
    numbering = dash.Numbering()
    assert numbering.first(["a", "b", "c"]) == 0
    assert numbering.first(["b", "c", "d"]) == 1
    assert numbering.first(["b", "c", "d"]) == 1
    assert numbering.first(["x"]) == 4


@pytest.mark.parametrize("template", ["", "<SegmentTemplate/>"])
def test_a_manifest_without_segments_says_so(template: str) -> None:
    text = f'<MPD type="static"><Period><AdaptationSet contentType="text">{template}' + (
        "<Representation/></AdaptationSet></Period></MPD>"
    )
    with pytest.raises(SourceError) as caught:
        playlists(text)
    assert caught.value.reason == "NotMedia"


@pytest.mark.parametrize(
    "text",
    [
        "<MPD",
        "<MPD><Period>",
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><MPD><BaseURL>&a;</BaseURL></MPD>',
    ],
)
def test_what_is_no_manifest_is_refused(text: str) -> None:
    with pytest.raises(SourceError) as caught:
        playlists(text)
    assert caught.value.reason == "NotMedia"


def test_a_manifest_names_only_what_the_web_has() -> None:
    text = MPD.format(attributes=STATIC, template=NUMBERED).replace("media/", "file:///etc/")
    with pytest.raises(SourceError) as caught:
        playlists(text)
    assert caught.value.reason == "NestedNotAllowed"


def _encrypted(*lines: str) -> tuple[str, list[tuple[Place, SegmentKeys]]]:
    text, found = without_keys("\n".join(("#EXTM3U", "#EXT-X-MEDIA-SEQUENCE:7", *lines)))
    return text, list(found.items())


def test_a_key_holds_until_the_next_and_its_vector_is_the_number_if_none_is_said() -> None:
    text, found = _encrypted(
        '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="http://h/k",IV=0x0a',
        "http://h/a.ts",
        '#EXT-X-KEY:METHOD=SAMPLE-AES,URI="skd://k,1",KEYFORMAT="com.apple.streamingkeydelivery"',
        "http://h/b.ts",
        "#EXT-X-KEY:METHOD=NONE",
        "http://h/c.ts",
        '#EXT-X-KEY:METHOD=SAMPLE-AES-CTR,URI="data:x",KEYFORMAT="urn:x",KEYID=0x00ff',
        "http://h/d.ts",
        '#EXT-X-KEY:METHOD=AES-128,URI="http://h/k"',
        "http://h/e.ts",
    )

    assert [(place.url[-4:], segment.number) for place, segment in found] == [
        ("a.ts", 7),
        ("b.ts", 8),
        ("d.ts", 10),
    ]
    first, second, third = (segment for _, segment in found)
    assert (first.iv, first.key_id) == (bytes(15) + b"\n", b"")
    assert [(key.uri, key.plain) for key in second.keys] == [
        ("http://h/k", True),
        ("skd://k,1", False),
    ]
    assert (third.iv, third.key_id) == (None, b"\x00\xff")
    assert text.count("METHOD=NONE") == 4
    assert 'METHOD=AES-128,URI="http://h/k"' in text


def test_parts_of_a_resource_are_told_apart_by_their_first_byte() -> None:
    _, found = _encrypted(
        '#EXT-X-MAP:URI="http://h/a.mp4",BYTERANGE="100@20"',
        "#EXT-X-BYTERANGE:50@120",
        "http://h/a.mp4",
        "#EXT-X-BYTERANGE:60",
        "http://h/a.mp4",
        "http://h/b.mp4",
        '#EXT-X-MAP:URI="http://h/c.mp4"',
        "http://h/c.m4s",
    )

    assert [place for place, _ in found] == [
        Place("http://h/a.mp4", 120),
        Place("http://h/a.mp4", 170),
        Place("http://h/b.mp4", 0),
        Place("http://h/c.m4s", 0),
    ]
    assert [segment.initialization for _, segment in found] == [
        *[Place("http://h/a.mp4", 20)] * 3,
        Place("http://h/c.mp4", 0),
    ]
