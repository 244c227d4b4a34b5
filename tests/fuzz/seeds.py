"""What is spoiled: small media of many formats, made here, and text as servers send it."""

import io
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

MEDIA = (
    # container, picture, sound
    ("mpegts", "libx264", "aac"),
    ("mpegts", "libx265", "ac3"),
    ("mpegts", "mpeg2video", "mp2"),
    ("mp4", "libx264", "aac"),
    ("flv", "libx264", "aac"),
    ("matroska", "libvpx-vp9", "libopus"),
    ("matroska", "libsvtav1", "flac"),
    ("wav", None, "pcm_s16le"),
    ("adts", None, "aac"),
    ("mp3", None, "libmp3lame"),
)

PLAYLIST = """#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:1
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-MAP:URI="map.mp4",BYTERANGE="800@0"
#EXT-X-KEY:METHOD=AES-128,URI="a.key",IV=0x000102030405060708090a0b0c0d0e0f
#EXTINF:1.0,
a.ts
#EXT-X-DISCONTINUITY
#EXT-X-KEY:METHOD=NONE
#EXT-X-BYTERANGE:1880@0
#EXTINF:1.0,title
b.ts
#EXT-X-ENDLIST
"""
PLAIN_PLAYLIST = """#EXTM3U
#EXT-X-TARGETDURATION:1
#EXTINF:1.0,
a.ts
#EXTINF:1.0,
b.ts
#EXT-X-ENDLIST
"""
MASTER = """#EXTM3U
#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="a",NAME="English",LANGUAGE="en",DEFAULT=YES,URI="s.m3u8"
#EXT-X-STREAM-INF:BANDWIDTH=800000,RESOLUTION=640x360,CODECS="avc1.64000c",AUDIO="a"
v.m3u8
#EXT-X-I-FRAME-STREAM-INF:BANDWIDTH=1,URI="i.m3u8"
"""
MANIFEST = """<?xml version="1.0"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT2S">
 <Period start="PT0S"><AdaptationSet contentType="video">
  <SegmentTemplate timescale="1000" duration="1000" startNumber="1"
   media="$RepresentationID$/$Number%04d$.m4s" initialization="i.mp4"/>
  <Representation id="v0" bandwidth="800000" height="360" codecs="avc1.64000c"/>
 </AdaptationSet><AdaptationSet mimeType="audio/mp4" lang="en">
  <SegmentTemplate timescale="1000" media="$Time$.m4s"><SegmentTimeline>
   <S t="0" d="1000" r="1"/></SegmentTimeline></SegmentTemplate>
  <Representation id="a0" bandwidth="96000" codecs="mp4a.40.2"/>
 </AdaptationSet></Period>
</MPD>
"""
_SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\n"
    "a=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:stream=0\r\n"
)
RTSP = (
    "".join(
        f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{more}\r\n"
        for number, more in enumerate(
            (
                "Public: OPTIONS, DESCRIBE, SETUP, PLAY\r\n",
                f"Content-Type: application/sdp\r\nContent-Length: {len(_SDP)}\r\n\r\n{_SDP}"[:-2],
                "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n",
                "Session: 1\r\nRTP-Info: url=stream=0;seq=1;rtptime=0\r\n",
            ),
            start=1,
        )
    ).encode()
    + b"$\x00\x00\x10\x80\x60\x00\x01"
    + bytes(12)
)
RTMP = b"\x03" + bytes(1536) + bytes(1536) + b"\x02\x00\x00\x00\x00\x00\x04\x05" + bytes(32)
"""Handshake of a server (its version, time and echo), and a message of its window."""
RTP = bytes([0x90, 33, 0, 1, *bytes(8), 0, 0, 0, 1, *bytes(4)]) + b"G" + bytes(187)


def media() -> Iterator[tuple[str, bytes]]:
    """Yield the name and the bytes of a second of everything in `MEDIA`."""
    for container, picture, sound in MEDIA:
        yield f"{container} {picture or ''} {sound}", _encoded(container, picture, sound)


def _encoded(container: str, picture: str | None, sound: str) -> bytes:
    sink = io.BytesIO()
    with av.open(sink, "w", format=container) as output:
        streams = [_video(output, picture)] if picture else []
        heard = output.add_stream(sound, rate=48_000)
        assert isinstance(heard, av.AudioStream)
        heard.layout = "stereo"
        for stream in streams:
            for number in range(12):
                grey = np.full((72, 64), 16 + 16 * number % 220, np.uint8)
                frame = av.VideoFrame.from_ndarray(grey, format="yuv420p")
                frame.pts = number
                output.mux(stream.encode(frame))
            output.mux(stream.encode(None))
        _hum(output, heard)
    return sink.getvalue()


def _video(output: av.container.OutputContainer, codec: str) -> av.VideoStream:
    stream = output.add_stream(codec, rate=Fraction(25))
    assert isinstance(stream, av.VideoStream)
    stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
    quiet = {"libx265": {"x265-params": "log-level=none"}, "libsvtav1": {"preset": "12"}}
    stream.codec_context.options = {"g": "6", **quiet.get(codec, {})}
    return stream


def _hum(output: av.container.OutputContainer, stream: av.AudioStream) -> None:
    context = stream.codec_context
    resampler = av.AudioResampler(context.format, context.layout, context.rate, context.frame_size)
    silence = av.AudioFrame.from_ndarray(np.zeros((2, 24_000), "<i2"), format="s16p")
    silence.sample_rate, silence.pts = 48_000, 0
    for frame in (*resampler.resample(silence), *resampler.resample(None)):
        output.mux(stream.encode(frame))
    output.mux(stream.encode(None))
