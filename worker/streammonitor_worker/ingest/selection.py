"""Which elementary streams of a container are read, and how they are decoded."""

from dataclasses import dataclass
from typing import Literal

from av.audio.stream import AudioStream
from av.codec.context import ThreadType
from av.container import InputContainer
from av.stream import DataStream, Discard, Stream
from av.video.stream import VideoStream

from streammonitor_worker.ingest import bounds
from streammonitor_worker.ingest.elementary import best_audio, best_video
from streammonitor_worker.ingest.errors import SourceError, redact
from streammonitor_worker.ingest.splices import splice_streams

Threads = Literal["none", "frame"]


@dataclass(frozen=True, slots=True)
class Selection:
    """The streams that are read.

    Attributes:
        picture: What is decoded as video, if anything.
        sound: What is decoded as audio, if anything.
        watched: Whose packets are told of, decoded or not.
        splices: Those that carry splice information.
    """

    picture: VideoStream | None
    sound: AudioStream | None
    watched: tuple[Stream, ...] = ()
    splices: tuple[DataStream, ...] = ()

    @property
    def decoded(self) -> list[Stream]:
        """Picture and sound."""
        return [stream for stream in (self.picture, self.sound) if stream]

    @property
    def read(self) -> list[Stream]:
        """All of them, each once."""
        return [*{*self.decoded, *self.watched}, *self.splices]


def select(
    container: InputContainer, *, video: bool, audio: bool, watch: bool, threads: Threads, url: str
) -> Selection:
    """Choose what is read of a container, and set up its decoders; see `open_source`.

    Raises:
        SourceError: It has none of what is wanted.
    """
    picture = best_video(container)
    sound = best_audio(container, picture if video or watch else None)
    either = video or audio
    selection = Selection(
        picture if video or not (either or sound) else None,
        sound if audio or not either else None,
        tuple(one for one in (picture, sound) if one) if watch else (),
        tuple(splice_streams(container)),
    )
    if not selection.decoded:
        raise _no_streams(container, video, audio, url)
    _configure(container, selection, threads)
    return selection


def _no_streams(container: InputContainer, video: bool, audio: bool, url: str) -> SourceError:
    wanted = " or ".join(name for name, on in (("video", video), ("audio", audio)) if on)
    has = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
    return SourceError(
        "NoStreams",
        f"{redact(url)} has no {wanted or 'stream'} that can be decoded (it has {has}): "
        f"check the source or the detectors",
    )


def _configure(container: InputContainer, selection: Selection, threads: Threads) -> None:
    read = selection.read
    for stream in container.streams:
        if stream not in read:
            # Not only skipped: an HLS variant that nobody reads is not fetched.
            stream.discard = Discard.all
    if selection.picture:
        # PyAV's default, slices, loses the flags of damaged frames.
        context = selection.picture.codec_context
        context.thread_type = ThreadType.FRAME if threads == "frame" else ThreadType.NONE
        context.options = bounds.DECODER_OPTIONS
