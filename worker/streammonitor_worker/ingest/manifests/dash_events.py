"""Ad breaks that a DASH manifest or a segment announces (ANSI/SCTE 214-1, 6.8): SCTE 35 in events.

Events of a manifest are read where they say what they mean in binary; those of XML alone are not.
"""

import binascii
import struct
import xml.etree.ElementTree as ET
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import replace

from streammonitor_worker.deliveries import AdCue
from streammonitor_worker.ingest.encryption.boxes import FULL_BYTES, boxes
from streammonitor_worker.mpegts.scte35 import Cue, cues

BINARY = "urn:scte:scte35:2013:bin"
SCHEMES = (BINARY, "urn:scte:scte35:2014:xml+bin")
Span = tuple[float, float]
"""Start and end, in seconds from the start of a period."""

_UNKNOWN = 0xFFFFFFFF


def ad_breaks(period: ET.Element) -> list[Span]:
    """The ad breaks that the events of a period announce; its tags have no namespaces."""
    left: dict[tuple[int, int], Span] = {}
    for stream in period.findall("EventStream"):
        if stream.get("schemeIdUri") not in SCHEMES:
            continue
        scale = _number(stream.get("timescale")) or 1.0
        offset = _number(stream.get("presentationTimeOffset"))
        for event in stream.findall("Event"):
            at_s = (_number(event.get("presentationTime")) - offset) / scale
            lasts_s = _number(event.get("duration")) / scale
            for cue in cues(_binary(event)):
                _take(left, cue, at_s, lasts_s)
    return list(left.values())


def _take(left: dict[tuple[int, int], Span], cue: Cue, at_s: float, lasts_s: float) -> None:
    key = cue.kind, cue.event
    if cue.cancelled:
        left.pop(key, None)
    elif cue.leaves:
        left[key] = at_s, at_s + (cue.duration_s or lasts_s or float("inf"))
    elif key in left:
        left[key] = left[key][0], min(left[key][1], at_s)


def _binary(event: ET.Element) -> bytes:
    said = event.findtext("Signal/Binary") or event.get("messageData") or event.text or ""
    try:
        return b64decode(said.strip())
    except (binascii.Error, ValueError):
        return b""


def _number(text: str | None) -> float:
    return float(text) if text and text.isdecimal() and len(text) < 20 else 0.0


def cues_of(start: bytes) -> Iterator[Cue | AdCue]:
    """The cues in the messages (`emsg`; ISO/IEC 23009-1, 5.10.3.3) with which a segment begins.

    Args:
        start: Its first bytes; messages come before all media.

    Yields:
        Cues with presentation times of the media, or with the time from the segment's start.
    """
    if start[4:8] not in (b"styp", b"emsg", b"sidx", b"prft", b"moof"):
        return
    try:
        for box in boxes(start, 0, len(start)):
            if box.kind == b"moof":
                return
            if box.kind == b"emsg":
                yield from _message(start[box.body : box.end])
    except (ValueError, IndexError, struct.error):
        return


def _message(body: bytes) -> Iterator[Cue | AdCue]:
    if body[0]:
        scale, at, lasts, _ = struct.unpack_from(">IQII", body, FULL_BYTES)
        scheme, _, data = body[FULL_BYTES + 20 :].split(b"\0", 2)
    else:
        scheme, _, rest = body[FULL_BYTES:].split(b"\0", 2)
        scale, at, lasts, _ = struct.unpack_from(">IIII", rest)
        data = rest[16:]
    if scheme.decode("latin-1") != BINARY or not scale:
        return
    for cue in cues(data):
        known_s = lasts / scale if lasts not in (0, _UNKNOWN) else None
        one = replace(cue, pts_s=at / scale, duration_s=cue.duration_s or known_s)
        if body[0]:
            yield one
        else:
            yield AdCue(one.kind, one.event, one.leaves, at / scale, one.duration_s, one.cancelled)
