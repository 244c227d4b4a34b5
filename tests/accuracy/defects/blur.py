"""Pictures that lost their detail, and soft ones that are meant.

What a viewer would complain of: a shot that was sharp turns soft from one picture to the next and
stays so, as behind an encoder, a scaler or a lower rung of a ladder that was scaled up again. A
standard deviation of 1.5 pixels in 640 is 4.5 in 1920. Softness that comes with a cut or gradually
is the work of a camera.
"""

from collections.abc import Callable

import cv2
import numpy as np

from dev.origin.origin import Bytes, Canvas
from streammonitor_worker.detectors.base import Kind
from tests.accuracy.defects.black import draw_logo
from tests.accuracy.edits import Bench, PictureEdit, Span

PULL_S = 1.5
"""How long a focus pull, a fade or rising fog takes."""


def soften(plane: Bytes, sigma_px: float) -> None:
    """Blur in place; `sigma_px` is the standard deviation."""
    if sigma_px > 0:
        np.copyto(plane, cv2.GaussianBlur(plane, (0, 0), sigma_px))


class _Gaussian:
    """Makes edits that blur the whole picture, before a logo is laid over it or without one."""

    def __init__(self, sigma_px: float, logo: bool = False) -> None:
        self._sigma_px, self._logo = sigma_px, logo

    def __call__(self, span: Span) -> PictureEdit:
        def edit(canvas: Canvas, index: int) -> None:
            for plane, sigma_px in (
                (canvas.y, self._sigma_px),
                (canvas.u, self._sigma_px / 2),
                (canvas.v, self._sigma_px / 2),
            ):
                soften(plane, sigma_px)
            if self._logo:
                draw_logo(canvas)

        return edit


class _Rung:
    """Makes edits that scale the picture down so many times and up again."""

    def __init__(self, factor: int) -> None:
        self._factor = factor

    def __call__(self, span: Span) -> PictureEdit:
        def edit(canvas: Canvas, index: int) -> None:
            for plane in (canvas.y, canvas.u, canvas.v):
                height, width = plane.shape
                small = (width // self._factor, height // self._factor)
                shrunk = cv2.resize(plane, small, interpolation=cv2.INTER_AREA)
                np.copyto(plane, cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_CUBIC))

        return edit


# --------------------------------------------------------------------------------- what is no blur


def _other_shot(canvas: Canvas) -> None:
    for plane in (canvas.y, canvas.u, canvas.v):
        np.copyto(plane, cv2.flip(plane, -1))


def _subject(shape: tuple[int, ...]) -> Bytes:
    """Where the subject is: an upright ellipse of a ninth of the picture, 255 inside."""
    height, width = shape[:2]
    mask: Bytes = np.zeros((height, width), np.uint8)
    cv2.ellipse(mask, (width // 2, height // 2), (width // 9, height // 3), 0, 0, 360, 255, -1)
    return mask


class _Pull:
    """Makes edits that draw the focus from everything to a subject, which stays sharp.

    Args:
        sigma_px: How soft the background becomes.
        whole: The subject becomes soft, too.
    """

    def __init__(self, sigma_px: float, whole: bool = False) -> None:
        self._sigma_px, self._whole = sigma_px, whole

    def __call__(self, span: Span) -> PictureEdit:
        mask: list[Bytes] = []

        def edit(canvas: Canvas, index: int) -> None:
            if not mask:
                mask.append(_subject(canvas.y.shape))
            sharp = canvas.y.copy()
            soften(canvas.y, self._sigma_px * min(1.0, index / span.rate_hz / PULL_S))
            if not self._whole:
                np.copyto(canvas.y, sharp, where=mask[0] > 0)

        return edit


class _Veil:
    """Makes edits that blend the picture with one grey: dark for a fade, light for fog."""

    def __init__(self, luma: int, share: float) -> None:
        self._luma, self._share = luma, share

    def __call__(self, span: Span) -> PictureEdit:
        def edit(canvas: Canvas, index: int) -> None:
            left_s = (span.length - index) / span.rate_hz
            share = self._share * min(1.0, index / span.rate_hz / PULL_S, left_s / PULL_S)
            for plane, grey in ((canvas.y, self._luma), (canvas.u, 128), (canvas.v, 128)):
                np.copyto(plane, cv2.addWeighted(plane, 1 - share, plane, 0, grey * share))

        return edit


def soft_shot(span: Span) -> PictureEdit:
    """A cut to a shot that is soft all over, as through a long lens in haze."""

    def edit(canvas: Canvas, index: int) -> None:
        _other_shot(canvas)
        soften(canvas.y, 2.5)

    return edit


def title(span: Span) -> PictureEdit:
    """A cut to sharp lettering over a background that is far out of focus."""

    def edit(canvas: Canvas, index: int) -> None:
        _other_shot(canvas)
        soften(canvas.y, 6.0)
        height, width = canvas.y.shape
        for row, words in enumerate(("A film by", "A. Nonymous")):
            place = (width // 4, height * (4 + 2 * row) // 9)
            cv2.putText(canvas.y, words, place, cv2.FONT_HERSHEY_SIMPLEX, 1.6, 235, 3, cv2.LINE_AA)

    return edit


def zoom(span: Span) -> PictureEdit:
    """Into the picture, to four times its size in the end."""

    def edit(canvas: Canvas, index: int) -> None:
        scale = 4.0 ** (index / span.length)
        for plane in (canvas.y, canvas.u, canvas.v):
            height, width = plane.shape
            by = cv2.getRotationMatrix2D((width / 2, height / 2), 0.0, scale)
            np.copyto(plane, cv2.warpAffine(plane, by, (width, height), flags=cv2.INTER_CUBIC))

    return edit


def swish(span: Span) -> PictureEdit:
    """Swish pans: for a second and a half out of four, everything is smeared sideways."""
    kernel = np.full((1, 31), 1 / 31)

    def edit(canvas: Canvas, index: int) -> None:
        at_s = index / span.rate_hz % 4.0
        if at_s < 1.5:
            for plane in (canvas.y, canvas.u, canvas.v):
                moved = np.roll(plane, round(40 * at_s * span.rate_hz), axis=1)
                np.copyto(plane, cv2.filter2D(moved, -1, kernel))

    return edit


_Edit = Callable[[Span], PictureEdit]
VARIANTS: dict[str, _Edit] = {
    "sigma 1.5": _Gaussian(1.5),
    "sigma 3": _Gaussian(3.0),
    "sigma 6": _Gaussian(6.0),
    "sharp logo": _Gaussian(3.0, logo=True),
    "quarter size": _Rung(4),
}
NEGATIVES: dict[str, _Edit] = {
    "shallow focus": _Pull(5.0),
    "out of focus": _Pull(3.0, whole=True),
    "fade": _Veil(16, 0.85),
    "fog": _Veil(170, 0.75),
    "soft shot": soft_shot,
    "title": title,
    "zoom": zoom,
    "swish pans": swish,
}

BENCH = Bench(
    defect="blur",
    kind=Kind.VIDEO,
    variants=VARIANTS,
    negatives=NEGATIVES,
    event_s=(11.5, 14.0),
    negative_s=13.0,
    # Waves without an edge look the same behind a blur.
    unseen_in=("sea", "flames", "clouds"),
)
