"""Pictures that stand still, and slow ones that do not."""

from collections.abc import Callable

import cv2
import numpy as np

from dev.origin.origin import Bytes, Canvas
from streammonitor_worker.detectors.base import Kind
from tests.accuracy.edits import Bench, PictureEdit, Rival, Span, add_noise

Draw = Callable[[Canvas, float], None]
"""Draws what goes on over a picture, at so many seconds."""


class _Hold:
    """Makes edits that hold the first picture of the span.

    Args:
        grain: Codes of fresh noise that every picture gets; 0 for none.
        held_grain: Codes of noise that is held with the picture.
        overlay: What goes on over it, put in after what froze.
    """

    def __init__(
        self, grain: float = 0.0, held_grain: float = 0.0, overlay: Draw | None = None
    ) -> None:
        self._grain, self._held_grain, self._overlay = grain, held_grain, overlay

    def __call__(self, span: Span) -> PictureEdit:
        held: list[Bytes] = []

        def edit(canvas: Canvas, index: int) -> None:
            if not held:
                if self._held_grain:
                    add_noise(canvas.y, span.rng, self._held_grain)
                held.append(canvas.data.copy())
            np.copyto(canvas.data, held[0])
            if self._grain:
                add_noise(canvas.y, span.rng, self._grain)
            if self._overlay:
                self._overlay(canvas, index / span.rate_hz)

        return edit


def draw_clock(canvas: Canvas, time_s: float) -> None:
    """Seconds in white on a dark plate in the lower right corner."""
    height, width = canvas.y.shape
    left, top = width - width // 6, height - height // 9
    cv2.rectangle(canvas.y, (left, top), (width - 8, height - 8), 30, -1)
    text = f"12:34:{int(time_s) % 60:02}"
    cv2.putText(canvas.y, text, (left + 4, height - 16), cv2.FONT_HERSHEY_SIMPLEX, 0.55, 225, 1)


def draw_ticker(canvas: Canvas, time_s: float) -> None:
    """A line of news that runs along the lower edge, 90 pixels a second."""
    height, width = canvas.y.shape
    canvas.y[-28:-8] = 200
    words = "MARKETS CLOSE HIGHER   RAIN IN THE NORTH   SECOND LEG TONIGHT   "
    for part in range(2):
        x = round(width - time_s * 90) + part * 760
        place = (x, height - 12)
        cv2.putText(canvas.y, words, place, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 30, 1, cv2.LINE_AA)


def draw_turning_logo(canvas: Canvas, time_s: float) -> None:
    """A bar in a disc that turns once in four seconds, in the upper left corner."""
    height, width = canvas.y.shape
    centre = (width // 12, height // 9)
    reach = height // 16
    cv2.circle(canvas.y, centre, reach, 60, -1, cv2.LINE_AA)
    turn = time_s * np.pi / 2
    tip = (round(reach * 0.8 * np.cos(turn)), round(reach * 0.8 * np.sin(turn)))
    ends = (centre[0] - tip[0], centre[1] - tip[1]), (centre[0] + tip[0], centre[1] + tip[1])
    cv2.line(canvas.y, *ends, 220, 4, cv2.LINE_AA)


class _Held:
    """The first picture of a span, which negatives move slowly."""

    def __init__(self) -> None:
        self.data: Bytes | None = None

    def show(self, canvas: Canvas) -> Bytes:
        """Show it, and return its luma."""
        if self.data is None:
            self.data = canvas.data.copy()
        np.copyto(canvas.data, self.data)
        height, width = canvas.y.shape
        return self.data[: height * width].reshape(height, width)


def slow_zoom(span: Span) -> PictureEdit:
    """Into a still picture, 1 % a second."""
    held = _Held()

    def edit(canvas: Canvas, index: int) -> None:
        luma = held.show(canvas)
        height, width = luma.shape
        turn = cv2.getRotationMatrix2D(
            (width / 2, height / 2), 0.0, 1.02 + 0.01 * index / span.rate_hz
        )
        cv2.warpAffine(luma, turn, (width, height), dst=canvas.y, flags=cv2.INTER_LINEAR)

    return edit


def locked_off(span: Span) -> PictureEdit:
    """A still set under camera noise before which a head moves a little."""
    held = _Held()

    def edit(canvas: Canvas, index: int) -> None:
        held.show(canvas)
        _draw_speaker(canvas, index / span.rate_hz)
        add_noise(canvas.y, span.rng, 1.5)

    return edit


def _draw_speaker(canvas: Canvas, at: float) -> None:
    height, width = canvas.y.shape
    x = width / 2 + width / 40 * np.sin(at * 1.7) + width / 80 * np.sin(at * 4.1)
    y = height / 2 + height / 60 * np.sin(at * 2.3)
    centre = (round(x * 16), round(y * 16))
    axes = (width * 16 // 16, height * 16 // 6)
    cv2.ellipse(canvas.y, centre, axes, 0, 0, 360, 150, -1, cv2.LINE_AA, 4)
    mouth = (round(axes[0] / 3), round(axes[1] / 12 * (1 + np.sin(at * 9))))
    place = (centre[0], centre[1] + axes[1] // 2)
    cv2.ellipse(canvas.y, place, mouth, 0, 0, 360, 60, -1, cv2.LINE_AA, 4)


def anchor_with_ticker(span: Span) -> PictureEdit:
    """The locked-off shot, without any noise, over a running ticker."""
    held = _Held()

    def edit(canvas: Canvas, index: int) -> None:
        held.show(canvas)
        at = index / span.rate_hz
        _draw_speaker(canvas, at)
        draw_ticker(canvas, at)

    return edit


def dimmed(span: Span) -> PictureEdit:
    """The picture goes on at an eighth of its light: it moves by a code or two."""

    def edit(canvas: Canvas, index: int) -> None:
        table = ((np.arange(256) - 16.0).clip(0) * 0.125 + 16).astype(np.uint8)
        np.copyto(canvas.y, cv2.LUT(canvas.y, table))

    return edit


def aircraft(span: Span) -> PictureEdit:
    """A small aircraft that crosses a bright empty sky, 8 pixels a second."""

    def edit(canvas: Canvas, index: int) -> None:
        height, width = canvas.y.shape
        canvas.y[:] = np.linspace(170, 200, height).astype(np.uint8)[:, None]
        canvas.u.fill(146)
        canvas.v.fill(116)
        x = round(16 * (width / 3 + 8 * index / span.rate_hz))
        centre = (x, height * 16 * 2 // 5)
        cv2.ellipse(canvas.y, centre, (22 * 16, 3 * 16), 0, 0, 360, 90, -1, cv2.LINE_AA, 4)
        cv2.ellipse(canvas.y, centre, (4 * 16, 12 * 16), 0, 0, 360, 110, -1, cv2.LINE_AA, 4)

    return edit


class _Slate:
    """Makes edits that show a card with lettering, with a clock that runs or without."""

    def __init__(self, clock: bool) -> None:
        self._clock = clock

    def __call__(self, span: Span) -> PictureEdit:
        def edit(canvas: Canvas, index: int) -> None:
            canvas.blank(60)
            height, width = canvas.y.shape
            place = (width // 6, height // 2)
            words = "We will be right back"
            cv2.putText(canvas.y, words, place, cv2.FONT_HERSHEY_SIMPLEX, 1.1, 215, 2, cv2.LINE_AA)
            if self._clock:
                draw_clock(canvas, index / span.rate_hz)

        return edit


def at_a_cut(span: Span) -> PictureEdit:
    """The mirrored picture, held from its first moment on.

    A freeze that begins with a cut and a still that is meant to stand are the same pictures. They
    are taken for a still, so this freeze is missed until `stillAfter` has passed.
    """
    held: list[Bytes] = []

    def edit(canvas: Canvas, index: int) -> None:
        if not held:
            for plane in (canvas.y, canvas.u, canvas.v):
                np.copyto(plane, plane[::-1, ::-1].copy())
            np.copyto(canvas.y, 255 - np.maximum(canvas.y, 20))
            held.append(canvas.data.copy())
        np.copyto(canvas.data, held[0])

    return edit


BENCH = Bench(
    defect="freeze",
    kind=Kind.VIDEO,
    variants={
        "held": _Hold(),
        "held grain": _Hold(held_grain=3.0),
        "fresh grain": _Hold(grain=1.5),
        "running clock": _Hold(overlay=draw_clock),
        "ticker": _Hold(overlay=draw_ticker),
        "turning logo": _Hold(overlay=draw_turning_logo),
    },
    negatives={
        "slow zoom": slow_zoom,
        "locked-off shot": locked_off,
        "anchor with ticker": anchor_with_ticker,
        "dimmed": dimmed,
        "aircraft": aircraft,
        "slate with clock": _Slate(clock=True),
        "still slate": _Slate(clock=False),
        "freeze at a cut": at_a_cut,
    },
    event_s=(3.6, 5.4),
    negative_s=6.0,
    rival=Rival(
        "freezedetect=d=3", "lavfi.freezedetect.freeze_start", "lavfi.freezedetect.freeze_end"
    ),
    holds_picture=True,
)
