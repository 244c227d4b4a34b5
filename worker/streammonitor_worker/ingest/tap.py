"""What the readers of a source notice of how it is delivered (see `deliveries`)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from streammonitor_worker.deliveries import (
    STREAM,
    AdCue,
    Begun,
    Connected,
    Container,
    Delivered,
    Listed,
    Missed,
)
from streammonitor_worker.ingest.errors import SourceError
from streammonitor_worker.ingest.manifests import hls
from streammonitor_worker.ingest.manifests.listing import Listing, Segment, listing
from streammonitor_worker.ingest.notes import Notes
from streammonitor_worker.ingest.readers.base import Reader
from streammonitor_worker.ingest.readers.tapped import TappedReader
from streammonitor_worker.mpegts.packets import is_transport_stream

HEAD_BYTES = 262_144
"""Of a fragment only the beginning is told: it says when it is decoded."""
PLAYLIST = -1
"""The kind of ad breaks that a playlist tells of."""

_MAP = re.compile(r'#EXT-X-MAP:[^\n]*URI="([^"]*)"')
_CODECS = re.compile(r'#EXT-X-STREAM-INF:[^\n]*CODECS="([^"]*)"')
_BOXES = (b"ftyp", b"styp", b"moof", b"moov", b"sidx", b"emsg", b"prft")


@dataclass(slots=True)
class _Line:
    """A playlist.

    Attributes:
        name: Which line it is.
        live: Whether segments are still added.
        segments: What it lists, by URL and first byte.
        breaks: Numbers of the listed segments that are in an ad break.
        newest: Number of the last one it has listed.
        last: Number of the segment that was begun last; None if it was not read whole.
        in_break: The segment that was begun last is in an ad break.
        expected: Segments that nobody has; they may have left the playlist by now.
    """

    name: str
    live: bool = True
    segments: Mapping[tuple[str, int], Segment] = field(default_factory=dict)
    breaks: frozenset[int] = frozenset()
    newest: int = -1
    last: int | None = None
    in_break: bool = False
    expected: dict[tuple[str, int], str] = field(default_factory=dict)


def line_of(url: str) -> str:
    """What the line of a playlist is called: the same for whoever reads it."""
    split = urlsplit(url)
    return split.path + split.fragment


class Tap:
    """Tells of what is read.

    Args:
        notes: Where to.
        watch: Whether to tell of bytes, too; playlists are told of in any case.

    Attributes:
        claimed: The codecs that the manifest names.
    """

    def __init__(self, notes: Notes, *, watch: bool) -> None:
        self._notes = notes
        self._watch = watch
        self._lines: dict[str, _Line] = {}
        self._maps: dict[str, _Line] = {}
        self.claimed: tuple[str, ...] = ()
        notes.add(Connected())

    def stream(self, reader: Reader) -> Reader:
        """The same stream of bytes; it is listened to."""
        return TappedReader(reader, _Stream(self._notes)) if self._watch else reader

    def playlist(self, url: str, text: str) -> Listing | None:
        """A playlist was fetched; return what it lists, or None of a master playlist."""
        if hls.is_master(text):
            self.claimed = tuple(
                one.strip() for said in _CODECS.findall(text) for one in said.split(",")
            )
            return None
        line = self._lines.setdefault(url, _Line(line_of(url)))
        listed = listing(text, line.breaks)
        self._maps |= {named: line for named in _MAP.findall(text)}
        line.live = listed.live
        line.segments = {(one.url, one.first): one for one in listed.segments}
        line.breaks = frozenset(one.number for one in listed.segments if one.in_break)
        fresh = [one for one in listed.segments if one.number > line.newest]
        line.newest = max((one.number for one in listed.segments), default=line.newest)
        newest = listed.segments[-1].identity if listed.segments else ""
        too_long = sum(one.longer_than(listed.target_s) for one in fresh)
        self._notes.add(Listed(line.name, newest, listed.target_s, listed.live, too_long))
        for key, reason in line.expected.items():
            if key in line.segments:
                self._notes.add(Missed(line.name, reason))
        line.expected.clear()
        for _ in (one for one in fresh if one.missing):
            self._notes.add(Missed(line.name, "Gap"))
        return listed

    def segment(self, url: str, first: int, reader: Reader) -> Reader:
        """The same segment; it is listened to."""
        line, segment = self._find(url, first)
        if line is not None and segment is not None and segment.in_break != line.in_break:
            line.in_break = segment.in_break
            self._notes.add(AdCue(PLAYLIST, segment.number, segment.in_break))
        if line is None or not self._watch:
            return reader
        if segment is None:
            # What initialises the segments that follow.
            self._notes.add(Begun(line.name, None, continues=False))
            line.last = None
            return TappedReader(reader, _Part(self._notes, line))
        continues = line.last == segment.number - 1 and not segment.begins_anew
        line.last = segment.number
        self._notes.add(Begun(line.name, segment.duration_s, continues, segment.in_break))
        return TappedReader(reader, _Part(self._notes, line))

    def missed(self, url: str, first: int, error: SourceError) -> None:
        """A segment cannot be had."""
        line, segment = self._find(url, first)
        if line is None or segment is None or error.reason == "Stopped":
            return
        line.last = None
        if error.reason == "NotFound" and line.live:
            # Who fell behind finds the oldest ones gone: the playlist will tell.
            line.expected[url, first] = error.reason
        else:
            self._notes.add(Missed(line.name, error.reason))

    def _find(self, url: str, first: int) -> tuple[_Line | None, Segment | None]:
        for line in self._lines.values():
            if (url, first) in line.segments:
                return line, line.segments[url, first]
        return self._maps.get(url), None


class _Stream:
    """Hears a stream of bytes, if it is a transport stream."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._known = False

    def heard(self, data: bytes) -> bool:
        """See `Listener.heard`."""
        self._known = self._known or is_transport_stream(data)
        if self._known:
            self._notes.add(Delivered(STREAM, Container.TS, data))
        return self._known

    def failed(self, error: SourceError) -> None:
        """That the stream breaks is told elsewhere."""


class _Part:
    """Hears a segment."""

    def __init__(self, notes: Notes, line: _Line) -> None:
        self._notes = notes
        self._line = line
        self._container: Container | None = None
        self._size = 0

    def heard(self, data: bytes) -> bool:
        """See `Listener.heard`."""
        if not self._size:
            self._container = _container(data)
        self._size += len(data)
        if self._container is None:
            return False
        self._notes.add(Delivered(self._line.name, self._container, data))
        return self._container is Container.TS or self._size < HEAD_BYTES

    def failed(self, error: SourceError) -> None:
        """See `Listener.failed`."""
        self._line.last = None
        if error.reason != "Stopped":
            self._notes.add(Missed(self._line.name, error.reason))


def _container(start: bytes) -> Container | None:
    if start[4:8] in _BOXES:
        return Container.FMP4
    return Container.TS if is_transport_stream(start) else None
