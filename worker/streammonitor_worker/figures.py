"""What one stream has done so far, in numbers."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Figures:
    """What a stream has done so far; the last element is as of the last frame.

    Attributes:
        frames: Video frames analysed.
        corrupt_frames: Of these, flagged as damaged.
        decode_errors: Packets that the decoder refused.
        connects: Times that the source was opened.
        discontinuities: Jumps of media time, reconnections included.
        internal_errors: Faults of our own that the supervisor survived.
        incidents: Incidents started, by defect.
        media_s: Media time of the last video frame, or sound where there is no video.
        analysed_s: How much media was analysed, what was missing left out.
        lag_s: From the arrival of the last frame's bytes to the end of its analysis.
        cpu_s: CPU time of the stream's thread.
        unknown_s: Media time that detectors could not judge, by detector.
    """

    frames: int = 0
    corrupt_frames: int = 0
    decode_errors: int = 0
    connects: int = 0
    discontinuities: int = 0
    internal_errors: int = 0
    incidents: dict[str, int] = field(default_factory=dict)
    media_s: float = 0.0
    analysed_s: float = 0.0
    lag_s: float = 0.0
    cpu_s: float = 0.0
    unknown_s: dict[str, float] = field(default_factory=dict)
