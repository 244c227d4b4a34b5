from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from streammonitor_api.regions import Region
from streammonitor_api.worker_status import DetectorState
from streammonitor_worker.analysis import StreamAnalysis
from streammonitor_worker.box import Box
from streammonitor_worker.frames import Chroma, FrameView
from streammonitor_worker.measures.picture import PictureMeasures, PictureMeter
from streammonitor_worker.regions import GRID_PX, PictureRegions, touched_tiles
from tests.contract.material import flat, hold, locked, pan, scene, views


def rectangle(left: float, top: float, width: float, height: float) -> Region:
    return Region(left=left, top=top, width=width, height=height)


def view_of(luma: npt.NDArray[Any], **more: Any) -> FrameView:
    return FrameView(time_s=0.0, duration_s=0.04, arrived_at=0.0, luma=locked(luma), **more)


def numbered(width: int = 320, height: int = 180) -> FrameView:
    """A picture whose luma says where it comes from."""
    rows, columns = np.mgrid[:height, :width]
    return view_of((rows * 7 + columns).astype(np.uint8))


def test_without_regions_the_view_stays_the_same_object() -> None:
    view = numbered()
    assert PictureRegions().apply(view) is view


def test_a_region_is_a_crop_of_the_decoders_memory() -> None:
    view = numbered()
    cropped = PictureRegions(rectangle(0.1, 0, 0.5, 1)).apply(view)
    assert np.shares_memory(cropped.luma, view.luma)
    assert cropped.luma.shape == (180, 160)
    np.testing.assert_array_equal(cropped.luma, view.luma[:, 32:192])
    assert cropped.ignored == ()


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (1279, 719), (352, 288), (96, 64)])
@pytest.mark.parametrize(
    "region", [rectangle(0.13, 0.27, 0.61, 0.5), rectangle(0.5, 0.5, 0.5, 0.5)]
)
def test_a_crop_keeps_the_grid_of_blocks_and_never_reaches_beyond_its_region(
    region: Region, width: int, height: int
) -> None:
    view = numbered(width, height)
    cropped = PictureRegions(region).apply(view).luma
    left = -(-round(region.left * width * 1e6) // (GRID_PX * 10**6)) * GRID_PX
    top = -(-round(region.top * height * 1e6) // (GRID_PX * 10**6)) * GRID_PX
    np.testing.assert_array_equal(
        cropped, view.luma[top : top + cropped.shape[0], left : left + cropped.shape[1]]
    )
    assert left + cropped.shape[1] <= region.right * width
    assert top + cropped.shape[0] <= region.bottom * height
    assert cropped.shape[1] > region.width * width - GRID_PX - 2
    assert cropped.shape[0] > region.height * height - GRID_PX - 2


def test_a_region_to_the_edge_keeps_the_last_odd_pixel() -> None:
    cropped = PictureRegions(rectangle(0, 0.5, 1, 0.5)).apply(numbered(321, 181)).luma
    assert cropped.shape == (181 - 96, 321)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (17, 9), (40, 40)])
def test_tiny_pictures_leave_something(size: tuple[int, int]) -> None:
    regions = PictureRegions(rectangle(0.4, 0.4, 0.1, 0.1), [rectangle(0, 0, 0.5, 1)])
    seen = regions.apply(view_of(np.full(size, 90, np.uint8)))
    assert seen.luma.size
    assert seen.luma.max() == 90


def test_what_is_ignored_is_blanked_in_a_copy() -> None:
    view = numbered()
    before = view.luma.copy()
    seen = PictureRegions(None, [rectangle(0.5, 0, 0.5, 0.1)]).apply(view)
    assert seen.ignored == (Box(160, 0, 320, 18),)
    assert (seen.luma[:18, 160:] == 16).all()
    np.testing.assert_array_equal(seen.luma[18:], before[18:])
    np.testing.assert_array_equal(seen.luma[:18, :160], before[:18, :160])
    np.testing.assert_array_equal(view.luma, before)
    assert not seen.luma.flags.writeable


def test_what_is_ignored_is_measured_from_the_corner_of_the_region() -> None:
    regions = PictureRegions(rectangle(0.5, 0, 0.5, 1), [rectangle(0.4, 0.5, 0.2, 0.1)])
    seen = regions.apply(numbered(640, 320))
    assert seen.luma.shape == (320, 320)
    assert seen.ignored == (Box(0, 160, 64, 192),)
    assert (seen.luma[160:192, :64] == 16).all()


def test_what_is_ignored_outside_of_the_region_costs_no_copy() -> None:
    view = numbered()
    seen = PictureRegions(rectangle(0.5, 0, 0.5, 1), [rectangle(0, 0, 0.2, 0.2)]).apply(view)
    assert np.shares_memory(seen.luma, view.luma)


@pytest.mark.parametrize(
    ("full_range", "bit_depth", "black"), [(False, 10, 64), (True, 10, 0), (True, 8, 0)]
)
def test_blanks_are_black_of_the_pictures_own_range_and_depth(
    full_range: bool, bit_depth: int, black: int
) -> None:
    luma = np.full((64, 64), 200, np.uint8 if bit_depth == 8 else np.uint16)
    view = view_of(luma, full_range=full_range, bit_depth=bit_depth)
    seen = PictureRegions(None, [rectangle(0, 0, 0.5, 0.5)]).apply(view)
    assert (seen.luma[:32, :32] == black).all()
    assert seen.luma.dtype == luma.dtype


@pytest.mark.parametrize("shape", [(90, 160), (180, 160), (180, 320)], ids=["420", "422", "444"])
def test_chroma_is_cropped_and_blanked_with_luma(shape: tuple[int, int]) -> None:
    u, v = (locked(np.full(shape, value, np.uint8)) for value in (90, 200))
    view = view_of(np.full((180, 320), 90, np.uint8), chroma=Chroma(u, v))
    seen = PictureRegions(rectangle(0.5, 0, 0.5, 1), [rectangle(0.5, 0.5, 0.25, 0.5)]).apply(view)
    assert seen.chroma is not None
    down, across = 180 // shape[0], 320 // shape[1]
    for plane, value in zip(seen.chroma, (90, 200), strict=True):
        assert plane.shape == (180 // down, 160 // across)
        assert (plane[90 // down :, : 80 // across] == 128).all()
        assert (plane[: 90 // down] == value).all()
        assert (plane[:, 80 // across :] == value).all()


def test_another_size_is_another_layout() -> None:
    regions = PictureRegions(None, [rectangle(0, 0.75, 1, 0.25)])
    for width, height in ((320, 180), (64, 48), (320, 180)):
        seen = regions.apply(numbered(width, height))
        assert seen.luma.shape == (height, width)
        assert (seen.luma[round(0.75 * height) + 1 :] == 16).all()


def test_edges_of_blanks_touch_the_tiles_on_either_side() -> None:
    touched = touched_tiles((Box(32, 32, 48, 48),), 16, 6, 6)
    assert touched.sum() == 9
    assert touched[1:4, 1:4].all()


def measures_of(luma: npt.NDArray[np.uint8], *ignored: Region) -> PictureMeasures:
    return PictureMeter().measure(PictureRegions(None, ignored).apply(view_of(luma)))


@pytest.mark.parametrize("width", [320, 1280])
def test_shares_are_of_what_is_not_ignored(width: int) -> None:
    luma = np.full((width // 2, width), 16, np.uint8)
    luma[:, : width // 4] = 235
    luma[: width // 4] = 235
    band = rectangle(0, 0, 1, 0.5)
    assert measures_of(luma).dark_ratio(0.1) == pytest.approx(0.375, abs=0.01)
    assert measures_of(luma, band).dark_ratio(0.1) == pytest.approx(0.75, abs=0.01)
    assert measures_of(luma, band).mean == pytest.approx(0.25, abs=0.01)
    assert measures_of(luma, band).percentile(74) == 0.0
    assert measures_of(luma, band).percentile(77) == 1.0
    assert measures_of(luma, band, rectangle(0, 0, 0.25, 1)).dark_ratio(0.1) == 1.0


CLOCK = rectangle(0.75, 0.0, 0.25, 0.2)
TICKER = rectangle(0.0, 0.8, 1.0, 0.2)


def with_noise(pictures: Iterable[npt.NDArray[np.uint8]], where: Box) -> Iterator[FrameView]:
    """Pictures with something in a corner that never stands still."""
    noise = np.random.default_rng(0)
    for view in views(pictures):
        luma = view.luma.copy()
        part = where.of(luma)
        part[...] = noise.integers(0, 256, part.shape, np.uint8)
        yield replace(view, luma=locked(luma))


def analysis(detector: str, *ignored: Region) -> StreamAnalysis:
    return StreamAnalysis(
        monitor_uid="", stream="s", worker="", detectors={detector: {"minDuration": "1s"}},
        regions=PictureRegions(None, ignored),
    )  # fmt: skip


def spans(one: StreamAnalysis, items: Iterable[FrameView]) -> list[tuple[str, float, float | None]]:
    events = [event for item in items for event in one.feed(item)]
    return [(e.kind.value, e.incident.start_s, e.incident.end_s) for e in events]


def moving(count: int, seed: int = 0) -> Iterator[npt.NDArray[np.uint8]]:
    return pan(count, 160, 96, seed)


def test_a_freeze_behind_a_running_clock_is_found_to_the_picture() -> None:
    still = scene(160, 96)[:96, :160]
    corner = Box(120, 0, 160, 18)

    def pictures() -> Iterator[FrameView]:
        return with_noise(chain(moving(25), hold(still, 50), moving(50, seed=1)), corner)

    assert spans(analysis("freeze"), pictures()) == []
    assert spans(analysis("freeze", CLOCK), pictures()) == [
        ("started", 1.0, None),
        ("ended", 1.0, 3.0),
    ]


def test_black_with_a_moving_ticker_is_black() -> None:
    band = Box(0, 78, 160, 96)

    def pictures() -> Iterator[FrameView]:
        return with_noise(chain(moving(25), flat(50, 16, 160, 96), moving(50)), band)

    assert spans(analysis("black"), pictures()) == []
    assert spans(analysis("black", TICKER), pictures()) == [
        ("started", 1.0, None),
        ("ended", 1.0, 3.0),
    ]


def test_other_regions_begin_anew_without_ending_what_is_open() -> None:
    one = analysis("black")
    items = list(views(flat(100, 16, 160, 96)))
    assert [kind for kind, *_ in spans(one, items[:50])] == ["started"]
    assert one.set_regions(PictureRegions(None, [TICKER])) == []
    assert spans(one, items[50:]) == []
    assert one.detector_states()["black"] == DetectorState.ACTIVE
