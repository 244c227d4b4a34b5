"""Pictures and sound made in memory, for tests that need no codec."""

from collections.abc import Callable, Iterable, Iterator
from heapq import merge
from itertools import islice, takewhile

import cv2
import numpy as np
import numpy.typing as npt

from dev.media.made_ts import transport_stream
from streammonitor_api.worker_status import AudioFormat, VideoFormat
from streammonitor_worker.deliveries import STREAM, Connected, Container, Delivered
from streammonitor_worker.facts import Compared, Outcome, Packet, Track
from streammonitor_worker.frames import (
    AudioView,
    Chroma,
    FormatChange,
    FrameView,
    LumaArray,
    SampleArray,
    Transfer,
    TransportView,
)

RATE = 25
SAMPLE_RATE = 48_000
EPOCH_S = 1_700_000_000.0
BOTH = FormatChange(
    video=VideoFormat(codec="h264", width=320, height=180, frame_rate=RATE),
    audio=AudioFormat(codec="aac", sample_rate=SAMPLE_RATE, channels=2),
)
Luma = npt.NDArray[np.uint8]
View = FrameView | AudioView | TransportView


def scene(width: int = 320, height: int = 180, seed: int = 0) -> Luma:
    """A textured picture, larger than asked for by 400 pixels each way, to pan over."""
    noise = np.random.default_rng(seed).integers(0, 256, (height + 400, width + 400), np.uint8)
    blurred = cv2.GaussianBlur(noise, (0, 0), 4).astype(np.float32)
    picture: Luma = np.clip((blurred - blurred.mean()) * 9 + 120, 20, 230).astype(np.uint8)
    return picture


def pan(count: int, width: int = 320, height: int = 180, seed: int = 0) -> Iterator[Luma]:
    """A picture that moves all the time."""
    ground = scene(width, height, seed)
    for index in range(count):
        shift = 3 * index % 400
        yield ground[shift // 2 : shift // 2 + height, shift : shift + width]


def judder(count: int, share: float = 0.15, seed: int = 0) -> Iterator[Luma]:
    """A picture that moves, a share of it replaced at random by the picture before."""
    chances = np.random.default_rng(seed).random(count)
    shown = None
    for picture, chance in zip(pan(count, seed=seed), chances, strict=True):
        shown = picture if shown is None or chance >= share else shown
        yield shown


def blurring(first: int, count: int, seed: int = 0) -> Iterator[Luma]:
    """A sharp picture that moves and from picture number `first` on lacks its detail."""
    rng = np.random.default_rng(seed)
    sharp: Luma = np.full((180, 320 + count), 110, np.uint8)
    for _ in range(200 + count):
        at, radius = rng.integers(0, (320 + count, 180)).tolist(), int(rng.integers(3, 30))
        cv2.circle(sharp, at, radius, int(rng.integers(30, 220)), -1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(sharp, (0, 0), 5)
    for index in range(count):
        yield (sharp if index < first else soft)[:, index : index + 320].astype(np.uint8)


def damaged(
    count: int, width: int = 320, height: int = 180, seed: int = 0, first: int = 0
) -> Iterator[Luma]:
    """The motion from picture `first` on, with blocks of 16x16 pixels that come from elsewhere."""
    rng = np.random.default_rng(seed)
    for picture in islice(pan(first + count, width, height, seed), first, None):
        hurt = picture.copy()
        for top in range(height // 48 * 16, height // 24 * 16, 16):
            for left in range(width // 64 * 16, width // 24 * 16, 16):
                y, x = rng.integers(0, (height - 16, width - 16))
                hurt[top : top + 16, left : left + 16] = picture[y : y + 16, x : x + 16]
        yield hurt


def flat(count: int, level: int, width: int = 320, height: int = 180) -> Iterator[Luma]:
    """One grey."""
    for _ in range(count):
        yield np.full((height, width), level, np.uint8)


def hold(picture: Luma, count: int) -> Iterator[Luma]:
    """The same picture again and again."""
    for _ in range(count):
        yield picture


def deep(picture: Luma, bit_depth: int) -> npt.NDArray[np.uint16]:
    """The same picture with more bits."""
    return picture.astype(np.uint16) * np.uint16(1 << (bit_depth - 8))


def locked(array: LumaArray) -> LumaArray:
    """A read-only copy, as the decoder's planes are."""
    copied = array.copy()
    copied.flags.writeable = False
    return copied


def tinted(picture: LumaArray, u: float = 0.0, v: float = 0.0, *, bit_depth: int = 8) -> Chroma:
    """Chroma planes of 4:2:0 for a picture: U and V are given from -0.5 to 0.5, 0 is neutral."""
    half = tuple((size + 1) // 2 for size in picture.shape)
    codes = (round((part + 0.5) * 2**bit_depth) for part in (u, v))
    return Chroma(*(locked(np.full(half, code, picture.dtype)) for code in codes))


def views(
    pictures: Iterable[LumaArray],
    *,
    start_s: float = 0.0,
    rate: float = RATE,
    bit_depth: int = 8,
    full_range: bool = False,
    transfer: Transfer = Transfer.SDR,
    chroma: Callable[[LumaArray], Chroma | None] | None = None,
    keys_every: int = 25,
) -> Iterator[FrameView]:
    """Put pictures on a timeline; they are neutral in colour unless `chroma` says otherwise."""
    for index, picture in enumerate(pictures):
        time_s = start_s + index / rate
        yield FrameView(
            time_s=time_s,
            duration_s=1 / rate,
            arrived_at=EPOCH_S + time_s,
            luma=locked(picture),
            bit_depth=bit_depth,
            full_range=full_range,
            transfer=transfer,
            chroma=chroma(picture) if chroma else tinted(picture, bit_depth=bit_depth),
            key_frame=index % keys_every == 0,
        )


def tone(
    duration_s: float, level_db: float = -20.0, channels: int = 2, rate: int = SAMPLE_RATE
) -> SampleArray:
    """A sine of 440 Hz with this RMS level in dBFS."""
    index = np.arange(round(duration_s * rate))
    wave = np.sin(2 * np.pi * 440 * index / rate) * np.sqrt(2) * 10 ** (level_db / 20)
    return np.tile(wave.astype(np.float32), (channels, 1))


def silent(duration_s: float, channels: int = 2) -> SampleArray:
    """Digital silence."""
    return np.zeros((channels, round(duration_s * SAMPLE_RATE)), np.float32)


def notes(duration_s: float, *, level_db: float = -26.0, seed: int = 0) -> SampleArray:
    """Stereo music: plucked notes, four a second, placed left and right, over quiet noise."""
    rng = np.random.default_rng(seed)
    count = round(duration_s * SAMPLE_RATE)
    time_s = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    shape = np.exp(-3 * time_s) * np.minimum(1, time_s / 0.005)
    out = rng.standard_normal((2, count)) * 0.002
    for first in range(0, count, SAMPLE_RATE // 4):
        root_hz = 110 * 2 ** (rng.integers(0, 24) / 12)
        for harmonic in range(1, 7):
            wave = np.sin(2 * np.pi * root_hz * harmonic * time_s + rng.uniform(0, 6)) * shape
            for channel in range(2):
                piece = out[channel, first : first + SAMPLE_RATE]
                piece += (wave * rng.uniform(0.2, 1) / harmonic)[: len(piece)]
    out *= 10 ** (level_db / 20) / np.sqrt(np.mean(out**2))
    return out.astype(np.float32)


def within(start_s: float, end_s: float) -> slice:
    """The samples from one time to another."""
    return slice(round(start_s * SAMPLE_RATE), round(end_s * SAMPLE_RATE))


def buffers(
    samples: SampleArray, *, start_s: float = 0.0, size: int = 1024, rate: int = SAMPLE_RATE
) -> Iterator[AudioView]:
    """Cut samples into buffers as a codec does."""
    for first in range(0, samples.shape[1], size):
        piece = samples[:, first : first + size].copy()
        piece.flags.writeable = False
        time_s = start_s + first / rate
        yield AudioView(time_s=time_s, arrived_at=EPOCH_S + time_s, samples=piece, sample_rate=rate)


def delivered(duration_s: float) -> Iterator[TransportView]:
    """Packets of a healthy transport stream, and the bytes that they come in."""
    data = transport_stream(duration_s)
    yield TransportView(0.0, EPOCH_S, Connected())
    steps = list(packets(duration_s))
    for step, view in enumerate(steps):
        piece = data[step * len(data) // len(steps) : (step + 1) * len(data) // len(steps)]
        yield TransportView(view.time_s, view.arrived_at, Delivered(STREAM, Container.TS, piece))
        yield view


def packets(
    duration_s: float,
    *,
    start_s: float = 0.0,
    clock_s: float = 10.0,
    tracks: Iterable[Track] = tuple(Track),
) -> Iterator[TransportView]:
    """Packets of healthy pictures and sound, interleaved as a multiplexer does.

    Args:
        duration_s: How long they play.
        start_s: Media time of the first.
        clock_s: Its timestamp.
        tracks: Of what.
    """

    def track(name: Track, step_s: float, ahead_s: float, size: int) -> Iterator[TransportView]:
        for index in range(round(duration_s / step_s + 0.5)):
            at_s = index * step_s
            packet = Packet(name, clock_s + at_s + ahead_s, clock_s + at_s, step_s, size)
            yield TransportView(start_s + at_s, EPOCH_S + start_s + at_s, packet)

    each = {
        Track.VIDEO: track(Track.VIDEO, 1 / RATE, 2 / RATE, 20_000),
        Track.AUDIO: track(Track.AUDIO, 1024 / SAMPLE_RATE, 0.0, 400),
    }
    mixed = merge(*(each[name] for name in tracks), key=lambda view: view.time_s)
    yield from takewhile(lambda view: view.time_s < start_s + duration_s, mixed)


def compared(first: int, count: int, skew_s: float) -> Iterator[TransportView]:
    """What comparing with a reference brings, each half second from number `first` on.

    Args:
        first: Number of the first look.
        count: How many.
        skew_s: How much earlier sound comes than its pictures.
    """
    for index in range(first, first + count):
        time_s = index / 2
        fact = Compared(Outcome.ALIKE, time_s - 5, time_s, 1.0, 1.0 - skew_s, 0.98)
        yield TransportView(time_s, EPOCH_S + time_s, fact)
