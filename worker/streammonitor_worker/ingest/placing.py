"""Decoded frames → views on media time, and what is told in between."""

from collections.abc import Iterator

import av

from streammonitor_api.worker_status import AudioFormat, VideoFormat
from streammonitor_worker.deliveries import Presented
from streammonitor_worker.facts import Fact
from streammonitor_worker.frames import (
    AudioView,
    FormatChange,
    FrameView,
    MediaItem,
    TransportView,
)
from streammonitor_worker.ingest import bounds
from streammonitor_worker.ingest.decoding import Decoded, Found, Frame
from streammonitor_worker.ingest.pictures import picture_of
from streammonitor_worker.ingest.sound import samples_of
from streammonitor_worker.ingest.splices import ad_cue
from streammonitor_worker.ingest.timeline import Timeline
from streammonitor_worker.mpegts.scte35 import Cue

TIE_S = 0.2
"""How often it is told which timestamps belong to media time."""


class Placing:
    """Puts what comes of one source on media time, and follows changes of its formats.

    Args:
        video: Format of the picture before its first frame; None without.
        audio: Format of the sound; None without.
        where: What it is called in messages.
        shared_time: Whether its timestamps are the encoder's, whoever reads them.
        watch: Tell of timestamps.

    Attributes:
        video: Format of the picture by now.
        audio: Format of the sound by now.
        until_s: Media time up to which there was picture or sound.
    """

    def __init__(
        self,
        video: VideoFormat | None,
        audio: AudioFormat | None,
        where: str,
        *,
        shared_time: bool,
        watch: bool,
    ) -> None:
        self.video, self.audio = video, audio
        self._where = where
        self._shared_time = shared_time
        self._watch = watch
        self._frame_s = 1 / video.frame_rate if video and video.frame_rate else 0.0
        self._timeline = Timeline(origin_s=0.0)
        self._tied: tuple[float, float] | None = None
        self._tied_at_s = float("-inf")
        self.until_s = 0.0

    def begin(self, origin_s: float) -> None:
        """Set which timestamp is media time 0."""
        self._timeline = Timeline(origin_s)

    def place(self, found: Found) -> Iterator[MediaItem]:
        """Yield what belongs to something that came, in order."""
        one, arrived_at = found
        if not isinstance(one, Decoded):
            yield from self.told(one, arrived_at)
            return
        for item in self._views(one, arrived_at):
            before_s = self.until_s
            if isinstance(item, FrameView | AudioView):
                self.until_s = max(before_s, item.time_s + item.duration_s)
            yield item
            if isinstance(item, FrameView | AudioView) and self.until_s > before_s:
                yield from self._tie(one.frame, item.duration_s, arrived_at)

    def told(self, one: Fact | Cue, arrived_at: float) -> Iterator[TransportView]:
        """Yield what is told of the source, where media time stands; from any thread."""
        fact = ad_cue(one, self._tied, self.until_s) if isinstance(one, Cue) else one
        yield TransportView(self.until_s, arrived_at, fact)

    def _views(self, one: Decoded, arrived_at: float) -> Iterator[MediaItem]:
        if isinstance(one.frame, av.VideoFrame):
            yield from self._picture(one, one.frame, arrived_at)
        else:
            yield from self._sound(one.frame, arrived_at)

    def _tie(self, frame: Frame, duration_s: float, arrived_at: float) -> Iterator[TransportView]:
        """Note which timestamps belong to media time, and tell it from time to time."""
        stamp_s = source_time(frame)
        if stamp_s is None:
            return
        self._tied = self.until_s, stamp_s + duration_s
        if self._watch and self.until_s - self._tied_at_s >= TIE_S:
            self._tied_at_s = self.until_s
            yield TransportView(self.until_s, arrived_at, Presented(stamp_s + duration_s))

    def _picture(
        self, decoded: Decoded, frame: av.VideoFrame, arrived_at: float
    ) -> Iterator[MediaItem]:
        yield from self._picture_format(frame)
        duration_s = float(frame.duration * frame.time_base) if frame.time_base else 0.0
        duration_s = duration_s or self._frame_s
        time_s, jump = self._timeline.place("video", source_time(frame), duration_s)
        if jump:
            yield jump
        picture = picture_of(frame)
        yield FrameView(
            time_s=time_s,
            duration_s=duration_s,
            arrived_at=arrived_at,
            luma=picture.luma,
            chroma=picture.chroma,
            bit_depth=picture.bit_depth,
            full_range=picture.full_range,
            transfer=picture.transfer,
            matrix=picture.matrix,
            key_frame=frame.key_frame,
            corrupt=decoded.corrupt,
            lost=decoded.lost,
            source_s=self._shared(frame, time_s),
        )

    def _sound(self, frame: av.AudioFrame, arrived_at: float) -> Iterator[MediaItem]:
        yield from self._sound_format(frame)
        duration_s = frame.samples / frame.sample_rate
        time_s, jump = self._timeline.place("audio", source_time(frame), duration_s)
        if jump:
            yield jump
        yield AudioView(
            time_s=time_s,
            arrived_at=arrived_at,
            samples=samples_of(frame),
            sample_rate=frame.sample_rate,
            source_s=self._shared(frame, time_s),
        )

    def _shared(self, frame: Frame, time_s: float) -> float | None:
        """A frame's timestamp where all workers see the same; what was damaged may have lost it."""
        if not self._shared_time:
            return None
        stamp_s = source_time(frame)
        if stamp_s is None and self._tied is not None:
            stamp_s = self._tied[1] + time_s - self._tied[0]
        return stamp_s

    def _picture_format(self, frame: av.VideoFrame) -> Iterator[FormatChange]:
        known = self.video
        if known and (known.width, known.height) != (frame.width, frame.height):
            self.video = known.model_copy(update={"width": frame.width, "height": frame.height})
            bounds.check(self.video, None, self._where)
            yield FormatChange(video=self.video, audio=self.audio)

    def _sound_format(self, frame: av.AudioFrame) -> Iterator[FormatChange]:
        now = {"sample_rate": frame.sample_rate, "channels": frame.layout.nb_channels}
        known = self.audio
        if known and (known.sample_rate, known.channels) != tuple(now.values()):
            self.audio = known.model_copy(update=now)
            bounds.check(None, self.audio, self._where)
            yield FormatChange(video=self.video, audio=self.audio)


def source_time(frame: Frame) -> float | None:
    """A frame's own timestamp in seconds; None if it has none."""
    return None if frame.pts is None or not frame.time_base else float(frame.pts * frame.time_base)
