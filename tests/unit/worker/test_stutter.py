from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from streammonitor_worker.detectors.base import Measurement, Verdict
from streammonitor_worker.detectors.stutter import StutterDetector, StutterParams
from streammonitor_worker.frames import FrameView
from streammonitor_worker.measures.picture import PictureMeter
from tests.contract.material import Luma, hold, pan, scene, views

PICTURES = list(pan(130))


def measure(pictures: Iterable[FrameView]) -> list[Measurement]:
    meter, detector = PictureMeter(), StutterDetector(StutterParams())
    return [one for view in pictures for one in detector.observe(meter.measure(view))]


def shown(numbers: Iterable[int]) -> list[Luma]:
    return [PICTURES[number % len(PICTURES)] for number in numbers]


def bad(found: list[Measurement]) -> list[Measurement]:
    return [one for one in found if one.verdict is Verdict.BAD]


def stuttering(count: int, first: int, end: int, share: float, seed: int = 4) -> list[int]:
    """Numbers of pictures, some of which are replaced by the one before."""
    chances = np.random.default_rng(seed).random(count)
    numbers = list(range(count))
    for index in range(first, end):
        if chances[index] < share:
            numbers[index] = numbers[index - 1]
    return numbers


CADENCES: dict[str, Callable[[int], int]] = {
    "every picture": lambda index: index,
    "25 in 50, animation on twos": lambda index: index // 2,
    "animation on threes": lambda index: index // 3,
    "3:2 pulldown": lambda index: index * 2 // 5,
    "24 in 30": lambda index: index * 4 // 5,
    "25 in 30": lambda index: index * 5 // 6,
    "24 in 25": lambda index: index * 24 // 25,
}


@pytest.mark.parametrize("cadence", CADENCES.values(), ids=CADENCES)
def test_a_cadence_is_no_stutter(cadence: Callable[[int], int]) -> None:
    found = measure(views(shown(map(cadence, range(200)))))
    assert sum(one.end_s - one.start_s for one in bad(found)) < 0.5
    assert found[-1].verdict is Verdict.GOOD


def test_a_cadence_that_changes_is_no_stutter() -> None:
    numbers = [*range(100), *(100 + index // 2 for index in range(100))]
    found = bad(measure(views(shown(numbers))))
    assert sum(one.end_s - one.start_s for one in found) < 0.5


@pytest.mark.parametrize("share", [0.1, 0.25])
def test_random_repeats_are_found_where_they_are(share: float) -> None:
    numbers = stuttering(250, 75, 150, share)
    found = measure(views(shown(numbers)))
    start_s = min(one.start_s for one in bad(found))
    assert start_s == pytest.approx(3.0, abs=0.7)
    assert found[-1].verdict is Verdict.GOOD
    assert found[-1].values["cadence"] == 1.0


def test_a_repeat_long_before_is_no_part_of_it() -> None:
    numbers = list(range(130))
    for index in (75, 100, 105, 111, 116, 122):
        numbers[index] = numbers[index - 1]
    found = bad(measure(views(shown(numbers))))
    assert min(one.start_s for one in found) == pytest.approx(100 / 25, abs=0.05)


def test_what_it_told_of_is_not_told_again_with_the_next_repeat() -> None:
    numbers = list(range(190))
    for index in (60, 67, 72, 130):
        numbers[index] = numbers[index - 1]
    found = measure(views(shown(numbers)))
    runs = [one.verdict for before, one in pairwise(found) if one.verdict is not before.verdict]
    assert runs.count(Verdict.BAD) == 1


def test_motion_that_turns_round_is_no_stutter() -> None:
    numbers = [round(40 + 6 * np.sin(index * 0.83 + np.sin(index / 9))) for index in range(150)]
    assert not bad(measure(views(shown(numbers))))


def test_motion_that_is_uneven_is_no_stutter() -> None:
    scenery = scene(seed=5)
    steps = np.random.default_rng(3).uniform(0, 6, 150).cumsum().astype(int)
    assert not bad(measure(views(scenery[step % 300 :][:180, :320] for step in steps)))


def test_motion_of_less_than_a_pixel_is_unknown() -> None:
    scenery = scene(seed=5)
    places = (np.arange(150) * 0.9 + np.sin(np.arange(150) / 7)).astype(int)
    found = measure(views(scenery[:180, place : place + 320] for place in places))
    assert not bad(found)
    assert found[-1].verdict is Verdict.UNKNOWN


def test_a_light_that_flickers_over_a_still_is_no_stutter() -> None:
    codes = (128 + 90 * np.sin(np.arange(150) * 1.37)).astype(np.uint8)
    pictures = [PICTURES[0].copy() for _ in codes]
    for picture, code in zip(pictures, codes, strict=True):
        picture[60:90] = code
    assert not bad(measure(views(pictures)))


def test_lights_that_begin_to_flash_over_motion_are_no_stutter() -> None:
    gains = [2.2 if number > 60 and number % 5 == 0 else 0.5 for number in range(150)]
    lit = zip(gains, shown(range(150)), strict=True)
    pictures = (np.clip(16 + (one - 16.0) * gain, 16, 235).astype(np.uint8) for gain, one in lit)
    assert not bad(measure(views(pictures)))


def test_pictures_that_are_missing_are_found() -> None:
    rng = np.random.default_rng(6)
    lost = {index for index in range(75, 150) if rng.random() < 0.12}
    found = measure(
        view for index, view in enumerate(views(shown(range(200)))) if index not in lost
    )
    assert max(one.values["droppedRatio"] for one in bad(found)) > 0.05


def test_pictures_that_were_lost_without_a_trace_in_time_are_found() -> None:
    steps = np.ones(128, int)
    steps[[77, 87, 94, 106, 115]] = 2
    found = bad(measure(views(shown(np.cumsum(steps).tolist()))))
    assert max(one.values["droppedRatio"] for one in found) > 0.03
    assert min(one.start_s for one in found) == pytest.approx(77 / 25, abs=0.05)


def test_film_of_another_rate_is_no_stutter() -> None:
    numbers = [*range(60), *(60 + index * 18 // 25 for index in range(120))]
    assert not bad(measure(views(shown(numbers))))


def test_repeats_that_begin_to_recur_in_a_shot_and_jump_are_found() -> None:
    numbers = [index - (index >= 75 and index % 9 == 0) for index in range(130)]
    found = bad(measure(views(shown(numbers))))
    assert min(one.start_s for one in found) == pytest.approx(81 / 25, abs=0.05)


def test_one_long_gap_is_not_stutter() -> None:
    first, second = list(views(PICTURES[:100])), list(views(PICTURES[:100], start_s=4.3))
    assert not bad(measure([*first, *second]))


def test_a_still_is_unknown() -> None:
    found = measure(views(hold(PICTURES[0], 100)))
    assert {one.verdict for one in found} == {Verdict.UNKNOWN}


def test_motion_that_stops_and_returns_is_no_stutter() -> None:
    pictures = [*PICTURES[:60], *hold(PICTURES[59], 40), *PICTURES[60:130]]
    found = measure(views(pictures))
    assert not bad(found)
    assert found[90].verdict is Verdict.UNKNOWN


def test_holds_without_any_pattern_are_unknown() -> None:
    rng = np.random.default_rng(2)
    numbers = np.repeat(np.arange(100), rng.integers(1, 6, 100))
    found = measure(views(shown(numbers.tolist())))
    assert found[-1].verdict is Verdict.UNKNOWN


def test_soft_telecine_is_no_stutter() -> None:
    lengths = np.tile([1 / 30, 1 / 20], 60)
    starts = np.cumsum(lengths) - lengths
    pictures = views(PICTURES[:120])
    timed = [
        replace(view, time_s=float(start), duration_s=float(length))
        for view, start, length in zip(pictures, starts, lengths, strict=True)
    ]
    assert not bad(measure(timed))
