"""What a media playlist lists."""

import pytest

from streammonitor_worker.ingest.manifests.listing import MAX_LISTED, Listing, listing

HEAD = "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXT-X-MEDIA-SEQUENCE:17\n"


def entries(*tags: str, each_s: float = 4.0) -> str:
    return "".join(f"{tag}\n#EXTINF:{each_s},\n{number}.ts\n" for number, tag in enumerate(tags))


def breaks(listed: Listing) -> list[int]:
    return [one.number - 17 for one in listed.segments if one.in_break]


def test_segments_have_numbers_durations_and_addresses() -> None:
    listed = listing(
        HEAD + "#EXTINF:4.5,title, with a comma\nhttp://h/a.ts?token=1\n#EXTINF:3\nb\n"
    )
    assert (listed.target_s, listed.live) == (4.0, True)
    first, second = listed.segments
    assert (first.number, first.duration_s, first.url) == (17, 4.5, "http://h/a.ts?token=1")
    assert (second.number, second.duration_s, second.url) == (18, 3.0, "b")
    assert first.identity == "/a.ts"


@pytest.mark.parametrize("tag", ["#EXT-X-ENDLIST", "#EXT-X-PLAYLIST-TYPE:VOD"])
def test_what_is_complete_is_not_live(tag: str) -> None:
    assert not listing(f"{HEAD}{tag}\n{entries('', '')}").live


def test_tags_belong_to_the_segment_that_follows() -> None:
    listed = listing(HEAD + entries("", "#EXT-X-DISCONTINUITY", "#EXT-X-GAP", ""))
    assert [one.begins_anew for one in listed.segments] == [False, True, False, False]
    assert [one.missing for one in listed.segments] == [False, False, True, False]


def test_parts_of_a_resource_begin_where_the_one_before_ended() -> None:
    text = HEAD + "".join(
        f"#EXTINF:4,\n#EXT-X-BYTERANGE:{part}\nall.ts\n" for part in ("100@20", "50", "7@500")
    )
    assert [one.first for one in listing(text).segments] == [20, 120, 500]


@pytest.mark.parametrize(
    ("duration_s", "too_long"), [(4.0, False), (4.49, False), (4.5, True), (9.0, True)]
)
def test_a_duration_is_rounded_before_it_is_compared(duration_s: float, too_long: bool) -> None:
    (one,) = listing(HEAD + entries("", each_s=duration_s)).segments
    assert one.longer_than(4.0) is too_long
    assert not one.longer_than(0.0)


def test_a_break_lasts_from_cue_out_to_cue_in() -> None:
    tags = ["", "#EXT-X-CUE-OUT", "#EXT-X-CUE-OUT-CONT:4/8", "#EXT-X-CUE-IN", ""]
    assert breaks(listing(HEAD + entries(*tags))) == [1, 2]


@pytest.mark.parametrize("said", ["#EXT-X-CUE-OUT:8", "#EXT-X-CUE-OUT:DURATION=8.0"])
def test_a_break_ends_after_the_duration_that_was_announced(said: str) -> None:
    assert breaks(listing(HEAD + entries("", said, "", "", ""))) == [1, 2]


def test_a_break_whose_beginning_has_left_the_playlist_goes_on() -> None:
    text = HEAD + entries("", "", "#EXT-X-CUE-IN", "")
    assert breaks(listing(text, frozenset({16, 17}))) == [0, 1]
    assert breaks(listing(text)) == []


def date_range(attributes: str, first: str = "2030-01-01T12:00:00Z") -> list[int]:
    tag = f'#EXT-X-DATERANGE:ID="7",START-DATE="2030-01-01T12:00:04Z",{attributes}'
    text = f"{HEAD}#EXT-X-PROGRAM-DATE-TIME:{first}\n{tag}\n{entries('', '', '', '')}"
    return breaks(listing(text))


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ("DURATION=8,SCTE35-OUT=0xFC", [1, 2]),
        ("PLANNED-DURATION=4,SCTE35-OUT=0xFC", [1]),
        ('SCTE35-OUT=0xFC,END-DATE="2030-01-01T12:00:12Z"', [1, 2]),
        ("SCTE35-OUT=0xFC", [1, 2, 3]),
        ('DURATION=8,CLASS="a, b=c"', []),
        ("DURATION=1e400,SCTE35-OUT=0xFC", []),
        ('SCTE35-OUT=0xFC,END-DATE="never"', [1, 2, 3]),
    ],
)
def test_ranges_of_dates_are_breaks(attributes: str, expected: list[int]) -> None:
    assert date_range(attributes) == expected


def test_without_dates_of_segments_ranges_say_nothing() -> None:
    assert date_range("SCTE35-OUT=0xFC", first="some day") == []


def test_of_a_long_live_playlist_only_the_end_is_read() -> None:
    listed = listing(HEAD + entries(*[""] * 1500, "#EXT-X-DISCONTINUITY"))
    assert len(listed.segments) == MAX_LISTED
    assert listed.segments[-1].number == 17 + 1500
    assert listed.segments[-1].begins_anew
    assert len(listing(HEAD + entries(*[""] * 1500) + "#EXT-X-ENDLIST\n").segments) == 1500


@pytest.mark.parametrize(
    "text", ["", "#EXTM3U", "#EXTINF:", "#EXTINF:x,\n#EXTINF:9", "#EXTINF:1\n"]
)
def test_what_is_broken_is_passed_over(text: str) -> None:
    assert isinstance(listing(text), Listing)
