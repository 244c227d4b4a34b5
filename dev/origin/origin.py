"""A small live HLS origin whose defects are known to the frame.

It serves moving pictures and changing sound as live HLS (MPEG-TS, H.264, AAC) and splices black,
freeze and silence in on a timetable that repeats. This one file needs Python, NumPy and PyAV and
nothing else: it can be mounted into any container that has them. It writes no file.

How it stays cheap: each segment of one cycle is encoded once, on demand or a little ahead, and kept
in memory; later cycles, and channels with another phase, mux the same packets with later
timestamps. Timestamps and continuity counters go on across segments and cycles for ever.

Times. *Content time* runs through the timetable; its cycle repeats. *Media time* of a channel is
content time less the channel's phase; it is 0 at the first frame of the channel's segment 0 and
carries the timestamp `Settings.first_pts_s`. The channel's `epoch` is the wall clock at media time
0 and the source of EXT-X-PROGRAM-DATE-TIME. A segment appears when its last frame is due, as from a
real encoder, so a defect becomes visible up to one segment after its wall-clock time.

Endpoints:
    /ch-K/channel.m3u8  the sliding playlist of channel K; /channel.m3u8 is that of channel 0
    /timetable          JSON: cycle, channels, epochs, defects and when each comes next
    /healthz            200 once every channel has a segment, else 503
    /control            POST, only with --control; see `Origin.control`

Usage:
    python origin.py --channels 4 --cycle 60 --defects black@12-16,freeze@28-33,silence@44-50
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import math
import re
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol, cast

import av
import av.audio
import av.video
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

SAMPLE_RATE = 48_000
CHANNELS = 2
CLOCK_HZ = 90_000  # of MPEG-TS timestamps
AAC_FRAME = 1024  # samples
BLACK_LUMA = 16
NEUTRAL_CHROMA = 128

# ------------------------------------------------------------------------------------- defects

KINDS = ("black", "freeze", "silence", "channelLoss")
_DEFECT = re.compile(r"^(?P<kind>\w+)@(?P<start>[\d.]+)-(?P<end>[\d.]+)(?::(?P<level>-?[\d.]+))?$")


@dataclass(frozen=True)
class Defect:
    """One splice: `kind` from `start_s` (included) to `end_s` (excluded).

    - `black`: every luma sample is `level` (default 16), chroma is neutral; the strip goes too.
    - `freeze`: the picture due at `start_s`, strip included, is held; sound goes on.
    - `silence`: every sample is 0, or white noise of `level` dBFS (RMS); the picture goes on.
    - `channelLoss`: the right channel is 0.
    """

    kind: str
    start_s: float
    end_s: float
    level: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown defect {self.kind!r}: one of {', '.join(KINDS)}")
        if not self.start_s < self.end_s:
            raise ValueError(f"{self.kind}: end {self.end_s} s is not after start {self.start_s} s")

    def ticks(self, rate_hz: float | Fraction) -> range:
        """Return the frames or samples concerned, rounded to the nearest one at `rate_hz`."""
        return range(round(self.start_s * rate_hz), round(self.end_s * rate_hz))


def parse_defects(text: str) -> tuple[Defect, ...]:
    """Read `black@12-16,freeze@28-33,silence@44-50:-70` (seconds; after the colon the level)."""
    defects = []
    for part in filter(None, (word.strip() for word in text.split(","))):
        found = _DEFECT.match(part)
        if not found:
            raise ValueError(f"{part!r} is not KIND@START-END[:LEVEL]")
        level = found["level"]
        start_s, end_s = float(found["start"]), float(found["end"])
        defects.append(Defect(found["kind"], start_s, end_s, float(level) if level else None))
    return tuple(defects)


# ------------------------------------------------------------------------------------ pictures


class Canvas:
    """One I420 picture: `y` (height, width), `u` and `v` (height / 2, width / 2), limited range."""

    def __init__(self, width_px: int, height_px: int) -> None:
        if width_px % 2 or height_px % 2:
            raise ValueError(f"{width_px}x{height_px}: both sides must be even")
        luma, chroma = width_px * height_px, width_px * height_px // 4
        self.data: Bytes = np.full(luma + 2 * chroma, NEUTRAL_CHROMA, np.uint8)
        half = (height_px // 2, width_px // 2)
        self.y = self.data[:luma].reshape(height_px, width_px)
        self.u = self.data[luma : luma + chroma].reshape(half)
        self.v = self.data[luma + chroma :].reshape(half)

    def blank(self, luma: int) -> None:
        """Fill the picture with one grey."""
        self.y.fill(luma)
        self.u.fill(NEUTRAL_CHROMA)
        self.v.fill(NEUTRAL_CHROMA)

    def frame(self, *, key: bool = False) -> av.VideoFrame:
        """Return a copy as a yuv420p frame, which is to become a key frame if `key`."""
        height_px, width_px = self.y.shape
        frame = av.VideoFrame.from_ndarray(
            self.data.reshape(height_px * 3 // 2, width_px), format="yuv420p"
        )
        if key:
            frame.pict_type = av.video.frame.PictureType.I
        return frame


class Picture(Protocol):
    """Moving pictures: a pure function of the frame number, so any frame can be drawn alone."""

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index` (any integer)."""


def field(height_px: int, width_px: int, *, seed: int, slope: float) -> NDArray[np.float64]:
    """Return noise with a 1/f^slope spectrum like that of photographs; seamless, mean 0, std 1."""
    noise = np.fft.rfft2(np.random.default_rng(seed).standard_normal((height_px, width_px)))
    frequency = np.hypot(np.fft.fftfreq(height_px)[:, None], np.fft.rfftfreq(width_px)[None])
    frequency[0, 0] = 1.0
    noise /= frequency**slope
    noise[0, 0] = 0.0
    picture: NDArray[np.float64] = np.fft.irfft2(noise, s=(height_px, width_px))
    picture /= picture.std()
    return picture


class Layer:
    """A seamless texture of which any window can be cut without arithmetic."""

    def __init__(self, height_px: int, width_px: int, *, seed: int, slope: float) -> None:
        self.height_px, self.width_px = height_px, width_px
        self._values = field(height_px, width_px, seed=seed, slope=slope)
        self._tiled: Bytes = np.zeros((0, 0), np.uint8)

    def levels(self, low: int, high: int) -> Layer:
        """Quantise to codes `low`..`high` (2.5 standard deviations each side); return self."""
        codes = (self._values / 5 + 0.5) * (high - low) + low
        self._tiled = np.tile(codes.clip(low, high).astype(np.uint8), (2, 2))
        return self

    def window(self, y_px: float, x_px: float) -> Bytes:
        """Return the view (height, width) whose corner is at (y, x), wrapping round."""
        top, left = int(y_px) % self.height_px, int(x_px) % self.width_px
        return self._tiled[top : top + self.height_px, left : left + self.width_px]


class Grain:
    """Film grain: Gaussian noise of `std` codes, another part of one sheet for each frame."""

    def __init__(self, height_px: int, width_px: int, *, seed: int, std: float) -> None:
        self._size = height_px, width_px
        sheet = np.random.default_rng(seed).standard_normal((height_px + 64, width_px + 64)) * std
        self._sheet: Bytes = sheet.clip(-9, 9).astype(np.int8).view(np.uint8)

    def add(self, luma: Bytes, index: int) -> None:
        """Add grain in place; `luma` must lie in 9..246 (the sum is modulo 256)."""
        top, left = index * 37 % 61, index * 23 % 59
        rows, columns = self._size
        np.add(luma, self._sheet[top : top + rows, left : left + columns], out=luma)


class Texture:
    """A textured scene that pans under a slowly moving light, with grain."""

    def __init__(self, width_px: int, height_px: int, *, seed: int = 0) -> None:
        half = height_px // 2, width_px // 2
        self._scene = Layer(height_px, width_px, seed=seed, slope=1.2).levels(20, 130)
        self._light = Layer(height_px, width_px, seed=seed + 1, slope=2.5).levels(10, 90)
        self._blue = Layer(*half, seed=seed + 2, slope=2.0).levels(96, 160)
        self._red = Layer(*half, seed=seed + 3, slope=2.0).levels(100, 156)
        self._grain = Grain(height_px, width_px, seed=seed + 4, std=1.5)

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        np.add(
            self._scene.window(index, 2 * index),
            self._light.window(-index / 2, -index),
            out=canvas.y,
        )
        self._grain.add(canvas.y, index)
        np.copyto(canvas.u, self._blue.window(index / 2, index))
        np.copyto(canvas.v, self._red.window(-index / 4, index / 2))


class Zoom:
    """A slow zoom into a noise field, 3 % a second, with a cut every 15 s, with grain."""

    PERIOD_S = 15.0
    GAIN = 0.45

    def __init__(self, width_px: int, height_px: int, *, frame_rate: float, seed: int = 0) -> None:
        self._frame_rate = frame_rate
        self._luma = self._codes(2 * height_px, 2 * width_px, seed, 1.5, (30, 220))
        self._blue = self._codes(height_px, width_px, seed + 1, 2.0, (96, 160))
        self._red = self._codes(height_px, width_px, seed + 2, 2.0, (100, 156))
        self._grain = Grain(height_px, width_px, seed=seed + 3, std=1.5)

    @staticmethod
    def _codes(height: int, width: int, seed: int, slope: float, span: tuple[int, int]) -> Bytes:
        """Return a field (height, width) as codes within `span`."""
        low, high = span
        values = (field(height, width, seed=seed, slope=slope) / 5 + 0.5) * (high - low) + low
        return cast(Bytes, values.clip(low, high).astype(np.uint8))

    @staticmethod
    def _sample(source: Bytes, out: Bytes, scale: float) -> None:
        """Fill `out` from the middle 1 / scale of `source`, which has twice its sides."""
        rows, columns = (
            ((np.arange(n) - n / 2) * (2 / scale) + n).astype(np.intp) for n in out.shape
        )
        np.copyto(out, source.take(rows, axis=0).take(columns, axis=1))

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index`."""
        scale = 1 + self.GAIN * (index / self._frame_rate / self.PERIOD_S % 1)
        self._sample(self._luma, canvas.y, scale)
        self._sample(self._blue, canvas.u, scale)
        self._sample(self._red, canvas.v, scale)
        self._grain.add(canvas.y, index)


# -------------------------------------------------------------------------------------- strip

STRIP_CELLS = 32
STRIP_ZERO, STRIP_ONE = 48, 208  # luma codes
COUNTER_BITS = 24


def strip_height_px(height_px: int) -> int:
    """Return how many of the bottom rows the strip covers: one macroblock, half in small frames."""
    return 16 if height_px >= 180 else 8


def strip_word(value: int) -> int:
    """Return the 32 bits for a counter: its low 24 bits, then a check byte that is never 0 for 0.

    So an all-black strip reads as damage, not as frame 0.
    """
    counter = value % (1 << COUNTER_BITS)
    check = ~sum(counter.to_bytes(3, "big")) & 0xFF
    return counter << 8 | check


def draw_strip(canvas: Canvas, value: int) -> None:
    """Draw `value` into the bottom rows: 32 cells from left to right, highest bit first."""
    height_px, width_px = canvas.y.shape
    rows = strip_height_px(height_px)
    bits = strip_word(value) >> np.arange(STRIP_CELLS - 1, -1, -1) & 1
    cells = np.arange(width_px) * STRIP_CELLS // width_px
    canvas.y[-rows:] = np.where(bits[cells] == 1, STRIP_ONE, STRIP_ZERO).astype(np.uint8)
    canvas.u[-(rows // 2) :] = NEUTRAL_CHROMA
    canvas.v[-(rows // 2) :] = NEUTRAL_CHROMA


# -------------------------------------------------------------------------------------- sound


class Sound(Protocol):
    """Sound: a pure function of the sample numbers."""

    def samples(self, index: NDArray[np.int64]) -> Floats:
        """Return (CHANNELS, len(index)) samples in -1..1 at SAMPLE_RATE."""


def noise(index: NDArray[np.int64], *, level_dbfs: float, seed: int = 0) -> Floats:
    """Return white noise (CHANNELS, n) with an RMS of `level_dbfs`; repeats after 1.4 s."""
    table = _noise_table(seed)
    out: Floats = table.take(index % table.shape[1], axis=1)
    out *= np.float32(10 ** (level_dbfs / 20))
    return out


def _noise_table(seed: int, cache: dict[int, Floats] = {}) -> Floats:  # noqa: B006
    """Return (CHANNELS, 65536) samples of unit RMS, made once for each seed."""
    if seed not in cache:
        table = np.random.default_rng(seed).standard_normal((CHANNELS, 1 << 16))
        cache[seed] = table.astype(np.float32)
    return cache[seed]


class Tones:
    """Overlapping notes, two a second, about -20 dBFS, over a quiet bed of noise; never silent."""

    NOTE_S = 0.5
    SCALE_HZ = np.array([220, 330, 262, 440, 294, 392, 349, 523, 247, 587, 196])

    def samples(self, index: NDArray[np.int64]) -> Floats:
        """Return (CHANNELS, n): the right channel is an octave above the left."""
        time_s = index / SAMPLE_RATE
        note = (time_s / self.NOTE_S).astype(np.int64)
        swell = np.sin(np.pi / 2 * (time_s / self.NOTE_S - note)) ** 2
        out = noise(index, level_dbfs=-48)
        for octave in range(CHANNELS):
            turn = 2 * np.pi * 2**octave * time_s
            rising = np.sin(turn * self.SCALE_HZ[note % len(self.SCALE_HZ)]) * swell
            falling = np.sin(turn * self.SCALE_HZ[(note - 1) % len(self.SCALE_HZ)]) * (1 - swell)
            out[octave] += (0.17 * (rising + falling)).astype(np.float32)
        return out


class Speech:
    """Noise in the rhythm of speech: four syllables a second and short pauses at -50 dBFS."""

    def samples(self, index: NDArray[np.int64]) -> Floats:
        """Return (CHANNELS, n), the same in both channels but for the room noise."""
        time_s = index / SAMPLE_RATE
        syllable = np.maximum(np.sin(2 * np.pi * 4 * time_s), 0)
        phrase = (time_s % 3.1 < 2.4).astype(np.float64)  # 0.7 s of pause after each phrase
        carrier = np.sin(2 * np.pi * (140 + 30 * np.floor(time_s * 4 % 5)) * time_s)
        voice = noise(index, level_dbfs=-24, seed=1)[0] + 0.1 * carrier
        out = noise(index, level_dbfs=-50)
        out += (voice * syllable * phrase).astype(np.float32)
        return out


# ---------------------------------------------------------------------------------- programme


@dataclass(frozen=True)
class Programme:
    """What is to be seen and heard: pictures and sound with the defects spliced in.

    `defects` are in content time and, with a `cycle_s`, repeat; `extra` never repeat. Frame and
    sample numbers may be any integers when there is a cycle. The strip holds the frame's number
    within the cycle.
    """

    picture: Picture
    sound: Sound
    frame_rate: Fraction
    defects: tuple[Defect, ...] = ()
    cycle_s: float | None = None
    extra: tuple[Defect, ...] = ()
    strip: bool = True

    def _wrap(self, index: int) -> int:
        """Return the frame number within the cycle."""
        return index if self.cycle_s is None else index % round(self.cycle_s * self.frame_rate)

    def _active(self, kind: str, index: int) -> tuple[Defect, int] | None:
        """Return the defect of this kind at frame `index` and the frame where it began."""
        for defects, at in ((self.extra, index), (self.defects, self._wrap(index))):
            for defect in defects:
                frames = defect.ticks(self.frame_rate)
                if defect.kind == kind and at in frames:
                    return defect, frames.start
        return None

    def cuts(self, index: int) -> bool:
        """Tell whether black begins or ends at frame `index`.

        A key frame there, such as an encoder with scene detection makes, keeps the residue of the
        picture before out of the black.
        """
        return (self._active("black", index) is None) != (self._active("black", index - 1) is None)

    def draw(self, canvas: Canvas, index: int) -> None:
        """Draw frame `index` as it goes to air."""
        if black := self._active("black", index):
            level = black[0].level
            canvas.blank(BLACK_LUMA if level is None else round(level))
            return
        held = self._active("freeze", index)
        shown = self._wrap(held[1] if held else index)
        self.picture.draw(canvas, shown)
        if self.strip:
            draw_strip(canvas, shown)

    def samples(self, first: int, count: int) -> Floats:
        """Return (CHANNELS, count) samples from number `first` as they go to air."""
        index = np.arange(first, first + count, dtype=np.int64)
        cycled = index
        if self.cycle_s is not None:
            cycled = index % round(self.cycle_s * SAMPLE_RATE)
        out = self.sound.samples(cycled)
        for defects, at in ((self.defects, cycled), (self.extra, index)):
            for defect in defects:
                span = defect.ticks(SAMPLE_RATE)
                _damage(out, defect, (at >= span.start) & (at < span.stop), index)
        return out


def _damage(
    out: Floats, defect: Defect, where: NDArray[np.bool_], index: NDArray[np.int64]
) -> None:
    """Apply a sound defect in place where the mask says so."""
    if defect.kind == "channelLoss":
        out[-1, where] = 0
    elif defect.kind == "silence":
        out[:, where] = 0
        if defect.level is not None:
            out[:, where] = noise(index[where], level_dbfs=defect.level)


# ----------------------------------------------------------------------------------- encoding


@dataclass(frozen=True)
class Settings:
    """How to run an origin; see the command's help for what each does."""

    host: str = "127.0.0.1"
    port: int = 0
    channels: int = 1
    width_px: int = 640
    height_px: int = 360
    frame_rate: int = 25
    segment_s: float = 2.0
    window: int = 6
    cycle_s: float = 60.0
    defects: tuple[Defect, ...] = parse_defects("black@12-16,freeze@28-33,silence@44-50")
    picture: str = "texture"
    sound: str = "tones"
    crf: int = 26
    first_pts_s: float = 10.0
    control: bool = False
    prepare: bool = False  # encode the whole cycle before serving

    def __post_init__(self) -> None:
        for name, count in (
            ("segment * frame rate", self.segment_s * self.frame_rate),
            ("cycle / segment", self.cycle_s / self.segment_s),
            ("90000 / frame rate", CLOCK_HZ / self.frame_rate),
        ):
            if count < 1 or abs(count - round(count)) > 1e-6:
                raise ValueError(f"{name} must be a whole number, not {count}")
        for defect in self.defects:
            if not 0 <= defect.start_s < defect.end_s <= self.cycle_s:
                raise ValueError(f"{defect} is not within the cycle of {self.cycle_s} s")

    @property
    def segments(self) -> int:
        """Segments in a cycle."""
        return round(self.cycle_s / self.segment_s)

    @property
    def segment_ticks(self) -> int:
        """Length of a segment on the 90 kHz clock."""
        return round(self.segment_s * CLOCK_HZ)

    def programme(self) -> Programme:
        """Return what one cycle shows."""
        size = self.width_px, self.height_px
        pictures: dict[str, Callable[[], Picture]] = {
            "texture": lambda: Texture(*size),
            "zoom": lambda: Zoom(*size, frame_rate=self.frame_rate),
        }
        sounds: dict[str, Callable[[], Sound]] = {"tones": Tones, "speech": Speech}
        return Programme(
            picture=pictures[self.picture](),
            sound=sounds[self.sound](),
            frame_rate=Fraction(self.frame_rate),
            defects=self.defects,
            cycle_s=self.cycle_s,
        )


@dataclass(frozen=True)
class Chunk:
    """One coded frame; `offset` is from the start of its segment on the 90 kHz clock."""

    payload: bytes
    offset: int
    key: bool


class Encoder:
    """Turns segments of a programme into coded frames. Segments are numbered in content time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._canvas = Canvas(settings.width_px, settings.height_px)
        self._sink = av.open(io.BytesIO(), "w", format="mpegts")
        self.video = self._sink.add_stream("libx264", rate=settings.frame_rate)
        self._configure_video(self.video.codec_context)
        self.audio = self._sink.add_stream("aac", rate=SAMPLE_RATE)
        self._configure_audio(self.audio.codec_context)
        self._sink.start_encoding()

    def _configure_video(self, codec: av.VideoCodecContext) -> None:
        """One closed group of pictures, no B-frames, no lookahead, one thread."""
        settings = self._settings
        codec.width, codec.height, codec.pix_fmt = settings.width_px, settings.height_px, "yuv420p"
        codec.framerate = Fraction(settings.frame_rate)
        codec.time_base = Fraction(1, CLOCK_HZ)
        codec.gop_size = 10_000
        codec.thread_count = 1
        codec.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": str(settings.crf),
            "x264-params": "scenecut=0",
        }

    @staticmethod
    def _configure_audio(codec: av.AudioCodecContext) -> None:
        codec.sample_rate, codec.layout, codec.format = SAMPLE_RATE, "stereo", "fltp"
        codec.bit_rate = 96_000
        codec.options = {"aac_coder": "fast"}

    def pictures(self, programme: Programme, segment: int) -> list[Chunk]:
        """Encode the frames of one segment; the first is an IDR frame with parameter sets."""
        settings = self._settings
        codec = av.CodecContext.create("libx264", "w")
        self._configure_video(codec)
        count = round(settings.segment_s * settings.frame_rate)
        packets = []
        for index in range(count):
            programme.draw(self._canvas, segment * count + index)
            frame = self._canvas.frame(key=programme.cuts(segment * count + index))
            frame.pts, frame.time_base = index * CLOCK_HZ // settings.frame_rate, codec.time_base
            packets += codec.encode(frame)
        packets += codec.encode(None)
        return [Chunk(bytes(p), int(p.pts or 0), p.is_keyframe) for p in packets]

    def sounds(self, programme: Programme, segment: int) -> list[Chunk]:
        """Encode the AAC frames that begin within one segment, primed with what comes before."""
        codec = av.CodecContext.create("aac", "w")
        self._configure_audio(codec)
        codec.time_base = Fraction(1, SAMPLE_RATE)
        length = round(self._settings.segment_s * SAMPLE_RATE)
        first, last = -(-segment * length // AAC_FRAME), -(-(segment + 1) * length // AAC_FRAME)
        packets = []
        for number in range(first - 3, last + 1):
            packets += codec.encode(_audio_frame(programme, number))
        packets += codec.encode(None)
        scale = CLOCK_HZ * AAC_FRAME // SAMPLE_RATE
        return [
            Chunk(bytes(p), int(p.pts) // AAC_FRAME * scale - segment * length * 15 // 8, True)
            for p in packets
            if p.pts is not None and first <= p.pts // AAC_FRAME < last
        ]


def _audio_frame(programme: Programme, number: int) -> av.AudioFrame:
    """Return AAC frame `number` of the programme, uncoded."""
    samples = programme.samples(number * AAC_FRAME, AAC_FRAME)
    frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="stereo")
    frame.sample_rate, frame.pts = SAMPLE_RATE, number * AAC_FRAME
    frame.time_base = Fraction(1, SAMPLE_RATE)
    return frame


class Library:
    """The coded segments of one cycle, made on demand and kept.

    The cycle may not be a whole number of AAC frames: sound repeats after `audio_cycles` cycles.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.programme = settings.programme()
        self.encoder = Encoder(settings)
        cycle_samples = round(settings.cycle_s * SAMPLE_RATE)
        self.audio_cycles = AAC_FRAME // math.gcd(AAC_FRAME, cycle_samples)
        self._lock = threading.Lock()
        self._pictures: dict[int, list[Chunk]] = {}
        self._sounds: dict[int, list[Chunk]] = {}

    def get(self, segment: int, extra: tuple[Defect, ...] = ()) -> tuple[list[Chunk], list[Chunk]]:
        """Return pictures and sound of a segment in content time, with `extra` defects in it."""
        with self._lock:  # one canvas
            if extra:
                programme = replace(self.programme, extra=extra)
                return (
                    self.encoder.pictures(programme, segment),
                    self.encoder.sounds(programme, segment),
                )
            seen = segment % self.settings.segments
            heard = segment % (self.settings.segments * self.audio_cycles)
            if seen not in self._pictures:
                self._pictures[seen] = self.encoder.pictures(self.programme, seen)
            if heard not in self._sounds:
                self._sounds[heard] = self.encoder.sounds(self.programme, heard)
            return self._pictures[seen], self._sounds[heard]

    def prepare(self) -> None:
        """Encode the whole cycle now, as fast as possible."""
        for segment in range(self.settings.segments * self.audio_cycles):
            self.get(segment)

    def fill(self, stop: threading.Event) -> None:
        """Encode everything ahead, at four times real time at most, until done or stopped."""
        for segment in range(self.settings.segments * self.audio_cycles):
            began_s = time.monotonic()
            self.get(segment)
            if stop.wait(max(0.0, began_s + self.settings.segment_s / 4 - time.monotonic())):
                return


# -------------------------------------------------------------------------------- MPEG-TS

TS_PACKET = 188  # bytes


def mux(encoder: Encoder, pictures: list[Chunk], sounds: list[Chunk], first_pts: int) -> bytes:
    """Return one MPEG-TS segment that starts at `first_pts` (90 kHz, may exceed 33 bits)."""
    sink = io.BytesIO()
    options = {"mpegts_copyts": "1", "max_delay": "500000"}
    with av.open(sink, "w", format="mpegts", container_options=options) as container:
        video = container.add_stream_from_template(encoder.video)
        audio = container.add_stream_from_template(encoder.audio)
        queue = [(c.offset, video, c) for c in pictures] + [(c.offset, audio, c) for c in sounds]
        for offset, stream, chunk in sorted(queue, key=lambda item: item[0]):
            packet = av.Packet(chunk.payload)
            packet.stream = stream
            packet.time_base = Fraction(1, CLOCK_HZ)
            packet.pts = packet.dts = first_pts + offset
            packet.is_keyframe = chunk.key
            container.mux(packet)
    return sink.getvalue()


def continue_counters(segment: bytes, counters: dict[int, int]) -> bytes:
    """Rewrite continuity counters to follow `counters` (PID → last value), which is updated."""
    packets = np.frombuffer(segment, np.uint8).reshape(-1, TS_PACKET).copy()
    pids = (packets[:, 1].astype(np.int32) & 0x1F) << 8 | packets[:, 2]
    has_payload = packets[:, 3] >> 4 & 1
    for pid in np.unique(pids).tolist():
        mine = pids == pid
        values = (counters.get(pid, -1) + np.cumsum(has_payload[mine], dtype=np.int64)) & 0xF
        packets[mine, 3] = packets[mine, 3] & 0xF0 | values.astype(np.uint8)
        counters[pid] = int(values[-1])
    return packets.tobytes()


# -------------------------------------------------------------------------------- channels


def iso(unix_s: float) -> str:
    """Return a wall-clock time as ISO 8601 in UTC with milliseconds."""
    stamp = datetime.fromtimestamp(round(unix_s, 3), UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Channel:
    """One live channel: publishes segments when they are due and keeps the last ones.

    `phase` is how many segments of the cycle the channel is ahead of content time.
    """

    def __init__(self, library: Library, name: str, phase: int, epoch_unix_s: float) -> None:
        self.library, self.name, self.phase = library, name, phase
        self.epoch_unix_s = epoch_unix_s
        self.stalled = False
        self.missing = False
        self.next_sequence = 0
        self._injected: list[Defect] = []  # in content time
        self._counters: dict[int, int] = {}
        self._kept: deque[tuple[int, bytes]] = deque(maxlen=2 * library.settings.window)
        self._lock = threading.Lock()

    @property
    def phase_s(self) -> float:
        """Content time at media time 0."""
        return self.phase * self.library.settings.segment_s

    def publish(self) -> bytes:
        """Make the next segment, whether due or not, and return it."""
        settings = self.library.settings
        sequence, length_s = self.next_sequence, settings.segment_s
        content = sequence + self.phase
        begin_s, end_s = content * length_s, (content + 1) * length_s
        with self._lock:
            self._injected = [d for d in self._injected if d.end_s > begin_s]
            extra = tuple(d for d in self._injected if d.start_s < end_s)
        pictures, sounds = self.library.get(content, extra)
        first_pts = round(settings.first_pts_s * CLOCK_HZ) + sequence * settings.segment_ticks
        data = mux(self.library.encoder, pictures, sounds, first_pts)
        data = continue_counters(data, self._counters)
        with self._lock:
            self._kept.append((sequence, data))
            self.next_sequence = sequence + 1
        return data

    def publish_due(self, now_unix_s: float) -> None:
        """Publish one segment if one is due; after a stall this catches up call by call."""
        if not self.stalled and now_unix_s >= self.due_unix_s():
            self.publish()

    def due_unix_s(self) -> float:
        """Return the wall-clock time when the next segment's last frame is due."""
        return self.epoch_unix_s + (self.next_sequence + 1) * self.library.settings.segment_s

    def segment(self, sequence: int) -> bytes | None:
        """Return a published segment, or None if it is not kept (any more)."""
        with self._lock:
            return next((data for number, data in self._kept if number == sequence), None)

    def playlist(self, prefix: str = "") -> str | None:
        """Return the media playlist, or None before the first segment."""
        settings = self.library.settings
        with self._lock:
            shown = [number for number, _ in self._kept][-settings.window :]
        if not shown:
            return None
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:3",
            "#EXT-X-INDEPENDENT-SEGMENTS",
            f"#EXT-X-TARGETDURATION:{math.ceil(settings.segment_s)}",
            f"#EXT-X-MEDIA-SEQUENCE:{shown[0]}",
        ]
        for number in shown:
            began = iso(self.epoch_unix_s + number * settings.segment_s)
            lines += [f"#EXT-X-PROGRAM-DATE-TIME:{began}", f"#EXTINF:{settings.segment_s:.5f},"]
            lines.append(f"{prefix}segment-{number}.ts")
        return "\n".join(lines) + "\n"

    def inject(self, kind: str, duration_s: float) -> dict[str, Any]:
        """Splice a defect in from the start of the next segment; return when that is."""
        settings = self.library.settings
        with self._lock:
            # The next segment may be in the making already: take the one after.
            start_s = (self.next_sequence + 1) * settings.segment_s
            content_s = start_s + self.phase_s
            self._injected.append(Defect(kind, content_s, content_s + duration_s))
        return self._occurrence(kind, start_s, start_s + duration_s)

    def _occurrence(self, kind: str, start_s: float, end_s: float) -> dict[str, Any]:
        """Describe one defect in media time and wall-clock time."""
        return {
            "defect": kind,
            "start_s": round(start_s, 6),
            "end_s": round(end_s, 6),
            "start": iso(self.epoch_unix_s + start_s),
            "end": iso(self.epoch_unix_s + end_s),
        }

    def timetable(self, now_unix_s: float) -> dict[str, Any]:
        """Describe the channel: `defects` in the first cycle, `next` those not yet over."""
        settings = self.library.settings
        now_s, cycle_s = now_unix_s - self.epoch_unix_s, settings.cycle_s
        first, coming = [], []
        for defect in settings.defects:
            start_s = (defect.start_s - self.phase_s) % cycle_s
            length_s = defect.end_s - defect.start_s
            first.append(self._occurrence(defect.kind, start_s, start_s + length_s))
            start_s += max(0, math.floor((now_s - start_s - length_s) / cycle_s) + 1) * cycle_s
            coming.append(self._occurrence(defect.kind, start_s, start_s + length_s))
        return {
            "name": self.name,
            "playlist": f"/{self.name}/channel.m3u8",
            "phase_s": self.phase_s,
            "epoch": iso(self.epoch_unix_s),
            "epoch_unix_s": self.epoch_unix_s,
            "media_now_s": round(now_s, 3),
            "published_s": self.next_sequence * settings.segment_s,
            "stalled": self.stalled,
            "missing": self.missing,
            "defects": first,
            "next": sorted(coming, key=lambda item: float(item["start_s"])),
        }


# ---------------------------------------------------------------------------------- origin


class Origin:
    """The server: `start`, use `url()`, `stop`; or use it as a context manager."""

    HISTORY = 3  # segments that exist when the origin starts

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.library = Library(settings)
        if settings.prepare:
            self.library.prepare()
        began_s = time.monotonic()
        self._offset_s = time.time() - began_s  # a steady wall clock
        epoch_unix_s = self.now_unix_s() - self.HISTORY * settings.segment_s
        self.channels = [
            Channel(
                self.library,
                f"ch-{number}",
                number * settings.segments // settings.channels,
                epoch_unix_s,
            )
            for number in range(settings.channels)
        ]
        self._server = _Server((settings.host, settings.port), self)
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._server.serve_forever, args=(0.1,), name="http"),
            threading.Thread(target=self._publish, name="publish"),
            threading.Thread(target=self.library.fill, args=(self._stop,), name="fill"),
        ]

    def now_unix_s(self) -> float:
        """Return the wall clock, which never steps back."""
        return time.monotonic() + self._offset_s

    @property
    def port(self) -> int:
        """The port listened on."""
        return int(self._server.server_address[1])

    def url(self, channel: int = 0) -> str:
        """Return the loopback address of a channel's playlist."""
        return f"http://127.0.0.1:{self.port}/ch-{channel}/channel.m3u8"

    def ready(self) -> bool:
        """Tell whether every channel has a segment."""
        return all(channel.next_sequence for channel in self.channels)

    def start(self) -> None:
        """Start to listen, publish and encode ahead; returns at once."""
        for thread in self._threads:
            thread.daemon = True
            thread.start()

    def stop(self) -> None:
        """Stop and close the port."""
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()
        for thread in self._threads:
            thread.join(10)

    def __enter__(self) -> Origin:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _publish(self) -> None:
        """Publish what is due, every channel in turn."""
        while not self._stop.is_set():
            for channel in self.channels:
                channel.publish_due(self.now_unix_s())
            running = [c.due_unix_s() for c in self.channels if not c.stalled]
            wait_s = min(running, default=math.inf) - self.now_unix_s()
            self._stop.wait(min(0.1 if self.settings.control else 1.0, max(0.0, wait_s)))

    def timetable(self) -> dict[str, Any]:
        """Return what /timetable says; all times of the form `*_s` are seconds."""
        settings = self.settings
        return {
            "cycle_s": settings.cycle_s,
            "frame_rate": settings.frame_rate,
            "segment_s": settings.segment_s,
            "width_px": settings.width_px,
            "height_px": settings.height_px,
            "first_pts_s": settings.first_pts_s,
            "cycle_defects": [asdict(defect) for defect in settings.defects],
            "channels": [channel.timetable(self.now_unix_s()) for channel in self.channels],
        }

    def control(self, order: dict[str, Any]) -> dict[str, Any]:
        """Carry out `{"action": …, "channel": K}`; without a channel it concerns all of them.

        - `stall`: publish nothing more; what there is stays.
        - `404`: answer 404 for playlist and segments.
        - `resume`: undo both; what fell due meanwhile is published at once.
        - `inject` with `defect` and `duration` (s): a defect from a coming segment's start;
          the answer says when.
        """
        chosen = self.channels
        if "channel" in order:
            chosen = [self.channels[int(order["channel"])]]
        action, injected = order.get("action"), []
        for channel in chosen:
            if action == "inject":
                kind, duration_s = str(order["defect"]), float(order["duration"])
                injected.append(channel.inject(kind, duration_s))
            elif action in ("stall", "404", "resume"):
                channel.stalled = action == "stall" or (action == "404" and channel.stalled)
                channel.missing = action == "404" or (action == "stall" and channel.missing)
            else:
                raise ValueError(f"unknown action {action!r}")
        return {"channels": [channel.name for channel in chosen], "injected": injected}


# ------------------------------------------------------------------------------------ HTTP


class _Server(ThreadingHTTPServer):
    """An HTTP server that knows its origin."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], origin: Origin) -> None:
        super().__init__(address, _Handler)
        self.origin = origin

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is no news; anything else is printed."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


Answer = tuple[HTTPStatus, str, bytes]
_PLAYLIST, _JSON, _TEXT = "application/vnd.apple.mpegurl", "application/json", "text/plain"
_PATH = re.compile(
    r"^/(?:ch-(?P<channel>\d+)/)?(?:(?P<playlist>channel\.m3u8)|segment-(?P<n>\d+)\.ts)$"
)


def _text(status: HTTPStatus, text: str) -> Answer:
    return status, _TEXT, f"{text}\n".encode()


def _json(value: object) -> Answer:
    return HTTPStatus.OK, _JSON, json.dumps(value, indent=1).encode() + b"\n"


def answer(origin: Origin, path: str) -> Answer:
    """Return status, content type and body for a GET."""
    if path == "/healthz":
        ready = origin.ready()
        status = HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE
        return _text(status, "ok" if ready else "starting")
    if path == "/timetable":
        return _json(origin.timetable())
    found = _PATH.match(path)
    number = int(found["channel"] or 0) if found else -1
    if not found or number >= len(origin.channels) or origin.channels[number].missing:
        return _text(HTTPStatus.NOT_FOUND, "not found")
    channel = origin.channels[number]
    if found["n"]:
        data = channel.segment(int(found["n"]))
        return (HTTPStatus.OK, "video/mp2t", data) if data else _text(HTTPStatus.NOT_FOUND, "gone")
    playlist = channel.playlist("" if found["channel"] else f"{channel.name}/")
    if playlist is None:
        return _text(HTTPStatus.SERVICE_UNAVAILABLE, "starting")
    return HTTPStatus.OK, _PLAYLIST, playlist.encode()


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD, and POST /control when that is switched on."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body in one write
    timeout = 60
    server: _Server

    def do_GET(self) -> None:
        self._send(answer(self.server.origin, self.path.partition("?")[0]))

    do_HEAD = do_GET

    def do_POST(self) -> None:
        body = self.rfile.read(min(int(self.headers.get("Content-Length") or 0), 65536))
        origin = self.server.origin
        if self.path != "/control" or not origin.settings.control:
            self._send(_text(HTTPStatus.NOT_FOUND, "not found"))
            return
        try:
            self._send(_json(origin.control(json.loads(body))))
        except (ValueError, KeyError, IndexError, TypeError) as error:
            self._send(_text(HTTPStatus.BAD_REQUEST, f"{type(error).__name__}: {error}"))

    def _send(self, reply: Answer) -> None:
        status, kind, body = reply
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: thousands of requests an hour say nothing."""


# ------------------------------------------------------------------------------------ command


def _parser() -> argparse.ArgumentParser:
    """Describe the command line."""
    d = Settings()
    parser = argparse.ArgumentParser(description="Live HLS origin with defects on a timetable.")
    add = parser.add_argument
    add("--host", default="0.0.0.0", help="address to listen on (%(default)s)")
    add("--port", type=int, default=8080, help="0: any free port (%(default)s)")
    add("--channels", type=int, default=d.channels, help="phase-shifted channels (%(default)s)")
    add("--size", default=f"{d.width_px}x{d.height_px}", help="WIDTHxHEIGHT (%(default)s)")
    add("--frame-rate", type=int, default=d.frame_rate, help="frames a second (%(default)s)")
    add("--segment", type=float, default=d.segment_s, help="segment length in s (%(default)s)")
    add("--window", type=int, default=d.window, help="segments in the playlist (%(default)s)")
    add("--cycle", type=float, default=d.cycle_s, help="timetable length in s (%(default)s)")
    add("--defects", help="KIND@START-END[:LEVEL],… ('' for none; default: the demo's)")
    add("--timetable-file", help='JSON: {"cycle_s": 60, "defects": [{"kind", "start_s", "end_s"}]}')
    add("--picture", choices=("texture", "zoom"), default=d.picture)
    add("--sound", choices=("tones", "speech"), default=d.sound)
    add("--crf", type=int, default=d.crf, help="x264 quality (%(default)s)")
    add("--first-pts", type=float, default=d.first_pts_s, help="timestamp of media time 0 in s")
    add("--prepare", action="store_true", help="encode the whole cycle before serving")
    add("--control", action="store_true", help="allow POST /control (tests)")
    return parser


def _settings(argv: Sequence[str] | None) -> Settings:
    """Read the command line."""
    args = _parser().parse_args(argv)
    width_px, _, height_px = args.size.partition("x")
    defects, cycle_s = Settings.defects, args.cycle
    if args.timetable_file:
        with open(args.timetable_file, encoding="utf-8") as file:
            table = json.load(file)
        cycle_s = float(table["cycle_s"])
        defects = tuple(Defect(**defect) for defect in table["defects"])
    elif args.defects is not None:
        defects = parse_defects(args.defects)
    return Settings(
        host=args.host,
        port=args.port,
        channels=args.channels,
        width_px=int(width_px),
        height_px=int(height_px),
        frame_rate=args.frame_rate,
        segment_s=args.segment,
        window=args.window,
        cycle_s=cycle_s,
        defects=defects,
        picture=args.picture,
        sound=args.sound,
        crf=args.crf,
        first_pts_s=args.first_pts,
        control=args.control,
        prepare=args.prepare,
    )


@contextlib.contextmanager
def _until_signal() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM or SIGINT sets."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    yield stop


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM; a thread that fails ends the process, so that it is restarted."""
    try:
        settings = _settings(argv)
    except (ValueError, OSError, KeyError, TypeError) as error:
        print(f"origin: {error}", file=sys.stderr)
        return 2
    failed: list[str] = []
    with _until_signal() as stop, Origin(settings) as origin:

        def fail(args: threading.ExceptHookArgs) -> None:
            threading.__excepthook__(args)
            failed.append(str(args.exc_value))
            stop.set()

        threading.excepthook = fail
        print(f"origin: http://{settings.host}:{origin.port}/channel.m3u8", flush=True)
        stop.wait()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
