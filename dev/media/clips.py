"""Write media files whose defects are known to the frame and the sample."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from dev.media.pictures import SOUNDS, make_picture
from dev.origin.origin import AAC_FRAME, SAMPLE_RATE, Canvas, Defect, Programme

__all__ = ["Clip", "Defect", "Truth", "write_clip"]

VISUAL = ("black", "freeze")
_X264 = ("libx264", "libx265", "h264", "hevc")


@dataclass(frozen=True)
class Truth:
    """One defect as written: media time from the first presented frame.

    `first` and `end` (excluded) count frames for black and freeze, samples for the others.
    """

    defect: str
    start_s: float
    end_s: float
    first: int
    end: int


@dataclass(frozen=True)
class Clip:
    """What was written where: the manifest."""

    path: Path
    duration_s: float
    frame_rate: Fraction
    frames: int
    samples: int
    defects: tuple[Truth, ...]

    def to_json(self) -> str:
        """Return the manifest as JSON."""
        fields = {**asdict(self), "path": str(self.path), "frame_rate": str(self.frame_rate)}
        return json.dumps(fields, indent=1)


def _truth(defect: Defect, frame_rate: Fraction, duration_s: float) -> Truth:
    """Return the defect on the grid that it was written on, cut at the end of the clip."""
    rate = frame_rate if defect.kind in VISUAL else Fraction(SAMPLE_RATE)
    ticks = defect.ticks(rate)
    end = min(ticks.stop, round(duration_s * rate))
    return Truth(defect.kind, float(ticks.start / rate), float(end / rate), ticks.start, end)


def write_clip(
    path: Path | str,
    *,
    duration_s: float,
    size: tuple[int, int] = (640, 360),
    frame_rate: Fraction | int = 25,
    defects: tuple[Defect, ...] | list[Defect] = (),
    picture: str = "texture",
    sound: str = "tones",
    video: bool = True,
    audio: bool = True,
    video_codec: str = "libx264",
    audio_codec: str = "aac",
    gop_s: float = 2.0,
    crf: int = 26,
    preset: str = "ultrafast",
    b_frames: int = 0,
    seed: int = 0,
    strip: bool = True,
) -> Clip:
    """Encode a clip and return its manifest; the container follows the suffix (.mp4, .ts, .mkv).

    `size` is (width, height) in pixels. Key frames come every `gop_s` and where black begins or
    ends. Frame 0 and sample 0 carry the same timestamp. `strip` burns the frame number in (see
    `dev.media.strip`).
    """
    rate = Fraction(frame_rate)
    programme = Programme(
        picture=make_picture(picture, *size, frame_rate=rate, seed=seed),
        sound=SOUNDS[sound](),
        frame_rate=rate,
        defects=tuple(defects),
        strip=strip,
    )
    options = {"movflags": "+faststart"} if Path(path).suffix == ".mp4" else {}
    with av.open(str(path), "w", options=options) as container:
        pictures = sounds = None
        if video:
            pictures = _video_stream(
                container, video_codec, size=size, rate=rate, gop_s=gop_s, b_frames=b_frames
            )
            pictures.codec_context.options = _options(video_codec, crf, preset)
        if audio:
            sounds = _audio_stream(container, audio_codec)
        _write(container, programme, duration_s, pictures, sounds)
    return Clip(
        path=Path(path),
        duration_s=duration_s,
        frame_rate=rate,
        frames=round(duration_s * rate) if video else 0,
        samples=round(duration_s * SAMPLE_RATE) if audio else 0,
        defects=tuple(_truth(d, rate, duration_s) for d in defects),
    )


def _video_stream(
    container: av.container.OutputContainer,
    codec: str,
    *,
    size: tuple[int, int],
    rate: Fraction,
    gop_s: float,
    b_frames: int,
) -> av.VideoStream:
    """Add the video stream; one thread, so that tests share a machine."""
    stream = container.add_stream(codec, rate=rate)
    if not isinstance(stream, av.VideoStream):
        raise ValueError(f"{codec} is not a video codec")
    context = stream.codec_context
    context.width, context.height, context.pix_fmt = *size, "yuv420p"
    context.time_base = 1 / rate
    context.gop_size = max(1, round(gop_s * rate))
    context.max_b_frames = b_frames
    context.thread_count = 1
    return stream


def _options(codec: str, crf: int, preset: str) -> dict[str, str]:
    """Return encoder options; codecs without a constant rate factor keep their defaults."""
    if codec not in _X264:
        return {}
    quiet = {"x265-params": "log-level=error:pools=none"} if codec in ("libx265", "hevc") else {}
    return {"crf": str(crf), "preset": preset, **quiet}


def _audio_stream(container: av.container.OutputContainer, codec: str) -> av.AudioStream:
    """Add a stereo stream."""
    stream = container.add_stream(codec, rate=SAMPLE_RATE)
    if not isinstance(stream, av.AudioStream):
        raise ValueError(f"{codec} is not an audio codec")
    stream.codec_context.layout = "stereo"
    return stream


def _write(
    container: av.container.OutputContainer,
    programme: Programme,
    duration_s: float,
    video: av.VideoStream | None,
    audio: av.AudioStream | None,
) -> None:
    """Draw, encode and mux, sound just ahead of the pictures."""
    heard, samples = 0, round(duration_s * SAMPLE_RATE) if audio else 0
    canvas = Canvas(video.width, video.height) if video else None
    resampler = _resampler(audio) if audio else None
    for index in range(round(duration_s * programme.frame_rate)):
        due = min(samples, round((index + 1) / programme.frame_rate * SAMPLE_RATE) + AAC_FRAME)
        while audio and resampler and heard < due:
            count = min(AAC_FRAME, samples - heard)
            for frame in resampler.resample(_sound(programme, heard, count)):
                _mux(container, audio.encode(frame))
            heard += count
        if video and canvas:
            programme.draw(canvas, index)
            picture = canvas.frame(key=programme.cuts(index))
            picture.pts, picture.time_base = index, 1 / programme.frame_rate
            _mux(container, video.encode(picture))
    if audio and resampler:
        for frame in resampler.resample(None):
            _mux(container, audio.encode(frame))
        _mux(container, audio.encode(None))
    if video:
        _mux(container, video.encode(None))


def _resampler(audio: av.AudioStream) -> av.AudioResampler:
    """Return a converter to the sample format and frame size that the encoder wants."""
    context = audio.codec_context
    if context.name == "aac":
        context.options = {"aac_coder": "fast"}
    context.open(strict=False)
    return av.AudioResampler(
        format=context.format, layout="stereo", rate=SAMPLE_RATE, frame_size=context.frame_size
    )


def _sound(programme: Programme, first: int, count: int) -> av.AudioFrame:
    """Return samples from number `first` as a frame."""
    samples = np.ascontiguousarray(programme.samples(first, count))
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
    frame.sample_rate, frame.pts = SAMPLE_RATE, first
    frame.time_base = Fraction(1, SAMPLE_RATE)
    return frame


def _mux(
    container: av.container.OutputContainer,
    packets: list[av.Packet[av.VideoStream]] | list[av.Packet[av.AudioStream]],
) -> None:
    """Mux packets, but no encoder priming into MPEG-TS, which cannot mark it as such."""
    for packet in packets:
        if container.format.name == "mpegts" and packet.pts is not None and packet.pts < 0:
            continue
        container.mux(packet)
