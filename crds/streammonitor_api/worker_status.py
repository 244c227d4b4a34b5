"""What a worker says of itself at `/status`.

`GET /status?since=REVISION&wait=10s` answers as soon as `revision` is greater than REVISION, or
after `wait` with what there is. `revision` grows only with something worth knowing (a stream's
state, an incident, an acknowledged epoch), so that an idle worker costs next to nothing. Who sends
`If-None-Match: "PROCESS.REVISION"` is answered 304, without a body, when there is nothing newer.
"""

from datetime import datetime
from enum import StrEnum

from streammonitor_api.assignment import SCHEMA_VERSION
from streammonitor_api.incident import Incident
from streammonitor_api.model import Model


class StreamState(StrEnum):
    """What a worker is doing with a stream."""

    CONNECTING = "connecting"
    """Opening it for the first time."""
    RECEIVING = "receiving"
    """Decoding and analysing."""
    RETRYING = "retrying"
    """Lost or never reached; trying again with back-off. `reason` says why."""
    COMPLETED = "completed"
    """A finite source that was played to its end."""
    FAILED = "failed"
    """Cannot be monitored at all until it is changed. `reason` says why."""


class DetectorState(StrEnum):
    """What a detector knows about a stream. One state machine serves all detectors."""

    UNKNOWN = "unknown"
    """It cannot tell: no data, warm-up, or the stream lacks what it needs."""
    OK = "ok"
    SUSPECT = "suspect"
    """Above the raise threshold, not yet for the minimum duration."""
    ACTIVE = "active"
    """An incident is open."""
    CLEARING = "clearing"
    """Below the clear threshold, not yet for the clear duration; the incident is still open."""


class VideoFormat(Model):
    """The video that is being decoded."""

    codec: str
    width: int
    """In pixels."""
    height: int
    """In pixels."""
    frame_rate: float
    """Frames per second; 0 when the stream does not say."""


class AudioFormat(Model):
    """The audio that is being decoded."""

    codec: str
    sample_rate: int
    """In Hz."""
    channels: int


class StreamStatus(Model):
    """One stream of a worker."""

    name: str
    state: StreamState
    reason: str | None = None
    """CamelCase cause of what is wrong, as in ConnectionRefused; absent when nothing is."""
    message: str | None = None
    """One sentence for a person: what, where, remedy. Never a credential."""
    since: datetime
    """When this state and reason began."""
    warm: bool = False
    """Decoded and primed: this worker could take over from another now."""
    video: VideoFormat | None = None
    audio: AudioFormat | None = None
    detectors: dict[str, DetectorState] = {}
    load_m: int | None = None
    """CPU time that monitoring it takes, in thousandths of a core; absent until it was measured.
    It is reported anew when it has changed by a quarter, so that it stands still on most streams;
    while the stream warms, with every measurement. The two below are reported together with it.
    """
    pace_m: int | None = None
    """Media time that is analysed in that time, in thousandths: 1000 keeps up with a live stream.
    Absent until it was measured, and from workers that do not measure it."""
    damaged_per_min: int | None = None
    """Damaged pictures and refused packets a minute. Absent as above."""
    clock_s: float | None = None
    """Seconds to add to the source's timestamps to get programme time, on which all workers of the
    stream agree: about UTC in Unix seconds. Absent where timestamps are not the source's own."""
    warm_from_s: float | None = None
    """Programme time since when it is warm."""
    alone: bool | None = None
    """Whether it is sent to this worker, and to no other. A next one counts from `positionS` what
    nobody received, so every 5 s of that are told at once. Absent: no."""
    position_s: float | None = None
    """Programme time up to which it was analysed, and all that was found was told."""
    held_from_s: float | None = None
    """Programme time since when this worker speaks for the stream."""
    held_until_s: float | None = None
    """Programme time until when it did; from then on it follows silently."""
    held_frames: int = 0
    """Pictures that were analysed from `heldFromS` to `heldUntilS`, or until now."""
    lag_s: int | None = None
    """How long after its bytes had arrived a picture or sound is analysed, in coarse steps of whole
    seconds. Absent before the first, and from workers that do not say."""
    first_frame_at: datetime | None = None
    """When this worker analysed the stream's first frame (UTC)."""


class StoreProblem(Model):
    """A store that does not take what it is sent, or that some of it was lost for."""

    reason: str
    """CamelCase cause, as in ConnectionRefused."""
    message: str
    """One sentence for a person: what, where, remedy. Never a credential."""
    since: datetime
    """When this began."""


class SinkProblem(StoreProblem):
    """A sink that does not take what it is sent, or that lost some of it."""

    name: str
    """Name of the sink."""


class WorkerStatus(Model):
    """One worker."""

    schema_versions: list[int] = [SCHEMA_VERSION]
    """The versions of the assignment's schema that this worker reads."""
    version: str
    """Version of the worker's software."""
    worker: str
    process: str
    """Identifies this process; a restarted worker has another."""
    started_at: datetime
    revision: int
    """Grows with every change of this document that is worth knowing."""
    epoch: int
    """The assignment that this worker carries out; 0 before the first."""
    problems: list[str] = []
    """What is wrong with the assignment as a whole: sentences; keys that were not understood."""
    sinks: list[SinkProblem] = []
    """Sinks that do not take what they are sent."""
    results: StoreProblem | None = None
    """What is wrong with the store of results; absent if nothing is."""
    draining: bool = False
    """SIGTERM was received."""
    streams: list[StreamStatus] = []
    incidents: list[Incident] = []
    """Every open incident, and the last that ended (at most 200), oldest change first."""
