"""What every picture detector makes of the regions of a stream."""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from itertools import chain

import numpy as np
import pytest

from streammonitor_api.regions import Region
from streammonitor_worker.detectors import registry
from streammonitor_worker.detectors.base import Kind, Measurement, Verdict
from streammonitor_worker.frames import Chroma, FrameView
from streammonitor_worker.measures.picture import PictureMeter
from streammonitor_worker.regions import PictureRegions
from tests.contract.defects import detector_of
from tests.contract.material import blurring, damaged, flat, hold, locked, pan, scene, views

PICTURES = [name for name in sorted(registry) if registry[name].kind is Kind.VIDEO]
MIDDLE = Region(left=0.1875, top=0.2, width=0.625, height=0.6)
EDGES = [(0, 0, 1, 0.2), (0, 0.8, 1, 0.2), (0, 0, 0.1875, 1), (0.8125, 0, 0.1875, 1)]
"""Left, top, width and height of what surrounds the middle."""


@cache
def varied() -> list[FrameView]:
    """Motion, damage, a freeze and black, in small, sharp, and slowly: every warm-up passes."""
    still = scene(160, 96)[:96, :160]
    hurt = damaged(10, 160, 96, first=40)
    parts = chain(pan(40, 160, 96), hurt, hold(still, 25), flat(10, 16, 160, 96))
    discs = next(blurring(1, 1))[:96, :160] // 2
    return list(views((picture // 2 + discs for picture in parts), rate=5))


@cache
def framed(seed: int) -> list[FrameView]:
    """The same in the middle of larger pictures, and noise that changes all around it."""
    return [_framed(view, np.random.default_rng((seed, n))) for n, view in enumerate(varied())]


def _framed(view: FrameView, noise: np.random.Generator) -> FrameView:
    canvas = noise.integers(0, 256, (160, 256), np.uint8)
    canvas[32:128, 48:208] = view.luma
    colour = noise.integers(0, 256, (80, 128), np.uint8)
    colour[16:64, 24:104] = 128
    return replace(view, luma=locked(canvas), chroma=Chroma(locked(colour), locked(colour)))


def measured(name: str, seen: Iterable[FrameView]) -> list[Measurement]:
    detector, meter = detector_of(name), PictureMeter()
    # Each view is valid only until the next is made.
    return [m for view in seen for m in detector.observe(meter.measure(view))]


@pytest.mark.parametrize("name", PICTURES)
def test_a_region_is_seen_as_if_there_were_nothing_around_it(name: str) -> None:
    regions = PictureRegions(MIDDLE)
    found = measured(name, (regions.apply(view) for view in framed(0)))
    assert found == measured(name, varied())
    assert found


@pytest.mark.parametrize("name", PICTURES)
def test_what_is_ignored_makes_no_difference(name: str) -> None:
    edges = [Region(left=a, top=b, width=c, height=d) for a, b, c, d in EDGES]
    regions = PictureRegions(ignored=edges)
    found = [measured(name, (regions.apply(view) for view in framed(seed))) for seed in range(2)]
    assert found[0] == found[1]
    assert any(m.verdict is Verdict.GOOD for m in found[0])
