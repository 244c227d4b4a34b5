"""Which elementary streams of a container are decoded, what they are, and what is in them."""

from fractions import Fraction

from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from streammonitor_api.worker_status import AudioFormat, VideoFormat
from streammonitor_worker import facts

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


def key_id_of(packet: "Packet[Stream]") -> bytes:
    """The id of the key of a packet that could not be decrypted, as libavutil stores it."""
    info = bytes(packet.get_sidedata("encryption_info"))
    # Scheme and pattern come first, then three lengths, then what they are of.
    return info[24 : 24 + int.from_bytes(info[12:16])]


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


def coded_unit(packet: "Packet[Stream]") -> facts.Packet:
    """What is known of a packet before it is decoded."""
    base = packet.time_base or Fraction(0)
    duration, exact = _duration(packet, base)
    return facts.Packet(
        facts.Track.VIDEO if packet.stream.type == "video" else facts.Track.AUDIO,
        pts_s=_seconds(packet.pts, base),
        dts_s=_seconds(packet.dts, base),
        duration_s=float(duration),
        size=packet.size,
        exact=exact,
    )


def _duration(packet: "Packet[Stream]", base: Fraction) -> tuple[Fraction, bool]:
    """How long it lasts in seconds, and whether that is exact: containers count in coarse ticks."""
    said = (packet.duration or 0) * base
    stream = packet.stream
    if not isinstance(stream, AudioStream) or not stream.codec_context.sample_rate:
        return said, False
    rate = stream.codec_context.sample_rate
    whole = Fraction(stream.codec_context.frame_size, rate)
    if whole and abs(whole - said) <= base:
        return whole, True
    return said, (base * rate).denominator == 1


def _seconds(ticks: int | None, base: Fraction) -> float | None:
    return None if ticks is None or not base else float(ticks * base)
