"""What ingest hands to the detectors: views of decoded pictures and sound, never copies.

Time is media time: seconds since the first presented frame or sample of the source, continuous
across reconnects only as far as the source's own timestamps are. `arrived_at` is the wall clock at
which the bytes that completed the frame were read, for reporting only.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from streammonitor_api.worker_status import AudioFormat, VideoFormat
from streammonitor_worker.box import Box
from streammonitor_worker.facts import Fact

LumaArray = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
ChromaArray = npt.NDArray[np.uint8] | npt.NDArray[np.uint16]
SampleArray = npt.NDArray[np.float32]


class Transfer(StrEnum):
    """What codes mean in light (ITU-R BT.709 clause 1, BT.2100 tables 4 and 5)."""

    SDR = "sdr"
    """Gamma; also whatever does not say."""
    PQ = "pq"
    """Perceptual quantisation, SMPTE ST 2084: absolute light up to 10,000 cd/m2."""
    HLG = "hlg"
    """Hybrid log-gamma, ARIB STD-B67: relative light."""


class Matrix(StrEnum):
    """How luma and colour difference are made of red, green and blue."""

    BT601 = "bt601"
    """ITU-R BT.601-7 clause 2.5.1: standard definition."""
    BT709 = "bt709"
    """ITU-R BT.709-6 clause 3: high definition."""
    BT2020 = "bt2020"
    """ITU-R BT.2020-2 table 4, non-constant luminance: ultra-high definition."""


class Chroma(NamedTuple):
    """Colour difference planes, each of the same shape, which may be smaller than luma's.

    Samples are of luma's type and bit depth; neutral is half of the range: 128 of 8 bits.
    """

    u: ChromaArray
    """Cb: above neutral is blue."""
    v: ChromaArray
    """Cr: above neutral is red."""


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
        chroma: U and V planes, read-only views like luma; None for grey pictures.
        bit_depth: Significant bits of a sample, 8..16. What keeps fewer bits on top (P010) is 16.
        full_range: Whether luma spans 0..2^n-1 rather than 16..235 (scaled to the bit depth).
        transfer: What the codes mean in light.
        matrix: How luma and chroma are made of red, green and blue.
        key_frame: Whether it was coded without reference to others.
        corrupt: Whether the decoder flagged it as damaged, a part of it never came, or a picture
            that it is predicted from did not.
        lost: Of a damaged picture, which macroblocks of 16 pixels never came, shape
            (height / 16, width / 16) rounded up; None where that is unknown.
        ignored: Rectangles of luma that say nothing: they were blanked.
        source_s: Its timestamp, in seconds, where every reader of the source sees the same.
    """

    time_s: float
    duration_s: float
    arrived_at: float
    luma: LumaArray
    bit_depth: int = 8
    full_range: bool = False
    transfer: Transfer = Transfer.SDR
    matrix: Matrix = Matrix.BT709
    chroma: Chroma | None = None
    key_frame: bool = False
    corrupt: bool = False
    lost: npt.NDArray[np.bool_] | None = None
    ignored: tuple[Box, ...] = ()
    source_s: float | None = None


@dataclass(frozen=True, slots=True)
class AudioView:
    """One decoded buffer of sound.

    Attributes:
        time_s: Media time of the first sample, in seconds.
        arrived_at: Unix time at which its bytes had arrived, in seconds.
        samples: Shape (channels, n), float32, full scale = 1.0, read-only.
        sample_rate: In Hz.
        source_s: As of pictures.
    """

    time_s: float
    arrived_at: float
    samples: SampleArray
    sample_rate: int
    source_s: float | None = None

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


@dataclass(frozen=True, slots=True)
class TransportView:
    """How the stream comes.

    Attributes:
        time_s: How far the media had come when it became known, in seconds of media time. It never
            goes backwards, and passes with the wall clock while media is overdue.
        arrived_at: Unix time at which it became known, in seconds.
        fact: What it is.
    """

    time_s: float
    arrived_at: float
    fact: Fact


MediaItem = FrameView | AudioView | TransportView | FormatChange | Discontinuity
