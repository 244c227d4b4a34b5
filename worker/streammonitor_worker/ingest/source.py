"""One opened source: demultiplex, decode, put on the media timeline."""

import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self

import av
from av.codec.context import ThreadType
from av.container import InputContainer
from av.packet import Packet
from av.stream import Discard, Stream
from av.video.stream import VideoStream

from streammonitor_api.push import push_of
from streammonitor_api.source import Program, Variant
from streammonitor_worker.deliveries import Codecs, Presented
from streammonitor_worker.facts import Fact
from streammonitor_worker.frames import (
    AudioView,
    FormatChange,
    FrameView,
    MediaItem,
    TransportView,
)
from streammonitor_worker.ingest import bounds
from streammonitor_worker.ingest.access import EVERYTHING, Access
from streammonitor_worker.ingest.container import Way, open_container
from streammonitor_worker.ingest.elementary import (
    audio_format,
    best_audio,
    best_video,
    coded_unit,
    key_id_of,
    video_format,
)
from streammonitor_worker.ingest.encryption.keys import NO_KEYS, ContentKeys
from streammonitor_worker.ingest.errors import SourceError, classify, redact
from streammonitor_worker.ingest.interrupt import interruptible
from streammonitor_worker.ingest.losses import Losses, losses_of
from streammonitor_worker.ingest.manifests.freshness import Freshness
from streammonitor_worker.ingest.notes import Notes
from streammonitor_worker.ingest.opening import Opening
from streammonitor_worker.ingest.options import Plan
from streammonitor_worker.ingest.pictures import picture_of
from streammonitor_worker.ingest.signing import Bucket
from streammonitor_worker.ingest.sound import samples_of
from streammonitor_worker.ingest.splices import ad_cue, splice_streams
from streammonitor_worker.ingest.stop import Stop
from streammonitor_worker.ingest.timeline import Timeline
from streammonitor_worker.mpegts.scte35 import cues

Frame = av.VideoFrame | av.AudioFrame
Found = tuple[Frame | Fact, float]
"""What came, and the Unix time at which it had arrived."""
Threads = Literal["none", "frame"]

PRIME_FRAMES = 16
"""Frames held back at most until both video and audio have shown when they begin."""
HOPELESS_ERRORS = 200
"""Packets that fail to decode, and are not made up for, before the source is given up."""
CHANGED_ERRORS = 50
"""So many of one stream, before a live source is opened anew: its codec may have changed."""
MADE_UP = 5
"""So many errors are forgotten for a frame; a decoder of another codec finds one now and then."""
CORRUPT_PACKETS = 64
"""Damaged packets whose pictures are waited for at most; a decoder holds fewer back."""
TIE_S = 0.2
"""How often it is told which timestamps belong to media time."""
SHARED_TIME = ("hls", "mpegts")
"""Formats whose timestamps are the encoder's, whenever and by whomever they are read."""


@dataclass(slots=True)
class Counters:
    """What a source had to cope with.

    Attributes:
        decode_errors: Packets that the decoder refused.
        corrupt_packets: Packets that the demuxer flagged as damaged.
    """

    decode_errors: int = 0
    corrupt_packets: int = 0


def open_source(
    url: str,
    *,
    video: bool = True,
    audio: bool = True,
    watch: bool = False,
    headers: Mapping[str, str] | None = None,
    live: bool = True,
    stop: Stop | None = None,
    access: Access = EVERYTHING,
    variant: Variant | None = None,
    program: Program | None = None,
    keys: ContentKeys = NO_KEYS,
    bucket: Bucket | None = None,
    threads: Threads = "none",
    freshness: Freshness | None = None,
) -> "Source":
    """Open a URL or path.

    Args:
        url: http(s), rtmp(s), rtsp(s) or file URL, or a path.
        video: Decode video, if there is any.
        audio: Decode audio, if there is any. With neither, sound is decoded if there is any, else
            pictures: something has to tell the time.
        watch: Tell of the packets of both, decoded or not.
        headers: HTTP request headers.
        live: Play a finite source in real time; otherwise as fast as it can be read.
        stop: Ends the source early, also while it waits for the network.
        access: What may be opened.
        variant: Which rendition of an HLS or DASH source; the best by default.
        program: Which program of a transport stream; the first one with a picture by default.
        keys: Keys of encrypted media.
        bucket: Signs requests for what is in it.
        threads: "frame" decodes on several cores, at the price of latency.
        freshness: What is known of the source's playlists from connections before.

    Raises:
        SourceError: It must not or cannot be opened, is no media, or has none of what is wanted.
    """
    stop = stop or Stop()
    with ExitStack() as stack:
        container, planned, way = open_container(
            url,
            headers or {},
            access,
            stop,
            variant=variant,
            program=program,
            keys=keys,
            bucket=bucket,
            watch=watch,
            freshness=freshness,
        )
        if way:
            stack.callback(way.close)
        stack.callback(container.close)
        source = Source(
            url,
            container,
            planned,
            way,
            video=video,
            audio=audio,
            watch=watch,
            live=live,
            stop=stop,
            threads=threads,
        )
        stack.pop_all()
    return source


class Source:
    """An opened source. Iterate once; use as a context manager.

    Attributes:
        video: Format of the video that is decoded; None without.
        audio: Format of the audio that is decoded; None without.
        finite: Whether the source has an end; otherwise it is live.
        duration_s: Length in seconds, if the source is finite and says so.
        counters: Faults so far.
        reading: It reads, and may wait for what it reads; otherwise it is busy with what came.
    """

    def __init__(
        self,
        url: str,
        container: InputContainer,
        planned: Plan,
        way: Way,
        *,
        video: bool,
        audio: bool,
        watch: bool,
        live: bool,
        stop: Stop,
        threads: Threads,
    ) -> None:
        self._url = url
        self._container = container
        self._way = way
        self._notes = way.notes if isinstance(way, Opening) else Notes()
        self._stop = stop
        pictures = best_video(container)
        sound = best_audio(container, pictures if video or watch else None)
        either = video or audio
        self._video_stream = pictures if video or not (either or sound) else None
        self._audio_stream = sound if audio or not either else None
        self._watched = [one for one in (pictures, sound) if one] if watch else []
        self._until_s = 0.0
        self._tied: tuple[float, float] | None = None
        self._tied_at_s = float("-inf")
        self._splices = splice_streams(container)
        self._tell_codecs()
        self._require_streams(video, audio)
        self._configure_decoders(threads)
        self.counters = Counters()
        self._refused: Counter[int | None] = Counter()
        self.reading = False
        self._keys = planned.keys
        self._corrupt_pts: deque[int | None] = deque(maxlen=CORRUPT_PACKETS)
        self._losses = _losses(self._video_stream)
        self.video = video_format(self._video_stream)
        self.audio = audio_format(self._audio_stream)
        bounds.check(self.video, self.audio, redact(url))
        self.duration_s = _duration(container, planned)
        self.finite = self.duration_s is not None or _sized(container, way)
        self._pace = live and self.finite
        # What is sent is received once: whoever receives it next goes on with the same timestamps.
        sent = push_of(url) is not None
        self._shared_time = (sent or container.format.name in SHARED_TIME) and not self.finite
        self._frame_s = 1 / self.video.frame_rate if self.video and self.video.frame_rate else 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def noticed(self) -> Iterator[TransportView]:
        """Yield what was noticed and is not told yet; from any thread, also while nothing comes."""
        for fact, arrived_at in self._notes.take():
            yield TransportView(self._until_s, arrived_at, fact)

    def close(self) -> None:
        """Close the connection or file. Views that were handed out stay valid."""
        self._container.close()
        if self._way:
            self._way.close()

    def __iter__(self) -> Iterator[MediaItem]:
        """Yield the format, then views; per elementary stream in presentation order.

        Raises:
            SourceError: Reading failed. The end of the source is the end of the iteration.
        """
        yield FormatChange(video=self.video, audio=self.audio)
        started = time.monotonic()
        for item in self._views():
            if self._pace and not isinstance(item, FormatChange | TransportView):
                # Paced by media time: a file stands in for a live channel.
                self._stop.wait(max(0.0, started + item.time_s - time.monotonic()))
            if self._stop.is_set():
                return
            yield item

    def _views(self) -> Iterator[MediaItem]:
        found = self._found()
        primed = self._prime(found)
        begins = [_source_time(one) or 0.0 for one, _ in primed if isinstance(one, Frame)]
        timeline = Timeline(origin_s=min(begins, default=0.0))
        while primed:
            # Oldest first, and released one by one: a held frame is a held decoder buffer.
            yield from self._place(timeline, *primed.pop(0))
        for one, arrived_at in found:
            yield from self._place(timeline, one, arrived_at)

    def _prime(self, found: Iterator[Found]) -> list[Found]:
        wanted: set[type[Frame]] = set()
        wanted |= {av.VideoFrame} if self._video_stream else set()
        wanted |= {av.AudioFrame} if self._audio_stream else set()
        primed: list[Found] = []
        frames = 0
        for one, arrived_at in found:
            primed.append((one, arrived_at))
            if isinstance(one, Frame):
                wanted.discard(type(one))
                frames += 1
            if not wanted or frames >= PRIME_FRAMES:
                break
        return primed

    def _found(self) -> Iterator[Found]:
        decoded = [stream for stream in (self._video_stream, self._audio_stream) if stream]
        for packet in self._packets([*{*decoded, *self._watched}, *self._splices]):
            arrived_at = time.time()
            yield from self._notes.take()
            for fact in self._facts(packet):
                yield fact, arrived_at
            if packet.stream not in decoded:
                continue
            if packet.is_corrupt:
                self.counters.corrupt_packets += 1
            if self._lacks_reference(packet) or packet.is_corrupt:
                # Not every decoder notices what the demuxer knows, and none says what is missing.
                self._corrupt_pts.append(packet.pts)
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                self._refuse(packet.stream_index, error)
                continue
            for frame in frames:
                if isinstance(frame, av.VideoFrame | av.AudioFrame):
                    self._accept(packet.stream_index)
                    yield frame, arrived_at
        yield from self._notes.take()

    def _refuse(self, index: int, error: av.FFmpegError) -> None:
        """Count a packet that the decoder refuses; of a file those of all streams together."""
        self.counters.decode_errors += 1
        key = None if self.finite else index
        self._refused[key] += 1
        if self._refused[key] >= (HOPELESS_ERRORS if self.finite else CHANGED_ERRORS):
            raise SourceError(
                "DecodeFailed",
                f"{redact(self._url)} cannot be decoded: {self._refused[key]} packets were "
                f"refused: check the encoder, unless its codec has just changed",
            ) from error

    def _accept(self, index: int) -> None:
        key = None if self.finite else index
        self._refused[key] = max(0, self._refused[key] - MADE_UP)

    def _facts(self, packet: "Packet[Stream]") -> Iterator[Fact]:
        if packet.stream in self._splices:
            for cue in cues(bytes(packet)):
                yield ad_cue(cue, self._tied, self._until_s)
        elif packet.size:
            yield coded_unit(packet)

    def _lacks_reference(self, packet: "Packet[Stream]") -> bool:
        if self._losses is None or packet.stream is not self._video_stream or not packet.size:
            return False
        return self._losses.take(bytes(packet), packet.pts)

    def _packets(self, chosen: "list[Stream]") -> "Iterator[Packet[Stream]]":
        packets = self._container.demux(chosen)
        while not self._stop.is_set():
            try:
                with interruptible(self._way or self._stop):
                    self.reading = True
                    packet = next(packets, None)
            except (av.FFmpegError, OSError, SourceError) as error:
                if self._stop.is_set():
                    return
                raise self._cause(error) from None
            except IndexError:
                # The end, where PyAV trips over streams that came after the container was opened.
                packet = None
            finally:
                self.reading = False
            if packet is None:
                if self._way and self._way.failure:
                    raise self._way.failure
                return
            if packet.has_sidedata("encryption_info"):
                raise self._keys.lacking(self._url, key_id_of(packet))
            yield packet

    def _tell_codecs(self) -> None:
        claimed = self._way.tap.claimed if isinstance(self._way, Opening) else ()
        contexts = (stream.codec_context for stream in self._container.streams)
        if claimed:
            names = tuple(one.codec.canonical_name for one in contexts if one)
            self._notes.add(Codecs(claimed, names))

    def _cause(self, error: Exception) -> SourceError:
        if isinstance(error, SourceError):
            return error
        if self._keys and isinstance(error, PermissionError):
            # What FFmpeg says of an MP4 whose key is not among those that it was given.
            return self._keys.lacking(self._url)
        failure = self._way.failure if self._way else None
        return failure or classify(error, self._url, opening=False)

    def _place(
        self, timeline: Timeline, one: Frame | Fact, arrived_at: float
    ) -> Iterator[MediaItem]:
        if isinstance(one, av.VideoFrame):
            placed = self._place_picture(timeline, one, arrived_at)
        elif isinstance(one, av.AudioFrame):
            placed = self._place_sound(timeline, one, arrived_at)
        else:
            yield TransportView(self._until_s, arrived_at, one)
            return
        for item in placed:
            before_s = self._until_s
            if isinstance(item, FrameView | AudioView):
                self._until_s = max(before_s, item.time_s + item.duration_s)
            yield item
            if isinstance(item, FrameView | AudioView) and self._until_s > before_s:
                yield from self._tie(one, item.duration_s, arrived_at)

    def _tie(self, frame: Frame, duration_s: float, arrived_at: float) -> Iterator[TransportView]:
        """Note which timestamps belong to media time, and tell it from time to time."""
        source_s = _source_time(frame)
        if source_s is None:
            return
        self._tied = self._until_s, source_s + duration_s
        if self._watched and self._until_s - self._tied_at_s >= TIE_S:
            self._tied_at_s = self._until_s
            yield TransportView(self._until_s, arrived_at, Presented(source_s + duration_s))

    def _place_picture(
        self, timeline: Timeline, frame: av.VideoFrame, arrived_at: float
    ) -> Iterator[MediaItem]:
        yield from self._picture_format(frame)
        duration_s = float(frame.duration * frame.time_base) if frame.time_base else 0.0
        duration_s = duration_s or self._frame_s
        time_s, jump = timeline.place("video", _source_time(frame), duration_s)
        if jump:
            yield jump
        picture = picture_of(frame)
        lost = self._losses.of(frame.pts) if self._losses else None
        corrupt = frame.is_corrupt or self._damaged_on_its_way(frame)
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
            corrupt=corrupt,
            lost=lost if corrupt else None,
            source_s=_source_time(frame) if self._shared_time else None,
        )

    def _place_sound(
        self, timeline: Timeline, frame: av.AudioFrame, arrived_at: float
    ) -> Iterator[MediaItem]:
        yield from self._sound_format(frame)
        duration_s = frame.samples / frame.sample_rate
        time_s, jump = timeline.place("audio", _source_time(frame), duration_s)
        if jump:
            yield jump
        yield AudioView(
            time_s=time_s,
            arrived_at=arrived_at,
            samples=samples_of(frame),
            sample_rate=frame.sample_rate,
            source_s=_source_time(frame) if self._shared_time else None,
        )

    def _damaged_on_its_way(self, frame: av.VideoFrame) -> bool:
        """Whether a part of the packet that it was coded in is missing, or what it refers to."""
        if not self._corrupt_pts or frame.pts is None or frame.pts not in self._corrupt_pts:
            return False
        self._corrupt_pts.remove(frame.pts)
        return True

    def _picture_format(self, frame: av.VideoFrame) -> Iterator[FormatChange]:
        known = self.video
        if known and (known.width, known.height) != (frame.width, frame.height):
            self.video = known.model_copy(update={"width": frame.width, "height": frame.height})
            bounds.check(self.video, None, redact(self._url))
            yield FormatChange(video=self.video, audio=self.audio)

    def _sound_format(self, frame: av.AudioFrame) -> Iterator[FormatChange]:
        now = {"sample_rate": frame.sample_rate, "channels": frame.layout.nb_channels}
        known = self.audio
        if known and (known.sample_rate, known.channels) != tuple(now.values()):
            self.audio = known.model_copy(update=now)
            bounds.check(None, self.audio, redact(self._url))
            yield FormatChange(video=self.video, audio=self.audio)

    def _require_streams(self, video: bool, audio: bool) -> None:
        if self._video_stream or self._audio_stream:
            return
        wanted = " or ".join(name for name, on in (("video", video), ("audio", audio)) if on)
        has = ", ".join(sorted({stream.type for stream in self._container.streams})) or "nothing"
        raise SourceError(
            "NoStreams",
            f"{redact(self._url)} has no {wanted or 'stream'} that can be decoded (it has {has}): "
            f"check the source or the detectors",
        )

    def _configure_decoders(self, threads: Threads) -> None:
        chosen = (self._video_stream, self._audio_stream, *self._watched, *self._splices)
        for stream in self._container.streams:
            if stream not in chosen:
                # Not only skipped: an HLS variant that nobody reads is not fetched.
                stream.discard = Discard.all
        if self._video_stream:
            # PyAV's default, slices, loses the flags of damaged frames.
            context = self._video_stream.codec_context
            context.thread_type = ThreadType.FRAME if threads == "frame" else ThreadType.NONE
            context.options = bounds.DECODER_OPTIONS


def _losses(stream: VideoStream | None) -> Losses | None:
    if stream is None:
        return None
    context = stream.codec_context
    return losses_of(context.name, context.extradata, (context.width, context.height))


def _duration(container: InputContainer, planned: Plan) -> float | None:
    # RTMP metadata carries the length of whatever was recorded last; the connection is live.
    if planned.scheme in ("rtmp", "rtmps") or not container.duration or container.duration < 0:
        return None
    return container.duration / 1_000_000


def _sized(container: InputContainer, way: Way) -> bool:
    """Whether it is one resource of known length (a playlist's own length says nothing)."""
    if way is not None:
        return way.length is not None
    return container.size > 0


def _source_time(frame: Frame) -> float | None:
    return None if frame.pts is None or not frame.time_base else float(frame.pts * frame.time_base)
