"""What a media playlist lists (RFC 8216): segments, how long they last, and ad breaks."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

MAX_LISTED = 1000
"""Of a longer live playlist only the last segments are looked at: a worker reads its end, and a day
of one-second segments is fetched every second."""
ROUNDING_S = 0.5
"""A segment's duration, rounded to the nearest integer, must not exceed the target (4.3.3.1)."""

_ATTRIBUTE = re.compile(r'([A-Z0-9-]+)=("[^"]*"|[^",]*)')
_NUMBER = re.compile(r"\d+(?:\.\d*)?")


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as it is listed.

    Attributes:
        url: Where it is, as FFmpeg will ask for it.
        number: Its media sequence number.
        first: The first byte of the resource that belongs to it.
        duration_s: How long it lasts according to the playlist, in seconds.
        begins_anew: A discontinuity is announced before it.
        missing: The packager says itself that it has none (EXT-X-GAP).
        in_break: It belongs to an ad break.
    """

    url: str
    number: int
    first: int
    duration_s: float
    begins_anew: bool
    missing: bool
    in_break: bool

    @property
    def identity(self) -> str:
        """What it is for whoever reads it: tokens in its URL are each reader's own."""
        return f"{urlsplit(self.url).path} {self.first or ''}".rstrip()

    def longer_than(self, target_s: float) -> bool:
        """Whether it is longer than the playlist's target duration allows."""
        return bool(target_s) and self.duration_s >= target_s + ROUNDING_S


@dataclass(frozen=True, slots=True)
class Listing:
    """A media playlist.

    Attributes:
        target_s: The longest that a segment may be, in seconds; 0 if it does not say.
        live: Whether segments are still added.
        segments: All of them, or the last ones of a live one.
    """

    target_s: float
    live: bool
    segments: tuple[Segment, ...]


def listing(text: str, breaks: frozenset[int] = frozenset()) -> Listing:
    """Read a media playlist.

    Args:
        text: The playlist. What is unreadable in it is passed over.
        breaks: Numbers of segments that were in an ad break when the playlist was read before; its
            beginning may have left the playlist.
    """
    head, *entries = text.split("#EXTINF:")
    live = "#EXT-X-ENDLIST" not in text and "#EXT-X-PLAYLIST-TYPE:VOD" not in head
    tail = entries[-MAX_LISTED:] if live else entries
    # What stands before a segment's duration belongs to it, too.
    preceding = entries[-len(tail) - 1] if len(tail) < len(entries) else head
    first = int(_said(head, "EXT-X-MEDIA-SEQUENCE")) + len(entries) - len(tail)
    reading = _Reading(in_break=first in breaks, ranges=tuple(_date_ranges(text)))
    reading.tags(preceding.splitlines()[1:] if preceding is not head else head.splitlines())
    segments = tuple(reading.segment(entry, first + at) for at, entry in enumerate(tail))
    return Listing(
        target_s=_said(head, "EXT-X-TARGETDURATION"),
        live=live,
        segments=segments,
    )


class _Reading:
    """What is known between one segment and the next."""

    def __init__(self, in_break: bool, ranges: Sequence[tuple[float, float]]) -> None:
        self._ranges = ranges
        self._in_break = in_break
        self._break_left_s = float("inf")
        self._begins_anew = False
        self._missing = False
        self._part: str | None = None
        self._next = ("", 0)
        self._date: float | None = None

    def segment(self, entry: str, number: int) -> Segment:
        """Take what stands between a segment's duration and the next one's."""
        claimed, _, rest = entry.partition("\n")
        lines = [line.strip() for line in rest.splitlines()]
        at = next((at for at, line in enumerate(lines) if line and line[0] != "#"), None)
        self.tags(lines if at is None else lines[:at])
        duration_s = _number(claimed)
        url = "" if at is None else lines[at]
        made = Segment(
            url=url,
            number=number,
            first=self._first(url),
            duration_s=duration_s,
            begins_anew=self._begins_anew,
            missing=self._missing,
            in_break=self._in_break or self._in_range(duration_s),
        )
        self._pass(duration_s)
        self.tags([] if at is None else lines[at + 1 :])
        return made

    def tags(self, lines: Sequence[str]) -> None:
        """Take tags that apply to the next segment, or from there on."""
        for line in lines:
            name, _, value = line.partition(":")
            if name == "#EXT-X-DISCONTINUITY":
                self._begins_anew = True
            elif name == "#EXT-X-GAP":
                self._missing = True
            elif name == "#EXT-X-BYTERANGE":
                self._part = value
            elif name == "#EXT-X-PROGRAM-DATE-TIME":
                self._date = _date(value)
            elif name == "#EXT-X-CUE-OUT":
                self._in_break, self._break_left_s = True, _number(value) or float("inf")
            elif name == "#EXT-X-CUE-OUT-CONT":
                self._in_break = True
            elif name == "#EXT-X-CUE-IN":
                self._in_break = False

    def _pass(self, duration_s: float) -> None:
        self._begins_anew = self._missing = False
        self._part = None
        if self._date is not None:
            self._date += duration_s
        self._break_left_s -= duration_s if self._in_break else 0.0
        if self._break_left_s <= duration_s / 2:
            self._in_break, self._break_left_s = False, float("inf")

    def _first(self, url: str) -> int:
        """Where a part of a resource begins (4.3.2.2): by default where the one before ended."""
        if self._part is None:
            return 0
        size, at, first = self._part.partition("@")
        known = self._next[1] if self._next[0] == url else 0
        begins = int(_number(first)) if at else known
        self._next = (url, begins + int(_number(size)))
        return begins

    def _in_range(self, duration_s: float) -> bool:
        """Whether the middle of the segment lies in a range of dates that is an ad break."""
        if self._date is None:
            return False
        middle = self._date + duration_s / 2
        return any(start <= middle < end for start, end in self._ranges)


def _date_ranges(text: str) -> Iterator[tuple[float, float]]:
    """Ad breaks that are told by date (4.3.2.7.1), in Unix time."""
    ranges: dict[str, dict[str, str]] = {}
    for line in text.split("#EXT-X-DATERANGE:")[1:]:
        said = {name: value.strip('"') for name, value in _ATTRIBUTE.findall(line.split("\n")[0])}
        # A range may be told in several tags of the same ID.
        ranges.setdefault(said.get("ID", ""), {}).update(said)
    for said in ranges.values():
        start, end = _date(said.get("START-DATE", "")), _date(said.get("END-DATE", ""))
        if start is None or "SCTE35-OUT" not in said:
            continue
        lasts_s = _number(said.get("DURATION") or said.get("PLANNED-DURATION") or "")
        yield start, end if end is not None else start + (lasts_s or float("inf"))


def _date(text: str) -> float | None:
    """A date of ISO 8601 as Unix time."""
    try:
        return datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError):
        return None


def _said(head: str, tag: str) -> float:
    """The number that a tag says; 0 if it says none."""
    return _number(head.partition(f"#{tag}:")[2].partition("\n")[0])


def _number(text: str) -> float:
    match = _NUMBER.search(text[:64])
    return float(match[0]) if match else 0.0
