"""Each protocol from a server that is not ours, as a worker sees it."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from dev.media import senders
from dev.media.servers import http_server, rtmp_server, rtsp_server
from streammonitor_api.source import Program
from streammonitor_worker.frames import AudioView, FrameView
from streammonitor_worker.ingest import Source, SourceError, open_source

Serving = AbstractContextManager[str]


def _http(media: Path) -> Serving:
    return http_server(media)


def _hls(media: Path) -> Serving:
    return senders.live_hls(media / "clean.mp4")


def _hls_event(media: Path) -> Serving:
    return senders.hls_event(media / "clean.mp4")


def _dash(media: Path) -> Serving:
    return senders.live_dash(media / "clean.mp4")


def _rtmp(media: Path) -> Serving:
    return rtmp_server(media / "clean.mp4")


def _rtsp(media: Path) -> Serving:
    return rtsp_server(media / "clean.mp4")


def _rtsp_by_udp(media: Path) -> Serving:
    return rtsp_server(media / "clean.mp4", udp=True)


@pytest.mark.parametrize(
    ("serve", "path", "live"),
    [
        pytest.param(_http, "/clean.ts", False, id="MPEG-TS over HTTP"),
        pytest.param(_http, "/clean.mp4", False, id="MP4 over HTTP"),
        pytest.param(_hls, "", True, id="live HLS"),
        pytest.param(_hls_event, "", True, id="HLS event of fMP4"),
        pytest.param(_dash, "", True, id="live DASH"),
        pytest.param(_rtmp, "", True, id="RTMP"),
        pytest.param(_rtsp, "", None, id="RTSP"),
        pytest.param(_rtsp_by_udp, "", None, id="RTSP by UDP"),
    ],
)
def test_two_seconds_of_picture_and_sound_arrive_in_order(
    media: Path,
    serve: Callable[[Path], Serving],
    path: str,
    live: bool | None,
) -> None:
    pictures: list[float] = []
    sounds: list[float] = []
    with serve(media) as url, open_source(url + path, live=False) as source:
        for item in source:
            if isinstance(item, FrameView):
                pictures.append(item.time_s)
            elif isinstance(item, AudioView):
                sounds.append(item.time_s)
            if len(pictures) > 50 and len(sounds) > 90:
                break

    assert source.video is not None
    assert (source.video.codec, source.video.width, source.video.height) == ("h264", 320, 180)
    assert source.audio is not None
    assert source.audio.sample_rate == 48000
    assert live is None or source.finite is not live
    assert min(pictures[0], sounds[0]) == pytest.approx(0, abs=0.001)
    for times, step_s in ((pictures, 0.04), (sounds, 1024 / 48000)):
        # RTMP counts in milliseconds; a live join may begin with a short wait for a key frame.
        assert all(
            after - before == pytest.approx(step_s, abs=0.003)
            for before, after in pairwise(times[2:])
        )


@pytest.mark.parametrize(
    "sender",
    [
        senders.udp_unicast,
        senders.udp_multicast,
        senders.rtp_unicast,
        senders.tcp_server,
        senders.srt_listener,
        senders.srt_caller,
        senders.rtmp_publisher,
    ],
)
def test_transport_streams_from_the_ffmpeg_command_arrive(
    media: Path, sender: Callable[[Path], Serving]
) -> None:
    pictures: list[float] = []
    with sender(media / "clean.ts") as url, eventually_open(url) as source:
        for item in source:
            if isinstance(item, FrameView):
                pictures.append(item.time_s)
            if len(pictures) > 50:
                break

    assert not source.finite
    assert source.video is not None
    assert (source.video.codec, source.video.width) == ("h264", 320)
    assert source.audio is not None
    assert all(
        after - before == pytest.approx(0.04, abs=0.003) for before, after in pairwise(pictures)
    )


@contextmanager
def eventually_open(
    url: str, *, watch: bool = False, program: Program | None = None
) -> Iterator[Source]:
    """Open a source whose sender is only starting, as a worker does: again until it is there."""
    deadline = time.monotonic() + 20
    while True:
        try:
            source = open_source(url, watch=watch, program=program)
            break
        except SourceError:
            if time.monotonic() > deadline:
                raise
    with source:
        yield source
