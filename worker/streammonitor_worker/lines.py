"""One line of a source (see `deliveries`) under observation: what is wrong with its delivery.

MPEG-2 transport streams are judged by ETSI TR 101 290, playlists and segments by RFC 8216 and what
they claim of themselves.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from streammonitor_worker.deliveries import STREAM, Begun, Codecs, Container, Delivered, Listed
from streammonitor_worker.fmp4 import FragmentTimes
from streammonitor_worker.mpegts.clock import ahead_s
from streammonitor_worker.mpegts.indicators import Limits
from streammonitor_worker.mpegts.monitor import TransportMonitor

FRAME_S = 0.1
"""A segment may be shorter or longer than it claims by a picture or a buffer of sound."""


class Shortcoming(StrEnum):
    """What may be wrong with playlists and segments; named in the manner of TR 101 290."""

    STALE = "Manifest_stale_error"
    MISSING = "Segment_missing_error"
    DURATION = "Segment_duration_error"
    TARGET = "Target_duration_error"
    CODEC = "Codec_error"


@dataclass(frozen=True, slots=True)
class Found:
    """Something that is wrong.

    Attributes:
        name: Of the indicator.
        pts_s: The presentation time of what the line carried then, in seconds; None: now.
    """

    name: str
    pts_s: float | None = None


@dataclass(slots=True)
class _Segment:
    """The segment that is being delivered.

    Attributes:
        claimed_s: See `Begun.claimed_s`.
        start_s: When it begins on its own clock; None until that is known.
    """

    claimed_s: float | None
    start_s: float | None = None


class Line:
    """What comes by one line.

    Args:
        limits: See `TransportMonitor`.
        tolerance_s: By how much a segment may differ from what its playlist claims.

    """

    def __init__(self, limits: Limits, tolerance_s: float) -> None:
        self._transport: TransportMonitor | None = None
        self._limits = limits
        self._tolerance_s = tolerance_s
        self._fragments = FragmentTimes()
        self._segment: _Segment | None = None
        self._before: _Segment | None = None

    @property
    def lost(self) -> bool:
        """Whether the packets of a transport stream were found, and are not now."""
        return self._transport is not None and self._transport.synchronised is False

    def begin(self, fact: Begun) -> None:
        """A segment begins."""
        known = self._segment is not None and self._segment.start_s is not None
        self._before = self._segment if fact.continues and known else None
        self._segment = _Segment(fact.claimed_s)
        self._fragments.begin()
        if self._transport is not None:
            self._transport.segment(continues=fact.continues)
            self._transport.begins_s = None

    def deliver(self, fact: Delivered) -> Iterator[Found]:
        """Bytes came."""
        if fact.container is Container.FMP4:
            self._fragments.feed(fact.data)
            yield from self._started(self._fragments.time_s)
            return
        if self._transport is None:
            self._transport = TransportMonitor(self._limits, segmented=fact.line != STREAM)
        for fault in self._transport.feed(fact.data):
            yield Found(fault.indicator, fault.pts_s)
        yield from self._started(self._transport.begins_s)

    def _started(self, start_s: float | None) -> Iterator[Found]:
        """Where a segment begins, the one before it ended."""
        segment, before = self._segment, self._before
        if segment is None or segment.start_s is not None or start_s is None:
            return
        segment.start_s = start_s
        if before is None or before.start_s is None or before.claimed_s is None:
            return
        lasted_s = ahead_s(start_s, before.start_s)
        if abs(lasted_s - before.claimed_s) > self._tolerance_s + FRAME_S:
            yield Found(Shortcoming.DURATION, start_s)


@dataclass(slots=True)
class _Fetched:
    """What is known of a playlist.

    Attributes:
        newest: See `Listed.newest`.
        changed_at: When that was new, Unix time.
        stale: It has not changed for too long, as of the last time that it was fetched.
    """

    newest: str
    changed_at: float
    stale: bool = False


@dataclass(slots=True)
class Playlists:
    """The playlists of a source.

    Attributes:
        stale_targets: After how many target durations without a change a live one is stale.
        shortest_s: However short those are, not before this time.
    """

    stale_targets: float
    shortest_s: float
    _known: dict[str, _Fetched] = field(default_factory=dict)

    @property
    def stale(self) -> bool:
        """Whether any of them no longer changes."""
        return any(one.stale for one in self._known.values())

    def fetch(self, fact: Listed, arrived_at: float) -> Iterator[Found]:
        """A playlist was fetched.

        Args:
            fact: What it lists.
            arrived_at: When, Unix time.
        """
        known = self._known.get(fact.line)
        if known is None or known.newest != fact.newest or not fact.live:
            self._known[fact.line] = _Fetched(fact.newest, arrived_at)
        else:
            limit_s = max(self.shortest_s, self.stale_targets * fact.target_s)
            known.stale = arrived_at - known.changed_at > limit_s
        for _ in range(fact.too_long):
            yield Found(Shortcoming.TARGET)


_FAMILIES = {
    "avc1": "h264",
    "avc3": "h264",
    "hvc1": "hevc",
    "hev1": "hevc",
    "dvh1": "hevc",
    "dvhe": "hevc",
    "av01": "av1",
    "vp09": "vp9",
    "vp08": "vp8",
    "mp4a.40.34": "mp3",
    "mp4a.69": "mp3",
    "mp4a.6b": "mp3",
    "mp4a.a5": "ac3",
    "mp4a.a6": "eac3",
    "mp4a": "aac",
    "ac-3": "ac3",
    "ec-3": "eac3",
    "opus": "opus",
    "flac": "flac",
    "alac": "alac",
}
"""By how a codec is called in a manifest (RFC 6381), FFmpeg's name."""
_TEXT = ("stpp", "wvtt", "tx3g")
_PICTURES = {"h264", "hevc", "av1", "vp9", "vp8"}


def belies(fact: Codecs) -> bool:
    """Whether the codecs are others than the manifest says; of what it does not say, nothing."""
    claimed = {_family(one.lower()) for one in fact.claimed if not one.lower().startswith(_TEXT)}
    if None in claimed:
        return False
    for actual in set(fact.actual) & set(_FAMILIES.values()):
        same_kind = {one for one in claimed if (one in _PICTURES) == (actual in _PICTURES)}
        if same_kind and actual not in same_kind:
            return True
    return False


def _family(codec: str) -> str | None:
    names = (name for name in _FAMILIES if codec == name or codec.startswith(f"{name}."))
    return next((_FAMILIES[name] for name in names), None)
