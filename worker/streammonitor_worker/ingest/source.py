"""One opened source: what is read of it, and when it is handed on."""

import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from av import VideoFrame
from av.container import InputContainer

from streammonitor_api.push import push_of
from streammonitor_api.source import Program, Variant
from streammonitor_api.worker_status import AudioFormat, VideoFormat
from streammonitor_worker.deliveries import Codecs
from streammonitor_worker.frames import FormatChange, MediaItem, TransportView
from streammonitor_worker.ingest import bounds
from streammonitor_worker.ingest.access import EVERYTHING, Access
from streammonitor_worker.ingest.container import Way, open_container
from streammonitor_worker.ingest.decoding import Counters, Decoded, Decoding, Found
from streammonitor_worker.ingest.elementary import audio_format, video_format
from streammonitor_worker.ingest.encryption.keys import NO_KEYS, ContentKeys
from streammonitor_worker.ingest.errors import redact
from streammonitor_worker.ingest.manifests.freshness import Freshness
from streammonitor_worker.ingest.notes import Notes
from streammonitor_worker.ingest.opening import Opening
from streammonitor_worker.ingest.options import Plan
from streammonitor_worker.ingest.placing import Placing, source_time
from streammonitor_worker.ingest.selection import Selection, Threads, select
from streammonitor_worker.ingest.signing import Bucket
from streammonitor_worker.ingest.stop import Stop

__all__ = ["Counters", "Source", "open_source"]

PRIME_FRAMES = 16
"""Frames held back at most until both video and audio have shown when they begin."""
SHARED_TIME = ("hls", "mpegts")
"""Formats whose timestamps are the encoder's, whenever and by whomever they are read."""


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
        finite: Whether the source has an end; otherwise it is live.
        duration_s: Length in seconds, if the source is finite and says so.
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
        self._container = container
        self._way = way
        self._keyed = bool(planned.keys)
        self._notes = way.notes if isinstance(way, Opening) else Notes()
        self._stop = stop
        self.duration_s = _duration(container, planned)
        self.finite = self.duration_s is not None or _sized(container, way)
        self._pace = live and self.finite
        self._tell_codecs()
        self._selection = select(
            container, video=video, audio=audio, watch=watch, threads=threads, url=url
        )
        self._decoding = Decoding(
            url,
            container,
            self._selection,
            way,
            notes=self._notes,
            keys=planned.keys,
            finite=self.finite,
            stop=stop,
        )
        # What is sent is received once: whoever receives it next goes on with the same timestamps.
        sent = push_of(url) is not None
        self._placing = Placing(
            video_format(self._selection.picture),
            audio_format(self._selection.sound),
            redact(url),
            shared_time=(sent or container.format.name in SHARED_TIME) and not self.finite,
            watch=bool(self._selection.watched),
        )
        bounds.check(self.video, self.audio, redact(url))

    @property
    def video(self) -> VideoFormat | None:
        """Format of the video that is decoded; None without."""
        return self._placing.video

    @property
    def audio(self) -> AudioFormat | None:
        """Format of the audio that is decoded; None without."""
        return self._placing.audio

    @property
    def counters(self) -> Counters:
        """Faults so far."""
        return self._decoding.counters

    @property
    def reading(self) -> bool:
        """It reads, and may wait for what it reads; otherwise it is busy with what came."""
        return self._decoding.reading

    @property
    def decrypted(self) -> bool:
        """Whether any of it was encrypted, or was given keys."""
        return self._keyed or (isinstance(self._way, Opening) and self._way.decrypted)

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
        for one in self._notes.take():
            yield from self._placing.told(*one)

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
        found = iter(self._decoding)
        primed = _prime(found, self._selection)
        begins = [source_time(one.frame) or 0.0 for one, _ in primed if isinstance(one, Decoded)]
        self._placing.begin(min(begins, default=0.0))
        while primed:
            # Oldest first, and released one by one: a held frame is a held decoder buffer.
            yield from self._placing.place(primed.pop(0))
        for one in found:
            yield from self._placing.place(one)

    def _tell_codecs(self) -> None:
        claimed = self._way.tap.claimed if isinstance(self._way, Opening) else ()
        contexts = (stream.codec_context for stream in self._container.streams)
        if claimed:
            names = tuple(one.codec.canonical_name for one in contexts if one)
            self._notes.add(Codecs(claimed, names))


def _prime(found: Iterator[Found], selection: Selection) -> list[Found]:
    """What comes until everything that is decoded has shown when it begins."""
    wanted = {stream.type for stream in selection.decoded}
    primed: list[Found] = []
    frames = 0
    for one, arrived_at in found:
        primed.append((one, arrived_at))
        if isinstance(one, Decoded):
            wanted.discard("video" if isinstance(one.frame, VideoFrame) else "audio")
            frames += 1
        if not wanted or frames >= PRIME_FRAMES:
            break
    return primed


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
