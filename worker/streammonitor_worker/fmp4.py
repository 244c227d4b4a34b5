"""When the fragments of an MP4 stream are decoded (ISO/IEC 14496-12): all that is read of them."""

from collections.abc import Iterator

MAX_HEAD_BYTES = 1 << 20
"""The boxes that are wanted come before the pictures and the sound; of more nothing is kept."""


class FragmentTimes:
    """Finds the decode time of the first fragment of each segment.

    Attributes:
        time_s: Of the segment that is being read, in seconds; None until it is known.
    """

    def __init__(self) -> None:
        self.time_s: float | None = None
        self._scales: dict[int, int] = {}
        self._head = bytearray()
        self._done = False

    def begin(self) -> None:
        """Another resource begins: a segment, or what initialises them."""
        self.time_s, self._done = None, False
        self._head.clear()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of it."""
        if self._done:
            return
        self._head += data[: MAX_HEAD_BYTES - len(self._head)]
        for kind, body in _boxes(bytes(self._head)):
            if kind == b"moov":
                self._scales.update(_scales(body))
                self._done = True
            elif kind == b"moof":
                self.time_s = self._time_s(body)
                self._done = True
        self._done |= len(self._head) >= MAX_HEAD_BYTES
        if self._done:
            self._head.clear()

    def _time_s(self, moof: bytes) -> float | None:
        for kind, traf in _boxes(moof):
            if kind == b"traf":
                boxes = dict(_boxes(traf))
                header, time = boxes.get(b"tfhd", b""), boxes.get(b"tfdt", b"")
                scale = self._scales.get(int.from_bytes(header[4:8]), 0)
                if scale and len(time) >= 8:
                    return int.from_bytes(time[4:12] if time[0] else time[4:8]) / scale
        return None


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Boxes that are there as a whole (4.2): type and content."""
    at = 0
    while at + 8 <= len(data):
        size, start = int.from_bytes(data[at : at + 4]), at + 8
        if size == 1:
            size, start = int.from_bytes(data[at + 8 : at + 16]), at + 16
        if size < start - at or at + size > len(data):
            return
        yield data[at + 4 : at + 8], data[start : at + size]
        at += size


def _scales(moov: bytes) -> dict[int, int]:
    """Ticks a second of each track (8.3.2, 8.4.2)."""
    found = {}
    for kind, trak in _boxes(moov):
        if kind != b"trak":
            continue
        boxes = dict(_boxes(trak))
        track, media = boxes.get(b"tkhd", b""), dict(_boxes(boxes.get(b"mdia", b"")))
        header = media.get(b"mdhd", b"")
        if len(track) >= 24 and len(header) >= 24:
            identity = track[20:24] if track[0] else track[12:16]
            scale = header[20:24] if header[0] else header[12:16]
            found[int.from_bytes(identity)] = int.from_bytes(scale)
    return found
