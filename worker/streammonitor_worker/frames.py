"""What ingest hands to the detectors: views of decoded pictures and sound, never copies.

Time is media time: seconds since the first presented frame or sample of the source, continuous
across reconnects only as far as the source's own timestamps are. `arrived_at` is the wall clock at
which the bytes that completed the frame were read, for reporting only.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from streammonitor_api.worker_status import AudioFormat, VideoFormat

LumaArray = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
SampleArray = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class FrameView:
    """One decoded picture.

    Attributes:
        time_s: Media time at which it is presented, in seconds.
        duration_s: How long it is presented, in seconds (nominal; 0 when unknown).
        arrived_at: Unix time at which its bytes had arrived, in seconds.
        luma: Y plane, shape (height, width), read-only view of the decoder's memory: uint8 for
            8-bit video, uint16 with `bit_depth` significant low bits otherwise. Valid only until
            the next frame is read.
        bit_depth: Significant bits of a luma sample, 8..16.
        full_range: Whether luma spans 0..2^n-1 rather than 16..235 (scaled to the bit depth).
        key_frame: Whether it was coded without reference to others.
        corrupt: Whether the decoder flagged it as damaged.
    """

    time_s: float
    duration_s: float
    arrived_at: float
    luma: LumaArray
    bit_depth: int = 8
    full_range: bool = False
    key_frame: bool = False
    corrupt: bool = False


@dataclass(frozen=True, slots=True)
class AudioView:
    """One decoded buffer of sound.

    Attributes:
        time_s: Media time of the first sample, in seconds.
        arrived_at: Unix time at which its bytes had arrived, in seconds.
        samples: Shape (channels, n), float32, full scale = 1.0, read-only.
        sample_rate: In Hz.
    """

    time_s: float
    arrived_at: float
    samples: SampleArray
    sample_rate: int

    @property
    def duration_s(self) -> float:
        """How long it plays, in seconds."""
        count: int = self.samples.shape[1]
        return count / self.sample_rate


@dataclass(frozen=True, slots=True)
class FormatChange:
    """The source's format became known or changed; it precedes the first view in that format.

    Attributes:
        video: What the pictures are from now on; None without video.
        audio: What the sound is from now on; None without audio.
    """

    video: VideoFormat | None
    audio: AudioFormat | None


@dataclass(frozen=True, slots=True)
class Discontinuity:
    """Media time jumped: what follows does not adjoin what came before.

    Attributes:
        time_s: Media time at which the source continues, in seconds. It never goes backwards.
        gap_s: Media that is missing, in seconds; 0 when unknown.
    """

    time_s: float
    gap_s: float


MediaItem = FrameView | AudioView | FormatChange | Discontinuity
