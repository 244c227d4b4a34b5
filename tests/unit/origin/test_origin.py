import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import pytest

from dev.media.strip import luma, read_strip
from dev.origin.origin import (
    AAC_FRAME,
    SAMPLE_RATE,
    TS_PACKET,
    Canvas,
    Channel,
    Defect,
    Library,
    Origin,
    Programme,
    Settings,
    Texture,
    Tones,
    draw_strip,
    parse_defects,
)

SMALL = Settings(
    width_px=320,
    height_px=180,
    segment_s=1.0,
    cycle_s=5.0,
    window=3,
    channels=2,
    control=True,
    defects=parse_defects("black@0.52-1.2,freeze@1.8-2.6,silence@3-4.4"),
)


@pytest.fixture(scope="module")
def library() -> Library:
    return Library(SMALL)


def wait_for(condition: Callable[[], bool], deadline_s: float = 10.0) -> None:
    end_s = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end_s, "deadline passed"
        time.sleep(0.02)


def programme(*defects: Defect, cycle_s: float | None = None) -> Programme:
    return Programme(Texture(320, 180), Tones(), Fraction(25), defects, cycle_s)


def drawn(show: Programme, index: int) -> Canvas:
    canvas = Canvas(320, 180)
    show.draw(canvas, index)
    return canvas


def test_defects_are_parsed() -> None:
    assert parse_defects("black@12-16, silence@44-50:-70") == (
        Defect("black", 12, 16),
        Defect("silence", 44, 50, -70),
    )
    assert parse_defects("") == ()


@pytest.mark.parametrize("text", ["black", "black@3", "purple@1-2", "black@2-1"])
def test_bad_defects_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_defects(text)


def test_bad_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="whole number"):
        Settings(segment_s=0.99)
    with pytest.raises(ValueError, match="not within"):
        Settings(cycle_s=14)


@pytest.mark.parametrize("value", [0, 1, 1499, 2**24 - 1])
def test_strip_round_trip(value: int) -> None:
    canvas = drawn(programme(), 3)
    draw_strip(canvas, value)
    assert read_strip(canvas.y) == value


def test_freeze_holds_one_picture_and_black_is_black() -> None:
    show = programme(Defect("freeze", 1, 2), Defect("black", 3, 4))
    held = drawn(show, 25)
    assert all(np.array_equal(held.data, drawn(show, n).data) for n in (26, 40, 49))
    assert not np.array_equal(held.data, drawn(show, 50).data)
    assert not np.array_equal(held.data, drawn(show, 24).data)
    assert drawn(show, 75).y.max() == drawn(show, 99).y.max() == 16
    assert read_strip(drawn(show, 80).y) is None


def test_silence_is_zero_to_the_sample() -> None:
    sound = programme(Defect("silence", 1, 2)).samples(0, 3 * SAMPLE_RATE)
    assert not sound[:, SAMPLE_RATE : 2 * SAMPLE_RATE].any()
    assert sound[:, [SAMPLE_RATE - 1, 2 * SAMPLE_RATE]].all()


def test_nothing_else_is_dark_still_or_quiet() -> None:
    show = programme()
    pictures = [drawn(show, n).y.astype(int) for n in range(0, 200, 7)]
    assert min(picture.mean() for picture in pictures) > 60
    moves = [abs(drawn(show, n).y.astype(int) - drawn(show, n + 1).y).mean() for n in range(60)]
    assert min(moves) > 2
    blocks = show.samples(0, 20 * SAMPLE_RATE).reshape(2, -1, SAMPLE_RATE // 10)
    assert 20 * np.log10(np.sqrt((blocks**2).mean(axis=2)).min()) > -30


def demux(data: bytes) -> tuple[list[int], list[int]]:
    with av.open(io.BytesIO(data), "r", format="mpegts") as container:
        packets = [p for p in container.demux() if p.pts is not None]
        video = [int(p.pts or 0) for p in packets if p.stream.type == "video"]
        audio = [int(p.pts or 0) for p in packets if p.stream.type == "audio"]
    return video, audio


@pytest.mark.parametrize("phase", [0, 2])
def test_timestamps_and_counters_go_on_across_the_loop(library: Library, phase: int) -> None:
    channel = Channel(library, "ch", phase, 0.0)
    segments = [channel.publish() for _ in range(2 * SMALL.segments + 1)]
    video, audio = demux(b"".join(segments))
    assert video[0] == round(SMALL.first_pts_s * 90_000)
    assert set(np.diff(video).tolist()) == {3600}
    assert len(video) == 25 * len(segments)
    assert set(np.diff(audio).tolist()) == {AAC_FRAME * 90_000 // SAMPLE_RATE}
    packets = np.frombuffer(b"".join(segments), np.uint8).reshape(-1, TS_PACKET).astype(int)
    pids = (packets[:, 1] & 31) << 8 | packets[:, 2]
    for pid in np.unique(pids):
        mine = packets[(pids == pid) & (packets[:, 3] & 16 > 0), 3] & 15
        assert set((np.diff(mine) % 16).tolist()) <= {1}


def test_timestamps_wrap_at_33_bits(library: Library) -> None:
    wrap = Settings(**{**SMALL.__dict__, "first_pts_s": 2**33 / 90_000 - 1.0})
    other = Library(wrap)
    other.encoder = library.encoder
    channel = Channel(other, "ch", 0, 0.0)
    channel.publish()
    assert demux(channel.publish())[0][0] < 90_000


def test_each_segment_begins_with_tables_and_a_key_frame(library: Library) -> None:
    channel = Channel(library, "ch", 0, 0.0)
    channel.publish()
    with av.open(io.BytesIO(channel.publish()), "r", format="mpegts") as container:
        assert next(container.demux(video=0)).is_keyframe


def test_what_is_decoded_follows_the_timetable(library: Library) -> None:
    channel = Channel(library, "ch", 0, 0.0)
    data = b"".join(channel.publish() for _ in range(SMALL.segments + 1))
    with av.open(io.BytesIO(data), "r", format="mpegts") as container:
        planes = [luma(frame) for frame in container.decode(video=0)]
    seen = [read_strip(picture) for picture in planes]
    expected = [None if 13 <= n < 30 else 45 if 45 <= n < 65 else n for n in range(125)]
    assert seen == expected + expected[:25]
    assert max(picture.max() for picture in planes[13:30]) <= 20
    with av.open(io.BytesIO(data), "r", format="mpegts") as container:
        sound = np.concatenate([f.to_ndarray() for f in container.decode(audio=0)], axis=1)
    silent = sound[:, 3 * SAMPLE_RATE + 2 * AAC_FRAME : round(4.4 * SAMPLE_RATE) - 2 * AAC_FRAME]
    assert not silent.any()


def test_injected_defect_is_where_it_was_announced(library: Library) -> None:
    channel = Channel(library, "ch", 0, 0.0)
    for _ in range(3):
        channel.publish()
    told = channel.inject("black", 0.4)
    assert (told["start_s"], told["end_s"]) == (4.0, 4.4)
    channel.publish()
    with av.open(io.BytesIO(channel.publish()), "r", format="mpegts") as container:
        seen = [read_strip(luma(frame)) for frame in container.decode(video=0)]
    assert seen == [None] * 10 + list(range(110, 125))


def test_timetable_is_shifted_by_the_phase(library: Library) -> None:
    channel = Channel(library, "ch", 2, 1000.0)
    table = channel.timetable(1000.0 + 17.0)
    black = next(item for item in table["defects"] if item["defect"] == "black")
    assert black["start_s"] == pytest.approx(3.52)
    coming = next(item for item in table["next"] if item["defect"] == "black")
    assert coming["start_s"] == pytest.approx(18.52)
    assert coming["start"] == "1970-01-01T00:16:58.520Z"
    assert all(item["end_s"] > 17 for item in table["next"])


def test_playlist_slides(library: Library) -> None:
    channel = Channel(library, "ch", 0, 1000.0)
    assert channel.playlist() is None
    for _ in range(5):
        channel.publish()
    lines = (channel.playlist() or "").splitlines()
    assert lines[0] == "#EXTM3U"
    assert "#EXT-X-TARGETDURATION:1" in lines
    assert "#EXT-X-MEDIA-SEQUENCE:2" in lines
    assert [s for s in lines if s.endswith(".ts")] == [f"segment-{n}.ts" for n in (2, 3, 4)]
    assert "#EXT-X-PROGRAM-DATE-TIME:1970-01-01T00:16:42.000Z" in lines
    assert channel.segment(0) is not None  # kept for slow clients


def get(origin: Origin, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{origin.port}{path}", timeout=5) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def order(origin: Origin, **what: object) -> dict[str, object]:
    url = f"http://127.0.0.1:{origin.port}/control"
    with urllib.request.urlopen(url, json.dumps(what).encode(), timeout=5) as reply:
        answer: dict[str, object] = json.loads(reply.read())
    return answer


def test_served_live() -> None:
    with Origin(SMALL) as origin:
        wait_for(lambda: get(origin, "/healthz")[0] == 200)
        with av.open(origin.url(1), options={"http_persistent": "0"}, timeout=10) as container:
            frames = [f for _, f in zip(range(30), container.decode(video=0), strict=False)]
        assert np.diff([int(f.pts or 0) for f in frames]).tolist() == [3600] * 29
        table = json.loads(get(origin, "/timetable")[1])
        assert [c["phase_s"] for c in table["channels"]] == [0.0, 2.0]
        assert b"ch-0/segment-" in get(origin, "/channel.m3u8")[1]
        assert get(origin, "/ch-2/channel.m3u8")[0] == 404
        order(origin, action="stall", channel=0)
        sequence = origin.channels[0].next_sequence
        order(origin, action="404", channel=1)
        assert get(origin, "/ch-1/channel.m3u8")[0] == 404
        other = origin.channels[1].next_sequence
        wait_for(lambda: origin.channels[1].next_sequence > other)
        assert origin.channels[0].next_sequence <= sequence + 1  # one may have been in the making
        order(origin, action="resume")
        wait_for(lambda: origin.channels[0].next_sequence == origin.channels[1].next_sequence)
        assert get(origin, "/ch-1/channel.m3u8")[0] == 200
