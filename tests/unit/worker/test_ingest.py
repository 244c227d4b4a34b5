"""Ingest from files: views, formats, and refusals."""

import itertools
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from dev.media.clips import write_clip
from streammonitor_worker.facts import Packet, Track
from streammonitor_worker.frames import (
    AudioView,
    FormatChange,
    FrameView,
    MediaItem,
    TransportView,
)
from streammonitor_worker.ingest import SourceError, Stop, open_source, redact


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    for suffix in ("mp4", "ts", "mkv"):
        write_clip(folder / f"clip.{suffix}", duration_s=2, size=(322, 180), b_frames=2)
    write_clip(folder / "silent.mp4", duration_s=1, size=(320, 180), audio=False)
    write_clip(folder / "radio.ts", duration_s=1, video=False)
    return folder


def _read(path: Path, *, video: bool = True, audio: bool = True) -> list[MediaItem]:
    with open_source(str(path), live=False, video=video, audio=audio) as source:
        return list(source)


def _pictures(items: list[MediaItem]) -> list[FrameView]:
    return [item for item in items if isinstance(item, FrameView)]


def _sounds(items: list[MediaItem]) -> list[AudioView]:
    return [item for item in items if isinstance(item, AudioView)]


@pytest.mark.parametrize("suffix", ["mp4", "ts", "mkv"])
def test_every_frame_arrives_at_its_time_after_the_format(clips: Path, suffix: str) -> None:
    first, *items = _read(clips / f"clip.{suffix}")

    assert isinstance(first, FormatChange)
    assert first.video is not None
    assert first.audio is not None
    assert (first.video.codec, first.video.width, first.video.height) == ("h264", 322, 180)
    assert first.video.frame_rate == 25
    assert (first.audio.sample_rate, first.audio.channels) == (48000, 2)
    times = [picture.time_s for picture in _pictures(items)]
    assert len(times) == 50
    assert times == pytest.approx(np.arange(50) / 25 + times[0], abs=0.002)
    assert min(times[0], _sounds(items)[0].time_s) == 0
    assert times[0] < 0.05
    assert _pictures(items)[0].duration_s == pytest.approx(0.04)


def test_luma_is_a_read_only_view_without_the_decoders_padding(clips: Path) -> None:
    picture = _pictures(_read(clips / "clip.mp4", audio=False))[10]

    assert picture.luma.shape == (180, 322)
    assert picture.luma.dtype == np.uint8
    assert not picture.luma.flags.writeable
    assert not picture.luma.flags.owndata
    assert picture.luma.strides[0] > 322
    assert picture.luma.std() > 5


def test_views_outlive_the_source(clips: Path) -> None:
    pictures = _pictures(_read(clips / "clip.mp4", audio=False))
    means = [picture.luma.mean() for picture in pictures]

    assert len(means) == 50
    assert all(20 < mean < 235 for mean in means)


def test_sound_is_float_at_full_scale_one(clips: Path) -> None:
    sounds = _sounds(_read(clips / "clip.mp4", video=False))
    samples = np.concatenate([sound.samples for sound in sounds], axis=1)

    assert samples.shape[0] == 2
    assert samples.dtype == np.float32
    assert samples.shape[1] == pytest.approx(2 * 48000, abs=2048)
    assert 0.05 < np.abs(samples).max() <= 1.0
    assert not sounds[0].samples.flags.writeable
    for before, after in itertools.pairwise(sounds):
        assert after.time_s == pytest.approx(before.time_s + before.duration_s, abs=1e-3)


def test_only_what_is_wanted_is_decoded(clips: Path) -> None:
    assert not _sounds(_read(clips / "clip.ts", audio=False))
    assert not _pictures(_read(clips / "clip.ts", video=False))


def test_sources_without_sound_or_without_pictures_are_read(clips: Path) -> None:
    silent, *_ = _read(clips / "silent.mp4")
    radio, *heard = _read(clips / "radio.ts")

    assert isinstance(silent, FormatChange)
    assert silent.audio is None
    assert isinstance(radio, FormatChange)
    assert radio.video is None
    assert _sounds(heard)
    assert _pictures(heard) == []


@pytest.mark.parametrize("watched", [True, False])
def test_packets_are_told_before_what_is_decoded_of_them(clips: Path, watched: bool) -> None:
    with open_source(
        str(clips / "clip.ts"), live=False, video=False, audio=True, watch=watched
    ) as source:
        _, *items = source
    told = [item for item in items if isinstance(item, TransportView)]
    packets = [view.fact for view in told if isinstance(view.fact, Packet)]
    pictures = [one for one in packets if one.track is Track.VIDEO]
    sounds = [one for one in packets if one.track is Track.AUDIO]

    assert _pictures(items) == []
    assert len(pictures) == (50 if watched else 0)
    assert len(sounds) == len(_sounds(items)) > 0
    assert items.index(told[0]) < items.index(_sounds(items)[0])
    assert all(one.size > 0 and one.pts_s is not None for one in packets)
    assert {round(one.duration_s, 5) for one in sounds} == {0.02133}
    times = [view.time_s for view in told]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(2.0, abs=0.1)


def test_something_tells_the_time_where_nothing_is_to_be_decoded(clips: Path) -> None:
    heard = _read(clips / "clip.ts", video=False, audio=False)
    seen = _read(clips / "silent.mp4", video=False, audio=False)

    assert _sounds(heard)
    assert _pictures(heard) == []
    assert len(_pictures(seen)) == 25


def _encode(path: Path, codec: str, pixels: str, draw: Callable[[int], av.VideoFrame]) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=Fraction(25))
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixels
        for index in range(5):
            container.mux(stream.encode(draw(index)))
        container.mux(stream.encode(None))


def test_ten_bit_luma_keeps_its_bits(tmp_path: Path) -> None:
    grey = av.VideoFrame.from_ndarray(np.full((72, 64), 600, np.uint16), format="yuv420p10le")
    _encode(tmp_path / "ten.mkv", "ffv1", "yuv420p10le", lambda _: grey)

    picture = _pictures(_read(tmp_path / "ten.mkv"))[0]

    assert picture.luma.dtype == np.uint16
    assert picture.bit_depth == 10
    assert picture.luma.min() == picture.luma.max() == 600


def test_rgb_is_converted(tmp_path: Path) -> None:
    white = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 255, np.uint8), format="rgb24")
    _encode(tmp_path / "white.mov", "png", "rgb24", lambda _: white)

    picture = _pictures(_read(tmp_path / "white.mov"))[0]

    assert picture.luma.shape == (48, 64)
    assert picture.full_range, "RGB is"
    assert picture.luma.mean() == pytest.approx(255, abs=1)


def test_a_local_playlist_is_read_and_its_size_may_change(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.ts", duration_s=1, size=(320, 180), audio=False)
    write_clip(tmp_path / "b.ts", duration_s=1, size=(160, 90), audio=False)
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.ts\n"
        "#EXT-X-DISCONTINUITY\n#EXTINF:1,\nb.ts\n#EXT-X-ENDLIST\n"
    )

    items = _read(playlist)

    formats = [item.video for item in items if isinstance(item, FormatChange)]
    assert [(one.width, one.height) for one in formats if one] == [(320, 180), (160, 90)]
    times = [picture.time_s for picture in _pictures(items)]
    assert times == sorted(times)
    assert times[-1] == pytest.approx(1.96, abs=0.1)


def test_a_local_playlist_cannot_reach_the_network(tmp_path: Path) -> None:
    playlist = tmp_path / "list.m3u8"
    playlist.write_text(
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n"
    )

    with pytest.raises(SourceError):
        _read(playlist)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("gopher://h/", "UnsupportedScheme"),
        ("concat:/etc/hostname|/etc/hosts", "NotFound"),
        ("/nowhere/at/all.ts", "NotFound"),
        ("/", "NotMedia"),
        ("http://127.0.0.1:9/live.m3u8", "ConnectionRefused"),
        ("rtmp://127.0.0.1:9/live/a", "ConnectionRefused"),
        ("rtsp://127.0.0.1:9/live", "ConnectionRefused"),
        ("http://no-such-host.invalid/live.ts", "UnknownHost"),
    ],
)
def test_what_cannot_be_opened_says_why(url: str, reason: str) -> None:
    with pytest.raises(SourceError) as caught:
        open_source(url)

    assert caught.value.reason == reason
    assert ":" in caught.value.message


def test_text_is_no_media_and_the_wrong_kind_has_no_streams(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "text.ts").write_text("no media\n" * 100)

    with pytest.raises(SourceError) as no_media:
        open_source(str(tmp_path / "text.ts"))
    with pytest.raises(SourceError) as no_streams:
        open_source(str(clips / "radio.ts"), audio=False)

    assert no_media.value.reason == "NotMedia"
    assert no_streams.value.reason == "NoStreams"


def test_credentials_never_reach_a_message() -> None:
    with pytest.raises(SourceError) as caught:
        open_source("http://me:pass@127.0.0.1:9/a.ts?token=hidden#part")

    assert "127.0.0.1:9/a.ts" in caught.value.message
    for secret in ("pass", "hidden", "me:"):
        assert secret not in caught.value.message
    assert redact("rtsp://u:p@h/x") == "rtsp://h/x"


def test_a_header_with_a_line_break_is_refused() -> None:
    with pytest.raises(SourceError) as caught:
        open_source("http://127.0.0.1:9/", headers={"A": "x\r\nB: y"})

    assert caught.value.reason == "BadHeader"
    assert "B: y" not in caught.value.message


def test_a_damaged_file_is_read_to_its_end(clips: Path, tmp_path: Path) -> None:
    content = bytearray((clips / "clip.ts").read_bytes())
    for at in range(60_000, len(content), 7001):
        content[at] ^= 0xFF
    (tmp_path / "damaged.ts").write_bytes(content)

    with open_source(str(tmp_path / "damaged.ts"), live=False) as source:
        pictures = _pictures(list(source))

    assert len(pictures) > 30


def test_a_finite_source_is_paced_when_live(clips: Path) -> None:
    started = time.monotonic()
    with open_source(str(clips / "silent.mp4"), live=True) as source:
        last = _pictures(list(source))[-1]

    assert source.duration_s == pytest.approx(1.0, abs=0.05)
    assert time.monotonic() - started >= last.time_s


def test_a_stop_ends_the_wait_for_the_next_frame(clips: Path) -> None:
    stop = Stop()
    with open_source(str(clips / "clip.mp4"), stop=stop) as source:
        for _ in source:
            stop.set()
    with pytest.raises(SourceError) as caught:
        open_source("http://127.0.0.1:9/", stop=stop)

    assert caught.value.reason == "Stopped"
