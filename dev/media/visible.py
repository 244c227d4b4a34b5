"""What a viewer sees of damage: clean and damaged pictures, held against each other.

Both streams are decoded alike, and a tile of 16x16 pixels is damaged where its luma or chroma
differs by `VISIBLE` codes in the mean. A picture that is merely late, because some before it are
missing, is not damaged: each is held against the clean pictures of the same time and a little
before, and the closest counts.
"""

import io
from collections import deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import av
import av.error
import cv2
import numpy as np
from av.codec.context import ThreadType
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

TILE_PX = 16
VISIBLE = 8.0
"""Mean absolute difference of luma or chroma, in 8-bit codes, from which a damaged tile is seen."""
LATE = 16
"""How many pictures late a whole picture may be without being damaged."""


class Seen(NamedTuple):
    """One picture as a viewer sees it.

    Attributes:
        picture: Planar 4:2:0.
        area: Damaged share of it, 0..1.
        differs: Anything in it is not as it was sent, seen or not.
    """

    picture: Bytes
    area: float
    differs: bool


def runs(held: Sequence[bool], shortest: int = 1) -> list[range]:
    """Where a condition holds at least so many times in a row."""
    found, start = [], None
    for index, holds in enumerate((*held, False)):
        if holds and start is None:
            start = index
        elif not holds and start is not None:
            if index - start >= shortest:
                found.append(range(start, index))
            start = None
    return found


def size_of(picture: Bytes) -> tuple[int, int]:
    """Width and height of a planar 4:2:0 picture."""
    return picture.shape[1], picture.shape[0] * 2 // 3


def decode(clip: bytes) -> Iterator[tuple[int, Bytes]]:
    """Decode to (ticks, planar 4:2:0 picture); what the decoder refuses is left out."""
    with av.open(io.BytesIO(clip), "r") as container:
        video = container.streams.video[0]
        video.codec_context.thread_type = ThreadType.NONE
        for packet in container.demux(video):
            try:
                frames = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in frames:
                if isinstance(frame, av.VideoFrame) and frame.pts is not None:
                    yield frame.pts, frame.to_ndarray(format="yuv420p").astype(np.uint8)


def seen(clean: bytes, damaged: bytes) -> Iterator[Seen]:
    """Decode both; yield what a viewer of the damaged clip sees whenever a picture is due.

    Where a picture is missing, the one before stays, as damaged as it was.
    """
    shown: Seen | None = None
    arriving = decode(damaged)
    ahead = next(arriving, None)
    before: deque[Bytes] = deque(maxlen=LATE + 1)
    for ticks, picture in decode(clean):
        before.append(picture)
        fresh = None
        while ahead is not None and ahead[0] <= ticks:
            fresh, ahead = ahead[1], next(arriving, None)
        if fresh is not None:
            shown = _compare(before, fresh)
        elif shown is not None:
            shown = shown._replace(differs=True)
        else:
            shown = Seen(picture, 0.0, differs=True)
        yield shown


def _compare(before: Sequence[Bytes], shown: Bytes) -> Seen:
    if np.array_equal(before[-1], shown):
        return Seen(shown, 0.0, differs=False)
    return Seen(shown, min(damaged_area(one, shown) for one in before), differs=True)


def damaged_area(clean: Bytes, shown: Bytes) -> float:
    """Share of the tiles of a picture in which damage is seen."""
    if clean.shape != shown.shape:
        return 1.0
    width, height = size_of(clean)
    grid = width // TILE_PX, height // TILE_PX
    off = cv2.absdiff(clean, shown)
    chroma = off[height:].reshape(2, height // 2, width // 2)
    worst = np.zeros(grid[::-1], np.float32)
    for plane, side in ((off[:height], TILE_PX), *((one, TILE_PX // 2) for one in chroma)):
        whole = plane[: grid[1] * side, : grid[0] * side].astype(np.float32)
        worst = np.maximum(worst, cv2.resize(whole, grid, interpolation=cv2.INTER_AREA))
    return float((worst >= VISIBLE).mean())
