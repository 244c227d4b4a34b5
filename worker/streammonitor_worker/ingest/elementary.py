"""Which elementary streams of a container are decoded, and what they are."""

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from streammonitor_api.worker_status import AudioFormat, VideoFormat

MAX_FRAME_RATE = 1000.0
"""MPEG-TS without a known rate reports its 90 kHz clock."""


def best_video(container: InputContainer) -> VideoStream | None:
    """The picture that FFmpeg takes for the main one; a cover picture is none."""
    best = container.streams.best("video")
    if not isinstance(best, VideoStream) or best.codec_context is None:
        return None
    return None if best.disposition & Disposition.attached_pic else best


def best_audio(container: InputContainer, video: VideoStream | None) -> AudioStream | None:
    """The sound that belongs to a picture, or the main one."""
    best = container.streams.best("audio", related=video)
    return best if isinstance(best, AudioStream) and best.codec_context else None


def video_format(stream: VideoStream | None) -> VideoFormat | None:
    """What is known of a picture before its first frame; None without a stream."""
    if stream is None:
        return None
    context = stream.codec_context
    rate = float(stream.average_rate or stream.guessed_rate or 0)
    return VideoFormat(
        codec=context.name,
        width=context.width,
        height=context.height,
        frame_rate=round(rate, 3) if rate < MAX_FRAME_RATE else 0.0,
    )


def audio_format(stream: AudioStream | None) -> AudioFormat | None:
    """What is known of a sound before its first samples; None without a stream."""
    if stream is None:
        return None
    context = stream.codec_context
    return AudioFormat(
        codec=context.name, sample_rate=context.sample_rate, channels=context.layout.nb_channels
    )
