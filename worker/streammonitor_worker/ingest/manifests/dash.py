"""MPEG-DASH (ISO/IEC 23009-1) as HLS: one picture and one sound become two playlists.

PyAV's wheels have no DASH demultiplexer, and both formats name the same segments. So a manifest is
given to FFmpeg as a master playlist, whose two playlists are made anew from the manifest each time
that FFmpeg asks for them.
"""

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urljoin, urlsplit

from streammonitor_api.source import Variant
from streammonitor_worker.ingest.errors import SourceError, redact
from streammonitor_worker.ingest.manifests.choice import Rendition, choose_picture, choose_sound
from streammonitor_worker.ingest.manifests.dash_events import Span, ad_breaks
from streammonitor_worker.ingest.manifests.dash_xml import (
    seconds_of,
    strip_namespaces,
    time_of,
)
from streammonitor_worker.ingest.manifests.hls import WEB, not_web

LIVE_SEGMENTS = 8
"""So many of the last segments of a live manifest are named; FFmpeg begins three before the end."""
MAX_SEGMENTS = 100_000
KINDS = ("video", "audio")

_TEMPLATE = re.compile(r"\$(RepresentationID|Number|Time|Bandwidth)(%0\d+d)?\$|\$\$")


@dataclass(frozen=True, slots=True)
class _Segment:
    """One segment: where it is, when it begins in its period, and how long it lasts."""

    url: str
    start_s: float
    duration_s: float

    def within(self, spans: Sequence[Span]) -> bool:
        """Whether the middle of it is in one of some spans of its period."""
        middle_s = self.start_s + self.duration_s / 2
        return any(start_s <= middle_s < end_s for start_s, end_s in spans)


class Numbering:
    """Numbers the segments of a playlist that is made anew again and again.

    Not by the manifest's own numbers: many packagers give times instead.
    """

    def __init__(self) -> None:
        self._first = 0
        self._urls: list[str] = []

    def first(self, urls: list[str]) -> int:
        """The number of the first of these segments; those of before keep theirs."""
        if urls and urls[0] in self._urls:
            self._first += self._urls.index(urls[0])
        else:
            self._first += len(self._urls)
        self._urls = urls
        return self._first


@dataclass(frozen=True, slots=True, kw_only=True)
class _Representation(Rendition):
    """One version of the picture or the sound in one period."""

    kind: str = ""
    identity: str = ""
    codecs: str = ""
    initialization: str | None = None
    segments: tuple[_Segment, ...] = ()
    period: int = 0


def is_manifest(start: bytes) -> bool:
    """Whether a resource that begins so is a DASH manifest."""
    return b"<MPD" in start


def kind_of(url: str) -> str | None:
    """Which of the two playlists a URL means that `master` named; None if it means neither."""
    fragment = urlsplit(url).fragment
    return fragment if fragment in KINDS else None


class Manifest:
    """A manifest that was read.

    Args:
        text: The manifest.
        url: Where it came from, after redirects.
        wanted: What is monitored.
        now: UTC, for a live one.

    Raises:
        SourceError: It cannot be read, names what it must not, or has not what is wanted.
    """

    def __init__(self, text: str, url: str, wanted: Variant, now: datetime) -> None:
        self._url = url
        self._now = now
        try:
            # One that declares entities wants them expanded, and those of entities, without end.
            self._root = ET.fromstring("" if "<!DOCTYPE" in text else text)  # noqa: S314
        except ET.ParseError as error:
            raise SourceError(
                "NotMedia", f"{redact(url)} is no DASH manifest that can be read: {error}"
            ) from None
        strip_namespaces(self._root)
        self._breaks = [ad_breaks(period) for period in self._root.findall("Period")]
        self._live = self._root.get("type") == "dynamic"
        self._chosen = {kind: list(self._choice(kind, wanted)) for kind in KINDS}
        if not any(self._chosen.values()):
            raise SourceError(
                "NotMedia", f"{redact(url)} names no segments of picture or sound: check it"
            )

    def master(self, url: str) -> tuple[str, list[str]]:
        """The master playlist, and the playlists that it names.

        Args:
            url: By which the manifest is asked for again.
        """
        base = url.partition("#")[0]
        kinds = [kind for kind in KINDS if self._chosen[kind]]
        first, *more = (self._chosen[kind][0] for kind in kinds)
        lines = ["#EXTM3U", "#EXT-X-VERSION:7"]
        if more:
            lines.append(
                f'#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="sound",DEFAULT=YES,'
                f'URI="{base}#audio"'
            )
        info = f"BANDWIDTH={max(1, first.bandwidth)}"
        codecs = ",".join(one.codecs for one in (first, *more) if one.codecs)
        info += f',CODECS="{codecs}"' if codecs else ""
        info += ',AUDIO="sound"' if more else ""
        lines += [f"#EXT-X-STREAM-INF:{info}", f"{base}#{kinds[0]}"]
        return "\n".join(lines) + "\n", [f"{base}#{kind}" for kind in kinds]

    def playlist(self, kind: str, numbering: Numbering) -> str:
        """The playlist of the picture or the sound, as it is now."""
        parts = self._chosen[kind]
        segments = [(part, segment) for part in parts for segment in part.segments]
        if self._live:
            segments = segments[-LIVE_SEGMENTS:]
        claimed_s = seconds_of(self._root.get("maxSegmentDuration"))
        longest_s = claimed_s or max((one.duration_s for _, one in segments), default=1.0)
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:7",
            f"#EXT-X-TARGETDURATION:{max(1, round(longest_s))}",
        ]
        first = numbering.first([segment.url for _, segment in segments])
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{first}")
        before: _Representation | None = None
        in_break = False
        for part, segment in segments:
            if part is not before:
                lines += [] if before is None else ["#EXT-X-DISCONTINUITY"]
                lines += [f'#EXT-X-MAP:URI="{part.initialization}"'] if part.initialization else []
                before = part
            if segment.within(self._breaks[part.period]) is not in_break:
                in_break = not in_break
                lines.append("#EXT-X-CUE-OUT" if in_break else "#EXT-X-CUE-IN")
            lines += [f"#EXTINF:{segment.duration_s:.6f},", segment.url]
        lines += [] if self._live else ["#EXT-X-ENDLIST"]
        return "\n".join(lines) + "\n"

    def _choice(self, kind: str, wanted: Variant) -> Iterator[_Representation]:
        """Of each period the representation that is wanted."""
        choose = choose_picture if kind == "video" else choose_sound
        for index, (period, start_s, end_s) in enumerate(self._periods()):
            offered = list(self._offered(period, kind, start_s, end_s, index))
            offered = [one for one in offered if one.segments]
            chosen = choose(offered, wanted, self._url) if offered else None
            if chosen is not None:
                yield chosen

    def _periods(self) -> Iterator[tuple[ET.Element, float, float | None]]:
        """Periods with their start and end, in seconds from the start of the presentation."""
        total_s = seconds_of(self._root.get("mediaPresentationDuration"))
        periods = self._root.findall("Period")
        at_s = 0.0
        for index, period in enumerate(periods):
            at_s = seconds_of(period.get("start")) or at_s
            length_s = seconds_of(period.get("duration"))
            after = periods[index + 1].get("start") if index + 1 < len(periods) else None
            end_s = at_s + length_s if length_s is not None else seconds_of(after) or total_s
            yield period, at_s, end_s
            at_s = end_s if end_s is not None else at_s

    def _offered(
        self, period: ET.Element, kind: str, start_s: float, end_s: float | None, index: int
    ) -> Iterator[_Representation]:
        for group in period.findall("AdaptationSet"):
            for one in group.findall("Representation"):
                said = one.get("mimeType") or group.get("mimeType") or ""
                if kind not in (group.get("contentType"), said.partition("/")[0]):
                    continue
                yield self._representation(period, group, one, (kind, start_s, end_s, index))

    def _representation(
        self,
        period: ET.Element,
        group: ET.Element,
        one: ET.Element,
        place: tuple[str, float, float | None, int],
    ) -> _Representation:
        kind, start_s, end_s, index = place
        base = self._url
        for element in (self._root, period, group, one):
            base = urljoin(base, (element.findtext("BaseURL") or "").strip())
        addressing = _Addressing(
            base=base,
            identity=one.get("id") or "",
            bandwidth=int(one.get("bandwidth") or 0),
            start_s=start_s,
            end_s=end_s,
            elapsed_s=self._elapsed_s(start_s),
            levels=(one, group, period),
        )
        initialization, segments = addressing.segments()
        for named in (initialization, *(segment.url for segment in segments)):
            if named is not None and urlsplit(named).scheme.lower() not in WEB:
                raise not_web(self._url, named)
        role = group.find("Role")
        return _Representation(
            bandwidth=addressing.bandwidth,
            height=int(one.get("height") or group.get("height") or 0),
            language=group.get("lang") or "",
            name=group.findtext("Label") or "",
            default=role is not None and role.get("value") == "main",
            kind=kind,
            identity=addressing.identity,
            codecs=one.get("codecs") or group.get("codecs") or "",
            initialization=initialization,
            segments=tuple(segments),
            period=index,
        )

    def _elapsed_s(self, start_s: float) -> float | None:
        """How much of a period is there by now; None if all of it is."""
        if not self._live:
            return None
        began = time_of(self._root.get("availabilityStartTime"))
        if began is None:
            return None
        return (self._now - began).total_seconds() - start_s


@dataclass(frozen=True, slots=True)
class _Addressing:
    """How the segments of a representation are named (5.3.9).

    Attributes:
        levels: Representation, adaptation set and period: what the first does not say, the next
            may.
    """

    base: str
    identity: str
    bandwidth: int
    start_s: float
    end_s: float | None
    elapsed_s: float | None
    levels: tuple[ET.Element, ...]

    def segments(self) -> tuple[str | None, list[_Segment]]:
        """Where the initialization segment is, and the others."""
        template = self._inherited("SegmentTemplate")
        if template:
            return self._templated(template)
        listed = self._inherited("SegmentList")
        if listed:
            return self._listed(listed)
        length_s = None if self.end_s is None else self.end_s - self.start_s
        # One file, with its own index; FFmpeg reads it from its beginning.
        return None, [_Segment(self.base, 0.0, length_s or 1.0)]

    def _inherited(self, tag: str) -> list[ET.Element]:
        return [found for level in self.levels if (found := level.find(tag)) is not None]

    def _templated(self, levels: list[ET.Element]) -> tuple[str | None, list[_Segment]]:
        media, initialization = _said(levels, "media"), _said(levels, "initialization")
        number = int(_said(levels, "startNumber") or 1)
        scale = int(_said(levels, "timescale") or 1)
        timeline = next(
            (one for level in levels if (one := level.find("SegmentTimeline")) is not None), None
        )
        offset = 0
        if timeline is not None:
            offset = int(_said(levels, "presentationTimeOffset") or 0)
            spans = _timeline(timeline, self._end_ticks(levels, scale))
        else:
            spans = self._even(float(_said(levels, "duration") or 0), scale)
        segments = [
            _Segment(
                self._named(media or "", number + index, ticks),
                (ticks - offset) / scale,
                length / scale,
            )
            for index, ticks, length in spans
        ]
        start = None if initialization is None else self._named(initialization, 0, 0)
        return start, segments

    def _listed(self, levels: list[ET.Element]) -> tuple[str | None, list[_Segment]]:
        scale = int(_said(levels, "timescale") or 1)
        length_s = float(_said(levels, "duration") or 0) / scale
        urls = [one.get("media") or "" for level in levels for one in level.findall("SegmentURL")]
        start = next(
            (one.get("sourceURL") for level in levels for one in level.findall("Initialization")),
            None,
        )
        segments = [
            _Segment(urljoin(self.base, url), index * length_s, length_s)
            for index, url in enumerate(urls)
        ]
        return None if start is None else urljoin(self.base, start), segments

    def _end_ticks(self, levels: list[ET.Element], scale: int) -> float | None:
        if self.end_s is None:
            return None
        offset = int(_said(levels, "presentationTimeOffset") or 0)
        return offset + (self.end_s - self.start_s) * scale

    def _even(self, length: float, scale: int) -> Iterator[tuple[int, int, float]]:
        """Segments of the same length: those that are complete by now."""
        if length <= 0:
            return
        first, last = 0, MAX_SEGMENTS
        if self.end_s is not None:
            last = min(last, _ceil((self.end_s - self.start_s) * scale / length))
        if self.elapsed_s is not None:
            last = min(last, int(self.elapsed_s * scale / length))
            first = max(0, last - LIVE_SEGMENTS)
        for index in range(first, last):
            yield index, int(index * length), length

    def _named(self, template: str, number: int, ticks: int) -> str:
        values = {
            "RepresentationID": self.identity,
            "Number": number,
            "Time": ticks,
            "Bandwidth": self.bandwidth,
        }

        def value(match: re.Match[str]) -> str:
            if match[0] == "$$":
                return "$"
            return (match[2] or "%s") % values[match[1]]

        return urljoin(self.base, _TEMPLATE.sub(value, template))


def _timeline(timeline: ET.Element, end: float | None) -> Iterator[tuple[int, int, float]]:
    """Segments of a SegmentTimeline: index, start and length in ticks (5.3.9.6)."""
    index, at = 0, 0
    entries = timeline.findall("S")
    for position, entry in enumerate(entries):
        at = int(entry.get("t") or at)
        length, repeat = int(entry.get("d") or 0), int(entry.get("r") or 0)
        if length <= 0:
            continue
        if repeat < 0:
            # Up to where the next one says that it begins, or the period ends.
            until = entries[position + 1].get("t") if position + 1 < len(entries) else end
            repeat = _ceil((float(until) - at) / length) - 1 if until is not None else 0
        for _ in range(min(repeat, MAX_SEGMENTS) + 1):
            yield index, at, length
            index, at = index + 1, at + length


def _said(levels: list[ET.Element], name: str) -> str | None:
    return next((said for level in levels if (said := level.get(name)) is not None), None)


def _ceil(value: float) -> int:
    # A duration that was rounded does not make one segment more.
    return int(-(-(value - 1e-3) // 1))
