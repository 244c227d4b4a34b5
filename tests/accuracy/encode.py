"""Encode pictures and sound with a chosen codec, quality and distance of key frames."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
import numpy as np

from dev.media.scheduling import open_modestly
from dev.origin.origin import SAMPLE_RATE, Canvas, Floats
from tests.accuracy.formats import Former, tag

os.environ.setdefault("SVT_LOG", "1")  # errors only; the encoder knows no other way

ENCODERS = {"h264": "libx264", "hevc": "libx265", "mpeg2": "mpeg2video", "av1": "libsvtav1"}
"""Codec by the name that this bench gives it."""
MPEG2_SCALE = {20: 3, 28: 6, 35: 12}
"""Quantiser scales that look about like these rate factors of H.264."""
AV1_FACTOR = {20: 30, 28: 40, 35: 50}
SUFFIX = {"av1": ".mp4"}
"""Containers; MPEG-TS where nothing is said."""
_LAMBDA = 118  # FF_QP2LAMBDA


@dataclass(frozen=True)
class Encoding:
    """How to encode.

    Attributes:
        codec: One of ENCODERS, or PyAV's name of another encoder.
        crf: Constant rate factor: 20, 28 or 35, translated for codecs that have none.
        gop_s: Key frames come at least that often.
        b_frames: As many in a row at most; ignored by AV1.
        audio: PyAV's name of the audio encoder.
        form: Format of the pictures, one of FORMATS.
    """

    codec: str = "h264"
    crf: int = 28
    gop_s: float = 2.0
    b_frames: int = 0
    audio: str = "aac"
    form: str = "8-bit"

    @property
    def suffix(self) -> str:
        """Of the file."""
        return SUFFIX.get(self.codec, ".ts")

    def options(self) -> dict[str, str]:
        """What the encoder is told."""
        fields = {"flags": "+ildct+ilme"} if self.form == "interlaced" else {}
        if self.codec == "h264":
            return {"crf": str(self.crf), "preset": "superfast", **fields}
        if self.codec == "hevc":
            quiet = "log-level=error:pools=none:frame-threads=1"
            return {"crf": str(self.crf), "preset": "ultrafast", "x265-params": quiet}
        if self.codec == "av1":
            return {
                "crf": str(AV1_FACTOR.get(self.crf, self.crf)),
                "preset": "11",
                "svtav1-params": "lp=1",
            }
        return fields


def available() -> list[str]:
    """Those of ENCODERS that this PyAV has."""
    return [name for name, encoder in ENCODERS.items() if encoder in av.codecs_available]


class Writer:
    """Encodes and muxes; picture 0 and sample 0 carry the same timestamp."""

    def __init__(
        self,
        path: Path,
        encoding: Encoding,
        *,
        size: tuple[int, int] | None,
        frame_rate: Fraction,
        sound: bool,
    ) -> None:
        self._container = av.open(str(path), "w")
        self._rate, self._encoding = frame_rate, encoding
        self._former = Former(encoding.form)
        self._video = self._add_video(size) if size else None
        self._audio = self._add_audio() if sound else None
        self.frames = self.samples = 0
        self.lead = 0
        """Samples at the beginning that no player presents: they went with the priming."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._container.close()

    def _add_video(self, size: tuple[int, int]) -> av.VideoStream:
        encoding = self._encoding
        stream = self._container.add_stream(
            ENCODERS.get(encoding.codec, encoding.codec), rate=self._rate
        )
        if not isinstance(stream, av.VideoStream):
            raise ValueError(f"{encoding.codec} is not a video codec")
        context = stream.codec_context
        context.width, context.height = size
        tag(context, encoding.form)
        context.time_base = 1 / self._rate
        context.gop_size = max(1, round(encoding.gop_s * self._rate))
        context.thread_count = 1
        if encoding.codec != "av1":
            context.max_b_frames = encoding.b_frames
        if encoding.codec == "mpeg2":
            scale = MPEG2_SCALE.get(encoding.crf, 6)
            context.qmin = context.qmax = scale
            context.bit_rate = 20_000_000
        context.options = encoding.options()
        open_modestly(context)
        return stream

    def _add_audio(self) -> av.AudioStream:
        stream = self._container.add_stream(self._encoding.audio, rate=SAMPLE_RATE)
        if not isinstance(stream, av.AudioStream):
            raise ValueError(f"{self._encoding.audio} is not an audio codec")
        context = stream.codec_context
        context.layout = "stereo"
        context.bit_rate = 192_000
        if self._encoding.audio == "aac":
            context.options = {"aac_coder": "fast"}
        context.open(strict=False)
        self._resampler = av.AudioResampler(
            format=context.format,
            layout="stereo",
            rate=SAMPLE_RATE,
            frame_size=context.frame_size or 1024,
        )
        return stream

    def show(self, canvas: Canvas) -> None:
        """Encode the next picture."""
        if self._video is None:
            raise ValueError("the clip has no pictures")
        picture = self._former.frame(canvas)
        picture.pts, picture.time_base = self.frames, 1 / self._rate
        self.frames += 1
        self._mux(self._video.encode(picture))

    def leave_out(self) -> None:
        """Let the next picture come one later: the time stamps have a gap."""
        self.frames += 1

    def play(self, samples: Floats) -> None:
        """Encode the next samples."""
        if self._audio is None:
            raise ValueError("the clip has no sound")
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples), format="fltp", layout="stereo"
        )
        frame.sample_rate, frame.pts = SAMPLE_RATE, self.samples
        frame.time_base = Fraction(1, SAMPLE_RATE)
        self.samples += samples.shape[1]
        for piece in self._resampler.resample(frame):
            self._mux(self._audio.encode(piece))

    def _flush(self) -> None:
        if self._audio is not None:
            for piece in self._resampler.resample(None):
                self._mux(self._audio.encode(piece))
            self._mux(self._audio.encode(None))
        if self._video is not None:
            self._mux(self._video.encode(None))

    def _mux(
        self, packets: list[av.Packet[av.VideoStream]] | list[av.Packet[av.AudioStream]]
    ) -> None:
        """Mux packets, but no encoder priming into MPEG-TS, which cannot mark it as such."""
        for packet in packets:
            early = packet.pts is not None and packet.pts < 0
            if early and self._container.format.name == "mpegts":
                self._primed(packet)
                continue
            self._container.mux(packet)

    def _primed(self, packet: av.Packet[av.VideoStream] | av.Packet[av.AudioStream]) -> None:
        """Note where the sound begins without this packet, which may hold more than priming."""
        if self._video is None and packet.pts is not None and packet.time_base:
            end_s = (packet.pts + (packet.duration or 0)) * packet.time_base
            self.lead = max(self.lead, round(end_s * SAMPLE_RATE))
