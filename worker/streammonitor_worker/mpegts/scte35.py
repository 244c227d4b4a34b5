"""Splice information (ANSI/SCTE 35 2023): where a programme gives way to advertisements.

Read here rather than by the library `threefive`, whose licence obliges whoever passes it on, and
of which only this much would be used.
"""

from dataclasses import dataclass

from streammonitor_worker.mpegts.sections import crc32

TABLE = 0xFC
_INSERT, _TIME_SIGNAL = 0x05, 0x06
_SEGMENTATION = 0x02
_IDENTIFIER = b"CUEI"
_STARTS = (0x22, 0x30, 0x32, 0x34, 0x36, 0x44, 0x46)
"""Segmentation types (table 23) that begin a break, advertisements in it, or the opportunity to
place some; each ends with the type that follows. Overlays leave the programme where it is."""
_HEADER_BYTES = 14
_LEGACY_LENGTH = 0xFFF


@dataclass(frozen=True, slots=True)
class Cue:
    """A programme is left or comes back.

    Attributes:
        kind: Tells cues apart that do not belong together: 0 for splice_insert, else the
            segmentation type that begins.
        event: Identity of the break within its kind.
        leaves: Whether the programme is left; else it comes back.
        cancelled: What was announced does not take place.
        pts_s: When, in seconds, as presentation times of the stream; None: now.
        duration_s: For how long, in seconds, if that is known.
    """

    kind: int
    event: int
    leaves: bool
    cancelled: bool = False
    pts_s: float | None = None
    duration_s: float | None = None


def cues(section: bytes) -> list[Cue]:
    """The cues of a splice_info_section; none of one that is damaged, encrypted or says others."""
    if len(section) < _HEADER_BYTES + 6 or section[0] != TABLE or crc32(section) != 0:
        return []
    if section[4] & 0x80:
        return []
    adjustment = int.from_bytes(section[4:9]) & 0x1_FFFF_FFFF
    command, kind = _Bits(section[_HEADER_BYTES:-4]), section[13]
    length = (section[11] & 0x0F) << 8 | section[12]
    try:
        if kind == _INSERT:
            return _insert(command, adjustment)
        if kind != _TIME_SIGNAL:
            return []
        at_s = _time_s(command, adjustment)
        start = command.at // 8 if length == _LEGACY_LENGTH else length
        return _segmentations(section[_HEADER_BYTES + start : -4], at_s)
    except EOFError:
        return []


class _Bits:
    """Numbers of any length, one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    def take(self, count: int) -> int:
        """The next `count` bits.

        Raises:
            EOFError: There are not so many.
        """
        end = self.at + count
        if end > len(self._data) * 8:
            raise EOFError
        first, last = self.at // 8, -(-end // 8)
        value = int.from_bytes(self._data[first:last]) >> (last * 8 - end)
        self.at = end
        return value & ((1 << count) - 1)


def _time_s(bits: _Bits, adjustment: int) -> float | None:
    """splice_time (9.8.1)."""
    if not bits.take(1):
        bits.take(7)
        return None
    bits.take(6)
    return ((bits.take(33) + adjustment) & 0x1_FFFF_FFFF) / 90_000


def _insert(bits: _Bits, adjustment: int) -> list[Cue]:
    """splice_insert (9.7.3)."""
    event, cancelled = bits.take(32), bool(bits.take(1))
    bits.take(7)
    if cancelled:
        return [Cue(0, event, leaves=True, cancelled=True)]
    leaves, program, lasts, immediate = (bool(bits.take(1)) for _ in range(4))
    bits.take(4)
    at_s = _time_s(bits, adjustment) if program and not immediate else None
    if not program:
        times = []
        for _ in range(bits.take(8)):
            bits.take(8)
            times.append(None if immediate else _time_s(bits, adjustment))
        at_s = times[0] if times else None
    duration_s = None
    if lasts:
        bits.take(7)
        duration_s = bits.take(33) / 90_000
    return [Cue(0, event, leaves, pts_s=at_s, duration_s=duration_s)]


def _segmentations(loop: bytes, at_s: float | None) -> list[Cue]:
    """Descriptors of a time_signal that begin or end what is not the programme (10.3.3)."""
    found = []
    end = min(len(loop), 2 + int.from_bytes(loop[:2]))
    at = 2
    while at + 2 <= end:
        tag, size = loop[at], loop[at + 1]
        body = loop[at + 2 : min(end, at + 2 + size)]
        at += 2 + size
        if tag == _SEGMENTATION and body[:4] == _IDENTIFIER:
            found += _segmentation(_Bits(body[4:]), at_s)
    return found


def _segmentation(bits: _Bits, at_s: float | None) -> list[Cue]:
    event, cancelled = bits.take(32), bool(bits.take(1))
    bits.take(7)
    if cancelled:
        # It does not say of what type it was.
        return [Cue(kind, event, leaves=True, cancelled=True) for kind in _STARTS]
    program, lasts = bool(bits.take(1)), bool(bits.take(1))
    bits.take(6)
    if not program:
        for _ in range(bits.take(8)):
            bits.take(48)
    duration_s = bits.take(40) / 90_000 if lasts else None
    bits.take(8)
    for _ in range(bits.take(8)):
        bits.take(8)
    kind = bits.take(8)
    if kind in _STARTS:
        return [Cue(kind, event, leaves=True, pts_s=at_s, duration_s=duration_s)]
    if kind - 1 in _STARTS:
        return [Cue(kind - 1, event, leaves=False, pts_s=at_s)]
    return []
