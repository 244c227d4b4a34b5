"""Damage a compressed stream and state what of it can be seen: seeded, and exact by construction.

What is damaged is H.264 after encoding: bytes flipped inside chosen slices, slices dropped, whole
access units dropped, or packets of the transport stream lost while their continuity counters go
on. `baked` decodes the result and encodes it anew, so that no flag is left and only pixels tell.

The truth is what a viewer sees: the clean and the damaged stream are decoded alike, and a tile of
16x16 pixels is damaged where its luma differs by `VISIBLE` codes in the mean. A picture that is
merely late, because some before it are missing, is not damaged: each is held against the clean
pictures of the same time and a little before, and the closest counts.

Usage:
    python -m dev.media.damage --picture texture --kind flip --share 0.3 --out /tmp/damaged.ts
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, cast, get_args

import av
import av.error
import numpy as np
from av.codec.context import ThreadType
from numpy.typing import NDArray

from dev.media.pictures import PICTURES, make_picture
from dev.origin.origin import Canvas

Bytes = NDArray[np.uint8]
Kind = Literal["flip", "slice", "unit", "ts", "none"]

TILE_PX = 16
VISIBLE = 8.0
"""Mean absolute difference of luma, in 8-bit codes, from which a damaged tile is seen."""
CLOCK_HZ = 90_000
TS_PACKET = 188
LATE = 6
"""How many pictures late a whole picture may be without being damaged."""


@dataclass(frozen=True)
class Coding:
    """How a stream is encoded; `slices` per picture bound how far one flipped byte reaches."""

    rate: int = 25
    crf: int = 26
    gop: int = 50
    slices: int = 8
    b_frames: int = 0
    preset: str = "ultrafast"
    codec: str = "libx264"


@dataclass(frozen=True)
class Damage:
    """What is done to the stream.

    Attributes:
        kind: `flip` bytes inside slices, drop a `slice`, drop an access `unit`, lose `ts` packets.
        first: Number of the first access unit concerned, in coding order.
        count: How many access units are concerned.
        share: Of their slices or transport packets, how many: 0..1.
        seed: Chooses which.
    """

    kind: Kind
    first: int = 30
    count: int = 3
    share: float = 0.3
    seed: int = 0


@dataclass(frozen=True)
class Unit:
    """One access unit in Annex B format; times in frames."""

    data: bytes
    pts: int
    dts: int
    key: bool


@dataclass(frozen=True)
class Damaged:
    """What was written where: the manifest.

    Attributes:
        path: The damaged stream.
        damage: What was done.
        baked: It was decoded and encoded anew.
        rate: Frames per second.
        area: Damaged share of each picture in presentation order, as seen, 0..1.
    """

    path: Path
    damage: Damage
    baked: bool
    rate: int
    area: tuple[float, ...]

    def spans(self, area: float = 0.02, frames: int = 3) -> list[tuple[float, float]]:
        """Spans of media time, in seconds, of at least so many frames with so much damage."""
        found, start = [], None
        for index, ratio in enumerate((*self.area, 0.0)):
            if ratio >= area and start is None:
                start = index
            elif ratio < area and start is not None:
                if index - start >= frames:
                    found.append((start / self.rate, index / self.rate))
                start = None
        return found

    def to_json(self) -> str:
        """Return the manifest as JSON."""
        area = [round(one, 4) for one in self.area]
        return json.dumps({**asdict(self), "path": str(self.path), "area": area}, indent=1)


# ------------------------------------------------------------------------------------- sources


def generated(name: str, size: tuple[int, int], frames: int, *, seed: int = 0) -> Iterator[Bytes]:
    """Draw pictures as planar 4:2:0, shape (height * 3 / 2, width), uint8."""
    canvas = Canvas(*size)
    picture = make_picture(name, *size, frame_rate=Fraction(25), seed=seed)
    for index in range(frames):
        picture.draw(canvas, index)
        yield canvas.data.reshape(-1, size[0]).copy()


def clip_pictures(path: Path | str, size: tuple[int, int], frames: int) -> Iterator[Bytes]:
    """Read pictures of a file, scaled to `size`, as planar 4:2:0."""
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index >= frames:
                return
            yield frame.to_ndarray(format="yuv420p", width=size[0], height=size[1]).astype(np.uint8)


# ------------------------------------------------------------------------------ encode and mux


def encode(pictures: Iterable[Bytes], coding: Coding) -> list[Unit]:
    """Encode pictures; key frames come every `coding.gop` and nowhere else."""
    context: Any = None
    units: list[Unit] = []
    for index, picture in enumerate(pictures):
        context = context or _encoder(picture, coding)
        frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        frame.pts, frame.time_base = index, Fraction(1, coding.rate)
        units += map(_unit, context.encode(frame))
    return units + [_unit(packet) for packet in (context.encode(None) if context else ())]


def _unit(packet: Any) -> Unit:
    return Unit(bytes(packet), int(packet.pts), int(packet.dts), packet.is_keyframe)


def _encoder(picture: Bytes, coding: Coding) -> Any:
    context: Any = av.CodecContext.create(coding.codec, "w")
    context.height, context.width = picture.shape[0] * 2 // 3, picture.shape[1]
    context.pix_fmt, context.framerate = "yuv420p", Fraction(coding.rate)
    context.time_base = Fraction(1, coding.rate)
    context.gop_size, context.max_b_frames = coding.gop, coding.b_frames
    context.thread_count = 1
    context.options = {
        "crf": str(coding.crf),
        "preset": coding.preset,
        "x264-params": f"slices={coding.slices}:scenecut=0:threads=1",
    }
    return context


def mux(units: Sequence[Unit], coding: Coding, size: tuple[int, int]) -> bytes:
    """Return the units as an MPEG transport stream."""
    out = io.BytesIO()
    with av.open(out, "w", format="mpegts") as container:
        stream: Any = container.add_stream("libx264", rate=coding.rate)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.time_base = Fraction(1, CLOCK_HZ)
        for unit in units:
            packet = av.Packet(unit.data)
            ticks = CLOCK_HZ // coding.rate
            packet.time_base = Fraction(1, CLOCK_HZ)
            packet.pts, packet.dts = (unit.pts + 4) * ticks, (unit.dts + 4) * ticks
            packet.is_keyframe = unit.key
            packet.stream = stream
            container.mux(packet)
    return out.getvalue()


# -------------------------------------------------------------------------------------- damage


def slices_of(data: bytes) -> list[tuple[int, int]]:
    """Where the coded slices of an access unit lie, start code included: (first, end) bytes."""
    starts, at = [], data.find(b"\x00\x00\x01")
    while at >= 0:
        starts.append(at)
        at = data.find(b"\x00\x00\x01", at + 3)
    ends = [*starts[1:], len(data)]
    # NAL unit types 1 and 5 (ITU-T H.264 table 7-1) are slices.
    return [(a, b) for a, b in zip(starts, ends, strict=True) if data[a + 3] & 31 in (1, 5)]


def damage_units(units: Sequence[Unit], damage: Damage) -> list[Unit]:
    """Flip bytes, drop slices or drop access units; `ts` and `none` leave them as they are."""
    rng = np.random.default_rng(damage.seed)
    hit = range(damage.first, damage.first + damage.count)
    if damage.kind == "unit":
        return [unit for index, unit in enumerate(units) if index not in hit]
    if damage.kind not in ("flip", "slice"):
        return list(units)
    chosen = _chosen(len(slices_of(units[damage.first].data)), damage.share, rng)
    return [
        replace(unit, data=_hurt(unit.data, damage.kind, chosen, rng)) if index in hit else unit
        for index, unit in enumerate(units)
    ]


def _chosen(count: int, share: float, rng: np.random.Generator) -> set[int]:
    """Neighbouring ones: what bursts hit lies together."""
    wanted = max(1, round(count * share))
    first = int(rng.integers(0, count - wanted + 1))
    return set(range(first, first + wanted))


def _hurt(data: bytes, kind: Kind, chosen: set[int], rng: np.random.Generator) -> bytes:
    out = bytearray(data)
    for number, (first, end) in reversed(list(enumerate(slices_of(data)))):
        if number not in chosen:
            continue
        if kind == "slice":
            del out[first:end]
            continue
        # The header stays whole, so that the slice is begun and then goes wrong.
        low = min(first + 12, end - 1)
        for at in rng.integers(low, end, size=max(2, (end - first) // 40)):
            out[at] ^= int(rng.integers(1, 256))
    return bytes(out)


def lose_ts(stream: bytes, damage: Damage) -> bytes:
    """Lose packets of the video; what follows keeps its continuity counters."""
    rng = np.random.default_rng(damage.seed)
    kept, unit = [], -1
    for at in range(0, len(stream), TS_PACKET):
        packet = stream[at : at + TS_PACKET]
        video = ((packet[1] & 0x1F) << 8 | packet[2]) == 0x100
        begins = video and bool(packet[1] & 0x40)
        unit += begins
        hit = damage.first <= unit < damage.first + damage.count
        # The start of a PES packet carries its time: losing it loses the whole access unit.
        if not (video and hit and not begins and rng.random() < damage.share):
            kept.append(packet)
    return b"".join(kept)


# --------------------------------------------------------------------------------------- truth


def decode(stream: bytes) -> dict[int, Bytes]:
    """Decode to planar 4:2:0 pictures by their time in ticks; what is refused is left out."""
    pictures: dict[int, Bytes] = {}
    with av.open(io.BytesIO(stream), "r", format="mpegts") as container:
        video = container.streams.video[0]
        video.codec_context.thread_type = ThreadType.NONE
        for packet in container.demux(video):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                if isinstance(frame, av.VideoFrame) and frame.pts is not None:
                    pictures[frame.pts] = frame.to_ndarray(format="yuv420p").astype(np.uint8)
    return pictures


def shown(damaged: dict[int, Bytes], times: Iterable[int]) -> Iterator[Bytes]:
    """What a viewer sees at these times: a missing picture is the one before."""
    last: Bytes | None = None
    for time in times:
        last = damaged.get(time, last)
        if last is None:
            last = next(iter(damaged.values()))
        yield last


def damaged_area(clean: Bytes, seen: Bytes) -> float:
    """Share of the tiles of a picture in which damage is seen."""
    if clean.shape != seen.shape:
        return 1.0
    height, width = (
        side // TILE_PX * TILE_PX for side in (clean.shape[0] * 2 // 3, clean.shape[1])
    )
    off = np.abs(clean[:height, :width].astype(np.int16) - seen[:height, :width])
    tiles = off.reshape(height // TILE_PX, TILE_PX, -1, TILE_PX).mean(axis=(1, 3))
    return float((tiles >= VISIBLE).mean())


def seen_areas(clean: Sequence[Bytes], seen: Sequence[Bytes]) -> Iterator[float]:
    """The damaged share of every picture; one that is late is held against what it shows."""
    for index, picture in enumerate(seen):
        before = clean[max(0, index - LATE) : index + 1]
        yield (
            0.0
            if np.array_equal(before[-1], picture)
            else min(damaged_area(one, picture) for one in before)
        )


def write_damaged(
    path: Path | str,
    pictures: Iterable[Bytes],
    damage: Damage,
    *,
    coding: Coding | None = None,
    baked: Coding | None = None,
) -> Damaged:
    """Encode, damage, optionally encode anew, write (.ts), and return the manifest."""
    coding = coding or Coding()
    units = encode(pictures, coding)
    clean = decode(mux(units, coding, _size(units)))
    size = _size_of(next(iter(clean.values())))
    hurt = mux(damage_units(units, damage), coding, size)
    if damage.kind == "ts":
        hurt = lose_ts(hurt, damage)
    seen = list(shown(decode(hurt), clean))
    area = tuple(seen_areas(list(clean.values()), seen))
    if baked:
        again = replace(baked, rate=coding.rate)
        hurt = mux(encode(seen, again), again, size)
    Path(path).write_bytes(hurt)
    return Damaged(Path(path), damage, baked is not None, coding.rate, area)


def _size(units: Sequence[Unit]) -> tuple[int, int]:
    context: Any = av.CodecContext.create("h264", "r")
    for unit in units:
        for frame in context.decode(av.Packet(unit.data)):
            return frame.width, frame.height
    raise ValueError("there is no picture in these units")


def _size_of(picture: Bytes) -> tuple[int, int]:
    return picture.shape[1], picture.shape[0] * 2 // 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Write one damaged clip and its manifest."""
    parser = argparse.ArgumentParser(description="Damage a clip; print the manifest.")
    parser.add_argument("--picture", default="texture", help=f"{', '.join(PICTURES)}, or a file")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--kind", choices=get_args(Kind), default="flip")
    parser.add_argument("--first", type=int, default=30)
    parser.add_argument("--count", type=int, default=3)
    parser.add_argument("--share", type=float, default=0.3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--baked", action="store_true", help="decode and encode anew")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args(arguments)
    width, height = map(int, asked.size.split("x"))
    pictures = (
        generated(asked.picture, (width, height), asked.frames, seed=asked.seed)
        if asked.picture in PICTURES
        else clip_pictures(asked.picture, (width, height), asked.frames)
    )
    damage = Damage(cast(Kind, asked.kind), asked.first, asked.count, asked.share, asked.seed)
    written = write_damaged(asked.out, pictures, damage, baked=Coding() if asked.baked else None)
    sys.stdout.write(written.to_json() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
