"""Which samples of a fragmented MP4 are encrypted, and how (ISO/IEC 23001-7, common encryption).

What says so is taken out on the way: a protected sample entry becomes the one that it stands for,
every other box of encryption one that is passed over. No byte moves, so that no offset changes.
"""

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from streammonitor_worker.ingest.encryption.boxes import (
    FREE,
    FULL_BYTES,
    Box,
    boxes,
    first,
    inside,
    number,
    rename,
)

SCHEMES = (b"cenc", b"cens", b"cbc1", b"cbcs")
"""AES in counter mode, whole or in a pattern, and in chained blocks, whole or in a pattern (10)."""
PIFF_SENC = bytes.fromhex("a2394f525a9b4f14a2446c427c648df4")
"""The extended kind of `senc` from before it was standardised."""
MAX_SAMPLES = 100_000
"""Of one fragment: an hour of picture at 25 a second."""

_PROTECTED_ENTRIES = (b"encv", b"enca", b"encs", b"enct")
_LOCAL_GROUPS = 0x10000
"""Group numbers above this count the groups that the fragment itself defines (8.9.4)."""


@dataclass(frozen=True, slots=True)
class Protection:
    """How samples are encrypted (tenc, 8.2; seig, 6).

    Attributes:
        scheme: One of `SCHEMES`.
        protected: Whether they are at all.
        key_id: Which key they are encrypted with, 16 bytes.
        iv_bytes: Length of the initialization vector that each sample has of its own.
        constant_iv: The one of all samples if they have none of their own.
        pattern: Blocks that are encrypted, and that are then not; (0, 0) for all of them.
    """

    scheme: bytes
    protected: bool
    key_id: bytes
    iv_bytes: int
    constant_iv: bytes
    pattern: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Track:
    """What the movie says of a track.

    Attributes:
        entries: The protection of each of its sample entries; None where there is none.
        groups: The protections that it names for groups of samples.
        entry: The number of the usual sample entry, from 1.
        sample_bytes: The usual length of a sample.
    """

    entries: tuple[Protection | None, ...] = ()
    groups: tuple[Protection, ...] = ()
    entry: int = 1
    sample_bytes: int = 0


Tracks = Mapping[int, Track]
"""By their numbers."""


@dataclass(frozen=True, slots=True)
class Sample:
    """An encrypted sample.

    Attributes:
        start: Its position in the resource.
        size: Its length.
        protection: How it is encrypted.
        iv: Its initialization vector, 8 or 16 bytes.
        parts: Lengths of clear and encrypted bytes, by turns; none if it is encrypted as a whole.
    """

    start: int
    size: int
    protection: Protection
    iv: bytes
    parts: tuple[tuple[int, int], ...] = ()


def clear_movie(data: bytearray) -> dict[int, Track]:
    """Take the encryption out of a `moov` box; return what it said of its tracks, if of any.

    Raises:
        ValueError: It is not as the standard has it, or encrypted in another way.
    """
    if b"sinf" not in data:
        return {}
    movie = next(boxes(data, 0, len(data)))
    tracks = {}
    for trak in list(inside(data, movie, b"trak")):
        tkhd = first(data, trak, b"tkhd")
        # Version 1 has times of 8 bytes (8.3.2).
        at = tkhd.body + FULL_BYTES + (16 if data[tkhd.body] else 8)
        table = first(data, trak, b"mdia", b"minf", b"stbl")
        tracks[number(data, at, 4)] = Track(_entries(data, table), _groups(data, table, None))
    for trex in inside(data, movie, b"mvex", b"trex"):
        track, entry, _, size = (
            number(data, trex.body + FULL_BYTES + 4 * index, 4) for index in range(4)
        )
        if track in tracks:
            tracks[track] = replace(tracks[track], entry=entry, sample_bytes=size)
    for pssh in list(inside(data, movie, b"pssh")):
        rename(data, pssh, FREE)
    return tracks


def clear_fragment(data: bytearray, position: int, tracks: Tracks) -> list[Sample]:
    """Take the encryption out of a `moof` box; return the samples that are encrypted.

    Args:
        data: The box.
        position: Its position in the resource.
        tracks: What `clear_movie` returned.

    Raises:
        ValueError: It is not as the standard has it.
    """
    fragment = next(boxes(data, 0, len(data)))
    found: list[Sample] = []
    at = position
    for traf in list(inside(data, fragment, b"traf")):
        run = _Run(data, traf, position, at)
        samples = run.samples(tracks.get(run.track, Track()))
        at = run.end
        found += samples
        _forget(data, traf)
    for pssh in list(inside(data, fragment, b"pssh")):
        rename(data, pssh, FREE)
    return found


def _entries(data: bytearray, table: Box) -> tuple[Protection | None, ...]:
    stsd = first(data, table, b"stsd")
    return tuple(
        _entry(data, one) if one.kind in _PROTECTED_ENTRIES else None
        for one in list(boxes(data, stsd.body + FULL_BYTES + 4, stsd.end))
    )


def _entry(data: bytearray, entry: Box) -> Protection:
    """The protection of a sample entry, which becomes the one that it stands for (8.12)."""
    # Sought, as how much precedes it depends on the codec and on the age of the file.
    found = data.find(b"sinf", entry.body, entry.end) - 4
    if found < entry.body:
        raise ValueError("a protected sample entry does not say how")
    sinf = next(boxes(data, found, entry.end))
    scheme = first(data, sinf, b"schm")
    kind = bytes(data[scheme.body + FULL_BYTES : scheme.body + FULL_BYTES + 4])
    if kind not in SCHEMES:
        raise ValueError(f"encryption scheme {kind.decode(errors='replace')!r} is not supported")
    tenc = first(data, sinf, b"schi", b"tenc")
    said = _said(data, tenc.body + FULL_BYTES, kind, patterned=data[tenc.body] > 0)
    frma = first(data, sinf, b"frma")
    rename(data, entry, bytes(data[frma.body : frma.body + 4]))
    rename(data, sinf, FREE)
    return said


def _said(data: bytearray, at: int, scheme: bytes, *, patterned: bool) -> Protection:
    """The fields that tenc and seig share (8.2.2, 6.2)."""
    pattern = number(data, at + 1, 1) if patterned else 0
    protected, iv_bytes = bool(number(data, at + 2, 1)), number(data, at + 3, 1)
    key_id = bytes(data[at + 4 : at + 20])
    length = number(data, at + 20, 1) if protected and not iv_bytes else 0
    constant_iv = bytes(data[at + 21 : at + 21 + length])
    if iv_bytes not in (0, 8, 16) or (protected and not iv_bytes and length not in (8, 16)):
        raise ValueError(f"an initialization vector of {iv_bytes or length} bytes is not supported")
    return Protection(
        scheme, protected, key_id, iv_bytes, constant_iv, (pattern >> 4, pattern & 0x0F)
    )


def _groups(data: bytearray, home: Box, scheme: bytes | None) -> tuple[Protection, ...]:
    """Protections of groups of samples (sgpd of seig); a scheme is only said elsewhere."""
    for sgpd in inside(data, home, b"sgpd"):
        version, at = data[sgpd.body], sgpd.body + FULL_BYTES
        if bytes(data[at : at + 4]) != b"seig":
            continue
        at += 4
        length = number(data, at, 4) if version >= 1 else 0
        at += (4 if version >= 1 else 0) + (4 if version >= 2 else 0)
        count, found = number(data, at, 4), []
        at += 4
        for _ in range(min(count, _LOCAL_GROUPS)):
            if version >= 1 and not length:
                size, at = number(data, at, 4), at + 4
            else:
                size = length or 20
            found.append(_said(data, at, scheme or b"", patterned=True))
            at += size
        return tuple(found)
    return ()


def _forget(data: bytearray, traf: Box) -> None:
    for box in list(boxes(data, traf.body, traf.end)):
        of_seig = box.kind in (b"sgpd", b"sbgp") and _is_seig(data, box)
        if box.kind in (b"senc", b"saiz", b"saio") or of_seig or _is_piff(data, box):
            rename(data, box, FREE)


def _is_seig(data: bytearray, box: Box) -> bool:
    at = box.body + FULL_BYTES
    return bytes(data[at : at + 4]) == b"seig"


def _is_piff(data: bytearray, box: Box) -> bool:
    return box.kind == b"uuid" and bytes(data[box.body : box.body + 16]) == PIFF_SENC


@dataclass(slots=True)
class _Run:
    """The samples of one track in a fragment (traf, 8.8.6).

    Attributes:
        track: Its number.
        end: Where its last sample ends, in the resource.
    """

    data: bytearray
    traf: Box
    position: int
    end: int
    track: int = field(init=False, default=0)
    _entry: int = field(init=False, default=0)
    _sample_bytes: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        data, tfhd = self.data, first(self.data, self.traf, b"tfhd")
        flags, at = number(data, tfhd.body + 1, 3), tfhd.body + FULL_BYTES
        self.track, at = number(data, at, 4), at + 4
        if flags & 0x1:
            self.end, at = number(data, at, 8), at + 8
        elif flags & 0x20000:
            self.end = self.position
        if flags & 0x2:
            self._entry, at = number(data, at, 4), at + 4
        at += 4 if flags & 0x8 else 0
        if flags & 0x10:
            self._sample_bytes = number(data, at, 4)

    def samples(self, track: Track) -> list[Sample]:
        """Those that are encrypted."""
        places = list(self._places(track))
        index = (self._entry or track.entry) - 1
        usual = track.entries[index] if 0 <= index < len(track.entries) else None
        if usual is None:
            return []
        of_each = self._of_each(usual, track, len(places))
        details = self._details(of_each)
        return [
            Sample(start, size, how, iv, parts)
            for (start, size), how, (iv, parts) in zip(places, of_each, details, strict=True)
            if how.protected
        ]

    def _places(self, track: Track) -> Iterator[tuple[int, int]]:
        """Position and length of each sample (trun, 8.8.8)."""
        data, base, usual = self.data, self.end, self._sample_bytes or track.sample_bytes
        for trun in inside(data, self.traf, b"trun"):
            flags, at = number(data, trun.body + 1, 3), trun.body + FULL_BYTES
            count, at = number(data, at, 4), at + 4
            if count > MAX_SAMPLES:
                raise ValueError(f"a fragment has {count} samples")
            if flags & 0x1:
                self.end = base + int.from_bytes(data[at : at + 4], signed=True)
                at += 4
            at += 4 if flags & 0x4 else 0
            step = 4 * sum(bool(flags & bit) for bit in (0x100, 0x200, 0x400, 0x800))
            before = 4 if flags & 0x100 else 0
            for index in range(count):
                size = number(data, at + step * index + before, 4) if flags & 0x200 else usual
                yield self.end, size
                self.end += size

    def _of_each(self, usual: Protection, track: Track, count: int) -> list[Protection]:
        """The protection of each sample: its group's, or the sample entry's (sbgp, 8.9.2)."""
        found: list[Protection] = []
        local = _groups(self.data, self.traf, usual.scheme)
        for sbgp in inside(self.data, self.traf, b"sbgp"):
            if not _is_seig(self.data, sbgp):
                continue
            at = sbgp.body + FULL_BYTES + 4 + (4 if self.data[sbgp.body] else 0)
            for entry in range(number(self.data, at, 4)):
                length, group = struct.unpack_from(">II", self.data, at + 4 + 8 * entry)
                how = _of_group(group, usual, track.groups, local)
                found += [how] * min(length, count - len(found))
        return found + [usual] * (count - len(found))

    def _details(
        self, of_each: list[Protection]
    ) -> list[tuple[bytes, tuple[tuple[int, int], ...]]]:
        """Initialization vector and parts of each sample (senc, 7.2)."""
        place = self._senc()
        if place is None:
            if any(how.protected and how.iv_bytes for how in of_each):
                raise ValueError("a fragment does not say how its samples are encrypted (senc)")
            return [(how.constant_iv, ()) for how in of_each]
        data, at = self.data, place
        in_parts, count = bool(data[at + 3] & 0x2), number(data, at + 4, 4)
        at += 8
        if count != len(of_each):
            raise ValueError(f"a fragment has {len(of_each)} samples and tells of {count} (senc)")
        found = []
        for how in of_each:
            iv, at = bytes(data[at : at + how.iv_bytes]), at + how.iv_bytes
            parts: list[tuple[int, int]] = []
            if in_parts:
                length, at = number(data, at, 2), at + 2
                parts = list(struct.iter_unpack(">HI", data[at : at + 6 * length]))
                at += 6 * length
            found.append((iv or how.constant_iv, tuple(parts)))
        return found

    def _senc(self) -> int | None:
        for box in boxes(self.data, self.traf.body, self.traf.end):
            if box.kind == b"senc":
                return box.body
            if _is_piff(self.data, box):
                return box.body + 16
        return None


def _of_group(
    group: int, usual: Protection, common: tuple[Protection, ...], local: tuple[Protection, ...]
) -> Protection:
    if not group:
        return usual
    groups, index = (local, group - _LOCAL_GROUPS) if group > _LOCAL_GROUPS else (common, group)
    if index > len(groups):
        raise ValueError(f"samples belong to a group {group} that nobody defines")
    return replace(groups[index - 1], scheme=usual.scheme)
