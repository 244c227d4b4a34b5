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


def tinted_dark(span: Span) -> PictureEdit:
    """The picture at a tenth of its light under deep blue: dark, and to be seen."""

    def edit(canvas: Canvas, index: int) -> None:
        _scale(canvas.y, 0.10)
        canvas.u.fill(152)
        canvas.v.fill(116)

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
    },
    negatives={
        "fades": fade,
        "letterbox": letterbox,
        "credits": credits_roll,
        "tinted dark": tinted_dark,
        "night": night,
    },
    event_s=(2.6, 4.2),
    negative_s=6.0,
    rival=Rival("blackdetect=d=2", "lavfi.black_start", "lavfi.black_end", shortest_s=2.0),
)
