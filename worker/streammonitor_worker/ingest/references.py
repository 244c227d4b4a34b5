"""Reference pictures that never came, told by the numbers that coded pictures carry.

A decoder patches a picture that is missing with another and says nothing, but what is predicted
from it is wrong until the next key frame. H.264 numbers the pictures that others are predicted from
(ITU-T H.264 clause 7.4.3, frame_num), MPEG-2 numbers all of them (ITU-T H.262 clause 6.3.9,
temporal_reference). HEVC needs no such check: its decoder refuses what lacks a reference, and AV1's
does as well. Pictures from which nothing is predicted may be missing without harm.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import NamedTuple

from streammonitor_worker.ingest.bits import Bits

_START = b"\x00\x00\x01"
_SLICE, _IDR, _SPS, _PPS = 1, 5, 7, 8
"""H.264 table 7-1: types of network abstraction layer units."""
_PICTURE, _LAST_SLICE = 0x00, 0xAF
"""H.262 table 6-1: start codes. That of a slice is the number of its row, from 1."""
_INTRA, _PREDICTED = 1, 2
"""H.262 table 6-12: picture_coding_type; 3 is predicted from both sides."""
_TEMPORAL_RANGE = 1024
WITHOUT_GROUPS = 1
"""After so many whole groups of pictures that are predicted from one side only, all of them are."""
_HEADER_BYTES = 64
"""What is read of a slice's header ends well before."""
_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
"""Those whose parameters tell about chroma (H.264 clause 7.3.2.1.1)."""
_AVCC_VERSION = 1


class References(ABC):
    """Follows the coded pictures of one stream, in coding order.

    Attributes:
        slices: Of the last one, where its slices begin, in macroblocks; empty if that is unknown.
    """

    def __init__(self) -> None:
        self.slices: list[int] = []

    @abstractmethod
    def missing(self, unit: bytes) -> bool:
        """Take an access unit; tell whether reference pictures just before it never came."""


def references_of(codec: str, extradata: bytes | None, columns: int = 0) -> References | None:
    """What follows the references of a stream; None where nothing needs to.

    Args:
        codec: FFmpeg's name of the decoder.
        extradata: What the container says of the stream, if it does.
        columns: Macroblocks beside each other.
    """
    if codec == "h264":
        return H264References(extradata or b"")
    return Mpeg2References(columns) if codec == "mpeg2video" else None


class _Sequence(NamedTuple):
    """What is needed of a sequence parameter set."""

    number_bits: int
    gaps_allowed: bool
    planes_apart: bool
    frames_only: bool


class H264References(References):
    """References by frame_num."""

    def __init__(self, extradata: bytes = b"") -> None:
        super().__init__()
        self._length_bytes = 0
        self._sequences: dict[int, _Sequence] = {}
        self._sequence_of: dict[int, int] = {}
        self._last: int | None = None
        if extradata[:1] == bytes([_AVCC_VERSION]) and len(extradata) > 6:
            # ISO/IEC 14496-15 clause 5.3.3: units have a length before them, not a start code.
            self._length_bytes = (extradata[4] & 3) + 1
            self._take_record(extradata)
        else:
            self._take_parameters(extradata)

    def missing(self, unit: bytes) -> bool:
        """Take an access unit: the number in its first slice, and where each of them begins."""
        self.slices, jumps = [], None
        for nal in self._units(unit):
            if nal[0] & 31 not in (_SLICE, _IDR):
                self._take_parameter(nal)
                continue
            try:
                found = self._jumps(nal)
            except (IndexError, KeyError):
                # Damaged itself, or from before the first parameters.
                self._last, found = None, False
            jumps = found if jumps is None else jumps
        return bool(jumps)

    def _jumps(self, nal: bytes) -> bool:
        """H.264 clause 7.4.3: frame_num is that of the last reference picture, or the next."""
        kind, reference = nal[0] & 31, bool(nal[0] & 0x60)
        bits = Bits(nal[1:_HEADER_BYTES])
        first = bits.exp_golomb()
        bits.exp_golomb()  # slice_type
        sequence = self._sequences[self._sequence_of[bits.exp_golomb()]]
        if sequence.frames_only:
            self.slices.append(first)
        if sequence.planes_apart:
            bits.read(2)
        number, last = bits.read(sequence.number_bits), self._last
        if reference or kind == _IDR:
            self._last = number
        if kind == _IDR or last is None or sequence.gaps_allowed:
            return False
        return number not in (last, (last + 1) % (1 << sequence.number_bits))

    def _units(self, unit: bytes) -> Iterator[bytes]:
        if not self._length_bytes:
            yield from _between_start_codes(unit)
            return
        at = 0
        while at + self._length_bytes < len(unit):
            begin = at + self._length_bytes
            at = begin + int.from_bytes(unit[at:begin], "big")
            if at > begin:
                yield unit[begin:at]

    def _take_record(self, record: bytes) -> None:
        """The parameters in front of a stream in MP4 or FLV."""
        at = 5
        for mask in (31, 255):
            count, at = (record[at] & mask, at + 1) if at < len(record) else (0, at)
            for _ in range(count):
                length = int.from_bytes(record[at : at + 2], "big")
                self._take_parameter(record[at + 2 : at + 2 + length])
                at += 2 + length

    def _take_parameters(self, stream: bytes) -> None:
        for nal in _between_start_codes(stream):
            self._take_parameter(nal)

    def _take_parameter(self, nal: bytes) -> None:
        try:
            if nal[:1] and nal[0] & 31 == _SPS:
                self._take_sequence(nal)
            elif nal[:1] and nal[0] & 31 == _PPS:
                bits = Bits(nal[1:_HEADER_BYTES])
                picture = bits.exp_golomb()
                self._sequence_of[picture] = bits.exp_golomb()
        except IndexError:
            return

    def _take_sequence(self, nal: bytes) -> None:
        """H.264 clause 7.3.2.1.1, up to frame_mbs_only_flag."""
        bits = Bits(nal[4:])
        identity, planes_apart = bits.exp_golomb(), False
        if nal[1] in _HIGH_PROFILES:
            planes_apart = _skip_chroma(bits)
        width = bits.exp_golomb() + 4
        order = bits.exp_golomb()
        if order == 0:
            bits.exp_golomb()
        elif order == 1:
            bits.read(1)
            bits.exp_golomb()
            bits.exp_golomb()
            for _ in range(bits.exp_golomb()):
                bits.exp_golomb()
        bits.exp_golomb()  # max_num_ref_frames
        gaps_allowed = bool(bits.read(1))
        bits.exp_golomb()  # pic_width_in_mbs_minus1
        bits.exp_golomb()  # pic_height_in_map_units_minus1
        self._sequences[identity] = _Sequence(
            width, gaps_allowed, planes_apart, frames_only=bool(bits.read(1))
        )


def _skip_chroma(bits: Bits) -> bool:
    """Read what a high profile tells of chroma, depth and scaling; return whether planes are apart.

    Source: H.264 clauses 7.3.2.1.1 and 7.3.2.1.1.1.
    """
    chroma = bits.exp_golomb()
    only_444 = 3
    planes_apart = chroma == only_444 and bool(bits.read(1))
    bits.exp_golomb()
    bits.exp_golomb()
    bits.read(1)
    if bits.read(1):
        for number in range(12 if chroma == only_444 else 8):
            if bits.read(1):
                _skip_scaling(bits, 16 if number < 6 else 64)
    return planes_apart


def _skip_scaling(bits: Bits, size: int) -> None:
    scale = 8
    for _ in range(size):
        scale = (scale + bits.signed_exp_golomb()) % 256
        if scale == 0:
            return


class Mpeg2References(References):
    """References by temporal_reference, which counts pictures in the order they are shown."""

    def __init__(self, columns: int = 0) -> None:
        super().__init__()
        self._columns = columns
        self._last: int | None = None
        self._groups_without = -1
        """Whole groups of pictures since one was predicted from both sides."""

    def missing(self, unit: bytes) -> bool:
        """Take an access unit: the number of its first picture, and its slices if it is alone."""
        self.slices, jumps = [], None
        pictures = 0
        for part in _between_start_codes(unit):
            if part[0] == _PICTURE and len(part) > 2:
                pictures += 1
                if jumps is None:
                    jumps = self._jumps(part[1] << 2 | part[2] >> 6, part[2] >> 3 & 7)
            elif _PICTURE < part[0] <= _LAST_SLICE:
                self.slices.append((part[0] - 1) * self._columns)
        # Rows of fields lie elsewhere; a row may be divided further.
        self.slices = sorted(set(self.slices)) if pictures == 1 else []
        return bool(jumps)

    def _jumps(self, number: int, kind: int) -> bool:
        last = self._last
        ahead = 0 if last is None else (number - last) % _TEMPORAL_RANGE
        if kind == _INTRA:
            self._last = number
            self._groups_without += 1
            return False
        if kind == _PREDICTED:
            self._last = number
            # The second field of a picture has the number of the first.
            return self._groups_without >= WITHOUT_GROUPS and ahead > 1
        self._groups_without = -1
        # What is predicted from both sides is shown before the later one, which came earlier.
        return last is not None and 0 < ahead < _TEMPORAL_RANGE // 2


def _between_start_codes(unit: bytes) -> Iterator[bytes]:
    """The units of a stream in the format of Annex B, from their header on."""
    at = unit.find(_START)
    while at >= 0:
        following = unit.find(_START, at + 3)
        nal = unit[at + 3 : following if following >= 0 else len(unit)]
        if nal:
            yield nal
        at = following
