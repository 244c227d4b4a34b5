"""Damage a compressed stream and state what of it can be seen: seeded, and exact by construction.

What is damaged is H.264, HEVC, MPEG-2 or AV1 after encoding: bytes flipped inside chosen slices,
slices dropped, whole access units dropped, or packets of the transport stream lost while their
continuity counters go on. What is decoded from the result may be encoded anew (baked in), so that
no flag is left and only pixels tell. AV1 has tiles rather than slices: its whole frames are hit.

The truth is what a viewer sees, see `dev.media.visible`.

Usage:
    python -m dev.media.damage --picture texture --kind flip --share 0.3 --out /tmp/damaged.ts
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any, Literal, cast, get_args

import av
import av.error
import numpy as np

from dev.media.pictures import PICTURES, make_picture
from dev.media.scheduling import open_modestly
from dev.media.visible import Bytes, runs, seen, size_of
from dev.origin.origin import Canvas

os.environ.setdefault("SVT_LOG", "1")  # errors only; the encoder knows no other way

Kind = Literal["flip", "slice", "unit", "ts", "none"]

TS_PACKET = 188
ENCODERS = {"h264": "libx264", "hevc": "libx265", "mpeg2": "mpeg2video", "av1": "libsvtav1"}
NAMES = {"mpeg2video": "mpeg2", "libdav1d": "av1"}
"""PyAV's names of decoders where they are not ours."""
MPEG2_SCALE, AV1_FACTOR = {20: 3, 28: 6, 35: 12}, {20: 30, 28: 40, 35: 50}
"""Quantisers that look about like these rate factors of H.264."""
_HEADER = 12
"""Bytes at the start of a slice that stay whole, so that it is begun and then goes wrong."""


@dataclass(frozen=True)
class Coding:
    """How a stream is encoded; `slices` per picture bound how far one flipped byte reaches."""

    rate: Fraction | int = 25
    crf: int = 26
    gop: int = 50
    slices: int = 8
    b_frames: int = 0
    preset: str = "ultrafast"
    codec: str = "h264"

    @property
    def format(self) -> str:
        """Of the container."""
        return "mp4" if self.codec == "av1" else "mpegts"

    def options(self) -> dict[str, str]:
        """What the encoder is told."""
        if self.codec == "h264":
            x264 = f"slices={self.slices}:scenecut=0:threads=1"
            return {"crf": str(self.crf), "preset": self.preset, "x264-params": x264}
        if self.codec == "hevc":
            quiet = "log-level=error:pools=none:frame-threads=1:scenecut=0"
            # One slice only: with several, x265 crashes on small pictures.
            return {"crf": str(self.crf), "preset": self.preset, "x265-params": quiet}
        if self.codec == "av1":
            factor = str(AV1_FACTOR.get(self.crf, self.crf))
            return {"crf": factor, "preset": "11", "svtav1-params": "lp=1"}
        return {"sc_threshold": "1000000000"}


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

    @property
    def hit(self) -> range:
        """The access units concerned."""
        return range(self.first, self.first + self.count)


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
    rate: float
    area: tuple[float, ...]

    def spans(self, area: float = 0.02, frames: int = 3) -> list[tuple[float, float]]:
        """Spans of media time, in seconds, of at least so many frames with so much damage."""
        found = runs([ratio >= area for ratio in self.area], frames)
        return [(run.start / self.rate, run.stop / self.rate) for run in found]

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


def encode(pictures: Iterable[Bytes], coding: Coding) -> bytes:
    """Encode pictures into a file; key frames come every `coding.gop` and nowhere else."""
    out, left = io.BytesIO(), iter(pictures)
    first = next(left)
    with av.open(out, "w", format=coding.format) as container:
        stream: Any = container.add_stream(ENCODERS[coding.codec], rate=Fraction(coding.rate))
        _configure(stream.codec_context, coding, size_of(first))
        open_modestly(stream.codec_context)
        for index, picture in enumerate(chain([first], left)):
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            frame.pts, frame.time_base = index, 1 / Fraction(coding.rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def _configure(context: Any, coding: Coding, size: tuple[int, int]) -> None:
    context.width, context.height = size
    context.pix_fmt, context.time_base = "yuv420p", 1 / Fraction(coding.rate)
    context.gop_size, context.thread_count = coding.gop, 1
    if coding.codec != "av1":
        context.max_b_frames = coding.b_frames
    if coding.codec == "mpeg2":
        context.qmin = context.qmax = MPEG2_SCALE.get(coding.crf, 6)
        context.bit_rate = 20_000_000
    context.options = coding.options()


# -------------------------------------------------------------------------------------- damage


def slices_of(data: bytes, codec: str = "h264") -> list[tuple[int, int]]:
    """Where the coded slices of an access unit lie, start code included: (first, end) bytes."""
    if codec == "av1":
        return [(0, len(data))]
    starts, at = [], data.find(b"\x00\x00\x01")
    while at >= 0:
        starts.append(at)
        at = data.find(b"\x00\x00\x01", at + 3)
    ends = [*starts[1:], len(data)]
    return [(a, b) for a, b in zip(starts, ends, strict=True) if _is_slice(data[a + 3], codec)]


def _is_slice(header: int, codec: str) -> bool:
    """Tell by the byte after the start code.

    H.264 table 7-1: NAL unit types 1 and 5. H.265 table 7-1: types below 32. H.262 table 6-1:
    start codes 0x01 to 0xAF.
    """
    if codec == "h264":
        return header & 31 in (1, 5)
    if codec == "hevc":
        return header >> 1 & 63 < 32
    return 1 <= header <= 0xAF


def damage(clip: bytes, damages: Sequence[Damage]) -> bytes:
    """Damage a clip with one video stream, MPEG-TS or MP4; timestamps stay as they are."""
    out = io.BytesIO()
    with av.open(io.BytesIO(clip), "r") as container:
        source = container.streams.video[0]
        codec = _codec(source)
        name = "mpegts" if container.format.name == "mpegts" else "mp4"
        with av.open(out, "w", format=name) as target:
            stream = target.add_stream_from_template(source, opaque=True)
            packets = (packet for packet in container.demux(source) if packet.size)
            for number, packet in enumerate(packets):
                data = _hurt_unit(bytes(packet), number, damages, codec)
                if data:
                    again: Any = av.Packet(data)
                    again.pts, again.dts = packet.pts, packet.dts
                    again.time_base, again.duration = packet.time_base, packet.duration
                    again.is_keyframe, again.stream = packet.is_keyframe, stream
                    target.mux(again)
    lost = [one for one in damages if one.kind == "ts"]
    return lose_ts(out.getvalue(), lost) if lost and name == "mpegts" else out.getvalue()


def _codec(stream: Any) -> str:
    name: str = stream.codec_context.name
    return NAMES.get(name, name)


def _hurt_unit(data: bytes, number: int, damages: Sequence[Damage], codec: str) -> bytes:
    """Return an access unit as it arrives; nothing if it does not."""
    for one in damages:
        if number not in one.hit or one.kind not in ("flip", "slice", "unit"):
            continue
        if one.kind == "unit" or (one.kind == "slice" and codec == "av1"):
            return b""
        data = _hurt_slices(data, one, number, codec)
    return data


def _hurt_slices(data: bytes, one: Damage, number: int, codec: str) -> bytes:
    found = slices_of(data, codec)
    chosen = _chosen(len(found), one.share, np.random.default_rng(one.seed))
    rng = np.random.default_rng([one.seed, number])
    out = bytearray(data)
    for first, end in reversed([found[index] for index in chosen]):
        low = min(first + _HEADER, end - 1)
        if one.kind == "slice":
            # Of a picture with one slice, the rest from somewhere on.
            del out[first if len(found) > 1 else int(rng.integers(low, end)) : end]
            continue
        if len(found) == 1:
            low = int(rng.integers(low, end))
        for at in rng.integers(low, end, size=max(2, (end - first) // 40)):
            out[at] ^= int(rng.integers(1, 256))
    return bytes(out)


def _chosen(count: int, share: float, rng: np.random.Generator) -> range:
    """Neighbouring ones: what bursts hit lies together."""
    wanted = min(count, max(1, round(count * share)))
    first = int(rng.integers(0, count - wanted + 1))
    return range(first, first + wanted)


def lose_ts(stream: bytes, damages: Sequence[Damage]) -> bytes:
    """Lose packets of the video; what follows keeps its continuity counters."""
    rng = np.random.default_rng([one.seed for one in damages])
    kept, unit = [], -1
    for at in range(0, len(stream), TS_PACKET):
        packet = stream[at : at + TS_PACKET]
        video = ((packet[1] & 0x1F) << 8 | packet[2]) == 0x100
        begins = video and bool(packet[1] & 0x40)
        unit += begins
        share = max((one.share for one in damages if unit in one.hit), default=0.0)
        # The start of a PES packet carries its time: losing it loses the whole access unit.
        if not (video and not begins and rng.random() < share):
            kept.append(packet)
    return b"".join(kept)


def write_damaged(
    path: Path | str,
    pictures: Iterable[Bytes],
    one: Damage,
    *,
    coding: Coding | None = None,
    baked: Coding | None = None,
) -> Damaged:
    """Encode, damage, optionally encode anew, write (.ts), and return the manifest."""
    coding = coding or Coding()
    clean = encode(pictures, coding)
    hurt = damage(clean, [one])
    found = list(seen(clean, hurt))
    if baked:
        hurt = encode((each.picture for each in found), replace(baked, rate=coding.rate))
    Path(path).write_bytes(hurt)
    area = tuple(each.area for each in found)
    return Damaged(Path(path), one, baked is not None, float(coding.rate), area)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write one damaged clip and its manifest."""
    parser = argparse.ArgumentParser(description="Damage a clip; print the manifest.")
    parser.add_argument("--picture", default="texture", help=f"{', '.join(PICTURES)}, or a file")
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--codec", choices=ENCODERS, default="h264")
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
    one = Damage(cast(Kind, asked.kind), asked.first, asked.count, asked.share, asked.seed)
    coding = Coding(codec=asked.codec)
    again = coding if asked.baked else None
    written = write_damaged(asked.out, pictures, one, coding=coding, baked=again)
    sys.stdout.write(written.to_json() + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
