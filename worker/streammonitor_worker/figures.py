"""What one stream has done so far, in numbers."""

from dataclasses import dataclass, field

from streammonitor_api.incident import EndReason
from streammonitor_worker.incidents import EventKind, IncidentEvent

Counts = dict[tuple[str, str], int]
"""By defect and severity."""


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
        started: Incidents that began, by defect and the severity that they began with.
        ended: Incidents that ended, by defect and the worst severity that they had.
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
    started: Counts = field(default_factory=dict)
    ended: Counts = field(default_factory=dict)
    media_s: float = 0.0
    analysed_s: float = 0.0
    lag_s: float = 0.0
    cpu_s: float = 0.0
    unknown_s: dict[str, float] = field(default_factory=dict)

    def note(self, event: IncidentEvent) -> None:
        """Count an event; what is interrupted goes on elsewhere, and did not end."""
        incident = event.incident
        counts = {EventKind.STARTED: self.started, EventKind.ENDED: self.ended}.get(event.kind)
        if counts is None or incident.end_reason is EndReason.INTERRUPTED:
            return
        key = (incident.defect, incident.severity.value)
        counts[key] = counts.get(key, 0) + 1
