"""What is known of a stream beside its pictures and sound: how it comes.

Facts are small and immutable. Ingest tells them among the views, as `TransportView`; detectors of
kind TRANSPORT look at nothing else. To tell something new, add a class here and to `Fact`; a
detector passes over the facts that it does not know.
"""

from dataclasses import dataclass
from enum import StrEnum

from streammonitor_worker.deliveries import Delivery


class Track(StrEnum):
    """Which elementary stream a packet belongs to."""

    VIDEO = "video"
    AUDIO = "audio"


@dataclass(frozen=True, slots=True)
class Packet:
    """A coded picture or buffer of sound, as it came out of the multiplex.

    Attributes:
        track: What it belongs to.
        pts_s: When it is presented, in seconds of the source's own clock, as written in the source
            (33-bit wraps not undone); None where it says nothing.
        dts_s: When it is decoded, likewise.
        duration_s: How long it is presented, in seconds; 0 when unknown.
        size: In bytes.
        exact: `duration_s` comes from what is in the packet rather than from rounded timestamps.
    """

    track: Track
    pts_s: float | None
    dts_s: float | None
    duration_s: float
    size: int
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """Wall time passed, and no picture and no sound came.

    Attributes:
        waited_s: For how long nothing has come, in seconds.
        due_s: For how long nothing comes while all is well, in seconds: the source's own rhythm.
        overdue_s: For how long something should have come, in seconds; 0 while all may be well.
    """

    waited_s: float
    due_s: float
    overdue_s: float


@dataclass(frozen=True, slots=True)
class Seam:
    """The source's clock rightly starts anew: what follows need not adjoin what came before.

    Attributes:
        reason: Why, for people.
    """

    reason: str


class Outcome(StrEnum):
    """What came of comparing a stream with its reference."""

    ALIKE = "alike"
    """They show or play the same."""
    MISMATCH = "mismatch"
    """They show and play different things."""
    UNKNOWN = "unknown"
    """Not enough was seen, or nothing of it can be recognised: nothing moves, all is silent."""
    NO_REFERENCE = "noReference"
    """The reference cannot be had."""


@dataclass(frozen=True, slots=True)
class Compared:
    """A stream was compared with its reference.

    Attributes:
        outcome: What came of it.
        from_s: Start of what was compared, in seconds of media time.
        until_s: Its end.
        picture_lag_s: By how much later pictures come than in the reference, in seconds of the two
            media times; None where that cannot be told.
        sound_lag_s: The same of sound.
        likeness: How alike they are, 0..1.
        detail: A sentence for people where the reference cannot be had.
    """

    outcome: Outcome
    from_s: float = 0.0
    until_s: float = 0.0
    picture_lag_s: float | None = None
    sound_lag_s: float | None = None
    likeness: float = 0.0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Marked:
    """A marker of sync came: a flash and a beep that belong together.

    Attributes:
        skew_s: How much earlier the beep came than the flash, in seconds; negative: later.
    """

    skew_s: float


Fact = Packet | Waiting | Seam | Compared | Marked | Delivery
