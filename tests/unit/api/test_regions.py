from typing import Any

import pytest

from streammonitor_api.regions import IgnoreRegion, Region, region_faults
from streammonitor_api.spec import Stream


def ignored(left: float, top: float, width: float, height: float, **more: Any) -> IgnoreRegion:
    return IgnoreRegion(left=left, top=top, width=width, height=height, **more)


@pytest.mark.parametrize("left", [0.1, 0.3, 0.7, 0.9])
def test_a_region_may_end_where_the_picture_does(left: float) -> None:
    assert list(region_faults(Region(left=left, top=0, width=1 - left, height=1), [])) == []
    assert list(region_faults(None, [ignored(left, left, 1 - left, 1 - left)])) == []


def test_what_reaches_beyond_the_picture_is_named_with_its_values() -> None:
    (fault,) = region_faults(
        None, [ignored(0, 0, 0.1, 0.1), ignored(0, 0.9, 1, 0.2, name="ticker")]
    )
    assert fault == (
        "ignoreRegions[1] (ticker) reaches beyond the picture (top 0.9 + height 0.2 is more than "
        "1): make it smaller"
    )


def test_regions_that_together_leave_nothing_are_refused() -> None:
    halves = [ignored(0, 0, 0.5, 1), ignored(0.5, 0, 0.5, 1)]
    (fault,) = region_faults(None, halves)
    assert fault.startswith("ignoreRegions leave nothing of the picture: make them smaller")
    (fault,) = region_faults(Region(left=0.1, top=0.1, width=0.2, height=0.2), halves[:1])
    assert fault.startswith("ignoreRegions leave nothing of the region")


def test_what_is_left_in_a_corner_suffices() -> None:
    most = [ignored(0, 0, 0.98, 1), ignored(0.5, 0, 0.5, 0.98)]
    assert list(region_faults(None, most)) == []


def test_rectangles_that_adjoin_leave_nothing_between_them() -> None:
    columns = [ignored(0.1 * n, 0, 0.1, 1) for n in range(9)]
    assert len(list(region_faults(None, [*columns, ignored(0.9, 0, 0.1, 1)]))) == 1
    assert list(region_faults(None, [*columns, ignored(0.9, 0.01, 0.1, 0.99)])) == []
    rows = [ignored(0, 0.7, 1, 0.3), ignored(0, 0, 1, 0.4), ignored(0, 0.3, 1, 0.4)]
    assert len(list(region_faults(None, rows))) == 1


@pytest.mark.parametrize(
    "bad",
    [
        {"left": -0.1, "top": 0, "width": 0.5, "height": 0.5},
        {"left": 0, "top": 0, "width": 0, "height": 0.5},
        {"left": 0, "top": 0, "width": 0.5, "height": 1.5},
        {"left": 0, "top": 0, "width": 0.5},
        {"left": float("nan"), "top": 0, "width": 0.5, "height": 0.5},
    ],
    ids=["negative", "empty", "too high", "no height", "no number"],
)
def test_what_is_no_rectangle_of_the_picture_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="region"):
        Stream.model_validate({"name": "a", "url": "http://h/", "region": bad})


def test_no_key_is_one_that_yaml_takes_for_a_truth_value() -> None:
    # kubectl reads YAML 1.1, in which a plain `y` is true: a region's corner is not x and y.
    keys = {info.alias or name for name, info in IgnoreRegion.model_fields.items()}
    assert keys == {"left", "top", "width", "height", "name"}
