"""What looks like damaged blocks and is none: the hard negatives of blockCorruption."""

from collections import deque

import cv2
import numpy as np

from dev.origin.origin import Bytes, Canvas
from tests.accuracy.edits import MakePictureEdit, PictureEdit, Span

BLOCK_PX = 16
Places = tuple[slice, slice]


def planes(canvas: Canvas) -> tuple[tuple[Bytes, int], ...]:
    """The planes of a picture, and how many luma pixels lie beside each of their samples."""
    return (canvas.y, 1), (canvas.u, 2), (canvas.v, 2)


def copied(canvas: Canvas) -> Canvas:
    """A picture of its own."""
    copy = Canvas(canvas.y.shape[1], canvas.y.shape[0])
    np.copyto(copy.data, canvas.data)
    return copy


def _coarse(plane: Bytes, side: float) -> Bytes:
    """The same in cells of so many pixels, each of one colour."""
    height, width = plane.shape
    size = max(1, round(width / side)), max(1, round(height / side))
    small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_NEAREST).astype(np.uint8)


class _FaceMosaic:
    """Makes edits that make a part unrecognisable, on the grid of blocks or following a face."""

    def __init__(self, side: int, follows: bool) -> None:
        self._side, self._follows = side, follows

    def __call__(self, span: Span) -> PictureEdit:
        turn = float(span.rng.uniform(0, 6))

        def edit(canvas: Canvas, index: int) -> None:
            height, width = canvas.y.shape
            at_s = index / span.rate_hz
            move = np.sin(at_s * 1.3 + turn) * width / 8 if self._follows else 0.0
            left = round(width / 2 + move) // 2 * 2
            left, top = left if self._follows else left // 16 * 16, height // 64 * 16
            tall, wide = height // 48 * 16, width // 64 * 16
            for plane, part in planes(canvas):
                area = plane[top // part : (top + tall) // part, left // part :][:, : wide // part]
                np.copyto(area, _coarse(area, self._side / part))

        return edit


def checkerboard(span: Span) -> PictureEdit:
    """Fields of 16 pixels that change places twice a second over a third of the picture."""

    def edit(canvas: Canvas, index: int) -> None:
        height, width = canvas.y.shape
        fields = np.indices((height // 48, width // 48)).sum(0) + int(index * 2 / span.rate_hz)
        board = np.kron(fields % 2, np.ones((BLOCK_PX, BLOCK_PX))) * 150 + 50
        canvas.y[32 : 32 + board.shape[0], 64 : 64 + board.shape[1]] = board

    return edit


def ticker(span: Span) -> PictureEdit:
    """Two lines of lettering that run at different speeds on plates on the grid."""
    rng = span.rng
    lines = ["".join(map(chr, rng.integers(65, 91, 120))) for _ in range(2)]

    def edit(canvas: Canvas, index: int) -> None:
        height, width = canvas.y.shape
        for number, line in enumerate(lines):
            top = height // 16 * 16 - 48 * (number + 1)
            canvas.y[top : top + 32] = 210 - 170 * number
            place = (width - round(index * (4 + 5 * number) * 25 / span.rate_hz), top + 24)
            ink = 25 + 200 * number
            cv2.putText(canvas.y, line, place, cv2.FONT_HERSHEY_SIMPLEX, 0.8, ink, 2, cv2.LINE_AA)

    return edit


def fast_cuts(span: Span) -> PictureEdit:
    """Another look at the scene every fifth picture."""

    def edit(canvas: Canvas, index: int) -> None:
        turn = index // 5 % 4
        for plane, _ in planes(canvas):
            if turn:
                np.copyto(plane, cv2.flip(plane, (0, 1, -1)[turn - 1]))
        if turn % 2:
            np.copyto(canvas.y, 251 - canvas.y.clip(16, 235))

    return edit


def flashes(span: Span) -> PictureEdit:
    """Photographers: parts of the picture are much brighter for one picture or two."""
    rng = span.rng

    def edit(canvas: Canvas, index: int) -> None:
        if index % 7 > 1:
            return
        height, width = canvas.y.shape
        x, y = int(rng.integers(0, width)), int(rng.integers(0, height))
        glow = np.zeros_like(canvas.y)
        cv2.circle(glow, (x, y), int(rng.integers(20, 200)), 160, -1)
        np.copyto(canvas.y, cv2.add(canvas.y, cv2.blur(glow, (61, 61))))

    return edit


def graphics(span: Span) -> PictureEdit:
    """Plates and pillars whose edges lie on the grid come, move in steps of it, and go."""
    rng = span.rng

    def edit(canvas: Canvas, index: int) -> None:
        height, width = canvas.y.shape
        phase = int(index / span.rate_hz * 2)
        if phase % 3 == 0:
            return
        draw = np.random.default_rng([phase // 3, int(span.length)])
        for _ in range(4):
            left, top = (int(draw.integers(0, side // 16)) * 16 for side in (width, height))
            wide, tall = (int(draw.integers(1, side // 24)) * 8 for side in (width, height))
            canvas.y[top : top + tall, left : left + wide] = int(draw.integers(30, 220))
        for left in (0, width - 80):
            canvas.y[:, left : left + 80] = 40
        if rng.random() < 2:
            name = f"SCORE {phase % 9}:{phase % 5}"
            cv2.putText(canvas.y, name, (96, 48), cv2.FONT_HERSHEY_SIMPLEX, 1.0, 230, 2)

    return edit


def led_wall(span: Span) -> PictureEdit:
    """A wall of lamps, 16 pixels apart, in the middle of the picture, on which it is shown."""

    def edit(canvas: Canvas, index: int) -> None:
        height, width = canvas.y.shape
        rows, columns = slice(height // 64 * 16, height // 24 * 16), slice(width // 4, width // 2)
        area = canvas.y[rows, columns]
        coarse = _coarse(area, BLOCK_PX)
        lamp = np.full((BLOCK_PX, BLOCK_PX), 20, np.uint8)
        cv2.circle(lamp, (7, 7), 6, 255, -1, cv2.LINE_AA)
        lamps = np.tile(lamp, (area.shape[0] // BLOCK_PX + 1, area.shape[1] // BLOCK_PX + 1))
        lit = coarse * (lamps[: area.shape[0], : area.shape[1]] / 255.0)
        np.copyto(area, lit.clip(16, 235).astype(np.uint8))

    return edit


def video_wall(span: Span) -> PictureEdit:
    """Twelve pictures in one, each a little later than the next, edge to edge on the grid."""
    past: deque[Canvas] = deque(maxlen=12)

    def edit(canvas: Canvas, index: int) -> None:
        past.append(copied(canvas))
        for plane, part in planes(canvas):
            height, width = plane.shape
            tall, wide = height // 3 // 8 * 8, width // 4 // 8 * 8
            for number in range(12):
                shown = past[-1 - number % len(past)]
                source = (shown.y, shown.u, shown.v)[0 if part == 1 else 1 + (plane is canvas.v)]
                small = cv2.resize(source, (wide, tall), interpolation=cv2.INTER_AREA)
                top, left = number // 4 * tall, number % 4 * wide
                plane[top : top + tall, left : left + wide] = small

    return edit


def confetti(span: Span) -> PictureEdit:
    """Hundreds of small bright pieces that fall and turn."""
    rng = span.rng
    count = 500
    pieces = rng.uniform(0, 1, (count, 4))
    ink = rng.integers(60, 236, count).tolist()

    def edit(canvas: Canvas, index: int) -> None:
        height, width = canvas.y.shape
        step = index * 25 / span.rate_hz
        for (x, y, speed, turn), luma in zip(pieces.tolist(), ink, strict=True):
            top = round((y * height + step * (2 + 6 * speed)) % height)
            left = round((x * width + 12 * np.sin(turn * 6 + step / 9)) % width)
            wide = 2 + round(7 * abs(np.sin(turn * 9 + step / 4)))
            canvas.y[top : top + 8, left : left + wide] = luma
            canvas.u[top // 2 : top // 2 + 4, left // 2 : left // 2 + wide // 2] = 40 + luma % 170

    return edit


def water(span: Span) -> PictureEdit:
    """The picture as it is mirrored in choppy water, with glints."""
    rng = span.rng

    def edit(canvas: Canvas, index: int) -> None:
        height, width = canvas.y.shape
        y, x = np.mgrid[:height, :width].astype(np.float32)
        at = index * 25 / span.rate_hz
        dx = 5 * np.sin(y / 7 + at / 2) + 3 * np.sin(y / 3.1 - at / 1.3 + x / 40)
        dy = 4 * np.sin(x / 11 + at / 2.5 + y / 9)
        moved = cv2.remap(canvas.y, x + dx, y + dy, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        moved[rng.random(moved.shape) < 0.002] = 235
        np.copyto(canvas.y, moved)

    return edit


def fast_zoom(span: Span) -> PictureEdit:
    """Crash zooms: into the picture and out again within a second."""

    def edit(canvas: Canvas, index: int) -> None:
        scale = 1.0 + 1.2 * abs(np.sin(np.pi * index / span.rate_hz))
        for plane, _ in planes(canvas):
            height, width = plane.shape
            turn = cv2.getRotationMatrix2D((width / 2, height / 2), 0.0, scale)
            np.copyto(plane, cv2.warpAffine(plane, turn, (width, height)))

    return edit


class _Poor:
    """Makes edits that show the picture as a poor codec leaves it: blocks of 8, scaled or not."""

    def __init__(self, quality: int, scale: float) -> None:
        self._quality, self._scale = quality, scale

    def __call__(self, span: Span) -> PictureEdit:
        def edit(canvas: Canvas, index: int) -> None:
            for plane, _ in planes(canvas):
                height, width = plane.shape
                size = round(width / self._scale), round(height / self._scale)
                small = cv2.resize(plane, size, interpolation=cv2.INTER_AREA)
                packed = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, self._quality])[1]
                poor = np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)
                np.copyto(plane, cv2.resize(poor, (width, height)))

        return edit


NEGATIVES: dict[str, MakePictureEdit] = {
    "low bitrate": _Poor(7, 1.0),
    "scaled blocks": _Poor(9, 1.5),
    "face mosaic": _FaceMosaic(8, follows=True),
    "coarse mosaic": _FaceMosaic(16, follows=True),
    "still mosaic on the grid": _FaceMosaic(16, follows=False),
    "checkerboard": checkerboard,
    "ticker": ticker,
    "fast cuts": fast_cuts,
    "flashes": flashes,
    "graphics on the grid": graphics,
    "LED wall": led_wall,
    "video wall": video_wall,
    "confetti": confetti,
    "water": water,
    "fast zoom": fast_zoom,
}
