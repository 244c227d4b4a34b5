"""How large what a stream claims to be may get: a few bytes can ask for gigabytes of memory."""

from streammonitor_api.worker_status import AudioFormat, VideoFormat
from streammonitor_worker.ingest.errors import SourceError

MAX_PIXELS = 8192 * 4352
"""Of a picture: 8K of television and of cinema, in whole macroblocks."""
MAX_CHANNELS = 64
"""Of sound: the largest layouts that are broadcast have 24."""
MAX_SAMPLE_RATE = 384_000
MAX_STREAMS = 500
"""Elementary streams of a container; a whole multiplex has fewer."""

DECODER_OPTIONS = {"max_pixels": str(MAX_PIXELS)}
"""A picture whose size grows later is refused before memory is given to it."""


def check(video: VideoFormat | None, audio: AudioFormat | None, where: str) -> None:
    """Refuse what is larger than anything that is broadcast.

    Args:
        video: What is decoded of pictures.
        audio: What is decoded of sound.
        where: What messages call the source: its URL, without credentials.

    Raises:
        SourceError: TooLarge.
    """
    if video and video.width * video.height > MAX_PIXELS:
        _refuse(where, f"pictures of {video.width}x{video.height}", f"{MAX_PIXELS:,} pixels")
    if audio and audio.channels > MAX_CHANNELS:
        _refuse(where, f"sound of {audio.channels} channels", f"{MAX_CHANNELS} channels")
    if audio and audio.sample_rate > MAX_SAMPLE_RATE:
        _refuse(where, f"sound of {audio.sample_rate:,} Hz", f"{MAX_SAMPLE_RATE:,} Hz")


def _refuse(where: str, has: str, limit: str) -> None:
    raise SourceError(
        "TooLarge",
        f"{where} is not decoded: it has {has}, and the limit is {limit}: check the encoder",
    )
