"""A day of a channel, as fast as it can be read: one clip over and over, with wraps and jumps.

Timestamps and continuity counters go on from one repetition to the next, through the wraps of the
33-bit clock; now and then the clock jumps, as the discontinuity indicator says
(ISO/IEC 13818-1 clause 2.4.3.5).
"""

import os
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

import av

from dev.host import say
from dev.media.clips import write_clip
from streammonitor_api.incident import EndReason
from streammonitor_worker.analysis import StreamAnalysis
from streammonitor_worker.detectors.base import Kind
from streammonitor_worker.frames import AudioView, Discontinuity, FrameView
from streammonitor_worker.ingest import open_source

PICTURES_HZ = Fraction(25, 2)
SOUND_HZ = 16_000
"""As few pictures and frames of sound as their defects can be found in: a day is full of wraps and
jumps, whatever is between them, and has to be over in an hour."""
CLIP_S = 25.2
"""Whole groups of 21 pictures, of 80 ms each, and whole frames of MPEG audio, which last 72 ms. It
is cut out of the middle of a longer one, so that sound goes on where it is repeated."""
GROUP_S = 1.68
JUMP_EVERY = 48
"""Repetitions from one jump of the clock to the next: 20 min."""
CLOCK_HZ = 90_000
WRAP = 2**33
START = WRAP - 60 * CLOCK_HZ
"""The clock begins a minute before it wraps, and jumps back to there."""
_PACKET = 188
DETECTORS = (
    "black",
    "freeze",
    "silence",
    "blockCorruption",
    "clipping",
    "audioDropout",
    "transport",
    "timing",
)


class Outcome(NamedTuple):
    """What came of it.

    Attributes:
        media_s: Length of what was analysed.
        incidents: Defects that were told of.
        jumps: Discontinuities that were met.
        memory_mib: Resident, after the first tenth, and from there on.
    """

    media_s: float
    incidents: list[str]
    jumps: int
    memory_mib: list[float]


class Loop:
    """The packets of a clip, stamped anew for each repetition."""

    def __init__(self, clip: Path) -> None:
        self._data = bytearray(_middle(clip.read_bytes()))
        self._clocks: list[int] = []
        self._stamps: list[int] = []
        self._counters: dict[int, list[int]] = {}
        for at in range(0, len(self._data), _PACKET):
            self._note(at)

    def repetitions(self, count: int) -> Iterator[bytes]:
        """Yield the bytes of one after the other."""
        moved, before = START, {pid: 0 for pid in self._counters}
        for number in range(count):
            jumps = number % JUMP_EVERY == JUMP_EVERY - 1
            moved = START if jumps else moved
            yield self._stamped(moved, before, jumps)
            moved += round(CLIP_S * CLOCK_HZ)
            for pid, places in self._counters.items():
                before[pid] += len(places)

    def _note(self, at: int) -> None:
        data = self._data
        pid = (data[at + 1] & 0x1F) << 8 | data[at + 2]
        payload = at + 4
        if data[at + 3] & 0x20:
            if data[at + 4] and data[at + 5] & 0x10:
                self._clocks.append(at + 6)
            payload += 1 + data[at + 4]
        if data[at + 3] & 0x10:
            self._counters.setdefault(pid, []).append(at + 3)
        starts = data[at + 1] & 0x40 and data[payload : payload + 3] == b"\x00\x00\x01"
        if starts and data[payload + 3] >= 0xC0:
            flags = data[payload + 7] >> 6
            self._stamps += [payload + 9, payload + 14][: {2: 1, 3: 2}.get(flags, 0)]

    def _stamped(self, moved: int, before: dict[int, int], jumps: bool) -> bytes:
        data = bytearray(self._data)
        for at in self._clocks:
            base = int.from_bytes(data[at : at + 5]) >> 7
            low = data[at + 4] & 0x7F
            data[at : at + 5] = ((base + moved) % WRAP << 7 | low).to_bytes(5)
        for at in self._stamps:
            data[at : at + 5] = _stamp(bytes(data[at : at + 5]), moved)
        for pid, places in self._counters.items():
            for number, at in enumerate(places, before[pid]):
                data[at] = data[at] & 0xF0 | number & 0x0F
        if jumps:
            data[self._clocks[0] - 1] |= 0x80
        return bytes(data)


def _middle(data: bytes) -> bytes:
    """The packets of what is presented in the middle third, of each stream."""
    kept: list[bytes] = []
    now_s: dict[int, float] = {}
    first_s: float | None = None
    for at in range(0, len(data) // _PACKET * _PACKET, _PACKET):
        packet = data[at : at + _PACKET]
        pid = (packet[1] & 0x1F) << 8 | packet[2]
        start = 4 + (1 + packet[4] if packet[3] & 0x20 else 0)
        if packet[1] & 0x40 and packet[start : start + 3] == b"\x00\x00\x01":
            now_s[pid] = _value(packet[start + 9 : start + 14]) / CLOCK_HZ
            first_s = now_s[pid] if first_s is None else first_s
        # Tables come with the pictures.
        told_s = now_s.get(pid, next(iter(now_s.values()), 0.0))
        if first_s is not None and CLIP_S <= told_s - first_s + 1e-6 < 2 * CLIP_S:
            kept.append(packet)
    return b"".join(kept)


def _value(field: bytes) -> int:
    """A time of ISO/IEC 13818-1 clause 2.4.3.7: 3, 15 and 15 bits with markers."""
    high = (field[0] >> 1 & 7) << 30 | (field[1] << 7 | field[2] >> 1) << 15
    return high | field[3] << 7 | field[4] >> 1


def _stamp(field: bytes, moved: int) -> bytes:
    """The same, moved."""
    value = (_value(field) + moved) % WRAP
    return bytes(
        (
            field[0] & 0xF0 | value >> 29 & 0x0E | 1,
            value >> 22 & 0xFF,
            value >> 14 & 0xFE | 1,
            value >> 7 & 0xFF,
            value << 1 & 0xFE | 1,
        )
    )


def _clip(folder: Path) -> Path:
    """A clip without defects, as long as three repetitions."""
    written, clip = folder / "written.ts", folder / "clip.ts"
    write_clip(
        written,
        duration_s=3 * CLIP_S,
        size=(64, 36),
        frame_rate=PICTURES_HZ,
        gop_s=GROUP_S,
        audio_codec="mp2",
        strip=False,
    )
    # One frame of sound in a packet: then they can be cut anywhere.
    options = {"pes_payload_size": "0"}
    with av.open(str(written)) as inside, av.open(str(clip), "w", options=options) as outside:
        pictures = outside.add_stream_from_template(inside.streams.video[0])
        sound = outside.add_stream("mp2", rate=SOUND_HZ)
        resampler = av.AudioResampler("s16", "stereo", SOUND_HZ, sound.frame_size)
        for packet in inside.demux():
            if packet.stream.type == "video":
                if packet.dts is not None:
                    packet.stream = pictures
                    outside.mux(packet)
                continue
            for frame in packet.decode():
                if isinstance(frame, av.AudioFrame):
                    for one in resampler.resample(frame):
                        outside.mux(sound.encode(one))
    return clip


@contextmanager
def _sent(parts: Iterator[bytes]) -> Iterator[str]:
    """Send it all to whoever connects, as fast as it is taken."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def send() -> None:
            with suppress(OSError):
                link, _ = listener.accept()
                with link:
                    for part in parts:
                        link.sendall(part)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
    thread.join()


def replay(folder: Path, media_s: float, detectors: Sequence[str] = DETECTORS) -> Outcome:
    """Analyse so much of a channel without defects."""
    clip = _clip(folder)
    count = round(media_s / CLIP_S)
    analysis = StreamAnalysis(
        monitor_uid="", stream="day", worker="", detectors={name: {} for name in detectors}
    )
    told: set[str] = set()
    end_s, jumps = 0.0, 0
    memory: list[float] = []
    kinds = analysis.kinds_needed
    with (
        _sent(Loop(clip).repetitions(count)) as url,
        open_source(url, live=False, watch=Kind.TRANSPORT in kinds) as source,
    ):
        for item in source:
            events = analysis.feed(item)
            told |= {f"{one.incident.defect} at {one.incident.start_s:.1f} s" for one in events}
            jumps += isinstance(item, Discontinuity)
            if isinstance(item, FrameView | AudioView):
                end_s = max(end_s, item.time_s)
            if end_s > media_s / 10 * (len(memory) + 1):
                memory.append(_memory_mib())
                say(
                    f"{end_s / 3600:.1f} h replayed, {memory[-1]:.1f} MiB, {sorted(told) or 'calm'}"
                )
    analysis.finish(EndReason.EOF)
    return Outcome(end_s, sorted(told), jumps, memory)


def _memory_mib() -> float:
    resident = int(Path("/proc/self/statm").read_text().split()[1])
    return resident * os.sysconf("SC_PAGE_SIZE") / 2**20
