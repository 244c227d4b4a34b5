"""Facts of how a source is delivered: its bytes, the segments they come in, and their playlists.

A source has lines: one for a stream of bytes, one for each playlist of a source in segments.
"""

from dataclasses import dataclass, field
from enum import StrEnum

STREAM = ""
"""The line of a source that is one stream of bytes."""


class Container(StrEnum):
    """In what a line's bytes are wrapped."""

    TS = "mpegts"
    """MPEG-2 transport stream."""
    FMP4 = "fmp4"
    """Fragments of the ISO base media file format."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """Bytes that came, each once and in their order.

    Attributes:
        line: Which line they belong to.
        container: In what they are wrapped.
        data: The bytes.
    """

    line: str
    container: Container
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Begun:
    """A segment begins; what is delivered of its line from here on belongs to it.

    Attributes:
        line: Which line it belongs to.
        claimed_s: How long it lasts according to the playlist, in seconds; None if that says
            nothing of it.
        continues: It follows upon the segment before it, and no discontinuity was announced.
        in_break: It belongs to an ad break, according to the playlist.
    """

    line: str
    claimed_s: float | None
    continues: bool
    in_break: bool = False


@dataclass(frozen=True, slots=True)
class Missed:
    """A segment that is listed cannot be had.

    Attributes:
        line: Which line it belongs to.
        reason: CamelCase cause, as in NotFound.
    """

    line: str
    reason: str


@dataclass(frozen=True, slots=True)
class Listed:
    """A playlist was fetched.

    Attributes:
        line: Which one.
        newest: Identity of its last segment, whoever reads it.
        target_s: The longest that a segment may be, in seconds; 0 if it does not say.
        live: Whether segments are still added.
        too_long: How many segments that were not listed before are longer than that.
    """

    line: str
    newest: str
    target_s: float
    live: bool
    too_long: int = 0


@dataclass(frozen=True, slots=True)
class Codecs:
    """What a manifest says of the codecs, and what they are.

    Attributes:
        claimed: As in RFC 6381: avc1.64001f.
        actual: FFmpeg's names: h264.
    """

    claimed: tuple[str, ...]
    actual: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Presented:
    """Up to where the media that was decoded goes, on the source's own clock.

    It ties that clock to media time: it is told when media time has come as far.

    Attributes:
        until_s: In seconds, as written in the source.
    """

    until_s: float


@dataclass(frozen=True, slots=True)
class Connected:
    """The source was opened: all lines are new ones."""


@dataclass(frozen=True, slots=True)
class AdCue:
    """The stream announces that its programme is left for advertisements, or comes back.

    Attributes:
        kind: Tells breaks apart that are announced in different ways, and may overlap.
        event: Identity of the break within its kind.
        leaves: Whether the programme is left; else it comes back.
        in_s: When: so much later than it is told, in seconds of media time; may be negative.
        duration_s: For how long it is left, in seconds, if that is known.
        cancelled: What was announced does not take place.
    """

    kind: int
    event: int
    leaves: bool
    in_s: float = 0.0
    duration_s: float | None = None
    cancelled: bool = False


Delivery = Connected | Delivered | Begun | Missed | Listed | Codecs | Presented | AdCue
