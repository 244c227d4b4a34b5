"""Whether two pictures belong to the same shot."""

import cv2
import numpy as np
import numpy.typing as npt

from streammonitor_worker.measures.luma import Luma8

THUMBNAIL_PX = (40, 22)
SAME_SHOT = 0.6
"""Likeness from which on two pictures belong to one shot."""


def likeness(picture: Luma8, other: Luma8) -> float:
    """Correlation of two pictures' shapes, -1..1: what blur, noise and light leave alone."""
    return float(np.mean(_shapes(picture) * _shapes(other)))


def _shapes(picture: Luma8) -> npt.NDArray[np.float32]:
    """A thumbnail with mean 0 and variance 1, shape (22, 40)."""
    small = cv2.resize(picture, THUMBNAIL_PX, interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()
    small /= max(float(small.std()), 1.0)
    return small
