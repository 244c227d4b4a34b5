"""Black pictures, and what is dark without being black."""

import cv2
import numpy as np

from dev.origin.origin import Bytes, Canvas
from streammonitor_worker.detectors.base import Kind
from tests.accuracy.edits import Bench, PictureEdit, Rival, Span, add_noise

WHITE = 235
FADE_S = 0.8
FADED_S = 1.2  # how long a fade stays black: less than the detector's minDuration


class _Level:
    """Makes edits that show one grey, with noise of so many codes, with a station's logo."""

    def __init__(self, luma: int, noise: float, logo: bool) -> None:
        self._luma, self._noise, self._logo = luma, noise, logo

    def __call__(self, span: Span) -> PictureEdit:
        def edit(canvas: Canvas, index: int) -> None:
            canvas.blank(self._luma)
            if self._noise:
                add_noise(canvas.y, span.rng, self._noise)
            if self._logo:
                draw_logo(canvas)

        return edit


def draw_logo(canvas: Canvas) -> None:
    """A grey plate with two letters in the upper right corner: 0.6 % of the picture."""
    height, width = canvas.y.shape
    left, top = width - width // 8, height // 18
    right, bottom = left + width // 11, top + height // 15
    cv2.rectangle(canvas.y, (left, top), (right, bottom), 120, -1)
    cv2.putText(canvas.y, "TV", (left + 4, bottom - 4), cv2.FONT_HERSHEY_SIMPLEX, 0.6, 220, 2)


def _scale(luma: Bytes, gain: float, floor: float = 16.0) -> None:
    table = ((np.arange(256) - 16.0).clip(0) * gain + floor).clip(0, 255).astype(np.uint8)
    np.copyto(luma, cv2.LUT(luma, table))


def fade(span: Span) -> PictureEdit:
    """Out to black, a moment of it, and in again, over and over."""

    def edit(canvas: Canvas, index: int) -> None:
        at = index / span.rate_hz % (2 * FADE_S + FADED_S + 1.0)
        gain = max(1 - at / FADE_S, (at - FADE_S - FADED_S) / FADE_S, 0.0)
        _scale(canvas.y, min(gain, 1.0))
        for plane in (canvas.u, canvas.v):
            np.copyto(plane, cv2.addWeighted(plane, min(gain, 1.0), plane, 0, 128 * (1 - gain)))

    return edit


def letterbox(span: Span) -> PictureEdit:
    """A dim picture of 2.76:1 between bars: two fifths of the whole is black."""

    def edit(canvas: Canvas, index: int) -> None:
        height, width = canvas.y.shape
        bar = (height - round(width / 2.76)) // 4 * 2
        _scale(canvas.y, 0.5)
        for plane, rows, blank in ((canvas.y, bar, 16), (canvas.u, bar // 2, 128)):
            plane[:rows] = plane[-rows:] = blank
        canvas.v[: bar // 2] = canvas.v[-(bar // 2) :] = 128

    return edit


def credits_roll(span: Span) -> PictureEdit:
    """White lettering that rolls over black."""
    words = ("Producer", "A. Nonymous", "Camera", "B. Lichtmann", "Sound", "C. Stille")

    def edit(canvas: Canvas, index: int) -> None:
        canvas.blank(16)
        height, width = canvas.y.shape
        for number, word in enumerate(words):
            y = round(height - index * 25 / span.rate_hz - 34 + number * 60) % (height + 60)
            place = (width // 3, y)
            cv2.putText(canvas.y, word, place, cv2.FONT_HERSHEY_SIMPLEX, 0.7, WHITE, 1, cv2.LINE_AA)

    return edit


class _Tinted:
    """Makes edits that show the picture at so much of its light, under one dim colour."""

    def __init__(self, u: int, v: int, gain: float) -> None:
        self._u, self._v, self._gain = u, v, gain

    def __call__(self, span: Span) -> PictureEdit:
        def edit(canvas: Canvas, index: int) -> None:
            _scale(canvas.y, self._gain)
            canvas.u.fill(self._u)
            canvas.v.fill(self._v)

        return edit


def blue_screen(span: Span) -> PictureEdit:
    """The dim blue of a receiver without a signal: RGB 0, 0, 48 and nothing else."""

    def edit(canvas: Canvas, index: int) -> None:
        canvas.y.fill(19)
        canvas.u.fill(149)
        canvas.v.fill(126)

    return edit


def night_lights(span: Span) -> PictureEdit:
    """Black land under a black sky, some windows lit, and a car that passes."""
    places = span.rng.uniform(0.15, 0.85, (24, 2))
    luma = span.rng.integers(90, 220, 24).tolist()

    def edit(canvas: Canvas, index: int) -> None:
        canvas.blank(17)
        height, width = canvas.y.shape
        for (x, y), code in zip((places * (width, height)).astype(int).tolist(), luma, strict=True):
            cv2.rectangle(canvas.y, (x, y), (x + 3, y + 4), code, -1)
        at = round(width * (0.2 + 0.08 * index / span.rate_hz))
        cv2.circle(canvas.y, (at, height * 3 // 4), 3, 230, -1)
        add_noise(canvas.y, span.rng, 1.0)

    return edit


def starfield(span: Span) -> PictureEdit:
    """Stars of one to nine pixels that drift over black."""
    places = span.rng.uniform(0, 1, (140, 2))
    luma = span.rng.integers(60, 235, 140).tolist()
    radii = span.rng.integers(0, 2, 140).tolist()

    def edit(canvas: Canvas, index: int) -> None:
        canvas.blank(16)
        height, width = canvas.y.shape
        drift = np.array([0.01 * index / span.rate_hz, 0.0])
        at = (places + drift) % 1.0 * (width, height)
        for (x, y), code, radius in zip(at.astype(int).tolist(), luma, radii, strict=True):
            cv2.circle(canvas.y, (x, y), radius, code, -1)

    return edit


def closing_line(span: Span) -> PictureEdit:
    """One short line of small lettering that stands on black, as a film ends."""

    def edit(canvas: Canvas, index: int) -> None:
        canvas.blank(16)
        height, width = canvas.y.shape
        place = (width // 2 - 40, height // 2)
        cv2.putText(canvas.y, "The end", place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 180, 1, cv2.LINE_AA)

    return edit


def night(span: Span) -> PictureEdit:
    """The picture at a sixth of its light."""

    def edit(canvas: Canvas, index: int) -> None:
        _scale(canvas.y, 0.17)

    return edit


BENCH = Bench(
    defect="black",
    kind=Kind.VIDEO,
    variants={
        "level 16": _Level(16, 0.0, logo=False),
        "level 20": _Level(20, 0.0, logo=False),
        "level 30": _Level(30, 0.0, logo=False),
        "logo": _Level(16, 0.0, logo=True),
        "noise": _Level(18, 1.5, logo=False),
        "coarse noise": _Level(20, 3.0, logo=False),
    },
    negatives={
        "fades": fade,
        "letterbox": letterbox,
        "credits": credits_roll,
        "closing line": closing_line,
        "tinted dark": _Tinted(152, 116, 0.10),
        "tinted red": _Tinted(118, 150, 0.08),
        "tinted green": _Tinted(114, 112, 0.06),
        "blue screen": blue_screen,
        "night": night,
        "night lights": night_lights,
        "starfield": starfield,
    },
    event_s=(2.6, 4.2),
    negative_s=6.0,
    rival=Rival("blackdetect=d=2", "lavfi.black_start", "lavfi.black_end", shortest_s=2.0),
)
